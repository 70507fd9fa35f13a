"""Everything held about somebody, as the files of a package."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from identity.lineage import known_as
from identity.matching.comparing import Comparer
from identity.matching.index import MatchIndex
from identity.model import Node, PersonEvidence, kind_of
from identity.policy import MBITS
from identity.retention import Retention
from identity.store import FOREVER_US, GraphStore
from kinfold.held.gather import Around, Gathering, Scored, provided
from kinfold.held.page import page
from kinfold.register import Exported
from profiles import contexts
from profiles.deadlines import RequestKind
from profiles.privacy_messages import timestamp
from profiles.privacy_packaging import HTML, JSON
from profiles.requests import Request
from profiles.sealing import Sealer, Unreadable
from profiles.vault import KeyDestroyed

_EMPTY: Mapping[str, Any] = {"person": None}


class Holdings:
    """Gathers what is held about people from a store. One object per thread.

    `comparers` gives those of the match models in force; `controller` answers
    for the data; `retention` says for how long the policy keeps what.
    """

    def __init__(
        self,
        store: GraphStore,
        gathering: Gathering,
        sealer: Sealer,
        comparers: Callable[[], Sequence[Comparer]],
        controller: str,
        retention: Retention,
    ) -> None:
        self._store = store
        self._gathering = gathering
        self._sealer = sealer
        self._comparers = comparers
        self._controller = controller
        self._retention = retention

    def value_of(self, node: Node) -> str:
        """An identifier's value where it is kept; "" where it is not, or does not open."""
        self._sealer.look()
        context = contexts.of_identifier(kind_of(node.key), node.order)
        opened = open_with(self._sealer)(node.sealed, context) if node.sealed else None
        return opened.decode() if opened else ""

    def said_in(self, evidence: PersonEvidence, name: str) -> set[str]:
        """What records say of an attribute; nothing of those that do not open any more."""
        self._sealer.look()
        return self._gathering.said_in(evidence, name)

    def files(
        self,
        request: Request,
        evidence: PersonEvidence | None,
        exports: Sequence[Exported],
        around: Mapping[str, Any],
        now_us: int,
    ) -> dict[str, bytes]:
        """What a request is answered with: everything as JSON, and as a page; of portability what
        the person provided, as JSON. Nobody is known: what there is `around` them, or that nothing
        is held. `around` is as of `kinfold.held.beside`.
        """
        self._sealer.look()
        found = dict[str, Any](_EMPTY)
        if evidence is not None:
            found = self._gathering.everything(evidence, self._around(evidence, exports))
            if request.kind is RequestKind.PORTABILITY:
                found = provided(found)
        if request.kind is RequestKind.ACCESS:
            lost = sum(one["content"] is None for one in around["dead_letters"])
            found |= {**around, "unreadable": found.get("unreadable", 0) + lost}
        found["request"] = {
            "id": request.id,
            "kind": request.kind.value,
            "law": request.law.value,
            "received": request.received.isoformat(),
        }
        found["made_at"] = timestamp(now_us).ToDatetime().strftime("%Y-%m-%dT%H:%M:%SZ")
        found["controller"] = self._controller
        files = {JSON: orjson.dumps(found, option=orjson.OPT_INDENT_2)}
        if request.kind is RequestKind.ACCESS:
            files[HTML] = page(found).encode()
        return files

    def _around(self, evidence: PersonEvidence, exports: Sequence[Exported]) -> Around:
        ids = known_as(self._store.lineage(evidence.person), evidence.person)
        # An id that they were split from stands for somebody else.
        earlier = sorted(one for one, until_us in ids.items() if until_us == FOREVER_US)
        earlier.remove(evidence.person)
        scored = list(self._scored(evidence))
        horizons, cutoffs = self._store.horizons(), self._store.cutoffs()
        return Around(earlier, scored, exports, horizons, cutoffs, self._retention)

    def _scored(self, evidence: PersonEvidence) -> Iterator[Scored]:
        """The scored links inside the person, under the models that the store was resolved with."""
        index = MatchIndex(self._store, self._comparers())
        if not index.comparers or self._store.model() != index.model:
            return
        members = {node.key for node in evidence.nodes}
        for left, others in sorted(self._store.scored(members).items()):
            for right, weight in sorted(others.items()):
                comparer = index.comparer(left)
                if left < right and right in members and comparer is not None:
                    yield Scored(
                        left,
                        right,
                        weight / MBITS,
                        comparer.probability(weight),
                        comparer.model,
                        [
                            (bar.comparison, bar.level, bar.mbits / MBITS)
                            for bar in index.explain(left, right)
                        ],
                    )


def open_with(sealer: Sealer) -> Callable[[bytes, bytes], bytes | None]:
    """Opens sealed values; None for what cannot be opened any more."""

    def opened(sealed: bytes, context: bytes) -> bytes | None:
        try:
            return sealer.open(sealed, context)
        except (KeyDestroyed, Unreadable):
            return None

    return opened

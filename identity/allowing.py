"""Whether whole groups of nodes may be joined by scored links, where a comparer asks for it.

What a group says is a function of its members' facts and of when they were
joined: of evidence alone. Facts change no link, so the resolver is told here
whose may have changed, and resolves whatever they are with anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b

import msgpack

from identity.matching.comparing import Group, Joined, MayJoin
from identity.model import Decision, KeptFact, Mark, NodeKey, NodeView
from identity.store import GraphStore

KEPT_DIGESTS = 500_000
"""So many nodes are remembered before all are asked about anew."""
_pack = msgpack.Packer().pack
Used = Callable[[NodeKey, Iterable[KeptFact], NodeView], None]
"""Hears of a node by whose facts and ties somebody was judged (`Facts.used`)."""


class Groups:
    """Answers for the groups of one neighbourhood, each asked once.

    `used` hears of the facts that answers rest on.
    """

    def __init__(
        self,
        store: GraphStore,
        views: Mapping[NodeKey, NodeView],
        decisions: Iterable[Decision],
        may_join: MayJoin,
        used: Used,
    ) -> None:
        self._store = store
        self._used = used
        self._views = views
        self._same = [one for one in decisions if one.same]
        self._may_join = may_join
        self._facts: dict[NodeKey, tuple[KeptFact, ...]] = {}
        self._answers: dict[frozenset[NodeKey], bool] = {}

    def may_join(self, left: Collection[NodeKey], right: Collection[NodeKey]) -> bool:
        """Whether two groups may become one: each may, and so may both as one."""
        one, other = frozenset(left), frozenset(right)
        return self._may(one) and self._may(other) and self._may(one | other)

    def _may(self, members: frozenset[NodeKey]) -> bool:
        answer = self._answers.get(members)
        if answer is None:
            answer = self._answers[members] = self._may_join(self._group(members))
        return answer

    def _group(self, members: frozenset[NodeKey]) -> Group:
        unknown = sorted(members - self._facts.keys())
        if unknown:
            held = self._store.evidence_at(unknown, activity=False)
            for key in unknown:
                self._facts[key] = held[key].facts if key in held else ()
                self._used(key, self._facts[key], self._views[key])
        facts = {kept.signal: kept for key in members for kept in self._facts[key]}
        in_order = tuple(facts[signal] for signal in sorted(facts))
        return Group(members, in_order, tuple(sorted(self._joined(members))))

    def _joined(self, members: frozenset[NodeKey]) -> Iterator[Joined]:
        for key in members:
            for tie in self._views[key].ties:
                if key < tie.other and tie.other in members:
                    yield tie.first_us, key, tie.other
        for one in self._same:
            if one.left in members and one.right in members:
                yield one.decided_us, one.left, one.right


class Facts:
    """Tells nodes whose facts, or first sightings together, may be others than when last marked.

    Remembers what it was asked about for as long as one resolver holds the
    lease: whoever is not remembered may have changed.
    """

    def __init__(self, store: GraphStore) -> None:
        self._store = store
        self._seen: dict[NodeKey, bytes] = {}

    def forget(self) -> None:
        """Let go of what is remembered."""
        self._seen.clear()

    def changed(self, marks: Sequence[Mark]) -> set[NodeKey]:
        """The marked nodes that may have changed."""
        if len(self._seen) > KEPT_DIGESTS:
            self.forget()
        keys = [mark.key for mark in marks]
        held, views = self._store.evidence_at(keys, activity=False), self._store.views(keys)
        found = set()
        for key in keys:
            own, view = held.get(key), views.get(key)
            digest = _digest(own.facts if own else (), view)
            if self._seen.get(key) != digest:
                self._seen[key] = digest
                found.add(key)
        return found

    def used(self, key: NodeKey, facts: Iterable[KeptFact], view: NodeView) -> None:
        """Somebody was judged by a node as it is now.

        Where that is not as remembered, its mark waits still. When that comes, the node
        may be as remembered again, and counts as changed all the same.
        """
        seen = self._seen.get(key)
        if seen is not None and seen != _digest(facts, view):
            del self._seen[key]


def _digest(facts: Iterable[KeptFact], view: NodeView | None) -> bytes:
    # Not by digest alone: what a record holds may be trimmed.
    told = sorted(
        (kept.signal, kept.digest, kept.event_us, kept.published_us, kept.fact.payload)
        for kept in facts
    )
    ties = sorted((tie.other, tie.first_us) for tie in view.ties) if view is not None else None
    return blake2b(_pack([told, ties]), digest_size=16).digest()

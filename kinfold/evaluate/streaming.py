"""Records through the pipeline of production, into its embedded store, resolved one by one."""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from identity.matching.model import MatchModel
from identity.model import NodeKey, PersonId
from identity.resolver import Resolver
from identity.store import GraphStore
from ingest.pipeline import Step
from ingest.source import ReadLimits
from ingest.source_files import FileSource
from kinfold.collecting import collect_less_often
from kinfold.comparing import record_comparer
from kinfold.evaluate.signals import SOURCE, lines
from kinfold.intaking import Intaking, Reading
from kinfold.letters import open_letters
from kinfold.settings import Settings, load
from kinfold.wiring import open_policies, open_sealer, open_store, open_tokens
from profiles.vault import KeyVault
from profiles.vault_memory import MemoryVault

_LEASE_MS = 10**12
_TOGETHER = 1_000
"""Records whose links are asked for at once."""
Advance = Callable[[int], None]


@dataclass(slots=True)
class Streamed:
    """What streaming a file gave; times in milliseconds, churn in records.

    - `people`: the person of every record, in the file's order.
    - `links`: every scored pair (lower row, higher row) with its match weight.
    """

    people: list[PersonId] = field(default_factory=list)
    links: dict[tuple[int, int], int] = field(default_factory=dict)
    latency_ms: list[float] = field(default_factory=list)
    churn: list[int] = field(default_factory=list)
    refused: int = 0

    @property
    def stream_s(self) -> float:
        """The time that all records took together."""
        return sum(self.latency_ms) / 1000


def keys_of(seed: int) -> KeyVault:
    """The keys of an evaluation: the same for the same seed, and gone with the process."""
    return MemoryVault(random.Random(seed).randbytes)  # noqa: S311 - they guard a file that is at hand


def stream(
    records: Sequence[Mapping[str, str]], model: MatchModel, vault: KeyVault, advance: Advance
) -> Streamed:
    """Give the records to the pipeline one at a time, and resolve after each.

    1. Each is a signal in a file, read, checked, pseudonymised and committed
       to a graph store of its own, as `kinfold ingest` does.
    2. Its marks are drained before the next is read.
    """
    collect_less_often()
    with tempfile.TemporaryDirectory(prefix="kinfold-evaluate-") as folder:
        path = Path(folder) / "signals.jsonl"
        path.write_bytes(b"".join(lines(records)))
        settings = load({"home.dir": folder}, {})
        with closing(open_store(settings)) as store:
            stage = _Stage(store, model, vault, settings, len(records))
            for number, step in enumerate(stage.timed(_steps(settings, vault, store, path))):
                stage.note(step)
                if number % 100 == 0:
                    advance(number)
            return stage.finished()


def _steps(settings: Settings, vault: KeyVault, store: GraphStore, path: Path) -> Iterator[Step]:
    """Each record read and committed, one a step."""
    policies, stop = open_policies(settings), threading.Event()
    intaking = Intaking(settings, policies, vault, Reading())
    with closing(open_letters(settings)) as letters:
        source = FileSource([str(path)], ReadLimits(1, 1))
        (partition,) = source.partitions()
        pipeline = intaking.pipeline(source, partition, store, letters, stop)
        try:
            while not pipeline.ended:
                step = pipeline.step()
                if step is not None:
                    yield step
        finally:
            pipeline.close()


class _Stage:
    """The resolver's side of a stream, and what is noted of it between records."""

    def __init__(
        self,
        store: GraphStore,
        model: MatchModel,
        vault: KeyVault,
        settings: Settings,
        records: int,
    ) -> None:
        tokens = open_tokens(vault)
        ids = count()
        lease = store.acquire_lease("evaluation", 0, _LEASE_MS)
        assert lease is not None, "a new store's lease is free"
        self._lease = lease
        self._store = store
        self._resolver = Resolver(
            store,
            open_policies(settings).identity,
            lambda: f"{next(ids):026d}",
            [record_comparer(model, tokens, open_sealer(vault))],
        )
        self._keys = [tokens.record(SOURCE, str(number)) for number in range(records)]
        self._rows = {key: row for row, key in enumerate(self._keys)}
        self._company: dict[NodeKey, frozenset[NodeKey]] = {}
        self._streamed = Streamed()

    def timed(self, steps: Iterator[Step]) -> Iterator[Step]:
        """The steps, each followed by the resolver; what both took is noted."""
        while True:
            began = time.perf_counter()
            step = next(steps, None)
            if step is None:
                return
            while self._resolver.drain(self._lease, 0) is not None:
                pass
            self._streamed.latency_ms.append((time.perf_counter() - began) * 1000)
            yield step

    def note(self, step: Step) -> None:
        """Note whose company changed; the outbox names every person that did."""
        self._streamed.refused += step.rejected
        waiting = self._store.outbox(1_000_000)
        self._store.clear_outbox(self._lease, waiting)
        after = self._store.members(entry.person for entry in waiting)
        moved = 0
        fresh: dict[NodeKey, frozenset[NodeKey]] = {}
        for members in after.values():
            company = frozenset(key for key in members if key in self._rows)
            known = company & self._company.keys()
            # Who only gained records that are new has not moved.
            moved += sum(self._company[key] != known for key in known)
            fresh |= dict.fromkeys(company, company)
        self._company |= fresh
        self._streamed.churn.append(moved)

    def finished(self) -> Streamed:
        """All that was noted, and where every record ended."""
        streamed, index = self._streamed, self._resolver.index
        held = self._store.person_of(self._keys)
        streamed.people = [held.get(key, key) for key in self._keys]
        for start in range(0, len(self._keys), _TOGETHER):
            some = self._keys[start : start + _TOGETHER]
            for key, links in index.links(some).items():
                row = self._rows[key]
                for other, mbits in links.items():
                    if self._rows[other] < row:
                        streamed.links[self._rows[other], row] = mbits
        return streamed

"""What the embedded graph store costs: commits at few and at many identifiers, and reading people.

    python -m load_tests.bench_store --small 10000 --large 1000000

A signal names a login and its device, drawn at random from all. Between commits
marks are cleared, which is not measured; people are given out at the end, to
read their evidence. Times are CPU time of this process, which includes the
kernel's part of reading and writing pages. The garbage collector runs as seldom
as in a consumer.
"""

from __future__ import annotations

import argparse
import gc
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from identity.engines.sqlite import SqliteGraphStore
from identity.model import (
    DAY_US,
    Assurance,
    Contribution,
    LineageChange,
    LineageEntry,
    Node,
    NodeKey,
    PersonId,
)
from identity.store import Batch, Resolution

FIRST_DAY = 20_000
BATCH = 2_000
LEASE_MS = 10**15
CATEGORIES = tuple(f"category:{number}" for number in range(40))


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU and wall time per contribution."""

    cpu_us: float
    wall_us: float


def identifier(kind: str, number: int) -> Node:
    """An identifier with a token that looks like a real one: 22 characters, no order in them."""
    scattered = number * 0x9E3779B97F4A7C15 % 2**64
    return Node(
        f"{kind}:{scattered:022d}", scattered >> 1, b"sealed" * 12 if kind == "login" else b""
    )


class Stream:
    """Endless signals of `logins` people with a device each, day after day."""

    def __init__(self, logins: int, signals_per_day: int, seed: int) -> None:
        self._logins = logins
        self._signals_per_day = signals_per_day
        self._random = random.Random(seed)
        self._sent = 0

    def first_sights(self) -> Iterator[Contribution]:
        """Every login with its device, once."""
        for login in range(self._logins):
            yield self._signal(login)

    def __iter__(self) -> Iterator[Contribution]:
        """Signals of anybody."""
        while True:
            yield self._signal(self._random.randrange(self._logins))

    def _signal(self, login: int) -> Contribution:
        draw = self._random
        day = FIRST_DAY + self._sent // self._signals_per_day
        self._sent += 1
        at_us = day * DAY_US + draw.randrange(DAY_US)
        nodes = (identifier("login", login), identifier("device", login))
        seen = (draw.choice(CATEGORIES), "type:page_view", "channel:web")
        context = (f"network:{login // 2:022d}", "browser:Firefox", "system:Linux")
        return Contribution(
            signal=draw.getrandbits(63),
            digest=draw.randbytes(8),
            event_us=at_us,
            published_us=at_us + draw.randrange(10_000_000),
            source="web",
            assurance=Assurance.CLAIMED,
            nodes=nodes,
            activity=((nodes[0].key, seen), (nodes[1].key, context)),
        )


class Bench:
    """One store, fed and measured."""

    def __init__(self, path: Path) -> None:
        self.store = SqliteGraphStore(path)
        self._at = self.store.claim("bench")
        lease = self.store.acquire_lease("bench", 0, LEASE_MS)
        assert lease is not None
        self._lease = lease

    def feed(self, signals: Iterator[Contribution], count: int) -> Cost:
        """Commit so many signals; what making them costs is left out."""
        cpu_s = wall_s = 0.0
        for _ in range(0, count, BATCH):
            batch = Batch(list(islice(signals, BATCH)), self._at, self._at.position)
            cpu, wall = time.process_time(), time.perf_counter()
            self.store.commit(batch)
            cpu_s += time.process_time() - cpu
            wall_s += time.perf_counter() - wall
            self._clear_marks()
        return Cost(cpu_s / count * 1e6, wall_s / count * 1e6)

    def _clear_marks(self) -> None:
        """What the resolver does after each batch."""
        resolution = Resolution({}, {}, [], [], self.store.marks(3 * BATCH))
        self.store.commit_resolution(self._lease, resolution)

    def settle(self, keys: Sequence[NodeKey], size: int) -> list[PersonId]:
        """Give every `size` keys to a person; clear the marks. Gives the people."""
        people = {key: f"{place // size:026d}" for place, key in enumerate(keys)}
        ids = sorted(set(people.values()))
        entries = [LineageEntry(LineageChange.CREATED, person, None, 0, 0) for person in ids]
        self.store.commit_resolution(self._lease, Resolution(people, {}, entries, [], []))
        return ids


def measure_commits(folder: Path, logins: int, count: int) -> Cost:
    """Cost of a contribution once all logins and devices are known."""
    bench = Bench(folder / f"commits-{logins}.db")
    stream = Stream(logins, signals_per_day=100_000, seed=1)
    bench.feed(stream.first_sights(), logins)
    bench.feed(iter(stream), count // 4)
    cost = bench.feed(iter(stream), count)
    bench.store.close()
    return cost


def measure_reads(folder: Path, people: int, days: int) -> tuple[float, float]:
    """CPU time to read a person's evidence, and its two views, in batches of 200 people."""
    bench = Bench(folder / "reads.db")
    stream = Stream(people, signals_per_day=people * 2, seed=2)
    for _ in range(2 * days):
        bench.feed(stream.first_sights(), people)
    keys = [identifier(kind, n).key for n in range(people) for kind in ("login", "device")]
    ids = bench.settle(keys, 2)
    started = time.process_time()
    for start in range(0, people, 200):
        found = bench.store.evidence(ids[start : start + 200])
        assert all(len(one.nodes) == 2 for one in found.values())
    evidence_s = time.process_time() - started
    started = time.process_time()
    for start in range(0, 2 * people, 400):
        assert len(bench.store.views(keys[start : start + 400])) == min(400, 2 * people - start)
    views_s = time.process_time() - started
    bench.store.close()
    return evidence_s / people * 1e6, views_s / people * 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--small", type=int, default=10_000, help="identifiers in the small graph")
    parser.add_argument(
        "--large", type=int, default=1_000_000, help="identifiers in the large graph"
    )
    parser.add_argument("--signals", type=int, default=100_000, help="signals measured on each")
    options = parser.parse_args()
    gc.set_threshold(200_000, 50, 100)
    with tempfile.TemporaryDirectory(prefix="kinfold-bench-") as name:
        folder = Path(name)
        evidence_us, views_us = measure_reads(folder, people=1_000, days=30)
        print(
            f"evidence of 2 nodes and 30 days: {evidence_us:.1f} us; their views: {views_us:.1f} us"
        )
        for identifiers in (options.small, options.large):
            cost = measure_commits(folder, identifiers // 2, options.signals)
            print(
                f"commit at {identifiers} identifiers: {cost.cpu_us:.1f} us CPU,"
                f" {cost.wall_us:.1f} us wall per contribution"
            )


if __name__ == "__main__":
    main()

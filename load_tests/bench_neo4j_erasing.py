"""Fences and sweeps on Neo4j: `python -m load_tests.bench_neo4j_erasing URI USER PASSWORD`.

Fills one day with signals, half of them with 100,000 fences up that concern
nobody, then erases people who were seen on that day alone. Wants an empty
graph; ends with one in which no signal has its names in brief.

- `commit_us`, `commit_fenced_us`: what a signal costs a commit, before and after.
- `fences_s`: raising the fences.
- `sweep_one_s`, `sweep_hundred_s`: looking through the day for one login, for a hundred.
- `sweep_unnamed_s`: for one, as in a graph that an earlier version filled.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from statistics import median

from neo4j import GraphDatabase

from identity.engines.neo4j.store import Neo4jGraphStore
from identity.model import Contribution, NodeKey
from identity.store import FOREVER_US, Batch, Checkpoint, Swept
from load_tests.bench_neo4j import OURS_BATCH, Auth, Traffic, _collect_rarely, _token

FENCES = 100_000
PEOPLE = 10_000
NEW = 0.2


class Writer:
    """Commits shares, one batch after another."""

    def __init__(self, store: Neo4jGraphStore) -> None:
        self._store = store
        self._at = store.claim(f"bench-{time.time_ns()}")

    def write(self, share: Sequence[Contribution]) -> list[float]:
        """Microseconds per signal of each batch."""
        found = []
        for start in range(0, len(share), OURS_BATCH):
            some = share[start : start + OURS_BATCH]
            position = str(time.time_ns()).encode()
            start_s = time.perf_counter()
            self._store.commit(Batch(some, self._at, position))
            found.append((time.perf_counter() - start_s) / len(some) * 1e6)
            self._at = Checkpoint(self._at.partition, position, self._at.epoch)
        return found


def run(uri: str, auth: Auth, signals: int) -> dict[str, float]:
    """All figures."""
    _collect_rarely()
    traffic = Traffic(random.Random(1))
    figures: dict[str, float] = {}
    with closing(Neo4jGraphStore(uri, auth)) as store:
        writer = Writer(store)
        writer.write([traffic.view(traffic.new_pair()) for _ in range(PEOPLE)])
        half = (signals - PEOPLE) // 2
        figures["commit_us"] = median(writer.write(traffic.share(half, NEW)))
        fences = {f"login:{_token(traffic.random)}": FOREVER_US for _ in range(FENCES)}
        figures["fences_s"] = _timed(lambda: store.fence(fences))
        figures["commit_fenced_us"] = median(writer.write(traffic.share(half, NEW)))
        erased = [traffic.new_pair() for _ in range(102)]
        writer.write([traffic.view(pair) for pair in erased])
        logins = [traffic.pairs[pair][0].key for pair in erased]
        figures["sweep_one_s"] = _swept(store, logins[:1])
        figures["sweep_hundred_s"] = _swept(store, logins[1:101])
        with GraphDatabase.driver(uri, auth=auth) as driver, driver.session() as session:
            session.run(
                "MATCH (s:Signal) CALL (s) { SET s.names = null } IN TRANSACTIONS OF 20000 ROWS"
            ).consume()
        figures["sweep_unnamed_s"] = _swept(store, logins[101:])
    return figures


def _swept(store: Neo4jGraphStore, keys: Sequence[NodeKey]) -> float:
    store.fence(dict.fromkeys(keys, FOREVER_US))
    found: list[Swept] = []
    taken_s = _timed(lambda: found.append(store.sweep(keys)))
    assert found == [Swept(len(keys))]
    return taken_s


def _timed(work: Callable[[], None]) -> float:
    start_s = time.perf_counter()
    work()
    return time.perf_counter() - start_s


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("uri")
    parser.add_argument("user")
    parser.add_argument("password")
    parser.add_argument("--signals", type=int, default=300_000)
    arguments = parser.parse_args()
    auth = (arguments.user, arguments.password)
    for name, figure in run(arguments.uri, auth, arguments.signals).items():
        print(f"{name:36} {figure:12,.2f}")


if __name__ == "__main__":
    main()

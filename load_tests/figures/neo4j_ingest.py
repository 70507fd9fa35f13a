"""`ingest_neo4j_known_ratio` and `ingest_neo4j_new_ratio`: ours against a bare writer.

Both take turns on the same shares of one stream, and who begins changes from
round to round. The bare writer uses its best batch size.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass

from identity.model import Contribution
from load_tests.bench_neo4j import Bare, Ours, Traffic
from load_tests.figures.model import Measured
from load_tests.figures.processes import cpu_s_of
from load_tests.figures.real_servers import RealServers
from tests.support.servers import Neo4jServer

NEW = {"ingest_neo4j_known_ratio": 0.2, "ingest_neo4j_new_ratio": 1.0}
"""The part of a figure's signals that bring a device and a login never seen."""
NAMES = tuple(NEW)


@dataclass(frozen=True, slots=True)
class Size:
    """Pairs known beforehand, signals a share, and rounds."""

    pairs: int
    share: int
    rounds: int


FULL = Size(pairs=10_000, share=15_000, rounds=4)
SHORT = Size(pairs=200, share=500, rounds=1)


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a signal cost: rate, and CPU time of the server."""

    per_s: float
    server_cpu_us: float


def measure(wanted: Collection[str], size: Size, servers: RealServers) -> list[Measured]:
    """The figures wanted, each on an empty graph."""
    return [_measured(name, size, servers.empty_neo4j()) for name in NAMES if name in wanted]


def _measured(name: str, size: Size, server: Neo4jServer) -> Measured:
    traffic = Traffic(random.Random(name))
    bare_costs: list[_Cost] = []
    costs: list[_Cost] = []
    with (
        server.driver() as driver,
        closing(Ours(server.bolt_url, (server.user, server.password))) as ours,
    ):
        bare = Bare(driver)
        bare.prepare()
        _warm_up(bare, ours, traffic, NEW[name], size)
        for number in range(size.rounds):
            share = traffic.share(size.share, NEW[name])
            turns = [(bare_costs, bare.write), (costs, ours.write)]
            for found, write in turns if number % 2 else reversed(turns):
                found.append(_cost(write, share, server.process.pid))
    ratios = [mine.per_s / other.per_s for mine, other in zip(costs, bare_costs, strict=True)]
    beside = {
        "per_s": [one.per_s for one in costs],
        "bare_per_s": [one.per_s for one in bare_costs],
        "bare_batch": [float(bare.batch)],
        "server_cpu_us_per_signal": [one.server_cpu_us for one in costs],
        "bare_server_cpu_us_per_signal": [one.server_cpu_us for one in bare_costs],
    }
    return Measured(name, ratios, beside)


def _warm_up(bare: Bare, ours: Ours, traffic: Traffic, new: float, size: Size) -> None:
    """Introduce the known pairs to both, and find the best batch size, on traffic of its own."""
    known = [traffic.view(traffic.new_pair()) for _ in range(size.pairs)]
    bare.write(known)
    ours.write(known)
    if size.rounds > 1:
        bare.choose(Traffic(random.Random(1), traffic.signals, list(traffic.pairs)), new)
        ours.write(traffic.share(size.share // 3, new))


def _cost(
    write: Callable[[Sequence[Contribution]], float], share: Sequence[Contribution], pid: int
) -> _Cost:
    before_s = cpu_s_of(pid)
    taken_s = write(share)
    return _Cost(len(share) / taken_s, (cpu_s_of(pid) - before_s) / len(share) * 1e6)

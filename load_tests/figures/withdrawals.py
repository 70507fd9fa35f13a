"""`withdrawal_p99_ms`: from recording a withdrawal until no replica shows what it closed.

Through real Pulsar and Neo4j: `kinfold run` consumes and publishes, two `kinfold serve` are
replicas, and one of them takes the withdrawals; all are processes as a team would run them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from load_tests.figures.model import Measured
from load_tests.figures.real_servers import RealServers
from profiles.v1.consent_service_pb2_grpc import ConsentServiceStub
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub
from tests.support.withdrawing import settings_on, two_replicas, withdrawals_s

NAMES = ("withdrawal_p99_ms",)


@dataclass(frozen=True, slots=True)
class Size:
    """People who withdraw in each run, how many of them before it counts, and runs."""

    people: int
    warm: int
    runs: int


FULL = Size(people=110, warm=10, runs=3)
SHORT = Size(people=12, warm=2, runs=1)


def measure(wanted: Collection[str], size: Size, servers: RealServers) -> list[Measured]:
    """The one figure, and the median beside it."""
    assert set(wanted) == set(NAMES)
    settings = settings_on(servers.pulsar(), servers.empty_neo4j())
    with (
        tempfile.TemporaryDirectory(prefix="kinfold-load-") as name,
        two_replicas(Path(name), settings, size.people) as (_, channels),
    ):
        desk, replicas = ConsentServiceStub(channels[0]), [*map(ProfileServiceStub, channels)]
        runs_ms = [
            [wait * 1e3 for wait in withdrawals_s(desk, replicas, size.people)[size.warm :]]
            for _ in range(size.runs)
        ]
    p99_ms = [quantiles(run, n=100, method="inclusive")[98] for run in runs_ms]
    return [Measured(NAMES[0], p99_ms, {"p50_ms": [median(run) for run in runs_ms]})]

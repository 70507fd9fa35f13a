"""A withdrawal reaches lookups within a second, ninety-nine times in a hundred."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles

import grpc
import pytest

from profiles.v1.consent_service_pb2_grpc import ConsentServiceStub
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub
from tests.support.command_line import CommandLine, as_lines, login
from tests.support.withdrawing import login_of, withdrawals_s

PEOPLE = 60
WITHIN_S = 1.0
VIEWED = {"behaviour": {"type": "BEHAVIOUR_TYPE_PAGE_VIEW", "category": "sport"}}


def p99_s(waits: Sequence[float]) -> float:
    """The ninety-ninth of a hundred."""
    return quantiles(waits, n=100, method="inclusive")[98]


def everybody() -> bytes:
    """A page view of each, as lines."""
    people = [login(n, ("login", login_of(n)), **VIEWED) for n in range(PEOPLE)]
    return as_lines(*people)


@pytest.mark.slow
@pytest.mark.alone
def test_withdrawal_reaches_the_embedded_replica_p99_under_a_second(tmp_path: Path) -> None:
    """From the recording over gRPC to the first lookup that withholds, in one process."""
    line = CommandLine(tmp_path)
    line.does("ingest", "-", given=everybody())
    with line.serving() as address, grpc.insecure_channel(address) as channel:
        waits = withdrawals_s(ConsentServiceStub(channel), [ProfileServiceStub(channel)], PEOPLE)
    print(f"p50 {sorted(waits)[PEOPLE // 2]:.3f} s, p99 {p99_s(waits):.3f} s")
    assert p99_s(waits) < WITHIN_S

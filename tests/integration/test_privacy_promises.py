"""What restriction and legal hold promise, from signals in to lookups out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from identity.refused import Refused
from ingest.rejected import Rejected
from profiles.v1.profile_service_pb2 import (
    GetProfileRequest,
    Subject,
    SubjectIdentifier,
)
from tests.support.rights import EVERYTHING
from tests.support.served import Served, decided, signal, viewed

LOGIN, EMAIL, COOKIE = ("login", "ann"), ("email", "ann@posteo.net"), ("cookie", "c-1")
BOB = ("login", "bob")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Ann is known by login, e-mail and cookie, Bob by his login alone."""
    made = Served(tmp_path)
    made.take(
        signal(LOGIN, EMAIL, **viewed("sport")),
        signal(LOGIN, COOKIE),
        signal(BOB, **viewed("music")),
    )
    yield made
    made.close()


def apart(identifier: tuple[str, str], second: int, **granted: bool) -> dict[str, Any]:
    """Staff's decision on a reserved purpose at a second of the second of March 2026."""
    at = f"2026-03-02T12:00:{second:02}Z"
    return {**signal(identifier, **decided(**granted)), "source": "staff", "event_time": at}


def found(served: Served, *identifiers: tuple[str, str]) -> list[bool]:
    """Whether a lookup by each identifier finds a profile."""
    return [
        not isinstance(served.lookup.get(asked(one), served.now_us, EVERYTHING), Refused)
        for one in identifiers
    ]


def asked(identifier: tuple[str, str]) -> GetProfileRequest:
    """A lookup for running the service."""
    named = SubjectIdentifier(kind=identifier[0], value=identifier[1])
    return GetProfileRequest(subject=Subject(identifier=named), purposes=["service"])


@pytest.mark.parametrize("reserved", ["restriction", "legal_hold"])
def test_restriction_serves_to_no_one(served: Served, reserved: str) -> None:
    """While one is in force no lookup finds the person, by whatever identifier; everybody else is
    served; what came meanwhile is there once it is lifted.
    """
    everything = (LOGIN, EMAIL, COOKIE, BOB)
    assert found(served, *everything) == [True, True, True, True]
    served.take(apart(EMAIL, 1, **{reserved: False}))
    assert found(served, *everything) == [False, False, False, True]
    later = signal(LOGIN, ("device", "d-1"))
    served.take(later)
    assert found(served, LOGIN, ("device", "d-1")) == [False, False]
    served.take(apart(LOGIN, 2, **{reserved: True}))
    assert found(served, *everything, ("device", "d-1")) == [True] * 5


def test_a_merge_does_not_get_around_a_restriction(served: Served) -> None:
    """Who joins somebody restricted is not served either; apart again, only the one is not."""
    served.take(apart(EMAIL, 1, restriction=False))
    bridge = signal(LOGIN, BOB)
    served.take(bridge)
    assert found(served, LOGIN, BOB) == [False, False]
    gone = {"source": "crm", "signal_id": "back", "event_time": "2026-03-03T00:00:00Z"}
    served.take({**gone, "retracted": {"signal_id": bridge["signal_id"]}})
    assert found(served, LOGIN, BOB) == [False, True]


def test_nobody_but_staff_restricts(served: Served) -> None:
    """A source without may_decide neither hides anybody nor brings anybody back."""
    forged = {**apart(EMAIL, 3, restriction=False), "source": "web"}
    taken = served.new_intake().from_json(orjson.dumps(forged), served.now_us)
    assert isinstance(taken, Rejected)
    assert taken.rule == "may_decide"

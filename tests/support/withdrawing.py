"""How long a withdrawal or an erasure takes until no replica answers as if it had not been made."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import grpc

from profiles.v1.consent_service_pb2 import PurposeChoice, RecordConsentRequest
from profiles.v1.consent_service_pb2_grpc import ConsentServiceStub
from profiles.v1.profile_service_pb2 import GetProfileRequest, Subject, SubjectIdentifier
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub
from tests.support.erasing import Home

POLL_S = 0.004
PATIENCE_S = 90.0
PURPOSE = "personalisation"


def login_of(number: int) -> str:
    """Somebody's login."""
    return f"user.{number}"


def withdrawals_s(
    desk: ConsentServiceStub, replicas: Sequence[ProfileServiceStub], people: int
) -> list[float]:
    """Seconds from each withdrawal's recording until the last replica withholds, one by one.

    Everybody of `user.0` … must be known with an interest, and grants it first.
    """
    for number in range(people):
        _decide(desk, number, granted=True)
    for number in range(people):
        for replica in replicas:
            _until(lambda one=replica, who=number: _shows(one, who))  # type: ignore[misc]
    waits = []
    for number in range(people):
        begun_s = time.monotonic()
        _decide(desk, number, granted=False)
        for replica in replicas:
            _until(lambda one=replica, who=number: not _shows(one, who))  # type: ignore[misc]
        waits.append(time.monotonic() - begun_s)
    return waits


def erasures_s(home: Home, replicas: Sequence[ProfileServiceStub], people: int) -> list[float]:
    """Seconds from asking for each erasure until the last replica knows nobody, one by one."""
    waits = []
    for number in range(people):
        for replica in replicas:
            _until(lambda one=replica, who=number: _knows(one, who))  # type: ignore[misc]
        named = f"login:{login_of(number)}"
        begun_s = time.monotonic()
        with ThreadPoolExecutor(1) as desk:
            erased = desk.submit(home.erase, named, f"r-{number}")
            for replica in replicas:
                _until(lambda one=replica, who=number: not _knows(one, who))  # type: ignore[misc]
            waits.append(time.monotonic() - begun_s)
            erased.result()
    return waits


def _knows(replica: ProfileServiceStub, number: int) -> bool:
    identifier = SubjectIdentifier(kind="login", value=login_of(number))
    request = GetProfileRequest(subject=Subject(identifier=identifier), purposes=["service"])
    try:
        return bool(replica.GetProfile(request, timeout=PATIENCE_S).person_id)
    except grpc.RpcError as error:
        if cast("grpc.Call", error).code() is grpc.StatusCode.NOT_FOUND:
            return False
        raise


def _decide(desk: ConsentServiceStub, number: int, *, granted: bool) -> None:
    desk.RecordConsent(
        RecordConsentRequest(
            identifier=SubjectIdentifier(kind="login", value=login_of(number)),
            choices=[PurposeChoice(purpose=PURPOSE, granted=granted)],
            source="web",
        ),
        timeout=PATIENCE_S,
    )


def _shows(replica: ProfileServiceStub, number: int) -> bool:
    identifier = SubjectIdentifier(kind="login", value=login_of(number))
    request = GetProfileRequest(subject=Subject(identifier=identifier), purposes=[PURPOSE])
    try:
        return bool(replica.GetProfile(request, timeout=PATIENCE_S).profile.affinities)
    except grpc.RpcError as error:
        # Not known there yet: nothing is shown either.
        if cast("grpc.Call", error).code() is grpc.StatusCode.NOT_FOUND:
            return False
        raise


def _until(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end_s, "it never came"
        time.sleep(POLL_S)

"""How long a withdrawal takes until no replica answers as if it had not been made."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import cast

import grpc

from profiles.v1.consent_service_pb2 import PurposeChoice, RecordConsentRequest
from profiles.v1.consent_service_pb2_grpc import ConsentServiceStub
from profiles.v1.profile_service_pb2 import GetProfileRequest, Subject, SubjectIdentifier
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub

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

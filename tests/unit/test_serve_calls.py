"""What stands around every call."""

from __future__ import annotations

from typing import Never

import grpc
import pytest
from google.protobuf.message import DecodeError

from identity.refused import Refused
from identity.store import StoreUnavailable
from profiles.access import Grant
from profiles.serve.calls import Gate, Judge, outcome_of, unary
from profiles.serve.errors import refuse
from tests.support.rights import EVERYTHING

NO_DEADLINE_S = 9.2e18


class Ended(Exception):
    """The call ended with a status, as gRPC has it: by an exception."""

    def __init__(self, status: grpc.Status) -> None:
        super().__init__(status.details)
        self.code = status.code


class Call:
    """What gRPC tells a handler about a call: how long it has, and how to end it."""

    def __init__(self, remaining_s: float) -> None:
        self._remaining_s = remaining_s

    def time_remaining(self) -> float:
        """Seconds."""
        return self._remaining_s

    def abort_with_status(self, status: grpc.Status) -> Never:
        """End the call."""
        raise Ended(status)


def _let_in(_: object) -> Grant | Refused:
    return EVERYTHING


def _answer(
    remaining_s: float, *, is_open: bool = True, judge: Judge = _let_in
) -> tuple[bytes, list[bytes]]:
    begun: list[bytes] = []

    def work(request: bytes, _: Grant) -> bytes:
        begun.append(request)
        return b"answer"

    method = unary(work, judge, Gate(is_open=is_open), 1_024)
    try:
        return method(b"request", Call(remaining_s)), begun  # type: ignore[arg-type]
    except Ended as ended:
        return ended.code.name.encode(), begun


@pytest.mark.parametrize("remaining_s", [0.001, 10.0, NO_DEADLINE_S])
def test_work_with_time_left_is_done(remaining_s: float) -> None:
    """A deadline ahead, and none at all, which gRPC tells as a huge number."""
    assert _answer(remaining_s) == (b"answer", [b"request"])


def test_work_whose_deadline_has_passed_is_not_begun() -> None:
    """The call ends with DEADLINE_EXCEEDED and the work never saw the request."""
    assert _answer(0.0) == (b"DEADLINE_EXCEEDED", [])


def test_a_closed_gate_lets_nothing_through() -> None:
    """Until the read view is whole, calls end with UNAVAILABLE and no work is begun."""
    assert _answer(10.0, is_open=False) == (b"UNAVAILABLE", [])


def test_who_may_not_call_learns_nothing_else() -> None:
    """Not even whether the server is ready; no work is begun."""

    def keep_out(_: object) -> Grant | Refused:
        return refuse("CALLER_UNKNOWN")

    for is_open in (True, False):
        assert _answer(10.0, is_open=is_open, judge=keep_out) == (b"UNAUTHENTICATED", [])


def test_an_answer_that_is_too_large_is_not_sent() -> None:
    """It is refused with a reason; one of just the size goes out."""
    call = Call(10.0)
    gate = Gate(is_open=True)
    assert unary(lambda _, __: bytes(1_024), _let_in, gate, 1_024)(b"", call) == bytes(1_024)  # type: ignore[arg-type]
    with pytest.raises(Ended) as ended:
        unary(lambda _, __: bytes(1_025), _let_in, gate, 1_024)(b"", call)  # type: ignore[arg-type]
    assert ended.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DecodeError("Error parsing message"), "REQUEST_MALFORMED"),
        (StoreUnavailable("bolt://db"), "STORE_UNAVAILABLE"),
        (KeyError("ann@posteo.net"), "FAILED"),
    ],
)
def test_whatever_work_raises_becomes_a_refusal(error: Exception, reason: str) -> None:
    """Exceptions never leave; each has its reason."""

    def work(_request: bytes, _grant: Grant) -> bytes | Refused:
        raise error

    assert outcome_of(work, b"", EVERYTHING) == refuse(reason)

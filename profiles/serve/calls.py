"""What stands around every call: readiness, deadlines, failures that tell the caller nothing."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import NoReturn

import grpc
from google.protobuf.message import DecodeError

from identity.refused import Refused
from identity.store import StoreUnavailable
from profiles.access import Grant
from profiles.audit import AuditUnavailable
from profiles.request_store import RequestsUnavailable
from profiles.serve.errors import refuse, status_of

_LOG = logging.getLogger(__name__)

Work = Callable[[bytes, Grant], bytes | Refused]
"""From a serialized request and what its caller may see to a serialized answer."""
Judge = Callable[[grpc.ServicerContext], Grant | Refused]
"""Whether a caller may call (`profiles.serve.guard.Guard`)."""
Context = grpc.ServicerContext
Unary = Callable[[bytes, Context], bytes]

_DEADLINE_PASSED = refuse("DEADLINE_PASSED")
_NOT_READY = refuse("NOT_READY")
_MALFORMED = refuse("REQUEST_MALFORMED")
_TOO_LARGE = refuse("ANSWER_TOO_LARGE")
_STORE_UNAVAILABLE = refuse("STORE_UNAVAILABLE")
_FAILED = refuse("FAILED")


class Gate:
    """Whether lookups are answered yet. Any thread may open and close it."""

    __slots__ = ("is_open",)

    def __init__(self, *, is_open: bool) -> None:
        self.is_open = is_open


def outcome_of(work: Work, request: bytes, grant: Grant) -> bytes | Refused:
    """What the work answers; whatever it raises becomes a refusal and is logged without values."""
    try:
        return work(request, grant)
    except DecodeError:
        return _MALFORMED
    except (StoreUnavailable, AuditUnavailable, RequestsUnavailable):
        return _STORE_UNAVAILABLE
    except Exception as error:  # noqa: BLE001  no failure may reach the caller in a driver's words
        _LOG.error("a call failed: %s at %s", type(error).__name__, where(error))
        return _FAILED


def unary(work: Work, judge: Judge, gate: Gate, max_answer_bytes: int) -> Unary:
    """The work as a unary method, from serialized request to serialized answer.

    Who may not call learns nothing, not even whether the server is ready.
    Work whose deadline has passed is not begun. (Without a deadline, gRPC says
    that some 9e18 seconds remain.)
    """

    def call(request: bytes, context: Context) -> bytes:
        grant = judge(context)
        if isinstance(grant, Refused):
            abort(context, grant)
        if context.time_remaining() <= 0:
            abort(context, _DEADLINE_PASSED)
        if not gate.is_open:
            abort(context, _NOT_READY)
        outcome = outcome_of(work, request, grant)
        if isinstance(outcome, Refused):
            abort(context, outcome)
        if len(outcome) > max_answer_bytes:
            abort(context, _TOO_LARGE)
        return outcome

    return call


def abort(context: Context, refused: Refused) -> NoReturn:
    """End the call with the refusal as its status."""
    context.abort_with_status(status_of(refused))
    raise AssertionError("abort_with_status always raises")


def where(error: BaseException) -> str:
    """The innermost five places an exception came through, without its text."""
    frames = traceback.extract_tb(error.__traceback__)[-5:]
    return " < ".join(f"{f.filename}:{f.lineno} {f.name}" for f in reversed(frames))

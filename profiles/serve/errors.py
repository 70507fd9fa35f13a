"""Rich errors: every refusal as a google.rpc.Status that a program can read.

Each carries an `ErrorInfo` with a reason and the domain ``kinfold``, a
`BadRequest` naming the field where a field is wrong, and a `RetryInfo` where
asking again may help. docs/errors.md shows every reason with an example.

Nothing of a request's values, and no driver's words, ever enter an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from identity.refused import Refused

DOMAIN = "kinfold"

INVALID_ARGUMENT = int(code_pb2.INVALID_ARGUMENT)
ALREADY_EXISTS = int(code_pb2.ALREADY_EXISTS)
NOT_FOUND = int(code_pb2.NOT_FOUND)
PERMISSION_DENIED = int(code_pb2.PERMISSION_DENIED)
UNAUTHENTICATED = int(code_pb2.UNAUTHENTICATED)
FAILED_PRECONDITION = int(code_pb2.FAILED_PRECONDITION)
DEADLINE_EXCEEDED = int(code_pb2.DEADLINE_EXCEEDED)
RESOURCE_EXHAUSTED = int(code_pb2.RESOURCE_EXHAUSTED)
ABORTED = int(code_pb2.ABORTED)
UNAVAILABLE = int(code_pb2.UNAVAILABLE)
INTERNAL = int(code_pb2.INTERNAL)


@dataclass(frozen=True, slots=True)
class Reason:
    """What a reason says: its google.rpc code, its words, and when asking again may help."""

    code: int
    words: str
    retry_ms: int | None = None


REASONS: Mapping[str, Reason] = {
    "REQUEST_MALFORMED": Reason(
        INVALID_ARGUMENT, "the request is not a message of the type this method takes"
    ),
    "SUBJECT_MISSING": Reason(
        INVALID_ARGUMENT, "the lookup names neither a person id nor an identifier"
    ),
    "PERSON_ID_INVALID": Reason(
        INVALID_ARGUMENT, "a person id has 26 characters, a to z and 2 to 7"
    ),
    "IDENTIFIER_INVALID": Reason(
        INVALID_ARGUMENT, "the kind is not in the policy, or the value is not one of that kind"
    ),
    "MASK_INVALID": Reason(INVALID_ARGUMENT, "the mask may name whole top-level fields of Profile"),
    "PURPOSE_UNKNOWN": Reason(INVALID_ARGUMENT, "the policy does not have this purpose"),
    "EXPORT_INVALID": Reason(INVALID_ARGUMENT, "not a name on one line, or not a moment to come"),
    "FIGURE_UNKNOWN": Reason(INVALID_ARGUMENT, "there is no figure of this id"),
    "BATCH_TOO_LARGE": Reason(INVALID_ARGUMENT, "a batch has at most 500 lookups"),
    "PROFILE_NOT_FOUND": Reason(NOT_FOUND, "there is no profile to be seen for this subject"),
    "UNKNOWN_IDENTIFIER": Reason(NOT_FOUND, "the identifier stands for nobody"),
    "UNKNOWN_PERSON": Reason(NOT_FOUND, "this person id was never given out"),
    "CONSENT_INVALID": Reason(
        INVALID_ARGUMENT, "the decision breaks a rule that docs/signals.md gives for this field"
    ),
    "DECIDED_AT_MISSING": Reason(
        INVALID_ARGUMENT, "a decision with a signal id of its own must say when it was made"
    ),
    "SOURCE_NOT_ALLOWED": Reason(
        PERMISSION_DENIED, "staff decides by this source, or the caller may not record for it"
    ),
    "SIGNAL_ID_TAKEN": Reason(ALREADY_EXISTS, "another decision has this signal id in this source"),
    "CONSENT_EXPIRED": Reason(FAILED_PRECONDITION, "the decision is older than decisions are kept"),
    "REQUEST_INVALID": Reason(
        INVALID_ARGUMENT, "this field of the request is not as its comment in the proto says"
    ),
    "REQUEST_UNKNOWN": Reason(NOT_FOUND, "no request was taken in under this id"),
    "REQUEST_ID_TAKEN": Reason(
        ALREADY_EXISTS, "another request was taken in under this id; make a new id"
    ),
    "REQUEST_ID_SPENT": Reason(
        ALREADY_EXISTS, "this id stood for a request that is kept here no more; make a new id"
    ),
    "REQUEST_STATE": Reason(
        FAILED_PRECONDITION, "a request in this state, or of this kind, does not take this step"
    ),
    "REQUEST_CHANGED": Reason(
        ABORTED, "somebody else changed the request in the meantime; look at it again", 100
    ),
    "REQUEST_NEEDS_EXPORT": Reason(
        FAILED_PRECONDITION, "this kind of request is answered with a package: export it"
    ),
    "REASON_MISSING": Reason(INVALID_ARGUMENT, "say why: the law asks for the reason"),
    "STAFF_NOT_ALLOWED": Reason(
        PERMISSION_DENIED, "the policy has no such staff, or not with this role or for this caller"
    ),
    "VERIFICATION_TOO_WEAK": Reason(
        FAILED_PRECONDITION, "it is not sure enough who asks for this kind of request"
    ),
    "APPROVAL_MISSING": Reason(
        FAILED_PRECONDITION, "this cannot be undone: a second person has to approve it first"
    ),
    "APPROVAL_BY_ANOTHER": Reason(
        FAILED_PRECONDITION, "who took a request in or verified it cannot approve it as well"
    ),
    "APPROVAL_OVER_GRPC": Reason(
        FAILED_PRECONDITION,
        "the policy takes approvals over gRPC alone, from a caller with a certificate or a token",
    ),
    "EXTENSION_NOT_ALLOWED": Reason(
        FAILED_PRECONDITION, "the law does not let this request be extended, or not any more"
    ),
    "LEGAL_HOLD": Reason(
        FAILED_PRECONDITION,
        "a legal hold stands over this person, or over somebody whose evidence would go as well",
    ),
    "SIGNAL_NOT_THEIRS": Reason(
        FAILED_PRECONDITION,
        "no signal of this source and id that counts says anything of this person",
    ),
    "SIGNAL_OF_STAFF": Reason(
        INVALID_ARGUMENT, "what staff decided is not retracted by a request: decide anew"
    ),
    "HOLD_ID_TAKEN": Reason(
        ALREADY_EXISTS, "this id stands for another hold or release, or one that has ended since"
    ),
    "SPLIT_FIRST": Reason(
        FAILED_PRECONDITION, "this may be two people merged: split them, or say that they are one"
    ),
    "SUBJECT_SHARED": Reason(
        FAILED_PRECONDITION,
        "several people share this identifier, so it stands for none of them: name an account",
    ),
    "SUBJECT_UNKNOWN": Reason(NOT_FOUND, "nobody is known by this identifier or id"),
    "KEPT_OUT": Reason(
        FAILED_PRECONDITION, "an erasure keeps out what names this identifier as of then"
    ),
    "SUBJECT_UNNAMEABLE": Reason(
        FAILED_PRECONDITION, "the person has no identifier whose value is kept: name one instead"
    ),
    "CORRECTION_INVALID": Reason(
        INVALID_ARGUMENT, "the correction breaks a rule that docs/signals.md gives for records"
    ),
    "PACKAGE_CLOSED": Reason(
        NOT_FOUND,
        "this package cannot be opened: it has expired, was replaced, or the key is wrong",
    ),
    "CALLER_UNKNOWN": Reason(
        UNAUTHENTICATED, "neither certificate nor token names a caller of the policy"
    ),
    "NOT_ALLOWED": Reason(PERMISSION_DENIED, "the policy lets this caller not call this method"),
    "KIND_NOT_ALLOWED": Reason(
        PERMISSION_DENIED, "the policy does not let this caller ask by this kind of identifier"
    ),
    "TOO_STALE": Reason(
        FAILED_PRECONDITION, "the replica heard from the feed longer ago than max_staleness allows"
    ),
    "VERSION_NOT_REACHED": Reason(
        FAILED_PRECONDITION, "the replica has not seen min_version of this profile yet"
    ),
    "DEADLINE_PASSED": Reason(
        DEADLINE_EXCEEDED, "the call's deadline had passed before its work was begun"
    ),
    "TOO_MANY_STREAMS": Reason(
        RESOURCE_EXHAUSTED, "the replica, or this caller, has as many open streams as it may", 1_000
    ),
    "QUOTA_EXHAUSTED": Reason(
        RESOURCE_EXHAUSTED, "the caller has asked for as much as the policy lets it", 1_000
    ),
    "PEOPLE_EXHAUSTED": Reason(
        RESOURCE_EXHAUSTED, "the caller has been told of as many people today as the policy lets it"
    ),
    "ANSWER_TOO_LARGE": Reason(
        RESOURCE_EXHAUSTED, "the answer is larger than the replica may send; ask for less at once"
    ),
    "NOT_READY": Reason(UNAVAILABLE, "the replica is still building its read view", 1_000),
    "STORE_UNAVAILABLE": Reason(UNAVAILABLE, "the identity graph cannot be reached", 1_000),
    "SIGNALS_UNAVAILABLE": Reason(UNAVAILABLE, "the signals topic cannot be reached", 1_000),
    "FAILED": Reason(INTERNAL, "the call failed on the server, which has logged why"),
}


def refuse(reason: str, field: str = "") -> Refused:
    """A refusal with the code that belongs to its reason. The reason must be in `REASONS`."""
    return Refused(REASONS[reason].code, reason, field)


@lru_cache(maxsize=256)
def status_of(refused: Refused) -> grpc.Status:
    """The refusal as what `ServicerContext.abort_with_status` takes; built once per refusal."""
    return rpc_status.to_status(proto_of(refused))


def proto_of(refused: Refused) -> Status:
    """The refusal as a google.rpc.Status."""
    reason = REASONS[refused.reason]
    details: list[Message] = [ErrorInfo(reason=refused.reason, domain=DOMAIN)]
    if refused.field:
        violation = BadRequest.FieldViolation(field=refused.field, description=reason.words)
        details.append(BadRequest(field_violations=[violation]))
    if reason.retry_ms is not None:
        delay = Duration()
        delay.FromMilliseconds(reason.retry_ms)
        details.append(RetryInfo(retry_delay=delay))
    where = f"{refused.field}: " if refused.field else ""
    return Status(
        code=refused.code,
        message=f"{where}{reason.words} ({refused.reason})",
        details=[_packed(detail) for detail in details],
    )


def _packed(detail: Message) -> Any:
    packed = Any()
    packed.Pack(detail)
    return packed

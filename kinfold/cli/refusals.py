"""What a verb says when the services below it refuse: the error as they tell it, and the way out
in the words of the command line.
"""

from __future__ import annotations

from typing import Final

from identity.refused import Refused
from kinfold.cli.output import ASKED_WRONGLY, FAILED, fail
from profiles.privacy_messages import MOST_CHARS, MOST_VALUES
from profiles.serve.errors import INVALID_ARGUMENT, proto_of

_ID: Final = "up to 64 of A-Z a-z 0-9 . _ and -, a letter or digit first; nobody's name or address"
_LONG: Final = f"at most {MOST_CHARS:,} characters"
_NAMED: Final = "write ID or KIND:VALUE, as signals say it, for example login:ann"
_FIELDS: Final = {
    ("REQUEST_INVALID", "request_id"): f"REQUEST: {_ID}",
    ("REQUEST_INVALID", "hold_id"): f"--hold-id: {_ID}",
    ("REQUEST_INVALID", "received_at"): "--received: a moment that has passed, and not before 1970",
    ("REQUEST_INVALID", "place"): "--place: a country of ISO 3166 or a region of it, CH or US-CA",
    ("REQUEST_INVALID", "words"): f"--words: {_LONG}",
    ("REQUEST_INVALID", "contact"): f"--contact: {_LONG}",
    ("REQUEST_INVALID", "reason"): f"--reason: {_LONG}",
    ("REQUEST_INVALID", "suppress"): "--suppress: only with --kind erasure",
    ("REQUEST_INVALID", "corrections"): (
        "--correct NAME=VALUE and --retract SOURCE:ID: at least one for a correction, at most"
        f" {MOST_VALUES}, and none for any other kind"
    ),
    ("CONSENT_INVALID", "decided_at"): "--at: a moment that has passed, and not before 1970",
    ("CONSENT_INVALID", "choices"): "--purpose: each once",
}
_REASONS: Final = {
    "REASON_MISSING": "--reason WORDS: as the person was told",
    "STAFF_NOT_ALLOWED": "--staff: an id of [staff.ID] in the policy with the role that this takes",
    "REQUEST_UNKNOWN": "kinfold privacy list shows what was taken in",
    "REQUEST_ID_TAKEN": "kinfold privacy show REQUEST shows what it stands for, and when it came",
    "REQUEST_ID_SPENT": "REQUEST: another id; kinfold audit show --json has what came of this one",
    "REQUEST_STATE": "kinfold privacy show REQUEST says how it stands",
    "REQUEST_CHANGED": "kinfold privacy show REQUEST says how it stands",
    "REQUEST_NEEDS_EXPORT": "kinfold privacy export REQUEST --out FILE",
    "VERIFICATION_TOO_WEAK": "kinfold privacy verify REQUEST --level authenticated, once sure",
    "APPROVAL_MISSING": "kinfold privacy approve REQUEST --staff ID, as somebody else",
    "APPROVAL_BY_ANOTHER": "--staff: another approver",
    "APPROVAL_OVER_GRPC": "call Approve as one of the policy's [callers.NAME] who may approve",
    "EXTENSION_NOT_ALLOWED": "kinfold privacy show REQUEST says when it is due",
    "LEGAL_HOLD": "kinfold privacy plan REQUEST shows why; privacy release ends it",
    "SIGNAL_NOT_THEIRS": "--retract SOURCE:ID: a signal that names them, in a new request",
    "SIGNAL_OF_STAFF": (
        "--retract SOURCE:ID: any other source; privacy release, consent record and review decide"
        " undo what staff decided"
    ),
    "HOLD_ID_TAKEN": "--hold-id: another id, or none",
    "SPLIT_FIRST": (
        "kinfold review decide A B --not-same splits them; --as-one, of approve as well: they are"
        " one"
    ),
    "CORRECTION_INVALID": "--correct NAME=VALUE: docs/signals.md says what a record may hold",
    "PACKAGE_CLOSED": "kinfold privacy export REQUEST --out FILE makes a new one",
    "SUBJECT_SHARED": "--of: what is theirs alone, such as an account: login:ann, customer_id:17",
    "SUBJECT_UNKNOWN": f"{_NAMED}; privacy refuse or withdraw REQUEST ends this one",
    "KEPT_OUT": "decide anew, under another id",
    "SUBJECT_UNNAMEABLE": "name the person as KIND:VALUE, not by id",
    "SUBJECT_MISSING": _NAMED,
    "PERSON_ID_INVALID": _NAMED,
    "IDENTIFIER_INVALID": f"{_NAMED}; the policy's [kinds.KIND] has the kinds",
    "PROFILE_NOT_FOUND": f"{_NAMED}; has a signal of theirs been ingested?",
    "PURPOSE_UNKNOWN": "kinfold consent show lists the policy's purposes",
    "DECIDED_AT_MISSING": "--at TIME: when it was made, so that it may be sent again",
    "SOURCE_NOT_ALLOWED": "--source: one without may_decide; staff decides with kinfold privacy",
}
_ANY: Final = "docs/errors.md explains each reason"


def refused(refusal: Refused) -> int:
    """Print a refusal with its way out; the exit code to return."""
    code = ASKED_WRONGLY if refusal.code == INVALID_ARGUMENT else FAILED
    return fail(proto_of(refusal).message, way_out(refusal), code)


def way_out(refusal: Refused) -> str:
    """What to do about it, by the field's flag where it has one."""
    known = _FIELDS.get((refusal.reason, refusal.field)) or _REASONS.get(refusal.reason)
    if known is None and refusal.reason == "CONSENT_INVALID":
        return f"--{refusal.field.replace('_', '-')}: docs/signals.md says what it may hold"
    return known or _ANY

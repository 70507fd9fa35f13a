"""Requests as PrivacyService tells them, and what it is asked as requests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from identity.refused import Refused
from profiles.deadlines import RequestKind
from profiles.places import is_place
from profiles.privacy_policy import LEVELS
from profiles.request_store import FIRST, Place
from profiles.requests import Request, Said, State, Step
from profiles.serve.errors import refuse
from profiles.v1 import privacy_service_pb2 as pb
from profiles.v1.profile_service_pb2 import Subject

MOST_CHARS: Final = 4_096
MOST_VALUES: Final = 64
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_PERSON = re.compile("[a-z2-7]{26}")
_WORDS: Final[Mapping[int, str]] = {level: word for word, level in LEVELS.items()}


def as_message(request: Request) -> pb.PrivacyRequest:
    """A request as it is told."""
    dates, said, confirmed_us = request.deadlines, request.said, request.at(Step.CONFIRM)
    return pb.PrivacyRequest(
        request_id=request.id,
        kind=request.kind.value,
        law=request.law.value,
        place=request.place,
        state=request.state.value,
        received_at=timestamp(request.received_us),
        confirm_by=_day(dates.confirm_by),
        confirmed_at=None if confirmed_us is None else timestamp(confirmed_us),
        next_by=_day(request.next_by),
        due=_day(request.due),
        extend_by=_day(None if request.extended else dates.extend_by),
        extended=request.extended,
        level=_WORDS[request.level],
        needed=_WORDS[request.needed],
        needs_approval=request.needs_approval,
        subject=_subject(said),
        words=said.words,
        contact=said.contact,
        corrections=dict(said.values),
        retractions=[pb.SignalRef(source=s, signal_id=i) for s, i in said.retract],
        suppress=request.suppress,
        as_one=request.as_one,
        steps=[
            pb.PrivacyStep(step=t.step.value, at=timestamp(t.at_us), by=t.by, reason=t.reason)
            for t in request.steps
        ],
        stores=[
            pb.StoreStatus(
                store=one.store, status=one.status, reason=one.reason, removed=one.removed
            )
            for one in request.stores
        ],
    )


def _subject(said: Said) -> Subject | None:
    if said.person:
        return Subject(person_id=said.person)
    if not said.kind:
        return None
    subject = Subject()
    subject.identifier.kind, subject.identifier.value = said.kind, said.value
    return subject


def _day(day: date | None) -> str:
    return "" if day is None else day.isoformat()


def timestamp(at_us: int) -> Timestamp:
    """A moment as protobuf has it."""
    made = Timestamp()
    made.FromMicroseconds(at_us)
    return made


def said_of(request: pb.SubmitRequest, subject: Said) -> Said:
    """All that somebody said, about whom `subject` names."""
    return subject._replace(
        words=request.words,
        contact=request.contact,
        values=tuple(sorted(request.corrections.items())),
        retract=tuple((one.source, one.signal_id) for one in request.retractions),
    )


def problem_of(request: pb.SubmitRequest) -> Refused | None:
    """The first field of a request that is not as it must be."""
    corrects = bool(request.corrections or request.retractions)
    checks = {
        "request_id": _ID.fullmatch(request.request_id) is not None,
        "kind": kind_of(request.kind) is not None,
        "place": not request.place or is_place(request.place),
        "level": not request.level or request.level in LEVELS,
        "words": len(request.words) <= MOST_CHARS,
        "contact": len(request.contact) <= MOST_CHARS,
        "corrections": corrects == (request.kind == RequestKind.CORRECTION.value)
        and all(name.strip() for name in request.corrections)
        and all(one.source and one.signal_id for one in request.retractions)
        and not any("\0" in one.source for one in request.retractions)
        and len(request.corrections) + len(request.retractions) <= MOST_VALUES,
        "suppress": not request.suppress or request.kind == RequestKind.ERASURE.value,
    }
    return next((refuse("REQUEST_INVALID", field) for field, ok in checks.items() if not ok), None)


def hold_problem(request: pb.HoldRequest | pb.ReleaseRequest) -> Refused | None:
    """The first field of a hold or release that is not as it must be."""
    if request.purpose not in ("", "legal_hold", "restriction"):
        return refuse("REQUEST_INVALID", "purpose")
    if request.hold_id and _ID.fullmatch(request.hold_id) is None:
        return refuse("REQUEST_INVALID", "hold_id")
    if not request.reason.strip():
        return refuse("REASON_MISSING", "reason")
    return None if len(request.reason) <= MOST_CHARS else refuse("REQUEST_INVALID", "reason")


def subject_of(subject: Subject) -> Said | Refused:
    """Whom a subject names, its form checked."""
    match subject.WhichOneof("subject"):
        case "person_id":
            if not _PERSON.fullmatch(subject.person_id):
                return refuse("PERSON_ID_INVALID", "subject.person_id")
            return Said(person=subject.person_id)
        case "identifier":
            return Said(subject.identifier.kind, subject.identifier.value)
        case _:
            return refuse("SUBJECT_MISSING", "subject")


def place_of(token: str) -> Place | None:
    """The place that a token of `token_of` stands for; "": the beginning. None: it is none."""
    day, _, request = token.partition("/")
    is_one = _DAY.fullmatch(day) is not None and _ID.fullmatch(request) is not None
    return (day, request) if is_one else FIRST if not token else None


def token_of(request: Request) -> str:
    """What stands for a request's place in the order of requests."""
    return f"{request.next_by.isoformat()}/{request.id}"


def kind_of(name: str) -> RequestKind | None:
    """The kind of this name; None: there is none."""
    return next((kind for kind in RequestKind if kind.value == name), None)


def state_of(name: str) -> State | None:
    """The state of this name; None: there is none."""
    return next((state for state in State if state.value == name), None)

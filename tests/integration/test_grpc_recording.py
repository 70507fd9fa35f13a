"""RecordConsent over a real server: on whose word, in nobody's place, alike for everybody."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from identity.model import DAY_US, EvidenceKind
from profiles.v1.consent_service_pb2 import (
    GetConsentRequest,
    ListConsentDecisionsRequest,
    PurposeChoice,
    RecordConsentRequest,
    RecordConsentResponse,
)
from profiles.v1.consent_service_pb2_grpc import ConsentServiceStub
from profiles.v1.profile_service_pb2 import Subject, SubjectIdentifier
from tests.support.consent_desk import ANN, Desk, asking, open_desk
from tests.support.grpc_calls import outcome, told
from tests.support.rights import EVERYTHING, limited
from tests.support.served import NOW_US, decided, signal

FOREVER_US = 2**62
NOW = "2026-09-21T14:13:20Z"
BOB, CYD, NOBODY = ("login", "bob"), ("login", "cyd"), ("login", "nobody")
RIGHTS = ("reads consent", "decides on consent")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Ann is known, and consent is recorded and read."""
    with open_desk(tmp_path) as opened:
        yield opened


def decision(
    whom: tuple[str, str],
    purpose: str = "marketing",
    *,
    granted: bool = True,
    source: str = "web",
    signal_id: str = "",
    at_us: int = NOW_US - 5,
    place: str = "",
) -> RecordConsentRequest:
    """A decision on a purpose."""
    request = RecordConsentRequest(
        identifier=SubjectIdentifier(kind=whom[0], value=whom[1]),
        choices=[PurposeChoice(purpose=purpose, granted=granted)],
        source=source,
        signal_id=signal_id,
        place=place,
    )
    request.decided_at.FromMicroseconds(at_us)
    return request


def whom(identifier: tuple[str, str]) -> Subject:
    """Whom an identifier stands for."""
    return Subject(identifier=SubjectIdentifier(kind=identifier[0], value=identifier[1]))


# ---- on whose word ---------------------------------------------------------------


def test_a_caller_records_for_its_own_sources_alone(desk: Desk) -> None:
    """Any other is refused by its field, known to the policy or not; nothing is recorded."""
    grant = EVERYTHING._replace(sources=frozenset({"call_centre"}))
    with asking(desk.served, desk.source, limited(grant, *RIGHTS)) as channel:
        record = ConsentServiceStub(channel).RecordConsent
        for source in ("web", "crm", "elsewhere", ""):
            refused = told(lambda source=source: record(decision(BOB, source=source)))  # type: ignore[misc]
            assert (refused.code.name, refused.reason, refused.field) == (
                "PERMISSION_DENIED",
                "SOURCE_NOT_ALLOWED",
                "source",
            )
        assert record(decision(BOB, source="call_centre")).signal_id
    desk.served.settle()
    asked = ListConsentDecisionsRequest(subject=whom(BOB))
    entries = desk.consent.ListConsentDecisions(asked).entries
    assert [one.source for one in entries] == ["call_centre"]


def test_nobody_records_for_staff(desk: Desk) -> None:
    """A source that may decide is refused to a caller who may record for all the others."""
    assert EVERYTHING.sources is None
    assert desk.served.policy.deciders == {"staff"}
    refused = told(lambda: desk.consent.RecordConsent(decision(BOB, source="staff")))
    assert (refused.reason, refused.field) == ("SOURCE_NOT_ALLOWED", "source")


# ---- in nobody's place -------------------------------------------------------------


def test_no_decision_comes_in_the_place_of_another_signal(desk: Desk) -> None:
    """Of two contents under one id the smaller digest counts, so that one of many tries would."""
    yes = {**signal(BOB, **decided(marketing=True)), "event_time": "2026-03-02T12:00:00Z"}
    desk.served.take(yes)
    for number in range(64):
        forged = decision(CYD, source="crm", signal_id=yes["signal_id"], place=f"p{number}")
        assert desk.consent.RecordConsent(forged).signal_id != yes["signal_id"]
    desk.served.settle()
    asked = ListConsentDecisionsRequest(subject=whom(BOB))
    (entry,) = desk.consent.ListConsentDecisions(asked).entries
    assert (entry.purpose, entry.granted, entry.standing) == ("marketing", True, "holds")


def test_said_again_alike_it_counts_once_and_otherwise_both_do(desk: Desk) -> None:
    """A decision that was sent again is one; no withdrawal is lost, whatever its id."""
    yes = decision(BOB, signal_id="call-1", at_us=NOW_US - 9)
    first = desk.consent.RecordConsent(yes)
    assert desk.consent.RecordConsent(yes) == first
    withdrawn = decision(BOB, granted=False, signal_id="call-1", at_us=NOW_US - 5)
    other = desk.consent.RecordConsent(withdrawn)
    assert other.signal_id != first.signal_id
    desk.served.settle()
    asked = ListConsentDecisionsRequest(subject=whom(BOB))
    entries = desk.consent.ListConsentDecisions(asked).entries
    assert [(one.granted, one.standing) for one in entries] == [
        (False, "holds"),
        (True, "overridden by a later one"),
    ]
    gone = {"source": "web", "signal_id": "oops", "event_time": NOW}
    desk.served.take({**gone, "retracted": {"signal_id": other.signal_id}})
    entries = desk.consent.ListConsentDecisions(asked).entries
    assert [(one.granted, one.standing) for one in entries] == [(True, "holds")]


@pytest.mark.parametrize(
    ("signal_id", "field"), [("x" * 111, ""), ("x" * 112, "signal_id"), ("a\nb", "signal_id")]
)
def test_an_id_leaves_room_for_what_was_said(desk: Desk, signal_id: str, field: str) -> None:
    """The id of the signal is the caller's and 17 characters more, and as short as any."""
    request = decision(BOB, signal_id=signal_id)
    if not field:
        assert len(desk.consent.RecordConsent(request).signal_id) == 128
        return
    refused = told(lambda: desk.consent.RecordConsent(request))
    assert (refused.reason, refused.field) == ("CONSENT_INVALID", field)


# ---- alike for everybody -----------------------------------------------------------


def test_an_answer_tells_nothing_of_whom_it_is_about(desk: Desk) -> None:
    """Known, never seen, restricted, erased and suppressed: the same, the first time, again, under
    an id used before, retracted, and older than what is kept.
    """
    served = desk.served
    erased, suppressed, held = ("login", "eva"), ("login", "sue"), ("login", "hal")
    served.take(*(signal(one) for one in (BOB, erased, suppressed, held)))
    served.take({**signal(held, **decided(restriction=False)), "source": "staff"})
    keys = {one: served.naming(*one) for one in (erased, suppressed)}
    fences = {keys[erased]: NOW_US, keys[suppressed]: FOREVER_US}
    assert None not in fences
    served.store.fence(fences)  # type: ignore[arg-type]  # as was just seen
    served.store.sweep(fences)  # type: ignore[arg-type]
    served.settle()
    everybody = (BOB, NOBODY, held, erased, suppressed)

    def answers(asks: Callable[[tuple[str, str]], RecordConsentRequest]) -> list[bytes]:
        return [alike(desk, asks(one)) for one in everybody]

    def assert_alike(asks: Callable[[tuple[str, str]], RecordConsentRequest]) -> None:
        first, *others = answers(asks)
        assert others == [first] * len(others)

    for _ in range(2):
        assert_alike(lambda one: decision(one, signal_id=f"x-{one[1]}"))
    assert_alike(lambda one: decision(one, granted=False, signal_id=f"x-{one[1]}"))
    assert_alike(lambda one: decision(one, "sale", signal_id=f"x-{one[1]}"))
    assert_alike(decision)
    numbers = itertools.count(1)
    for one in everybody:
        again = decision(one, signal_id=f"x-{one[1]}")
        sent = desk.consent.RecordConsent(again).signal_id
        gone = {"source": "web", "signal_id": f"r-{next(numbers)}"}
        at = {"event_time": NOW, "retracted": {"signal_id": sent}}
        served.take({**gone, **at})
    assert_alike(lambda one: decision(one, signal_id=f"x-{one[1]}"))
    for kind in (EvidenceKind.CONSENT, EvidenceKind.ACTIVITY):
        served.store.move_horizon(kind, NOW_US // DAY_US - 10)
    old_us = NOW_US - 40 * DAY_US
    assert_alike(lambda one: decision(one, signal_id=f"y-{one[1]}", at_us=old_us))
    assert b"CONSENT_EXPIRED" in alike(desk, decision(NOBODY, at_us=old_us))


def alike(desk: Desk, request: RecordConsentRequest) -> bytes:
    """What is answered, without the id of the signal, which is made of what the caller said."""
    answered = outcome(lambda: desk.consent.RecordConsent(request))
    if isinstance(answered, bytes):
        return answered
    assert isinstance(answered, RecordConsentResponse)
    assert answered.signal_id.startswith(request.signal_id)
    answered.ClearField("signal_id")
    return b"answered " + answered.SerializeToString()


# ---- what a caller may not name ------------------------------------------------------


def test_a_purpose_that_a_caller_may_not_name_is_none_to_it(desk: Desk) -> None:
    """Neither recorded, nor told of as it holds, nor in the history; reserved ones go with the
    right to hold people, those that the policy has no more with the right to name all it has.
    """
    served = desk.served
    ann = ("login", "ann")
    held = {"event_time": "2026-03-02T12:00:00Z", "source": "staff"}
    served.take(signal(ann, **decided(marketing=True, sale=True, gone=True)))
    served.take({**signal(ann, **decided(restriction=False)), **held})
    ended = {"event_time": "2026-03-02T12:00:01Z", "source": "staff"}
    served.take({**signal(ann, **decided(restriction=True)), **ended})
    marketing = served.purposes.bits(["marketing"])
    assert marketing
    grant = EVERYTHING._replace(purposes=marketing, sees_apart=False)
    with asking(served, desk.source, limited(grant, *RIGHTS)) as channel:
        stub = ConsentServiceStub(channel)
        unknown = told(lambda: stub.RecordConsent(decision(ann, "fun")))
        assert (unknown.reason, unknown.field) == ("PURPOSE_UNKNOWN", "choices.purpose")
        for purpose in ("sale", "service", "restriction"):
            request = decision(ann, purpose)
            assert told(lambda asks=request: stub.RecordConsent(asks)) == unknown  # type: ignore[misc]
        assert stub.RecordConsent(decision(ann, granted=False, at_us=NOW_US)).signal_id
        states = stub.GetConsent(GetConsentRequest(subject=ANN)).states
        assert [one.purpose for one in states] == ["marketing"]
        asked = ListConsentDecisionsRequest(subject=ANN)
        assert {one.purpose for one in stub.ListConsentDecisions(asked).entries} == {"marketing"}
    asked = ListConsentDecisionsRequest(subject=ANN)
    every = {one.purpose for one in desk.consent.ListConsentDecisions(asked).entries}
    assert every == {"marketing", "sale", "gone", "restriction"}
    nothing = EVERYTHING._replace(purposes=0, sees_apart=False)
    with asking(served, desk.source, limited(nothing, *RIGHTS)) as channel:
        stub = ConsentServiceStub(channel)
        assert told(lambda: stub.RecordConsent(decision(ann))) == unknown
        assert not stub.GetConsent(GetConsentRequest(subject=ANN)).states
        assert not stub.ListConsentDecisions(ListConsentDecisionsRequest(subject=ANN)).entries


def test_a_kind_that_a_caller_may_not_ask_by_is_in_no_answer(desk: Desk) -> None:
    """A decision is told of, the token of an identifier of another kind that it bears is not."""
    both = signal(("login", "ann"), ("email", "ann@posteo.net"), **decided(marketing=True))
    desk.served.take(both)
    desk.served.take({**signal(("email", "ann@posteo.net"), **decided(restriction=False)),
                      "source": "staff"})  # fmt: skip
    whole = desk.consent.GetConsent(GetConsentRequest(subject=ANN))
    assert kinds(whole.set_apart) == [["email"]]
    grant = EVERYTHING._replace(kinds=frozenset({"login"}))
    with asking(desk.served, desk.source, limited(grant, *RIGHTS)) as channel:
        stub = ConsentServiceStub(channel)
        by_login = whom(("login", "ann"))
        held = stub.GetConsent(GetConsentRequest(subject=by_login))
        decided_on = [one.decision for one in held.states if one.HasField("decision")]
        assert kinds(decided_on) == [["login"]]
        assert kinds(held.set_apart) == [[]]
        asked = ListConsentDecisionsRequest(subject=by_login)
        entries = stub.ListConsentDecisions(asked).entries
        assert sorted(kinds(entries)) == [[], ["login"]]


def kinds(entries: object) -> list[list[str]]:
    """The kinds of the identifiers that each entry was made under."""
    return [sorted(one.kind for one in entry.identifiers) for entry in entries]  # type: ignore[attr-defined]

"""ConsentService over a real server, asked by a plain gRPC client, the real intake behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from identity.engines.memory import MemoryGraphStore
from identity.refused import Refused
from identity.serve import IdentityAnswers
from identity.v1.identity_service_pb2 import (
    GetLineageRequest,
    IdentifierRef,
    ResolveIdentityRequest,
)
from identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from ingest.recording import ConsentRecorder, IntoTopic
from ingest.source import SourceUnavailable
from ingest.v1.signal_pb2 import Signal
from profiles.access import Access
from profiles.consent import is_apart
from profiles.lookup import Lookup
from profiles.people_quota import PeopleQuotas
from profiles.serve.identity_service import IdentitySource
from profiles.serve.options import ServeOptions
from profiles.serve.server import ProfileServer
from profiles.v1.consent_service_pb2 import (
    GetConsentRequest,
    ListConsentDecisionsRequest,
    PurposeChoice,
    RecordConsentRequest,
)
from profiles.v1.consent_service_pb2_grpc import ConsentServiceStub
from profiles.v1.profile_service_pb2 import GetProfileRequest, Subject, SubjectIdentifier
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub
from tests.support.consent_desk import ANN, EMAIL, Desk, open_desk
from tests.support.grpc_calls import serving, told, told_by
from tests.support.rights import ACCESS, EVERYTHING, limited
from tests.support.served import MAX_SILENCE_MS, NOW_US, Served, decided, signal


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Ann is known, and consent is recorded and read."""
    with open_desk(tmp_path) as opened:
        yield opened


def test_what_is_recorded_reaches_ledger_and_lookups(desk: Desk) -> None:
    """A yes at the desk shows with its proof, opens what it covers, and a no closes it again."""
    asked = GetProfileRequest(subject=ANN, purposes=["personalisation"])
    assert not desk.state("personalisation").granted
    assert "affinities" in desk.profiles.GetProfile(asked).withheld
    desk.record("personalisation", granted=True, at_us=NOW_US - 2_000_000)
    held = desk.state("personalisation")
    assert (held.granted, held.why) == (True, "granted")
    decision = held.decision
    assert (decision.source, decision.text_version, decision.place) == (
        "call_centre",
        "2026-01",
        "hotline",
    )
    assert decision.effective_at.ToMicroseconds() == NOW_US - 2_000_000
    assert [one.kind for one in decision.identifiers] == ["email"]
    assert desk.profiles.GetProfile(asked).profile.affinities[0].category == "sport"
    desk.record("personalisation", granted=False, at_us=NOW_US - 1_000_000)
    assert not desk.state("personalisation").granted
    assert "affinities" in desk.profiles.GetProfile(asked).withheld


def test_the_history_keeps_what_was_overridden(desk: Desk) -> None:
    """Latest first, each with what it counts for; the record of consent outlives its withdrawal."""
    assert not desk.consent.ListConsentDecisions(ListConsentDecisionsRequest(subject=ANN)).entries
    desk.record("marketing", granted=True, at_us=NOW_US - 2_000_000)
    desk.record("marketing", granted=False, at_us=NOW_US - 1_000_000)
    entries = desk.consent.ListConsentDecisions(ListConsentDecisionsRequest(subject=ANN)).entries
    assert [(entry.granted, entry.standing) for entry in entries] == [
        (False, "holds"),
        (True, "overridden by a later one"),
    ]


@pytest.mark.parametrize(
    ("change", "code", "reason", "field"),
    [
        (
            {"identifier": SubjectIdentifier(kind="email", value="?")},
            3,
            "IDENTIFIER_INVALID",
            "identifier",
        ),
        ({"choices": [PurposeChoice(purpose="fun")]}, 3, "PURPOSE_UNKNOWN", "choices.purpose"),
        ({"choices": []}, 3, "CONSENT_INVALID", "choices"),
        ({"source": ""}, 3, "CONSENT_INVALID", "source"),
        ({"place": "x" * 1_000}, 3, "CONSENT_INVALID", "place"),
        ({"signal_id": "call-1"}, 3, "DECIDED_AT_MISSING", "decided_at"),
    ],
)
def test_what_cannot_be_recorded_says_which_field(
    desk: Desk, change: dict[str, object], code: int, reason: str, field: str
) -> None:
    """The error names the field and shows no value."""
    whole = {
        "identifier": EMAIL,
        "choices": [PurposeChoice(purpose="marketing", granted=True)],
        "source": "call_centre",
    }
    request = RecordConsentRequest(**{**whole, **change})  # type: ignore[arg-type]  # by name
    error = told(lambda: desk.consent.RecordConsent(request))
    assert (error.code.value[0], error.reason, error.field) == (code, reason, field)


def test_who_is_not_known_is_not_found(desk: Desk) -> None:
    """Ids never given out, identifiers of nobody, and requests that name none."""
    for subject, reason in (
        (Subject(identifier=SubjectIdentifier(kind="login", value="bob")), "PROFILE_NOT_FOUND"),
        (Subject(person_id="a" * 26), "PROFILE_NOT_FOUND"),
        (Subject(person_id="?"), "PERSON_ID_INVALID"),
        (Subject(identifier=SubjectIdentifier(kind="shoe", value="9")), "IDENTIFIER_INVALID"),
        (Subject(), "SUBJECT_MISSING"),
    ):
        error = told(
            lambda subject=subject: desk.consent.GetConsent(GetConsentRequest(subject=subject))  # type: ignore[misc]
        )
        assert error.reason == reason


def test_a_topic_out_of_reach_is_told(desk: Desk) -> None:
    """Where signals go through a topic, a decision is recorded when the topic has it, or not."""
    sent: list[Signal] = []
    working = ConsentRecorder(
        desk.served.new_intake(), lambda *_: None, IntoTopic(sent.append), str, desk.served.clock_us
    )
    request = RecordConsentRequest(
        identifier=EMAIL,
        choices=[PurposeChoice(purpose="marketing", granted=True)],
        source="call_centre",
        signal_id="call-9",
    )
    request.decided_at.FromMicroseconds(NOW_US)
    assert not isinstance(working.record(request, EVERYTHING), Refused)
    assert [one.signal_id.partition(".")[0] for one in sent] == ["call-9"]

    def fails(_: Signal) -> None:
        raise SourceUnavailable("out of reach")

    broken = ConsentRecorder(
        desk.served.new_intake(), lambda *_: None, IntoTopic(fails), str, desk.served.clock_us
    )
    refused = broken.record(request, EVERYTHING)
    assert isinstance(refused, Refused)
    assert refused.reason == "SIGNALS_UNAVAILABLE"


def test_a_server_without_consents_serves_none(tmp_path: Path) -> None:
    """The service is there only where the graph and an intake are."""
    served = Served(tmp_path)
    source = IdentitySource(
        lambda: MemoryGraphStore(served.graph),
        IdentityAnswers(served.policy, served.naming, is_apart),
    )
    server = ProfileServer(
        ServeOptions(address="127.0.0.1:0"), served.lookup, source, access=ACCESS
    )
    with serving(server) as channel:
        error = told(lambda: ConsentServiceStub(channel).GetConsent(GetConsentRequest()))
    assert error.code is grpc.StatusCode.UNIMPLEMENTED
    served.close()


def test_who_may_hold_nobody_is_told_of_nobody_held(desk: Desk) -> None:
    """A reader of consent is answered as of nobody, yet what is decided is taken in and kept."""
    reader = limited(EVERYTHING._replace(sees_apart=False), "reads consent", "decides on consent")
    restricted = signal(("login", "ann"), **decided(restriction=False))
    desk.served.take({**restricted, "source": "staff"})
    (held,) = desk.consent.GetConsent(GetConsentRequest(subject=ANN)).set_apart
    assert held.purpose == "restriction"
    options = ServeOptions(address="127.0.0.1:0")
    server = ProfileServer(options, desk.served.lookup, desk.source, access=reader)
    nobody = Subject(identifier=SubjectIdentifier(kind="login", value="nobody"))
    with serving(server) as channel:
        stub = ConsentServiceStub(channel)
        for subject in (ANN, Subject(person_id=desk.served.person("login", "ann"))):
            asks = GetConsentRequest(subject=subject)
            history = ListConsentDecisionsRequest(subject=subject)
            assert told(lambda asks=asks: stub.GetConsent(asks)) == told(  # type: ignore[misc]
                lambda: stub.GetConsent(GetConsentRequest(subject=nobody))
            )
            assert told(
                lambda asks=history: stub.ListConsentDecisions(asks)  # type: ignore[misc]
            ) == told(
                lambda: stub.ListConsentDecisions(ListConsentDecisionsRequest(subject=nobody))
            )
        request = RecordConsentRequest(
            identifier=EMAIL,
            choices=[PurposeChoice(purpose="marketing", granted=True)],
            source="web",
        )
        assert stub.RecordConsent(request).signal_id
    desk.served.settle()
    assert desk.state("marketing").granted  # told to who may hold people


def test_people_count_once_over_all_methods(desk: Desk) -> None:
    """Lookups, consent and identity share one count of people; beyond it nobody is told of."""
    desk.served.take(signal(("login", "bob")), signal(("login", "cyd")))
    access = Access((replace(ACCESS.callers[0], grant=EVERYTHING._replace(people_per_day=2)),))
    people = PeopleQuotas(access, b"k", desk.served.clock_us)
    served = desk.served
    lookup = Lookup(
        served.view, served.sealer, served.purposes, served.naming, MAX_SILENCE_MS, people
    )
    source = replace(desk.source, people=people)
    server = ProfileServer(
        ServeOptions(address="127.0.0.1:0"), lookup, source, access=access, ready=True
    )
    with serving(server) as channel:
        profiles, consent = ProfileServiceStub(channel), ConsentServiceStub(channel)
        identity = IdentityServiceStub(channel)

        def reasons(login: str) -> list[str]:
            named = SubjectIdentifier(kind="login", value=login)
            subject = Subject(identifier=named)
            ref = IdentifierRef(kind="login", value=login)
            calls: list[Callable[[], object]] = [
                lambda: profiles.GetProfile(GetProfileRequest(subject=subject)),
                lambda: consent.GetConsent(GetConsentRequest(subject=subject)),
                lambda: consent.ListConsentDecisions(ListConsentDecisionsRequest(subject=subject)),
                lambda: identity.ResolveIdentity(ResolveIdentityRequest(identifier=ref)),
            ]
            return [reason_of(call) for call in calls]

        assert reasons("nobody")[0] == "PROFILE_NOT_FOUND"
        assert reasons("ann") == reasons("bob") == reasons("ann") == [""] * 4
        assert reasons("cyd") == reasons("nobody") == ["PEOPLE_EXHAUSTED"] * 4
        assert reasons("ann") == [""] * 4
        cyd = served.person("login", "cyd")
        asked = GetLineageRequest(person_id=cyd)
        assert reason_of(lambda: identity.GetLineage(asked)) == "PEOPLE_EXHAUSTED"


def reason_of(call: Callable[[], object]) -> str:
    """Why a call was refused; empty when it was answered."""
    try:
        call()
    except grpc.RpcError as error:
        return told_by(error).reason
    return ""


def test_a_caller_asks_only_by_the_kinds_it_may(desk: Desk) -> None:
    """Identifiers of other kinds are refused with their field, whoever they stand for."""
    grant = EVERYTHING._replace(kinds=frozenset({"login"}))
    access = limited(grant, "reads consent", "decides on consent")
    server = ProfileServer(
        ServeOptions(address="127.0.0.1:0"), desk.served.lookup, desk.source, access=access
    )
    with serving(server) as channel:
        stub = ConsentServiceStub(channel)
        error = told(lambda: stub.GetConsent(GetConsentRequest(subject=ANN)))
        assert (error.reason, error.field) == ("KIND_NOT_ALLOWED", "subject.identifier")
        error = told(lambda: stub.RecordConsent(RecordConsentRequest(identifier=EMAIL)))
        assert (error.reason, error.field) == ("KIND_NOT_ALLOWED", "identifier")
        login = Subject(identifier=SubjectIdentifier(kind="login", value="ann"))
        assert stub.GetConsent(GetConsentRequest(subject=login)).states
        profiles = ProfileServiceStub(channel)
        denied = told(lambda: profiles.GetProfile(GetProfileRequest(subject=ANN)))
        assert denied.reason == "NOT_ALLOWED"

"""ProfileService over a real server and a real read view, asked by a plain gRPC client."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from profiles.access import Access
from profiles.serve.options import MAX_BATCH, ServeOptions
from profiles.serve.server import ProfileServer
from profiles.v1.profile_service_pb2 import (
    BatchGetProfilesRequest,
    GetProfileRequest,
    StreamProfilesRequest,
    StreamProfilesResponse,
    Subject,
    SubjectIdentifier,
)
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub
from tests.support.grpc_calls import raw_method, serving, told
from tests.support.rights import ACCESS
from tests.support.served import MAX_SILENCE_MS, Served, decided, signal, viewed

EMAIL = ("email", "ann@posteo.net")
LOGIN = ("login", "ann-77")
BOB = ("login", "bob-78")
NOBODY = ("login", "nobody-79")
STRANGER = "7" * 26
SERVICE = "/profiles.v1.ProfileService/"


@dataclass
class Asked:
    """A server over a read view, and a client of it."""

    served: Served
    channel: grpc.Channel
    stub: ProfileServiceStub


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    """Ann may be shown what suits her but gets no offers; Bob never decided."""
    served = Served(tmp_path)
    served.take(
        signal(LOGIN, EMAIL),
        signal(LOGIN, **viewed("sport/running")),
        signal(LOGIN, **decided(personalisation=True, marketing=False)),
        signal(EMAIL, record_asserted={"given_name": "Ann", "family_name": "Ammann"}),
        signal(BOB, **viewed("garden/roses")),
    )
    server = ProfileServer(
        ServeOptions(address="127.0.0.1:0"),
        served.lookup,
        access=ACCESS,
        clock_us=served.clock_us,
        ready=True,
    )
    with serving(server) as channel:
        yield Asked(served, channel, ProfileServiceStub(channel))
    served.close()


def _by(identifier: tuple[str, str]) -> Subject:
    return Subject(identifier=SubjectIdentifier(kind=identifier[0], value=identifier[1]))


def _lookup(
    subject: Subject, *purposes: str, mask: tuple[str, ...] = (), min_version: int = 0
) -> GetProfileRequest:
    return GetProfileRequest(
        subject=subject,
        purposes=purposes,
        mask=FieldMask(paths=mask) if mask else None,
        min_version=min_version,
    )


def test_a_profile_is_found_by_any_identifier_and_by_its_id(asked: Asked) -> None:
    """E-mail, login and person id lead to one answer, which names the id where that was asked."""
    ann = asked.served.person(*LOGIN)
    by_login = asked.stub.GetProfile(_lookup(_by(LOGIN), "service"))
    by_email = asked.stub.GetProfile(_lookup(_by(("email", " ANN@posteo.net")), "service"))
    by_id = asked.stub.GetProfile(_lookup(Subject(person_id=ann), "service"))
    assert by_login == by_email
    assert (by_login.person_id, by_login.asked_person_id) == (ann, "")
    assert (by_id.person_id, by_id.asked_person_id) == (ann, ann)
    assert by_id.profile == by_login.profile
    names = {attribute.name: attribute.value for attribute in by_id.profile.attributes}
    assert names["given_name"] == "Ann"
    assert by_id.version > 0
    assert by_id.as_of.ToJsonString() == "2026-03-01T12:00:00Z"


def test_an_old_id_leads_to_the_profile_of_today(asked: Asked) -> None:
    """After a merge the id that went is answered with the id that stayed."""
    before = {asked.served.person(*LOGIN), asked.served.person(*BOB)}
    asked.served.take(signal(("customer_id", "k-5"), LOGIN), signal(("customer_id", "k-5"), BOB))
    now = asked.served.person(*LOGIN)
    (gone,) = before - {now}
    answer = asked.stub.GetProfile(_lookup(Subject(person_id=gone), "service"))
    assert (answer.person_id, answer.asked_person_id) == (now, gone)


def test_what_is_not_consented_to_is_withheld_and_said_so(asked: Asked) -> None:
    """Affinities serve personalisation: Ann granted it, Bob never decided; a mask narrows both."""
    mask = ("affinities", "hours")
    ann = asked.stub.GetProfile(_lookup(_by(LOGIN), "personalisation", mask=mask))
    bob = asked.stub.GetProfile(_lookup(_by(BOB), "personalisation", mask=mask))
    assert [affinity.category for affinity in ann.profile.affinities] == ["sport/running"]
    assert not ann.profile.attributes
    assert not ann.withheld
    assert not bob.profile.affinities
    assert sorted(bob.withheld) == ["affinities", "hours"]


def test_no_purpose_gets_nothing_that_needs_one(asked: Asked) -> None:
    """Without a purpose the answer tells the person, their version, and that all was withheld."""
    answer = asked.stub.GetProfile(_lookup(_by(LOGIN)))
    assert answer.person_id == asked.served.person(*LOGIN)
    assert not answer.profile.ListFields()
    assert "attributes" in answer.withheld


def test_staleness_is_told_and_may_be_refused(asked: Asked) -> None:
    """The answer says how long ago the feed was heard; above max_staleness it is TOO_STALE."""
    asked.served.now_us += 1_500_000
    request = _lookup(_by(LOGIN), "service")
    assert asked.stub.GetProfile(request).staleness.ToMilliseconds() == 1_500
    request.max_staleness.CopyFrom(Duration(seconds=1, nanos=500_000_000))
    assert asked.stub.GetProfile(request).person_id
    request.max_staleness.CopyFrom(Duration(seconds=1, nanos=499_000_000))
    refused = told(lambda: asked.stub.GetProfile(request))
    assert (refused.code, refused.reason, refused.field) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "TOO_STALE",
        "max_staleness",
    )
    batch = BatchGetProfilesRequest(subjects=[_by(LOGIN)], max_staleness=request.max_staleness)
    assert told(lambda: asked.stub.BatchGetProfiles(batch)).reason == "TOO_STALE"


def test_a_silent_feed_takes_consent_back(asked: Asked) -> None:
    """After too long a silence nothing that needs consent is shown; a beat brings it back."""
    request = _lookup(_by(LOGIN), "personalisation", mask=("affinities",))
    asked.served.now_us += (MAX_SILENCE_MS + 1) * 1_000
    assert list(asked.stub.GetProfile(request).withheld) == ["affinities"]
    asked.served.feed.beat()
    assert not asked.stub.GetProfile(request).withheld


def test_a_version_can_be_waited_for(asked: Asked) -> None:
    """min_version is refused while it is ahead and answered once the profile has come so far."""
    now = asked.stub.GetProfile(_lookup(_by(LOGIN), "service")).version
    ahead = _lookup(_by(LOGIN), "service", min_version=now + 1)
    refused = told(lambda: asked.stub.GetProfile(ahead))
    assert (refused.code, refused.reason, refused.field) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "VERSION_NOT_REACHED",
        "min_version",
    )
    asked.served.take(signal(LOGIN, **viewed("sport/cycling")))
    assert asked.stub.GetProfile(ahead).version > now


WRONG = {
    "SUBJECT_MISSING": (GetProfileRequest(), "subject"),
    "PERSON_ID_INVALID": (_lookup(Subject(person_id="42")), "subject.person_id"),
    "IDENTIFIER_INVALID": (_lookup(_by(("email", "ann at home"))), "subject.identifier"),
    "MASK_INVALID": (_lookup(_by(LOGIN), mask=("attributes.name",)), "mask"),
    "PURPOSE_UNKNOWN": (_lookup(_by(LOGIN), "world_domination"), "purposes"),
    "PROFILE_NOT_FOUND": (_lookup(_by(NOBODY), "service"), ""),
}


@pytest.mark.parametrize("reason", WRONG)
def test_what_is_wrong_is_told_by_reason_and_field(asked: Asked, reason: str) -> None:
    """A single lookup's refusal is the call's; on a stream the very same is in the answer."""
    request, field = WRONG[reason]
    refused = told(lambda: asked.stub.GetProfile(request))
    assert (refused.reason, refused.field) == (reason, field)
    for raw in ("ann at home", "42", "world_domination", NOBODY[1]):
        assert raw not in refused.message
    (answer,) = asked.stub.StreamProfiles(iter([StreamProfilesRequest(lookup=request)]))
    assert (answer.result.code, answer.result.reason) == (refused.code.value[0], reason)


def test_unknown_and_erased_look_the_same(asked: Asked) -> None:
    """An id never given out, an unknown identifier and somebody whose evidence is gone."""
    only = signal(("cookie", "c-9"))
    asked.served.take(only)
    gone = asked.served.person("cookie", "c-9")
    retraction = {"retracted": {"signal_id": only["signal_id"]}}
    asked.served.take(signal(**retraction))
    refusals = {
        told(lambda subject=subject: asked.stub.GetProfile(_lookup(subject, "service")))  # type: ignore[misc]
        for subject in (
            Subject(person_id=gone),
            Subject(person_id=STRANGER),
            _by(NOBODY),
            _by(("cookie", "c-9")),
        )
    }
    assert len(refusals) == 1
    assert refusals.pop().reason == "PROFILE_NOT_FOUND"


def test_a_batch_is_answered_in_the_order_asked_with_a_status_each(asked: Asked) -> None:
    """Hits, misses, mistakes and duplicates each stand where they were asked for."""
    subjects = [
        _by(BOB),
        _by(NOBODY),
        _by(LOGIN),
        Subject(person_id="42"),
        _by(BOB),
        Subject(),
        _by(("email", "x")),
    ]
    answer = asked.stub.BatchGetProfiles(
        BatchGetProfilesRequest(subjects=subjects, purposes=["service"])
    )
    assert [result.reason for result in answer.results] == [
        "",
        "PROFILE_NOT_FOUND",
        "",
        "PERSON_ID_INVALID",
        "",
        "SUBJECT_MISSING",
        "IDENTIFIER_INVALID",
    ]
    assert [result.code for result in answer.results] == [0, 5, 0, 3, 0, 3, 3]
    single = asked.stub.GetProfile(_lookup(_by(LOGIN), "service"))
    assert answer.results[2].response == single
    assert answer.results[0] == answer.results[4]
    assert answer.results[0].response.person_id == asked.served.person(*BOB)


def test_a_batch_has_its_limits(asked: Asked) -> None:
    """None is an empty answer, 500 are answered, 501 are refused."""
    batch = asked.stub.BatchGetProfiles
    assert not batch(BatchGetProfilesRequest()).results
    full = BatchGetProfilesRequest(subjects=[_by(LOGIN)] * MAX_BATCH, purposes=["service"])
    assert len(batch(full).results) == MAX_BATCH
    full.subjects.append(_by(LOGIN))
    refused = told(lambda: batch(full))
    assert (refused.reason, refused.field) == ("BATCH_TOO_LARGE", "subjects")


def test_a_batch_with_a_wrong_mask_or_purpose_is_refused_as_a_whole(asked: Asked) -> None:
    """They hold for all lookups, so one error says it once."""
    mask = BatchGetProfilesRequest(subjects=[_by(LOGIN)], mask=FieldMask(paths=["shoe_size"]))
    purpose = BatchGetProfilesRequest(subjects=[_by(LOGIN)], purposes=["world_domination"])
    assert told(lambda: asked.stub.BatchGetProfiles(mask)).reason == "MASK_INVALID"
    assert told(lambda: asked.stub.BatchGetProfiles(purpose)).reason == "PURPOSE_UNKNOWN"


def test_a_stream_goes_on_after_a_failure_in_the_order_asked(asked: Asked) -> None:
    """Each answer carries its own status; bytes that are no message cost only their own place."""
    requests = [
        StreamProfilesRequest(lookup=_lookup(_by(NOBODY), "service")).SerializeToString(),
        b"\xff\xff",
        StreamProfilesRequest().SerializeToString(),
        StreamProfilesRequest(lookup=_lookup(_by(LOGIN), "service")).SerializeToString(),
    ] * 20
    method = asked.channel.stream_stream(
        SERVICE + "StreamProfiles", lambda data: data, StreamProfilesResponse.FromString
    )
    answers = [answer.result for answer in method(iter(requests))]
    assert [answer.reason for answer in answers] == [
        "PROFILE_NOT_FOUND",
        "REQUEST_MALFORMED",
        "SUBJECT_MISSING",
        "",
    ] * 20
    single = asked.stub.GetProfile(_lookup(_by(LOGIN), "service"))
    assert answers[3].response == answers[-1].response == single


def test_a_stream_answers_before_it_is_asked_the_next(asked: Asked) -> None:
    """A caller may wait for each answer; what changes in between shows in the next."""

    def ask() -> Iterator[StreamProfilesRequest]:
        for _ in range(3):
            yield StreamProfilesRequest(lookup=_lookup(_by(LOGIN), "service"))
            asked.served.take(signal(LOGIN, **viewed("sport/cycling")))

    versions = [answer.result.response.version for answer in asked.stub.StreamProfiles(ask())]
    assert len(versions) == 3
    assert versions == sorted(versions)


def test_bytes_that_are_no_message_are_refused(asked: Asked) -> None:
    """Garbage is REQUEST_MALFORMED for single lookups and batches alike."""
    for name in ("GetProfile", "BatchGetProfiles"):
        method = raw_method(asked.channel, SERVICE + name)
        refused = told(lambda method=method: method(b"\xff\xff"))  # type: ignore[misc]
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "REQUEST_MALFORMED",
        )


def test_a_view_that_cannot_be_read_fails_without_its_words(asked: Asked) -> None:
    """A view closed under the server is FAILED for the caller, with no word of the driver's."""
    asked.served.view.close()
    refused = told(lambda: asked.stub.GetProfile(_lookup(_by(LOGIN), "service")))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INTERNAL, "FAILED")
    assert "lmdb" not in refused.message.lower()


def test_a_caller_is_held_to_its_quota(asked: Asked) -> None:
    """Calls, lookups of a batch and lookups of a stream all count; the refusal says when to ask."""
    (local, *_) = ACCESS.callers
    access = Access((replace(local, per_second=5),))
    now_s = 100.0
    server = ProfileServer(
        ServeOptions(address="127.0.0.1:0"),
        asked.served.lookup,
        access=access,
        steady_s=lambda: now_s,
        ready=True,
    )
    with serving(server) as channel:
        stub = ProfileServiceStub(channel)
        one = GetProfileRequest(subject=_by(LOGIN))
        requests = (StreamProfilesRequest(lookup=one) for _ in range(20))
        codes = [answer.result.reason for answer in stub.StreamProfiles(requests)]
        # Beginning the stream was the first of the five.
        assert codes == [""] * 4 + ["QUOTA_EXHAUSTED"] * 16
        now_s += 1.0
        stub.BatchGetProfiles(BatchGetProfilesRequest(subjects=[_by(LOGIN)] * 50))
        # What a batch let through owes is paid off at five a second.
        now_s += 9.0
        refused = told(lambda: stub.GetProfile(one))
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "QUOTA_EXHAUSTED",
        )
        now_s += 1.0
        assert stub.GetProfile(one).person_id

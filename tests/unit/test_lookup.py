"""Lookups answer what consent, purposes and mask allow, tell what they withhold, fail closed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import DecodeError

from identity.refused import Refused
from profiles.access import Grant
from profiles.feed import Group
from profiles.layout import places, shape_of
from profiles.lookup import PROFILE_NOT_FOUND
from profiles.purposes import FIELDS
from profiles.read_view import repack
from profiles.v1.feed_pb2 import FeedRecord
from profiles.v1.profile_pb2 import Profile
from profiles.v1.profile_service_pb2 import (
    BatchGetProfilesRequest,
    GetProfileRequest,
    GetProfileResponse,
    Subject,
)
from tests.support.profile_parts import (
    gone,
    merged,
    person_id,
    profile_policy,
    sample,
)
from tests.support.replica import (
    ALL,
    MAX_SILENCE_MS,
    NOW_MS,
    Replica,
    by_id,
    by_identifier,
    names,
    new_replica,
)
from tests.support.rights import EVERYTHING

DAY_MS = 86_400_000


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    """A replica that knows Ada, who granted everything."""
    with new_replica(tmp_path) as made:
        yield made


def test_all_purposes_see_all(replica: Replica) -> None:
    """Who may use everything for everything gets the whole profile, and nothing is withheld."""
    response = replica.answer(*ALL)
    sections = replica.builder.fold(sample(replica.sealer)).sections
    assert response.profile == Profile.FromString(b"".join(sections.values()))
    assert names(response.profile) == set(FIELDS)
    assert list(response.withheld) == []
    assert (response.person_id, response.version) == (person_id("ada"), 7)
    assert response.as_of.ToMicroseconds() > 0
    assert response.staleness.ToMilliseconds() == 0


@pytest.mark.parametrize("purpose", ALL)
def test_a_section_is_served_for_its_purposes_alone(replica: Replica, purpose: str) -> None:
    """Each purpose sees just the items that may serve it, and is told which fields held more."""
    policy = profile_policy().purposes
    response = replica.answer(purpose)
    bit = policy.bits([purpose])
    assert bit
    sections = replica.builder.fold(sample(replica.sealer)).sections
    wanted = [section for (_, bits, _), section in sections.items() if bits & bit]
    assert response.profile == Profile.FromString(b"".join(wanted))
    kept_back = {field for (field, bits, _), _ in sections.items() if not bits & bit}
    assert {FIELDS[name] for name in response.withheld} == kept_back


def test_no_purpose_sees_nothing(replica: Replica) -> None:
    """Without a purpose nothing is answered, and all there is is named as withheld."""
    response = replica.answer()
    assert names(response.profile) == set()
    assert set(response.withheld) == set(FIELDS)


def test_withdrawn_means_withheld(replica: Replica) -> None:
    """A purpose that was withdrawn opens nothing, a granted one beside it still does."""
    replica.publish(sample(replica.sealer, grants=False))
    response = replica.answer("personalisation", "marketing")
    assert names(response.profile) == set()
    response = replica.answer("personalisation", "service")
    assert "devices" in names(response.profile)
    assert "affinities" in response.withheld


def test_the_mask_bounds_what_is_answered_and_what_is_told(replica: Replica) -> None:
    """Fields that were not asked for are neither answered nor named as withheld."""
    response = replica.answer("service", fields=("devices", "affinities"))
    assert names(response.profile) == {"devices"}
    assert list(response.withheld) == ["affinities"]


def test_silence_withholds_what_needs_consent(replica: Replica) -> None:
    """A replica that heard nothing for too long treats consent as unknown; contracts go on."""
    late_ms = NOW_MS + MAX_SILENCE_MS
    assert "affinities" in names(replica.answer(*ALL, at_ms=late_ms).profile)
    response = replica.answer(*ALL, at_ms=late_ms + 1)
    assert "affinities" in response.withheld
    assert "networks" in names(response.profile)
    assert response.staleness.ToMilliseconds() == MAX_SILENCE_MS + 1
    replica.view.apply([Group(0, (), b"", late_ms)], late_ms)
    assert "affinities" in names(replica.answer(*ALL, at_ms=late_ms + 1).profile)


def test_what_counts_as_granted_is_what_an_answer_has(replica: Replica) -> None:
    """Told by itself, too: consent counts until the feed is silent for too long."""
    policy, late_us = profile_policy().purposes, (NOW_MS + MAX_SILENCE_MS) * 1_000
    ada, granted = person_id("ada"), replica.builder.fold(sample(replica.sealer)).granted
    assert replica.lookup.granted(ada, late_us) == granted
    assert granted & policy.needs_consent
    assert replica.lookup.granted(ada, late_us + 1_000) == granted & ~policy.needs_consent
    assert replica.lookup.granted(person_id("bob"), late_us) == 0
    replica.apply(merged("old", "ada"), gone("bob"))
    assert replica.lookup.granted(person_id("old"), late_us) == 0
    assert replica.lookup.granted(person_id("bob"), late_us) == 0


def test_a_feed_ahead_of_the_clock_hides_no_silence(replica: Replica) -> None:
    """A beat dated a day ahead counts as of when it came, so that silence is noticed in time."""
    replica.view.apply([Group(0, (), b"", NOW_MS + DAY_MS)], NOW_MS)
    assert "affinities" in names(replica.answer(*ALL, at_ms=NOW_MS + MAX_SILENCE_MS).profile)
    response = replica.answer(*ALL, at_ms=NOW_MS + MAX_SILENCE_MS + 1)
    assert "affinities" in response.withheld
    assert response.staleness.ToMilliseconds() == MAX_SILENCE_MS + 1


def test_a_clock_that_was_set_back_knows_no_consent(replica: Replica) -> None:
    """What was heard far in the future need not be new: consent is unknown until news come."""
    before_ms = NOW_MS - DAY_MS
    assert "affinities" in replica.answer(*ALL, at_ms=before_ms).withheld
    replica.view.apply([Group(0, (), b"", before_ms)], before_ms)
    assert "affinities" in names(replica.answer(*ALL, at_ms=before_ms).profile)


def test_a_view_that_never_heard_of_the_feed_knows_no_consent(replica: Replica) -> None:
    """Records without a time grant nothing that needs consent."""
    replica.view.clear()
    replica.apply(
        FeedRecord(
            person_id=person_id("ada"), profile=replica.builder.build(sample(replica.sealer), 8)
        ),
        at_ms=0,
    )
    assert "affinities" in replica.answer(*ALL).withheld


def test_by_any_identifier(replica: Replica) -> None:
    """Each of the person's identifiers leads to the same answer, which names no id asked for."""
    asked = replica.answer("service")
    assert asked.asked_person_id == person_id("ada")
    for kind in ("email", "login", "device"):
        found = replica.ask(
            GetProfileRequest(subject=by_identifier(kind, "ada"), purposes=["service"])
        )
        assert isinstance(found, GetProfileResponse)
        assert (found.profile, found.asked_person_id) == (asked.profile, "")


def test_old_ids_lead_to_the_person_of_today(replica: Replica) -> None:
    """An id merged twice over answers with the current one and with the one asked for."""
    replica.apply(merged("older", "old"))
    replica.apply(merged("old", "ada"))
    found = replica.ask(GetProfileRequest(subject=by_id("older"), purposes=ALL))
    assert isinstance(found, GetProfileResponse)
    assert (found.person_id, found.asked_person_id) == (person_id("ada"), person_id("older"))
    assert names(found.profile) == set(FIELDS)


def test_a_ring_of_merged_ids_ends(replica: Replica) -> None:
    """A feed that says nonsense cannot hold up a lookup."""
    replica.apply(merged("one", "two"), merged("two", "one"))
    refused = replica.ask(GetProfileRequest(subject=by_id("one")))
    assert isinstance(refused, Refused)
    assert refused.reason == "PROFILE_NOT_FOUND"


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (GetProfileRequest(), "SUBJECT_MISSING"),
        (GetProfileRequest(subject=Subject()), "SUBJECT_MISSING"),
        (GetProfileRequest(subject=Subject(person_id="")), "PERSON_ID_INVALID"),
        (GetProfileRequest(subject=Subject(person_id="A" * 26)), "PERSON_ID_INVALID"),
        (GetProfileRequest(subject=by_id("ada"), purposes=["spying"]), "PURPOSE_UNKNOWN"),
        (
            GetProfileRequest(subject=by_id("ada"), mask=FieldMask(paths=["devices.token"])),
            "MASK_INVALID",
        ),
        (GetProfileRequest(subject=by_identifier("login", "4")), "IDENTIFIER_INVALID"),
        (GetProfileRequest(subject=by_identifier("login", "nobody")), "PROFILE_NOT_FOUND"),
        (GetProfileRequest(subject=by_id("nobody")), "PROFILE_NOT_FOUND"),
        (GetProfileRequest(subject=by_id("ada"), min_version=8), "VERSION_NOT_REACHED"),
    ],
)
def test_what_cannot_be_answered_says_why(
    replica: Replica, request_: GetProfileRequest, reason: str
) -> None:
    """Every refusal has its reason."""
    refused = replica.ask(request_)
    assert isinstance(refused, Refused)
    assert refused.reason == reason


def test_wanted_freshness_and_version(replica: Replica) -> None:
    """Just as stale or as new as asked for is answered; older is refused."""
    request = GetProfileRequest(
        subject=by_id("ada"), max_staleness=Duration(seconds=1, nanos=500_000_000), min_version=7
    )
    assert isinstance(replica.ask(request, NOW_MS + 1_500), GetProfileResponse)
    refused = replica.ask(request, NOW_MS + 1_501)
    assert isinstance(refused, Refused)
    assert refused.reason == "TOO_STALE"


def test_staleness_is_never_negative(replica: Replica) -> None:
    """Heard after the replica's own time, by a clock set back since: told as so far apart."""
    response = replica.answer("service", at_ms=NOW_MS - 5_000)
    assert response.staleness.ToMilliseconds() == 5_000


def test_who_is_gone_or_whose_keys_are_destroyed_is_not_found(replica: Replica) -> None:
    """An erased person looks like one who never was, for whatever and for nothing at all, whatever
    version is asked for.
    """
    replica.answer(*ALL)
    asks = [
        GetProfileRequest(subject=by_id("ada"), purposes=purposes, min_version=version)
        for purposes in (ALL, ())
        for version in (0, 99)
    ]
    assert isinstance(replica.ask(asks[2]), GetProfileResponse)
    replica.vault.new_epoch()
    replica.sealer.renew()
    replica.vault.destroy_epoch(1)
    replica.sealer.renew()
    replica.lookup.forget()
    for _ in range(2):
        assert [replica.ask(one) for one in asks] == [PROFILE_NOT_FOUND] * len(asks)
        replica.apply(gone("ada"))


def test_a_changed_file_is_no_answer(replica: Replica) -> None:
    """Sections said to serve more purposes than they were sealed for open for none."""
    stored = replica.view.stored(person_id("ada"))
    assert stored is not None
    shape = shape_of(stored.layout)
    wide = b"".join(bytes((field, *[0xFF] * 8)) for field, *_ in places(shape))
    widened = wide + stored.layout[len(shape) :]
    with replica.view.env.begin(write=True, db=replica.view.people) as txn:
        txn.put(person_id("ada").encode(), repack(stored._replace(layout=widened)))
    refused = replica.ask(GetProfileRequest(subject=by_id("ada"), purposes=ALL))
    assert isinstance(refused, Refused)
    assert (refused.code, refused.reason) == (13, "FAILED")


def test_a_batch_answers_in_order_each_for_itself(replica: Replica) -> None:
    """Every subject has its outcome in its place, the same as asked alone."""
    subjects = [by_id("nobody"), by_identifier("email", "ada"), Subject(), by_id("ada")]
    batch = BatchGetProfilesRequest(subjects=subjects, purposes=ALL)
    outcomes = replica.lookup.get_many(batch, NOW_MS * 1_000, EVERYTHING)
    assert isinstance(outcomes, list)
    alone = [
        replica.lookup.get(
            GetProfileRequest(subject=subject, purposes=ALL), NOW_MS * 1_000, EVERYTHING
        )
        for subject in subjects
    ]
    assert outcomes == alone
    assert replica.lookup.get_many(BatchGetProfilesRequest(), NOW_MS * 1_000, EVERYTHING) == []


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (BatchGetProfilesRequest(purposes=["spying"]), "PURPOSE_UNKNOWN"),
        (BatchGetProfilesRequest(mask=FieldMask(paths=["all"])), "MASK_INVALID"),
        (BatchGetProfilesRequest(max_staleness=Duration(seconds=1)), "TOO_STALE"),
    ],
)
def test_a_batch_that_cannot_be_answered_at_all(
    replica: Replica, request_: BatchGetProfilesRequest, reason: str
) -> None:
    """What is wrong with the whole batch is told once."""
    refused = replica.lookup.get_many(request_, (NOW_MS + 2_000) * 1_000, EVERYTHING)
    assert isinstance(refused, Refused)
    assert refused.reason == reason


def test_a_request_in_an_unusual_shape_is_read_as_protobuf_says(replica: Replica) -> None:
    """A subject that comes twice or after the rest: the last one counts, as protobuf says."""
    ada, bob = (GetProfileRequest(subject=by_id(name)) for name in ("ada", "bob"))
    mine = GetProfileRequest(purposes=ALL).SerializeToString()
    first, second = ada.SerializeToString(), bob.SerializeToString()
    for serialized in (second + mine + first, mine + first, first + mine, mine + second + first):
        for _ in range(2):
            answer = replica.lookup.get_serialized(serialized, NOW_MS * 1_000, EVERYTHING)
            assert isinstance(answer, bytes)
            assert GetProfileResponse.FromString(answer) == replica.answer(*ALL)
    refused = replica.lookup.get_serialized(first + mine + second, NOW_MS * 1_000, EVERYTHING)
    assert isinstance(refused, Refused)
    assert refused.reason == "PROFILE_NOT_FOUND"


@pytest.mark.parametrize("cut", [b"\x0a", b"\x0a\x1c\x0a\x1aabc", b"\xff\xff"])
def test_bytes_that_are_no_request_are_told(replica: Replica, cut: bytes) -> None:
    """Cut or meaningless bytes raise what the service turns into a refusal."""
    with pytest.raises(DecodeError):
        replica.lookup.get_serialized(cut, NOW_MS * 1_000, EVERYTHING)
    whole = GetProfileRequest(subject=by_id("ada")).SerializeToString()
    with pytest.raises(DecodeError):
        replica.lookup.get_serialized(whole + b"\x12\xff", NOW_MS * 1_000, EVERYTHING)


def test_a_caller_sees_the_fields_and_names_the_purposes_that_it_may(replica: Replica) -> None:
    """Caller x purpose x field: what it may not see is withheld like anything else, by name."""

    def answer(grant: Grant, *purposes: str) -> GetProfileResponse:
        request = GetProfileRequest(subject=by_id("ada"), purposes=purposes)
        found = replica.lookup.get(request, NOW_MS * 1_000, grant)
        serialized = request.SerializeToString()
        for _ in range(2):
            assert replica.lookup.get_serialized(serialized, NOW_MS * 1_000, grant) == found
        assert isinstance(found, bytes)
        return GetProfileResponse.FromString(found)

    policy = profile_policy().purposes
    service, marketing = policy.bits(["service"]), policy.bits(["marketing"])
    assert service is not None
    assert marketing is not None
    devices = EVERYTHING._replace(fields=1 << FIELDS["devices"])
    assert names(answer(devices, *ALL).profile) == {"devices"}
    assert set(answer(devices, *ALL).withheld) == set(FIELDS) - {"devices"}
    only_service = EVERYTHING._replace(purposes=service)
    assert answer(only_service, *ALL).profile == answer(EVERYTHING, "service").profile
    only_marketing = EVERYTHING._replace(purposes=marketing)
    assert not names(answer(only_marketing, "service").profile)
    nothing = EVERYTHING._replace(fields=0, purposes=0)
    assert not names(answer(nothing, *ALL).profile)
    assert set(answer(nothing, *ALL).withheld) == set(FIELDS)


def test_not_found_and_denied_look_the_same(replica: Replica) -> None:
    """Who may not ask by a kind of identifier is told the same about Ada as about nobody."""
    by_login = EVERYTHING._replace(kinds=frozenset({"login"}))
    for name in ("ada", "nobody"):
        request = GetProfileRequest(subject=by_identifier("email", name), purposes=ALL)
        found = replica.lookup.get(request, NOW_MS * 1_000, by_login)
        assert found == Refused(5, "PROFILE_NOT_FOUND")
    request = GetProfileRequest(subject=by_identifier("login", "ada"), purposes=ALL)
    assert isinstance(replica.lookup.get(request, NOW_MS * 1_000, by_login), bytes)

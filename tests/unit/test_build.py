"""The profile is a pure function of the evidence, each item in one section, and rests sealed."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.model import DAY_US, HOUR_US, ActivityDay, Node, PersonEvidence
from identity.policy import IdentityPolicy
from identity.retention import PURPOSE
from ingest.v1.signal_pb2 import RecordAsserted
from profiles.attributes import Survivorship
from profiles.build import MAX_NETWORKS, MAX_PURCHASES
from profiles.fold import since
from profiles.layout import Place, bounds, choose, cut, layout_of, shape_of
from profiles.purposes import FIELDS, PurposePolicy
from profiles.sealing import Sealer, Unreadable
from profiles.v1.profile_pb2 import Profile
from profiles.vault_memory import MemoryVault
from tests.support.profile_parts import (
    DAY,
    active,
    consent,
    key,
    new_builder,
    new_sealer,
    node,
    opened,
    person_id,
    profile_policy,
    purchase,
    record,
    sample,
    sighting,
)


@pytest.fixture
def sealer() -> Sealer:
    """Keys of the test's own."""
    return new_sealer()


def profile_of(sealer: Sealer, evidence: PersonEvidence) -> Profile:
    """The whole profile."""
    return Profile.FromString(b"".join(new_builder(sealer).fold(evidence).sections.values()))


def shuffled(evidence: PersonEvidence, seed: int) -> PersonEvidence:
    """The same evidence in another order."""
    drawn = random.Random(seed)

    def mixed(items: list[Any]) -> list[Any]:
        drawn.shuffle(items)
        return items

    return replace(
        evidence,
        nodes=tuple(mixed(list(evidence.nodes))),
        links=tuple((a, b, tuple(mixed(list(days)))) for a, b, days in mixed(list(evidence.links))),
        activity={
            holder: {
                day: seen._replace(cells=dict(mixed(list(seen.cells.items()))))
                for day, seen in mixed(list(days.items()))
            }
            for holder, days in mixed(list(evidence.activity.items()))
        },
        facts=tuple(mixed(list(evidence.facts))),
    )


def test_the_whole_profile(sealer: Sealer) -> None:
    """Every field is filled from the evidence that it is made of."""
    profile = profile_of(sealer, sample(sealer))
    by_name = {one.name: one for one in profile.attributes}
    assert sorted(by_name) == ["address.city", "email", "given_name", "locale"]
    assert {one.value for one in profile.attributes} == {
        "Bern",
        "ada@mail.example.org",
        "Ada",
        "de",
    }
    assert (by_name["given_name"].source, by_name["given_name"].rule) == ("crm", "only_value")
    assert by_name["given_name"].observed_at.seconds == DAY * 86_400
    assert {one.kind: one.value for one in profile.identifiers} == {
        "device": "",
        "email": "ada@mail.example.org",
        "login": "ada",
    }
    (device,) = profile.devices
    assert (device.kind, device.browser, device.system) == ("device", "Firefox", "Linux")
    assert (device.device_type, device.signals) == ("desktop", 3)
    assert device.last_seen.seconds == (DAY + 2) * 86_400
    assert [(one.category, one.count) for one in profile.affinities] == [
        ("sport", 2),
        ("garden", 1),
    ]
    assert {one.as_of_day for one in profile.affinities} == {DAY + 2}
    assert [(one.channel, one.signals) for one in profile.channels] == [("app", 1), ("web", 3)]
    assert (profile.hours.counts[9], profile.hours.counts[20]) == (3, 1)
    assert profile.presence.signals == 6
    assert profile.presence.first_seen.seconds == DAY * 86_400
    assert [one.signals for one in profile.networks] == [3]
    assert [(one.item, one.value, one.unit) for one in profile.purchases] == [
        ("red shoe", 99.5, "CHF")
    ]
    assert [(one.purpose, one.granted) for one in profile.consents] == [
        ("marketing", True),
        ("personalisation", True),
    ]


@pytest.mark.parametrize("seed", range(20))
def test_order_of_evidence_makes_no_difference(sealer: Sealer, seed: int) -> None:
    """Any order of nodes, links, days, cells and facts gives the same bytes."""
    evidence, builder = sample(sealer), new_builder(sealer)
    assert builder.fold(evidence) == builder.fold(shuffled(evidence, seed))


def test_staff_who_set_somebody_apart_leave_no_trace(sealer: Sealer) -> None:
    """A hold that was lifted is no visit: presence and its times are as if it had never been."""
    known = sample(sealer)
    told = (
        consent((DAY + at) * DAY_US, (key("login", "ada"),), legal_hold=lifted)
        for at, lifted in ((7, False), (9, True))
    )
    builder = new_builder(sealer)
    held = builder.fold(replace(known, facts=(*known.facts, *told)))
    before = builder.fold(known)
    assert held == before


CUTOFFS = st.dictionaries(
    st.sampled_from([PURPOSE + one.name for one in profile_policy().purposes.purposes]),
    st.integers(DAY - 1, DAY + 4),
    max_size=4,
)


@settings(deadline=None)
@given(cutoffs=CUTOFFS)
def test_a_purpose_sees_what_is_young_enough_for_it(cutoffs: dict[str, int]) -> None:
    """As if nothing older were known, but for consents; and of several purposes the most."""
    sealer = new_sealer()
    evidence, builder, policy = sample(sealer), new_builder(sealer), profile_policy().purposes
    sections = builder.fold(evidence, cutoffs).sections
    whole = builder.fold(evidence).sections
    for purpose in policy.purposes:
        first_day = cutoffs.get(PURPOSE + purpose.name)
        left = evidence if first_day is None else since(evidence, first_day)
        found, wanted = (
            shown(sections, purpose.bit),
            shown(builder.fold(left).sections, purpose.bit),
        )
        assert found.consents == shown(whole, purpose.bit).consents
        assert items(found) == items(wanted), purpose.name
    free = sum(one.bit for one in policy.purposes if PURPOSE + one.name not in cutoffs)
    if free & policy.served("presence"):
        assert (
            items(shown(sections, (1 << 64) - 1))["presence"]
            == items(shown(whole, free))["presence"]
        )


def shown(sections: Mapping[Place, bytes], allowed: int) -> Profile:
    """What a lookup for these purposes shows."""
    layout = layout_of(sections)
    runs, _ = choose(shape_of(layout), -1, -1, allowed)
    opened = b"".join(sections.values())
    return Profile.FromString(opened if runs is None else cut(opened, layout, runs))


def items(profile: Profile) -> dict[str, list[str]]:
    """What is in each field but consents, in an order of its own; scores, which fade from the last
    day of all that is known, are left out.
    """
    for affinity in profile.affinities:
        affinity.score = affinity.as_of_day = 0
    profile.ClearField("consents")
    return {
        field.name: sorted(map(str, value)) if field.is_repeated else [str(value)]
        for field, value in profile.ListFields()
    }


def test_each_item_is_in_exactly_one_section(sealer: Sealer) -> None:
    """A section holds one field, its items serve just its purposes, and none is there twice."""
    policy = profile_policy().purposes
    folding = new_builder(sealer).fold(sample(sealer))
    items = []
    for (field, bits, _), section in folding.sections.items():
        part = Profile.FromString(section)
        ((descriptor, value),) = part.ListFields()
        assert descriptor.number == field
        for item in value if descriptor.name in ("attributes", "identifiers") else ():
            finer = item.name if descriptor.name == "attributes" else item.kind
            assert policy.served(descriptor.name, finer) == bits
            items.append((field, finer))
    assert len(items) == len(set(items)) == 7
    assert {field for field, *_ in folding.sections} == set(FIELDS.values())


def test_what_rests_is_sealed_for_this_person_and_layout(sealer: Sealer) -> None:
    """The stored profile shows no value; it opens for its person and its layout alone."""
    stored = new_builder(sealer).build(sample(sealer), 7)
    rests = stored.SerializeToString()
    for value in (b"ada@mail", b"Ada", b"Bern", b"red shoe", b"sport", b"Firefox", b"crm"):
        assert value not in rests
    assert opened(sealer, person_id("ada"), stored) == profile_of(sealer, sample(sealer))
    assert bounds(stored.layout)[-1] == len(
        opened(sealer, person_id("ada"), stored).SerializeToString()
    )
    with pytest.raises(Unreadable):
        opened(sealer, person_id("bob"), stored)
    widened = bytearray(stored.layout)
    widened[1] = 0xFF
    stored.layout = bytes(widened)
    with pytest.raises(Unreadable):
        opened(sealer, person_id("ada"), stored)


def test_aliases_are_all_identifiers_and_no_record(sealer: Sealer) -> None:
    """Every identifier leads to the person; a record is asked for by nobody."""
    stored = new_builder(sealer).build(sample(sealer), 7)
    assert list(stored.aliases) == [key("device", "ada"), key("email", "ada"), key("login", "ada")]
    assert (stored.version, stored.as_of_us) == (7, (DAY + 2) * DAY_US + 20 * HOUR_US + 1)


@pytest.mark.parametrize(
    "changed",
    [
        {"half_life_days": 29},
        {"survivorship": Survivorship(("web",))},
        {"survivorship": replace(profile_policy().survivorship, rules={"": ("most_recent",)})},
        {"purposes": PurposePolicy()},
        {"identity": IdentityPolicy({})},
    ],
)
def test_what_profiles_are_folded_by_has_a_digest(sealer: Sealer, changed: dict[str, Any]) -> None:
    """It is the same for the same policy, and another for whatever a profile depends on."""
    folding = new_builder(sealer).folding
    assert new_builder(new_sealer(), profile_policy()).folding == folding
    assert new_builder(sealer, replace(profile_policy(), **changed)).folding != folding


def test_granted_purposes_follow_the_decisions(sealer: Sealer) -> None:
    """Contract and legitimate interest count until a no, consent only with a yes."""
    granting, refusing = (
        new_builder(sealer).build(sample(sealer, grants=grants), 1).granted_purposes
        for grants in (True, False)
    )
    assert (granting, refusing) == (0b1111, 0b1001)
    objecting = replace(
        sample(sealer), facts=(consent(DAY * DAY_US, (key("login", "ada"),), analytics=False),)
    )
    assert new_builder(sealer).build(objecting, 1).granted_purposes == 0b0001


def born(sealer: Sealer, birth_date: str, country: str = "") -> PersonEvidence:
    """Ada as `sample` has her, with another record that tells a birth date and a country."""
    said = RecordAsserted(birth_date=birth_date)
    said.address.country = country
    node, fact = record(sealer, "age", (DAY + 2) * DAY_US, "shop", said)
    known = sample(sealer)
    return replace(known, nodes=(*known.nodes, node), facts=(*known.facts, fact))


@pytest.mark.parametrize(
    ("birth_date", "granted"), [("1990", 0b1111), ("2015-01-01", 0b1001), ("", 0b1111)]
)
def test_who_is_below_the_minimum_age_grants_nothing_that_has_one(
    sealer: Sealer, birth_date: str, granted: int
) -> None:
    """A child's yes does not count; the shipped policy lets an unknown age pass, and says so."""
    stored = new_builder(sealer).build(born(sealer, birth_date), 1)
    assert stored.granted_purposes == granted


@pytest.mark.parametrize(("country", "sold"), [("US", True), ("DE", False), ("Utopia", False)])
def test_what_holds_until_a_no_depends_on_where_somebody_lives(
    sealer: Sealer, country: str, sold: bool
) -> None:
    """Sale is opt-out in the United States and opt-in everywhere else, unknown places included."""
    stored = new_builder(sealer).build(born(sealer, "1990", country), 1)
    bit = profile_policy().purposes.bits(["sale"])
    assert bit is not None
    assert bool(stored.granted_purposes & bit) is sold


def test_an_interest_that_may_serve_nothing_has_a_section_of_its_own(sealer: Sealer) -> None:
    """The shipped policy serves nobody's religion; it lies apart from what may be served."""
    known = sample(sealer)
    cells = {"category:religion/feasts": 1, "category:sport": 1, "type:click": 2}
    told = ActivityDay(2, DAY * DAY_US, DAY * DAY_US, {0: 2}, cells)
    evidence = replace(known, activity={key("login", "ada"): {DAY: told}})
    sections = new_builder(sealer).fold(evidence).sections
    found = {
        bits: [one.category for one in Profile.FromString(section).affinities]
        for (field, bits, _), section in sections.items()
        if field == FIELDS["affinities"]
    }
    assert found.pop(0) == ["religion/feasts"]
    assert list(found.values()) == [["sport"]]


def test_a_person_of_one_shared_device(sealer: Sealer) -> None:
    """Next to no evidence still gives a whole profile of what there is."""
    shared = node(sealer, "device", "tv")
    evidence = PersonEvidence(person_id("tv"), (shared,), (), {shared.key: {DAY: active(DAY)}})
    profile = profile_of(sealer, evidence)
    assert [one.token for one in profile.identifiers] == ["tv".ljust(22, "0")]
    assert [one.signals for one in profile.devices] == [1]
    assert (profile.presence.signals, list(profile.affinities)) == (0, [])


def test_evidence_may_be_all_gone(sealer: Sealer) -> None:
    """A person of whom only the identifier is left has a profile of just that."""
    profile = profile_of(
        sealer, PersonEvidence(person_id("x"), (Node(key("email", "x"), 1),), (), {})
    )
    assert [one.kind for one in profile.identifiers] == ["email"]
    assert not profile.HasField("presence")


def test_a_signal_of_two_holders_counts_once(sealer: Sealer) -> None:
    """What was done counts with the account, where with the device; presence and hours once."""
    login, device = node(sealer, "login", "a"), node(sealer, "device", "a")
    both = ActivityDay(
        5, DAY * DAY_US, DAY * DAY_US, {9: 4, 10: 1}, {"type:click": 2, "browser:Firefox": 5}
    )
    evidence = PersonEvidence(
        person_id("a"),
        (login, device),
        ((device.key, login.key, (sighting(DAY * DAY_US, 3),)),),
        {login.key: {DAY: active(DAY, 3, type__page_view=3)}, device.key: {DAY: both}},
    )
    profile = profile_of(sealer, evidence)
    assert profile.presence.signals == 5
    assert sum(profile.hours.counts) == 5
    assert (profile.hours.counts[9], profile.hours.counts[10]) == (5, 0)
    assert [one.signals for one in profile.devices] == [5]


def test_long_lists_are_bounded(sealer: Sealer) -> None:
    """Networks and purchases keep the most used and the newest."""
    login = node(sealer, "login", "a")
    networks = {f"network__{n:022d}": n + 1 for n in range(MAX_NETWORKS + 5)}
    evidence = PersonEvidence(
        person_id("a"),
        (login,),
        (),
        {login.key: {DAY: active(DAY, 400, type__click=400, **networks)}},
        tuple(purchase(sealer, login.key, n, f"item {n:03d}") for n in range(MAX_PURCHASES + 5)),
    )
    profile = profile_of(sealer, evidence)
    assert [one.signals for one in profile.networks] == list(range(MAX_NETWORKS + 5, 5, -1))
    assert len(profile.purchases) == MAX_PURCHASES
    assert profile.purchases[0].item == f"item {MAX_PURCHASES + 4:03d}"


def test_what_does_not_open_is_left_out_and_counted(sealer: Sealer) -> None:
    """A purchase filed under another signal than it was sealed for holds up nobody."""
    moved = replace(purchase(sealer, key("login", "b"), 1, "hat"), signal=2)
    evidence = PersonEvidence(person_id("b"), (node(sealer, "login", "b", "b"),), (), {}, (moved,))
    builder = new_builder(sealer)
    stored = builder.build(evidence, 1)
    profile = opened(sealer, person_id("b"), stored)
    assert (builder.unopened, list(profile.purchases)) == (1, [])
    assert [one.value for one in profile.identifiers] == ["b"]


def test_what_was_sealed_under_a_destroyed_key_is_left_out() -> None:
    """Identifiers whose epoch's key is destroyed stay as tokens, without their values."""
    vault = MemoryVault(os.urandom)
    sealer = Sealer(vault, os.urandom)
    evidence = sample(sealer)
    vault.new_epoch()
    vault.destroy_epoch(1)
    sealer.renew()
    profile = profile_of(sealer, evidence)
    assert {one.value for one in profile.identifiers} == {""}
    assert [one.name for one in profile.attributes] == ["locale"]

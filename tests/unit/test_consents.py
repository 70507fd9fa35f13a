"""Consent strings and Global Privacy Control become decisions on the policy's own purposes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from identity.model import DAY_US, Contribution, EvidenceKind
from identity.retention import Retention
from ingest.rejected import Rejected
from profiles.purposes import Purpose, PurposePolicy, Rule, parse
from profiles.tcf import ConsentString, decode
from profiles.tcf_purposes import decided
from tests.support.intaking import document, intake, line
from tests.support.tcf_encoding import DAY_DS, Said

ASKS = Rule(needs_consent=True, opt_out=False)
LAX = Rule(needs_consent=False, opt_out=True)
PURPOSES = (
    Purpose("ads", 1, "ads", ASKS, tcf=(3, 4)),
    Purpose("counting", 2, "counting", LAX, tcf=(7,)),
    Purpose("place", 4, "place", ASKS, tcf_features=(1,)),
    Purpose("offers", 8, "offers", ASKS),
)
RECEIVED_US = 1_790_000_000_000_000
GRANTING = Said(
    purposes=(3, 4),
    interests=(7,),
    features=(1,),
    vendors=(9,),
    vendor_interests=(9,),
    disclosed=(9,),
    publisher=(3, 4),
    publisher_interests=(7,),
)
VENDOR = PurposePolicy(PURPOSES, tcf_vendor=9)
PUBLISHER = PurposePolicy(PURPOSES)
ALL = {"ads": True, "counting": True, "place": True}


def read(said: Said) -> ConsentString:
    """A string, decoded."""
    found = decode(said.text())
    assert isinstance(found, ConsentString), found
    return found


@pytest.mark.parametrize(
    ("policy", "change", "refused"),
    [
        (VENDOR, {}, set()),
        (PUBLISHER, {}, set()),
        (VENDOR, {"purposes": (3,)}, {"ads"}),
        (VENDOR, {"vendors": (8,)}, {"ads", "place"}),
        (VENDOR, {"vendor_interests": ()}, {"counting"}),
        (VENDOR, {"interests": ()}, {"counting"}),
        (VENDOR, {"features": ()}, {"place"}),
        (VENDOR, {"disclosed": (8,)}, {"ads", "counting", "place"}),
        # Without the list of vendors that were shown nobody knows whether we were, and a string
        # that lost it must not grant more than the whole: under no policy version.
        (VENDOR, {"disclosed": None}, {"ads", "counting", "place"}),
        (VENDOR, {"disclosed": None, "policy": 2}, {"ads", "counting", "place"}),
        (VENDOR, {"disclosed": None, "policy": 5}, {"ads", "counting", "place"}),
        (VENDOR, {"policy": 5}, set()),
        (VENDOR, {"restrictions": ((4, 0, (9,)),)}, {"ads"}),
        (VENDOR, {"restrictions": ((4, 2, (9,)),)}, {"ads"}),
        (VENDOR, {"restrictions": ((4, 1, (9,)),)}, set()),
        (VENDOR, {"restrictions": ((7, 1, (9,)),)}, {"counting"}),
        (VENDOR, {"restrictions": ((7, 2, (9,)),)}, set()),
        (VENDOR, {"restrictions": ((4, 0, (8,)),)}, set()),
        (PUBLISHER, {"publisher": (3,)}, {"ads"}),
        (PUBLISHER, {"publisher": None}, {"ads", "counting"}),
        (PUBLISHER, {"publisher_interests": ()}, {"counting"}),
    ],
)
def test_a_string_grants_what_it_says_to_us_and_nothing_else(
    policy: PurposePolicy, change: dict[str, Any], refused: set[str]
) -> None:
    """Every number, on its own basis, for us as vendor or publisher; what is left open is a no."""
    found = decided(policy, read(GRANTING.but(**change)))
    assert found == {name: name not in refused for name in ALL}


def by_interest(number: int) -> PurposePolicy:
    """One purpose of the framework, on legitimate interest, in both roles' terms."""
    return PurposePolicy((Purpose("it", 1, "it", LAX, tcf=(number,)),))


@pytest.mark.parametrize("vendor", [None, 9])
@pytest.mark.parametrize(
    ("policy", "allowed"),
    [
        (2, {2, *range(3, 12)}),
        (3, {2, *range(3, 12)}),
        (4, {2, *range(7, 12)}),
        (5, {2, *range(7, 12)}),
    ],
)
def test_legitimate_interest_counts_only_where_the_framework_has_it(
    vendor: int | None, policy: int, allowed: set[int]
) -> None:
    """Never for keeping things on a device, and since policy 4 not for profiles and their use."""
    everything = tuple(range(1, 12))
    said = read(GRANTING.but(policy=policy, interests=everything, publisher_interests=everything))
    counted = {
        number
        for number in everything
        if decided(replace(by_interest(number), tcf_vendor=vendor), said)["it"]
    }
    assert counted == allowed


def few(*numbers: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Some of a few numbers, so that what matters meets."""
    return st.sets(st.sampled_from(numbers)).map(lambda found: tuple(sorted(found)))


cuttable = st.builds(
    Said,
    policy=st.integers(2, 5),
    features=few(1),
    purposes=few(3, 4),
    interests=few(7),
    vendors=few(8, 9),
    vendor_interests=few(8, 9),
    ranges=st.booleans(),
    restrictions=st.dictionaries(
        st.tuples(st.sampled_from([3, 4, 7]), st.integers(0, 2)), few(8, 9), max_size=2
    ).map(lambda found: tuple((*key, whom) for key, whom in found.items())),
    disclosed=st.none() | few(8, 9),
    allowed=st.none() | few(8, 9),
    publisher=st.none() | few(3, 4),
    publisher_interests=few(7),
)


@given(cuttable)
@example(GRANTING)
@example(GRANTING.but(disclosed=(8,)))
@example(GRANTING.but(disclosed=(8,), policy=2))
@example(GRANTING.but(publisher=()))
def test_a_string_cut_anywhere_grants_no_more_than_the_whole(said: Said) -> None:
    """For us as the publisher and as a vendor, after each letter: the same, less, or nothing."""
    text, whole = said.text(), read(said)
    most = [granted_by(policy, whole) for policy in (PUBLISHER, VENDOR)]
    for end in range(len(text)):
        cut = decode(text[:end])
        if isinstance(cut, ConsentString):
            assert granted_by(PUBLISHER, cut) <= most[0], end
            assert granted_by(VENDOR, cut) <= most[1], end


def granted_by(policy: PurposePolicy, said: ConsentString) -> set[str]:
    """The purposes that a string grants."""
    return {name for name, is_granted in decided(policy, said).items() if is_granted}


def test_purposes_without_numbers_are_left_alone() -> None:
    """A consent string says nothing of what the framework does not know."""
    assert "offers" not in decided(VENDOR, read(GRANTING))
    assert decided(PurposePolicy(PURPOSES[3:]), read(GRANTING)) == {}


def taken(kept: Retention | None = None, **content: Any) -> Contribution | Rejected:
    """What the shipped policy makes of a decision; `kept`: for how long things are."""
    return intake(retention=kept).from_json(line(consent_decided=content), RECEIVED_US)


def said_in(contribution: Contribution | Rejected) -> dict[str, Any]:
    """What the fact holds."""
    assert isinstance(contribution, Contribution), contribution
    assert contribution.fact is not None
    said: dict[str, Any] = msgpack.unpackb(contribution.fact.payload)
    return said


def test_a_consent_string_decides_on_every_purpose_of_the_framework() -> None:
    """Its grants date from its last update, and the proof names policy, list and platform."""
    said = said_in(taken(tcf_string=Said(publisher=(5, 6), updated_ds=20_400 * DAY_DS).text()))
    framework = {
        purpose.name
        for purpose in parse(document()).purposes
        if purpose.tcf or purpose.tcf_features
    }
    assert said["decisions"].keys() == framework
    granted = {name for name, is_granted in said["decisions"].items() if is_granted}
    assert granted == {"personalisation", "content_profile", "personalised_content"}
    assert said["given_us"] == 20_400 * DAY_DS * 100_000
    assert said["text_version"] == "TCF policy 4, vendors 100"
    assert said["place"] == "CMP 10 version 3"


@pytest.mark.parametrize(("days", "granted"), [(None, 3), (600, 3), (599, 0)])
def test_what_was_granted_before_decisions_are_kept_does_not_come_in(
    days: int | None, granted: int
) -> None:
    """A no after it may be forgotten already; what the string refuses counts all the same."""
    kept = Retention({} if days is None else {EvidenceKind.CONSENT: days})
    today = RECEIVED_US // DAY_US
    text = Said(publisher=(5, 6), updated_ds=(today - 600) * DAY_DS).text()
    said = said_in(taken(kept, tcf_string=text))
    refused = [name for name, is_granted in said["decisions"].items() if not is_granted]
    assert len(said["decisions"]) - len(refused) == granted
    assert len(refused) == 11
    everything = tuple(range(1, 12))
    whole = Said(publisher=everything, features=(1, 2), updated_ds=(today - 600) * DAY_DS).text()
    found = taken(kept, tcf_string=whole)
    if granted:
        assert isinstance(found, Contribution)
    else:
        assert isinstance(found, Rejected)
        assert (found.field, found.rule) == ("consent_decided.tcf_string", "stale")


@pytest.mark.parametrize("text", ["C", Said().text()[:-1], Said(version=3).text(), "é"])
def test_a_truncated_or_altered_consent_string_is_a_dead_letter(text: str) -> None:
    """It decides nothing, and the reason holds nothing of the string."""
    found = taken(tcf_string=text)
    assert isinstance(found, Rejected)
    assert (found.field, found.rule) == ("consent_decided.tcf_string", "tcf")
    assert text not in str(found) or len(text) < 2


def test_global_privacy_control_opts_out_of_sale_and_sharing() -> None:
    """It withdraws exactly the purposes that the policy marks."""
    said = said_in(taken(global_privacy_control=True))
    assert said["decisions"] == {"sale": False, "personalised_ads": False}
    assert said["text_version"] == "Global Privacy Control"


def test_what_no_purpose_heeds_is_a_dead_letter() -> None:
    """Without a purpose that it could decide on, a signal is refused rather than forgotten."""
    bare = intake()
    bare._pseudonymiser._purposes = PurposePolicy(PURPOSES[3:])
    for content in ({"tcf_string": Said().text()}, {"global_privacy_control": True}):
        found = bare.from_json(line(consent_decided=content), RECEIVED_US)
        assert isinstance(found, Rejected)
        assert found.rule == "no_purpose"


def test_what_was_taken_in_before_stays_known() -> None:
    """A decision as it could always be sent has the digest that it always had."""
    plain = taken(decisions=[{"purpose": "marketing", "granted": True}])
    assert isinstance(plain, Contribution)
    assert plain.digest.hex() == "9b8b458060e83eb6"

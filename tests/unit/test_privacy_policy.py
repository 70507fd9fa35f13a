"""How requests are handled: mistakes told at once, defaults on the safe side."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from identity.model import Assurance
from profiles import consent, purposes, purposes_verify
from profiles.deadlines import Law, RequestKind
from profiles.privacy_policy import DEFAULT_LEVELS, PrivacyPolicy, Role, parse, verify

SHIPPED = Path(__file__).parents[2] / "kinfold" / "default_policy.toml"
WRONG: dict[str, Any] = {
    "privacy": {
        "law": "common",
        "zone": "Mars/Olympus",
        "holidays": ["tomorrow"],
        "package_days": 0,
        "approve_over": "telephone",
        "controller": 3,
        "source": "web",
        "colour": "red",
        "places": {"California": "ccpa", "DE": "none"},
        "verification": {"gossip": "none", "access": "sure"},
    },
    "sources": {"web": {"max_assurance": "none"}, "staff": {"may_decide": True}},
    "staff": {"Ann Onym": {"roles": ["agent"]}, "a1": {"roles": ["king"]}, "a2": {}, "a3": 7},
}


def test_every_mistake_is_told_at_once_with_its_key() -> None:
    """One reading shows all there is to mend."""
    told = verify(WRONG)
    assert {problem.partition(":")[0] for problem in told} == {
        "privacy.law",
        "privacy.zone",
        "privacy.holidays",
        "privacy.package_days",
        "privacy.approve_over",
        "privacy.controller",
        "privacy.source",
        "privacy.colour",
        "privacy.places.California",
        "privacy.places.DE",
        "privacy.verification.gossip",
        "privacy.verification.access",
        "staff.Ann Onym",
        "staff.a1",
        "staff.a2",
        "staff.a3",
    }
    assert verify({"privacy": [], "staff": []}) == ["privacy: must be a table"]
    assert verify({"staff": []}) == ["staff: must be tables, for example [staff.a17]"]


@pytest.mark.parametrize(
    ("caller", "sound"),
    [
        ({"dpo": {"signed": "login:dpo", "may": ["approves requests"], "staff": ["dpo"]}}, True),
        ({"dpo": {"certificate": "dpo", "may": ["*"], "staff": ["dpo"]}}, True),
        ({"dpo": {"certificate": "dpo", "may": ["approves requests"], "staff": ["*"]}}, True),
        ({"dpo": {"certificate": "dpo", "may": ["approves requests"], "staff": ["desk"]}}, False),
        ({"dpo": {"certificate": "dpo", "may": ["reads requests"], "staff": ["dpo"]}}, False),
        ({"local": {"may": ["*"], "staff": ["*"]}}, False),
        ({}, False),
        ([], False),
    ],
)
def test_whoever_must_approve_over_grpc_can(caller: object, sound: bool) -> None:
    """A policy by which nobody could approve anything any more is refused."""
    document = {
        "privacy": {"approve_over": "grpc"},
        "sources": {"staff": {"may_decide": True}},
        "staff": {"desk": {"roles": ["agent"]}, "dpo": {"roles": ["approver"]}},
        "callers": caller,
    }
    told = [problem.partition(":")[0] for problem in verify(document)]
    assert told == ([] if sound else ["privacy.approve_over"])
    assert parse(document).approve_over == "grpc"


def test_what_ships_is_sound_and_says_what_is_the_default() -> None:
    """The shipped policy's levels are those of a policy that says nothing."""
    document = tomllib.loads(SHIPPED.read_text("utf-8"))
    assert verify(document) == []
    shipped = parse(document)
    assert shipped.levels == DEFAULT_LEVELS == PrivacyPolicy().levels
    assert shipped.law_in("US-CA") is Law.CCPA
    assert shipped.law_in("US-NY") is shipped.law_in("") is Law.GDPR
    assert shipped.may("dpo", {Role.APPROVER})
    assert not shipped.may("desk", {Role.APPROVER})
    assert not shipped.may("nobody", set(Role))


def test_the_finer_place_counts_first() -> None:
    """A region's law, then its country's, then the general one."""
    text = '[privacy]\nlaw = "gdpr"\n[privacy.places]\nUS = "ccpa"\nUS-NY = "gdpr"\n'
    policy = parse(tomllib.loads(text))
    assert [policy.law_in(place) for place in ("US-TX", "US-NY", "DE")] == [
        Law.CCPA,
        Law.GDPR,
        Law.GDPR,
    ]


@pytest.mark.parametrize(
    ("zone", "day"), [("UTC", 1), ("Europe/Zurich", 1), ("America/Los_Angeles", 28)]
)
def test_a_day_is_one_of_the_zone(zone: str, day: int) -> None:
    """A request of half past midnight in London came on the day before in Los Angeles."""
    at_us = int(datetime(2026, 3, 1, 0, 30, tzinfo=UTC).timestamp()) * 1_000_000
    policy = PrivacyPolicy(zone=zone)
    assert policy.day(at_us).day == day
    assert policy.day(policy.end_of(policy.day(at_us))) == policy.day(at_us)
    assert policy.day(policy.end_of(policy.day(at_us)) + 1) > policy.day(at_us)


def test_what_is_said_is_heeded() -> None:
    """Levels and holidays of the policy stand in place of the defaults."""
    text = (
        "[privacy]\nholidays = [2027-01-01]\npackage_days = 3\n"
        '[privacy.verification]\naccess = "none"\n[staff.a1]\nroles = ["agent", "auditor"]\n'
    )
    policy = parse(tomllib.loads(text))
    assert policy.levels == {**DEFAULT_LEVELS, RequestKind.ACCESS: Assurance.NONE}
    assert policy.holidays == {date(2027, 1, 1)}
    assert policy.staff == {"a1": {Role.AGENT, Role.AUDITOR}}


def test_reserved_purposes_are_nobodys() -> None:
    """No policy may have a purpose of the name of a restriction or of a legal hold."""
    body = {"words": "x", "basis": "contract", "opt": "out"}
    for name in consent.RESERVED:
        (problem,) = purposes_verify.verify({"purposes": {name: body}})
        assert problem.startswith(f"purposes.{name}: ")


def test_an_objection_ends_legitimate_interest_and_direct_marketing() -> None:
    """Whatever rests on legitimate interest, be it in one place only, and direct marketing on
    whatever basis; contracts and consent to anything else stay.
    """
    policy = purposes.parse(tomllib.loads(SHIPPED.read_text("utf-8")))
    assert {one.name for one in policy.purposes if one.objectionable} == {
        "marketing",
        "analytics",
        "sale",
        "ads_profile",
        "personalised_ads",
    }

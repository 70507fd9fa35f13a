"""The identity policy: what it accepts, and what it says of what it refuses."""

from __future__ import annotations

import tomllib
from pathlib import Path

from identity.model import Assurance
from identity.policy import parse, verify

DEFAULT = Path("kinfold/default_policy.toml")


def test_default_policy_is_sound() -> None:
    """The policy that ships with kinfold has no problem."""
    assert verify(tomllib.loads(DEFAULT.read_text("utf-8"))) == []


def test_every_problem_is_told_at_once() -> None:
    """Each problem names its key; none hides another."""
    problems = verify(
        {
            "kinds": {
                "login": {"priority": "high", "max_per_person": 0, "colour": 1},
                "Bad Name": {"priority": 1},
                "device": {"shared_beside": {"login": 0}, "blocked_patterns": ["("]},
            },
            "sources": {"web": {"max_assurance": "certain", "may_decide": 1, "colour": 1}},
        }
    )
    named = {problem.partition(": ")[0] for problem in problems}
    assert named == {
        "kinds.login.priority",
        "kinds.login.max_per_person",
        "kinds.login.colour",
        "kinds.Bad Name",
        "kinds.device.priority",
        "kinds.device.shared_beside.login",
        "kinds.device.blocked_patterns[0]",
        "sources.web.max_assurance",
        "sources.web.may_decide",
        "sources.web.colour",
    }


def test_a_policy_without_kinds_is_refused() -> None:
    """A policy that names no kind could join nothing."""
    assert verify({})
    assert verify({"kinds": {}})


def test_sources_have_what_policy_grants() -> None:
    """A source that is not named has the default's assurance."""
    policy = parse(
        {
            "kinds": {"login": {"priority": 1}},
            "sources": {
                "web": {"max_assurance": "authenticated"},
                "default": {"max_assurance": "claimed"},
            },
        }
    )
    assert policy.source_assurance("web") is Assurance.AUTHENTICATED
    assert policy.source_assurance("elsewhere") is Assurance.CLAIMED


def test_external_names_share_one_entry() -> None:
    """`external:NAME` has the entry of `external` unless it has its own."""
    kinds = {"external": {"priority": 4}, "external:crm": {"priority": 7}}
    policy = parse({"kinds": kinds})
    crm, other = policy.kind("external:crm"), policy.kind("external:other")
    assert crm is not None
    assert crm.priority == 7
    assert other is not None
    assert other.priority == 4
    assert policy.kind("nonsense") is None


def test_blocked_values_are_found_in_any_case() -> None:
    """Values and patterns that name nobody are compared without regard to case."""
    kind = parse(tomllib.loads(DEFAULT.read_text("utf-8"))).kinds["email"]
    assert kind.blocks("Test@Test.com")
    assert kind.blocks("no-reply@shop.com")
    assert not kind.blocks("ann@shop.com")

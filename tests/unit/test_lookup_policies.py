"""A profile that was built under another policy shows nothing until it is built anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from profiles import purposes
from profiles.lookup import Lookup
from profiles.purposes import FIELDS
from profiles.v1.profile_pb2 import Profile
from tests.support.profile_parts import POLICY, new_builder, person_id, profile_policy, sample
from tests.support.replica import (
    ALL,
    MAX_SILENCE_MS,
    NOW_MS,
    Replica,
    name_of,
    names,
    new_replica,
)


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    """A replica that knows Ada, who granted everything."""
    with new_replica(tmp_path) as made:
        yield made


def first(document: dict[str, Any]) -> None:
    """A purpose is put before all others, so that every bit means another one."""
    espionage = {"words": "Spy on you", "basis": "consent", "opt": "in"}
    document["purposes"] = {"espionage": espionage, **document["purposes"]}


def appended(document: dict[str, Any]) -> None:
    """A purpose is added behind all others."""
    document["purposes"]["espionage"] = {"words": "Spy on you", "basis": "contract", "opt": "out"}


def swapped(document: dict[str, Any]) -> None:
    """The same purposes in another order."""
    document["purposes"] = dict(reversed(document["purposes"].items()))


def tightened(document: dict[str, Any]) -> None:
    """A field serves no purpose any more."""
    document["serves"]["affinities"] = []


def finer(document: dict[str, Any]) -> None:
    """An item of a field serves less than its field."""
    document["serves"]["channels.web"] = []


def grounds(document: dict[str, Any]) -> None:
    """A contract becomes consent."""
    document["purposes"]["service"] |= {"basis": "consent", "opt": "in"}


def ages(document: dict[str, Any]) -> None:
    """Nobody of unknown age counts as old enough any more."""
    document["purposes"]["personalisation"]["unknown_age"] = "no"


def older(document: dict[str, Any]) -> None:
    """One must be older."""
    document["purposes"]["personalisation"]["minimum_age"] = 18


def lax_no_more(document: dict[str, Any]) -> None:
    """A laxer rule is taken away."""
    del document["purposes"]["sale"]["places"]


@pytest.mark.parametrize(
    "change", [first, appended, swapped, tightened, finer, grounds, ages, older, lax_no_more]
)
def test_under_another_policy_nothing_is_granted(
    replica: Replica, change: Callable[[dict[str, Any]], None]
) -> None:
    """Bits granted under another policy mean nothing: all is withheld until it is built anew."""
    document = deepcopy(POLICY)
    change(document)
    policy = replace(profile_policy(), purposes=purposes.parse(document))
    lookup = Lookup(replica.view, replica.sealer, policy.purposes, name_of, MAX_SILENCE_MS)
    changed = replace(replica, lookup=lookup)
    response = changed.answer(*ALL)
    assert names(response.profile) == set()
    assert set(response.withheld) == set(FIELDS)
    assert lookup.granted(person_id("ada"), NOW_MS * 1_000) == 0
    changed.builder = new_builder(replica.sealer, policy)
    changed.publish(sample(replica.sealer), version=8)
    evidence = changed.builder.fold(sample(replica.sealer))
    assert lookup.granted(person_id("ada"), NOW_MS * 1_000) == evidence.granted
    asked, bits = policy.purposes.bits(ALL), evidence.granted
    assert asked is not None
    wanted = [section for at, section in evidence.sections.items() if at.purposes & bits & asked]
    assert changed.answer(*ALL).profile == Profile.FromString(b"".join(wanted))


def test_what_changes_no_bit_withholds_nothing(replica: Replica) -> None:
    """Other words for a purpose, another vendor, who may export: profiles stay as they are."""
    document = deepcopy(POLICY)
    document["purposes"]["service"]["words"] = "Run what you asked for"
    document["purposes"]["sale"]["gpc"] = False
    document["tcf"] = {"vendor_id": 7}
    document["serves"]["export"] = []
    policy = purposes.parse(document)
    lookup = Lookup(replica.view, replica.sealer, policy, name_of, MAX_SILENCE_MS)
    assert list(replace(replica, lookup=lookup).answer(*ALL).withheld) == []


def test_a_policy_of_another_time_is_told_once(
    replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    """Who runs it sees why everything is withheld, without a line for every lookup."""
    document = deepcopy(POLICY)
    tightened(document)
    policy = purposes.parse(document)
    lookup = Lookup(replica.view, replica.sealer, policy, name_of, MAX_SILENCE_MS)
    for _ in range(3):
        replace(replica, lookup=lookup).answer(*ALL)
    assert caplog.text.count("built under another policy") == 1

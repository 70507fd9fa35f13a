"""Profiles are handed out of whoever allows it now, by all that a lookup goes by."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest

from identity.model import DAY_US, EvidenceKind, PersonEvidence, PersonId
from kinfold.statistics import profiles
from profiles import purposes
from profiles.lookup import Lookup
from profiles.purposes import PurposePolicy
from profiles.sealing import Sealer
from tests.support.profile_parts import (
    DAY,
    POLICY,
    consent,
    key,
    merged,
    new_builder,
    person_id,
    profile_policy,
    sample,
)
from tests.support.replica import MAX_SILENCE_MS, NOW_MS, Replica, name_of, new_replica

ADA = person_id("ada")


def decided(sealer: Sealer, **said: bool) -> PersonEvidence:
    """Ada, who said this and nothing else."""
    ada = sample(sealer)
    others = tuple(one for one in ada.facts if one.fact.kind is not EvidenceKind.CONSENT)
    return replace(ada, facts=(*others, consent(DAY * DAY_US, (key("login", "ada"),), **said)))


def under(replica: Replica, policy: PurposePolicy) -> Replica:
    """The same replica under another policy."""
    whole = replace(profile_policy(), purposes=policy)
    builder = new_builder(replica.sealer, whole)
    lookup = Lookup(replica.view, replica.sealer, policy, name_of, MAX_SILENCE_MS)
    return replace(replica, builder=builder, lookup=lookup)


def export_needs_consent() -> PurposePolicy:
    """The shipped policy, but what allows the export rests on consent."""
    document = deepcopy(POLICY)
    document["serves"]["export"] = ["marketing"]
    return purposes.parse(document)


def exported(replica: Replica, policy: PurposePolicy, at_ms: int = NOW_MS) -> list[PersonId]:
    """Whoever is handed out for analytics, which needs no consent."""
    found = profiles.rows(
        replica.view, replica.lookup, policy, "analytics", at_ms * 1_000, b"a key of this export"
    )
    return [person for person, _ in found]


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    """A replica whose export needs consent, and Ada, who gave it."""
    with new_replica(tmp_path) as shipped:
        made = under(shipped, export_needs_consent())
        made.publish(decided(made.sealer, analytics=True, marketing=True), version=8)
        yield made


def test_a_silent_feed_exports_nobody_who_must_have_said_yes(replica: Replica) -> None:
    """Nobody knows any more whether the yes to the export holds: it counts for none."""
    policy, late_ms = export_needs_consent(), NOW_MS + MAX_SILENCE_MS
    assert exported(replica, policy, late_ms) == [ADA]
    assert exported(replica, policy, late_ms + 1) == []


def test_a_withdrawal_of_the_export_is_heeded(replica: Replica) -> None:
    """Who allows the purpose and not the export is left out, and so is who allows neither."""
    policy = export_needs_consent()
    replica.publish(decided(replica.sealer, analytics=True, marketing=False), version=9)
    assert exported(replica, policy) == []
    replica.publish(decided(replica.sealer, analytics=False, marketing=True), version=10)
    assert exported(replica, policy) == []


def test_what_was_built_under_another_policy_is_not_exported(replica: Replica) -> None:
    """Its bits would be taken for others: here a purpose was put before all."""
    document = deepcopy(POLICY)
    document["serves"]["export"] = ["marketing"]
    first = {"words": "Count bits", "basis": "contract", "opt": "out"}
    document["purposes"] = {"first": first, **document["purposes"]}
    policy = purposes.parse(document)
    changed = under(replica, policy)
    assert exported(changed, policy) == []
    changed.publish(decided(changed.sealer, analytics=True, marketing=True), version=9)
    assert exported(changed, policy) == [ADA]


def test_each_person_is_exported_once(replica: Replica) -> None:
    """Ids that were merged away have no row of their own."""
    replica.apply(merged("old", "ada"))
    assert exported(replica, export_needs_consent()) == [ADA]

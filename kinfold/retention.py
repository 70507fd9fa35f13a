"""Lets expire what is due by the policy, and nothing of who is under a legal hold, and no refusal.

A horizon is one day for everybody. While somebody is under a legal hold, the
horizon of a kind stops at the earliest day of their evidence of it, for
everybody else as well: nothing that a court asked to keep is deleted, and
people stay a function of evidence and horizons. It moves on with the first
expiry after the hold was lifted. That of decisions on purposes stops, too, at a
no without which something would be granted, or somebody restricted be served:
a no is kept to be honoured. Attributes of records are kept likewise; for
how long a purpose uses anything has nothing to do with holds, since who is
under one is served to no one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

from identity.horizons import families
from identity.model import (
    DAY_US,
    RECORD_KIND,
    EvidenceKind,
    Expiring,
    KeptFact,
    NodeKey,
    PersonEvidence,
    PersonId,
)
from identity.policy import IdentityPolicy
from identity.retention import ATTRIBUTE, Retention
from identity.rotating import Trim
from identity.store import GraphStore, StoreError
from ingest.payloads import without
from profiles import contexts
from profiles.consent import LEGAL_HOLD, may_refuse, needed_from, set_apart
from profiles.purposes import PurposePolicy
from profiles.request_store import RequestsError
from profiles.sealing import Sealer, Unreadable
from profiles.vault import KeyDestroyed, VaultError

RETRY_S = 60.0
FIRST_S = 30.0
"""After a start, so that catching up comes first."""
_AT_ONCE = 500
_RECORD = RECORD_KIND + ":"
_HELD = LEGAL_HOLD.encode()
_LOG = logging.getLogger(__name__)


class Policies(Protocol):
    """What decides on what must be kept: kinds of identifiers, and purposes."""

    @property
    def identity(self) -> IdentityPolicy:
        """The kinds."""

    @property
    def purposes(self) -> PurposePolicy:
        """The purposes."""


@dataclass(frozen=True, slots=True)
class Due:
    """What is to move: horizons, and cutoffs by their names (`identity.retention`)."""

    horizons: Mapping[Expiring, int] = field(default_factory=dict)
    cutoffs: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expired:
    """What an expiry came to: what moved, and the days at which holds and a no stopped some."""

    moved: Mapping[Expiring, int]
    held: Mapping[Expiring, int]
    cut: Mapping[str, int] = field(default_factory=dict)
    held_cutoffs: Mapping[str, int] = field(default_factory=dict)


class Trims:
    """How records lose an attribute where they rest, sealed under the keys of the moment.

    What no longer opens stays as it is: it is noise already.
    """

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def of(self, attribute: str) -> Trim:
        """From a sealed record to one without the attribute."""

        def trim(record: NodeKey, sealed: bytes) -> bytes:
            # Each time: a rotation wraps nothing anew that is written after it has passed.
            self._sealer.look()
            place = contexts.of_record(record)
            try:
                said = self._sealer.open(sealed, place)
            except (KeyDestroyed, Unreadable):
                return sealed
            left = without(said, (attribute,))
            return sealed if left is said else self._sealer.seal(left, place)

        return trim


def due(retention: Retention, store: GraphStore, now_us: int) -> Due:
    """What is due by the policy."""
    today = now_us // DAY_US
    return Due(
        retention.due(today, store.horizons()), retention.cutoffs_due(today, store.cutoffs())
    )


def expire(store: GraphStore, policies: Policies, wanted: Due, trims: Trims) -> Expired:
    """Move horizons and cutoffs to these days, as far as legal holds and refusals let them.

    A hold that comes into the graph while this runs may come too late for it.
    """
    attributes = [name for name in wanted.cutoffs if name.startswith(ATTRIBUTE)]
    asked = {*wanted.horizons, *([EvidenceKind.RECORD] if attributes else [])}
    consents_before = wanted.horizons.get(EvidenceKind.CONSENT)
    held = held_from(store, policies, asked, consents_before) if asked else {}
    stopped = {
        kind: held[kind] for kind, day in wanted.horizons.items() if held.get(kind, day) < day
    }
    horizons = store.horizons()
    moved = {}
    for kind, day in wanted.horizons.items():
        before = stopped.get(kind, day)
        if kind not in horizons or before > horizons[kind]:
            store.move_horizon(kind, before)
            moved[kind] = before
    record_day = held.get(EvidenceKind.RECORD)
    stopped_cutoffs = {
        name: record_day
        for name in attributes
        if record_day is not None and record_day < wanted.cutoffs[name]
    }
    cut = _cut(store, {**wanted.cutoffs, **stopped_cutoffs}, trims)
    return Expired(moved, stopped, cut, stopped_cutoffs)


def _cut(store: GraphStore, wanted: Mapping[str, int], trims: Trims) -> dict[str, int]:
    cutoffs = store.cutoffs()
    moved = {}
    for name, day in wanted.items():
        if name not in cutoffs or day > cutoffs[name]:
            is_attribute = name.startswith(ATTRIBUTE)
            trim = trims.of(name.removeprefix(ATTRIBUTE)) if is_attribute else None
            store.move_cutoff(name, day, trim)
            moved[name] = day
    return moved


def expire_due(
    store: GraphStore, policies: Policies, retention: Retention, now_us: int, trims: Trims
) -> Expired:
    """Move every horizon and cutoff that is due by the policy."""
    return expire(store, policies, due(retention, store, now_us), trims)


def held_from(
    store: GraphStore,
    policies: Policies,
    kinds: Iterable[Expiring],
    consents_before: int | None = None,
) -> dict[Expiring, int]:
    """The earliest day of evidence of whoever is under a legal hold, by its kind.

    Of decisions on purposes, if those before a day are to go: also the day from
    which a no is needed, whoever's it is.
    """
    earliest: dict[Expiring, int] = {}
    asked = set(kinds)
    refusing = _people_who_refuse(store, policies.identity, consents_before)
    while some := list(_some(refusing)):
        for evidence in store.evidence(some).values():
            held = [*_days(evidence)] if LEGAL_HOLD in set_apart(evidence) else []
            if consents_before is not None:
                day = needed_from(policies.purposes, evidence, consents_before)
                held += [(EvidenceKind.CONSENT, day)] if day is not None else []
            for kind, day in held:
                if kind in asked:
                    earliest[kind] = min(day, earliest.get(kind, day))
    return earliest


def _some(people: Iterator[PersonId]) -> Iterator[PersonId]:
    for _, person in zip(range(_AT_ONCE), people, strict=False):
        yield person


def _people_who_refuse(
    store: GraphStore, policy: IdentityPolicy, consents_before: int | None
) -> Iterator[PersonId]:
    """Whoever has a decision on a legal hold, in force or lifted, or a no of before the day.

    Found by their bytes.
    """

    def tells(kept: KeptFact) -> bool:
        if _HELD in kept.fact.payload and kept.fact.kind is EvidenceKind.CONSENT:
            return True
        if consents_before is None or kept.event_us // DAY_US >= consents_before:
            return False
        return may_refuse(kept)

    told: set[PersonId] = set()
    for key in _nodes(store, policy, tells):
        person = store.person_of((key,)).get(key)
        if person is not None and person not in told:
            told.add(person)
            yield person


def _nodes(
    store: GraphStore, policy: IdentityPolicy, tells: Callable[[KeptFact], bool]
) -> Iterator[NodeKey]:
    for kind in policy.kinds:
        after = ""
        while keys := store.nodes_of(kind, after, _AT_ONCE):
            after = keys[-1]
            for key, evidence in store.evidence_at(keys, activity=False).items():
                if any(map(tells, evidence.facts)):
                    yield key


def _days(evidence: PersonEvidence) -> Iterator[tuple[Expiring, int]]:
    """The earliest day of each link, holder and fact, by every kind whose horizon may take it."""
    for low, high, days in evidence.links:
        first = min(day.day for day in days)
        is_record = low.startswith(_RECORD) or high.startswith(_RECORD)
        yield EvidenceKind.RECORD if is_record else EvidenceKind.LINK, first
        for kind in (*families(low), *families(high)):
            yield kind, first
    for holder, active in evidence.activity.items():
        yield EvidenceKind.ACTIVITY, min(active)
        for kind in families(holder):
            yield kind, min(active)
    for kept in evidence.facts:
        yield kept.fact.kind, kept.event_us // DAY_US


class Expiry:
    """Lets expire what is due, once a day, in a thread of its own with a store of its own.

    Several processes may do so: a horizon that has moved is not due again. `also`
    is done each day as well, at that moment, whether anything has a horizon or not.
    """

    def __init__(
        self,
        open_store: Callable[[], GraphStore],
        policies: Policies,
        retention: Retention,
        now_us: Callable[[], int],
        trims: Trims,
        also: Callable[[int], object] | None = None,
    ) -> None:
        self._open_store = open_store
        self._also = also
        self._policies = policies
        self._retention = retention
        self._now_us = now_us
        self._trims = trims

    def run(self, stop: threading.Event, first_s: float = FIRST_S) -> None:
        """Go on until told to stop; what is out of reach is tried again."""
        done_day = -1
        wait_s = first_s
        while (self._retention or self._also) and not stop.wait(wait_s):
            now_us = self._now_us()
            wait_s = RETRY_S
            if now_us // DAY_US == done_day:
                continue
            try:
                if self._also is not None:
                    self._also(now_us)
                if self._retention:
                    with closing(self._open_store()) as store:
                        expire_due(store, self._policies, self._retention, now_us, self._trims)
            except (StoreError, VaultError, RequestsError) as error:
                _LOG.warning("nothing could be let expire yet: %s", error)
                continue
            done_day = now_us // DAY_US

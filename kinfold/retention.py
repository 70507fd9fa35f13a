"""Lets expire what is due by the policy, and nothing of who is under a legal hold.

A horizon is one day for everybody. While somebody is under a legal hold, the
horizon of a kind stops at the earliest day of their evidence of it, for
everybody else as well: nothing that a court asked to keep is deleted, and
people stay a function of evidence and horizons. It moves on with the first
expiry after the hold was lifted.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

from identity.model import DAY_US, EvidenceKind, NodeKey, PersonEvidence, PersonId
from identity.policy import IdentityPolicy
from identity.retention import Retention
from identity.store import GraphStore, StoreError
from profiles.consent import LEGAL_HOLD, set_apart

RETRY_S = 60.0
FIRST_S = 30.0
"""After a start, so that catching up comes first."""
_AT_ONCE = 500
_HELD = LEGAL_HOLD.encode()
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Expired:
    """What an expiry came to: horizons moved, and days at which legal holds stopped some."""

    moved: Mapping[EvidenceKind, int]
    held: Mapping[EvidenceKind, int]


def expire(
    store: GraphStore, policy: IdentityPolicy, wanted: Mapping[EvidenceKind, int]
) -> Expired:
    """Move horizons to these days, as far as legal holds let them.

    A hold that comes into the graph while this runs may come too late for it.
    """
    held = held_from(store, policy, wanted) if wanted else {}
    stopped = {kind: held[kind] for kind, day in wanted.items() if held.get(kind, day) < day}
    horizons = store.horizons()
    moved = {}
    for kind, day in wanted.items():
        before = stopped.get(kind, day)
        if kind not in horizons or before > horizons[kind]:
            store.move_horizon(kind, before)
            moved[kind] = before
    return Expired(moved, stopped)


def expire_due(
    store: GraphStore, policy: IdentityPolicy, retention: Retention, now_us: int
) -> Expired:
    """Move every horizon that is due by the policy."""
    return expire(store, policy, retention.due(now_us // DAY_US, store.horizons()))


def held_from(
    store: GraphStore, policy: IdentityPolicy, kinds: Iterable[EvidenceKind]
) -> dict[EvidenceKind, int]:
    """The earliest day of evidence of whoever is under a legal hold, by kind of evidence."""
    earliest: dict[EvidenceKind, int] = {}
    asked = set(kinds)
    held = _people_with_holds(store, policy)
    while some := list(_some(held)):
        for evidence in store.evidence(some).values():
            if LEGAL_HOLD in set_apart(evidence):
                for kind, day in _days(evidence):
                    if kind in asked:
                        earliest[kind] = min(day, earliest.get(kind, day))
    return earliest


def _some(people: Iterator[PersonId]) -> Iterator[PersonId]:
    for _, person in zip(range(_AT_ONCE), people, strict=False):
        yield person


def _people_with_holds(store: GraphStore, policy: IdentityPolicy) -> Iterator[PersonId]:
    """Whoever has a decision on a legal hold, in force or lifted; found by its bytes."""
    told: set[PersonId] = set()
    for key in _nodes(store, policy):
        person = store.person_of((key,)).get(key)
        if person is not None and person not in told:
            told.add(person)
            yield person


def _nodes(store: GraphStore, policy: IdentityPolicy) -> Iterator[NodeKey]:
    for kind in policy.kinds:
        after = ""
        while keys := store.nodes_of(kind, after, _AT_ONCE):
            after = keys[-1]
            for key, evidence in store.evidence_at(keys, activity=False).items():
                consents = (one.fact for one in evidence.facts)
                if any(
                    fact.kind is EvidenceKind.CONSENT and _HELD in fact.payload for fact in consents
                ):
                    yield key


def _days(evidence: PersonEvidence) -> Iterator[tuple[EvidenceKind, int]]:
    """The earliest day of each link, holder and fact."""
    for _, _, days in evidence.links:
        yield EvidenceKind.LINK, min(day.day for day in days)
    for active in evidence.activity.values():
        yield EvidenceKind.ACTIVITY, min(active)
    for kept in evidence.facts:
        yield kept.fact.kind, kept.event_us // DAY_US


class Expiry:
    """Lets expire what is due, once a day, in a thread of its own with a store of its own.

    Several processes may do so: a horizon that has moved is not due again.
    """

    def __init__(
        self,
        open_store: Callable[[], GraphStore],
        policy: IdentityPolicy,
        retention: Retention,
        now_us: Callable[[], int],
    ) -> None:
        self._open_store = open_store
        self._policy = policy
        self._retention = retention
        self._now_us = now_us

    def run(self, stop: threading.Event, first_s: float = FIRST_S) -> None:
        """Go on until told to stop; what is out of reach is tried again."""
        done_day = -1
        wait_s = first_s
        while self._retention.days and not stop.wait(wait_s):
            now_us = self._now_us()
            wait_s = RETRY_S
            if now_us // DAY_US == done_day:
                continue
            try:
                with closing(self._open_store()) as store:
                    expire_due(store, self._policy, self._retention, now_us)
            except StoreError as error:
                _LOG.warning("nothing could be let expire yet: %s", error)
                continue
            done_day = now_us // DAY_US

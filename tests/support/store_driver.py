"""Drives any graph store the way consumers, resolver and feeder do, and takes snapshots of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from identity.model import Contribution, LineageChange, LineageEntry, NodeKey, PersonId
from identity.store import (
    NO_KEYS,
    Batch,
    Checkpoint,
    GraphStore,
    KeyAge,
    Lease,
    Outcome,
    Resolution,
)
from tests.support.evidence_strategies import KEYS, PAIRS, Commit, MoveHorizon, Step

EVERYBODY: PersonId = "e" * 26
ENDLESS_MS = 10**15
Snapshot = dict[str, Any]


@dataclass(slots=True)
class Consumer:
    """Consumes one partition of a store, keeping its checkpoint."""

    store: GraphStore
    partition: str = "partition-0"
    keys: KeyAge = NO_KEYS
    at: Checkpoint = field(init=False)

    def __post_init__(self) -> None:
        """Claim the partition."""
        self.at = self.store.claim(self.partition)

    def take(self, *contributions: Contribution) -> list[Outcome]:
        """Commit one batch; the position counts what was taken."""
        taken = int(self.at.position or b"0") + len(contributions)
        position = str(taken).encode()
        outcomes = self.store.commit(Batch(contributions, self.at, position, self.keys))
        self.at = Checkpoint(self.partition, position, self.at.epoch)
        return outcomes


def lease_of(store: GraphStore, owner: str = "driver") -> Lease:
    """The lease, which must be free."""
    lease = store.acquire_lease(owner, 0, ENDLESS_MS)
    assert lease is not None
    return lease


def assign(store: GraphStore, people: Mapping[NodeKey, PersonId | None], *, clear: int = 0) -> int:
    """Commit a resolution that assigns nodes, creates new ids, clears up to `clear` marks."""
    given = set(store.all_ids())
    entries = [
        LineageEntry(LineageChange.CREATED, person, None, 0, 0)
        for person in sorted({person for person in people.values() if person is not None} - given)
    ]
    marks = store.marks(clear) if clear else []
    return store.commit_resolution(lease_of(store), Resolution(people, {}, entries, [], marks))


def settle_everybody(store: GraphStore, keys: Sequence[NodeKey] = KEYS) -> None:
    """Give every node with evidence to one person, take it from all others, clear every mark."""
    present = store.views(keys)
    held = store.person_of(keys)
    people: dict[NodeKey, PersonId | None] = {
        key: EVERYBODY for key in present if held.get(key) != EVERYBODY
    }
    people |= dict.fromkeys((key for key in held if key not in present), None)
    assign(store, people, clear=len(keys))


def run(store: GraphStore, steps: Iterable[Step]) -> None:
    """Carry out a history."""
    consumer = Consumer(store)
    for step in steps:
        match step:
            case Commit():
                consumer.take(*step.contributions)
            case MoveHorizon():
                store.move_horizon(step.kind, step.before_day)
            case _:
                settle_everybody(store)


def snapshot(
    store: GraphStore,
    keys: Sequence[NodeKey] = KEYS,
    pairs: Sequence[tuple[NodeKey, NodeKey]] = PAIRS,
) -> Snapshot:
    """All evidence of the keys by every call that reads it; gives every node to one person."""
    settle_everybody(store, keys)
    everybody = store.evidence([EVERYBODY]).get(EVERYBODY)
    return {
        "views": {
            key: (view.key, view.order, sorted(view.ties, key=lambda tie: tie.other))
            for key, view in store.views(keys).items()
        },
        "members": store.members([EVERYBODY]),
        "decisions": sorted(map(repr, store.decisions(keys))),
        "link_days": store.link_days(pairs),
        "nodes": sorted(map(repr, everybody.nodes)) if everybody else [],
        "links": sorted(everybody.links) if everybody else [],
        "activity": {holder: dict(days) for holder, days in everybody.activity.items() if days}
        if everybody
        else {},
        "facts": sorted(everybody.facts, key=lambda fact: fact.signal) if everybody else [],
        "signals": store.totals().signals,
        "horizons": store.horizons(),
    }

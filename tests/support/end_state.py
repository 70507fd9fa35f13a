"""The state that a run ends in, without what may differ between runs: ids, seals and versions."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any

from identity.model import ActivityDay, EvidenceKind, KeptFact, NodeKey, PersonEvidence
from identity.policy import IdentityPolicy
from identity.resolver import Resolver
from identity.store import GraphStore
from ingest.dead_letters import DeadLetter, Envelopes

SEALED = {EvidenceKind.RECORD, EvidenceKind.PURCHASE}
EndState = dict[frozenset[NodeKey], dict[str, Any]]


def resolve_all(store: GraphStore, policy: IdentityPolicy) -> None:
    """Resolve until nothing is marked."""
    fresh = count()
    taken = set(store.all_ids())

    def new_id() -> str:
        while (person := f"{next(fresh):026d}") in taken:
            pass
        return person

    resolver = Resolver(store, policy, new_id)
    lease = store.acquire_lease("end state", 10**15, 1_000)
    assert lease is not None
    while resolver.drain(lease, 0) is not None:
        pass


def end_state(store: GraphStore) -> EndState:
    """Everybody of a resolved store, by who they are, with all their evidence."""
    people = list(store.all_people())
    found = store.evidence(people)
    assert len(found) == len(people)
    return {frozenset(node.key for node in each.nodes): _plain(each) for each in found.values()}


def inputs(letters: Iterable[DeadLetter], envelopes: Envelopes) -> dict[str, tuple[str, bytes]]:
    """Reason and opened input of every letter that holds one, by id."""
    return {
        each.id: (each.reason, envelopes.open(each))
        for each in letters
        if each.reason != "replaced"
    }


def _plain(evidence: PersonEvidence) -> dict[str, Any]:
    return {
        "links": sorted(evidence.links),
        "activity": {
            holder: {day: _activity(done) for day, done in days.items()}
            for holder, days in evidence.activity.items()
            if days
        },
        "facts": sorted(map(_fact, evidence.facts)),
        "kept": {node.key: (node.order, bool(node.sealed)) for node in evidence.nodes},
    }


def _activity(done: ActivityDay) -> tuple[Any, ...]:
    return (done.count, done.first_us, done.last_us, dict(done.hours), dict(done.cells))


def _fact(fact: KeptFact) -> tuple[Any, ...]:
    payload = bool(fact.fact.payload) if fact.fact.kind in SEALED else fact.fact.payload
    about = (fact.fact.kind, fact.fact.subjects, payload, fact.fact.same)
    # Publish times are left out: each transport tells its own.
    return (fact.signal, fact.digest, fact.event_us, fact.source, about)

"""What the feeder does: read who waits to be published, their evidence, and clear them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from identity.engines.neo4j.connection import Connection, Tx
from identity.engines.neo4j.packing import activity_days, kept_in, link_days
from identity.engines.neo4j.people import find_people
from identity.engines.neo4j.resolving import hold, lock_lease
from identity.model import (
    ActivityDay,
    KeptFact,
    LinkDay,
    Node,
    NodeKey,
    OutboxEntry,
    PersonEvidence,
    PersonId,
)
from identity.store import Lease

Pair = tuple[NodeKey, NodeKey]


def outbox(connection: Connection, limit: int) -> list[OutboxEntry]:
    """Who waits to be published, see `GraphStore.outbox`.

    Read with the lease locked: a resolution becomes visible piece by piece, and
    an entry must not be read before the people that it is for.
    """
    return connection.write(lambda tx: _outbox(tx, limit))


def _outbox(tx: Tx, limit: int) -> list[OutboxEntry]:
    lock_lease(tx)
    numbers = tx.rows(
        "MATCH (p:Unpublished) WITH p.unpublished AS number, count(*) AS people "
        "ORDER BY number RETURN collect([number, people])"
    )
    last, people = 0, 0
    for number, more in numbers:
        if people >= max(limit, 1):
            break
        last, people = number, people + more
    if not people:
        return []
    rows = tx.rows(
        "MATCH (p:Unpublished) WHERE p.unpublished <= $last RETURN collect("
        "[p.unpublished, p.id, p.publish_as, p.publish_gone IS NOT NULL, id(p)])",
        last=last,
    )
    rows.sort(key=_turn)
    tx.places.people.update((row[1], row[4]) for row in rows)
    return [OutboxEntry(person, number, into, gone) for number, person, into, gone, _ in rows]


def _turn(row: list[Any]) -> list[Any]:
    return row[:2]


def clear_outbox(connection: Connection, lease: Lease, entries: Sequence[OutboxEntry]) -> None:
    """Remove what was published, see `GraphStore.clear_outbox`."""
    waiting = {entry.person: entry.resolution for entry in entries}

    def work(tx: Tx) -> None:
        hold(tx, lease)
        rows = [[place, waiting[person]] for place, person in find_people(tx, waiting)]
        if rows:
            tx.run(
                "UNWIND $rows AS row MATCH (p) WHERE id(p) = row[0] AND p.unpublished = row[1] "
                "SET p.unpublished = null, p.publish_as = null, p.publish_gone = null "
                "REMOVE p:Unpublished",
                rows=rows,
            )

    connection.write(work)


def evidence(connection: Connection, people: Iterable[PersonId]) -> dict[PersonId, PersonEvidence]:
    """All live evidence of each person, see `GraphStore.evidence`."""
    wanted = list(dict.fromkeys(people))
    return connection.read(lambda tx: _evidence(tx, wanted))


@dataclass(slots=True)
class Gathered:
    """Evidence of one person while it is read."""

    nodes: list[Node] = field(default_factory=list)
    links: list[tuple[NodeKey, NodeKey, tuple[LinkDay, ...]]] = field(default_factory=list)
    activity: dict[NodeKey, dict[int, ActivityDay]] = field(default_factory=dict)
    facts: dict[int, KeptFact] = field(default_factory=dict)


def _evidence(tx: Tx, people: list[PersonId]) -> dict[PersonId, PersonEvidence]:
    """Read nodes, then only those of links, older months and facts that there are."""
    known = find_people(tx, people)
    found: dict[PersonId, Gathered] = {}
    ids: dict[PersonId, list[int]] = {}
    older: list[int] = []
    facts: list[int] = []
    for row in tx.rows(_NODES, rows=known):
        person, node_id, key, order, sealed, newest, bare, has_older, has_facts = row
        gathered = found.setdefault(person, Gathered())
        if bare:
            continue
        gathered.nodes.append(Node(key, order, sealed or b""))
        ids.setdefault(person, []).append(node_id)
        if newest is not None:
            gathered.activity[key] = activity_days([newest])
        if has_older:
            older.append(node_id)
        if has_facts:
            facts.append(node_id)
    linked = [each for some in ids.values() if len(some) > 1 for each in some]
    for person, low, high, days, earlier in _of_nodes(tx, _LINKS, linked):
        ends = (low, high) if low < high else (high, low)
        found[person].links.append((*ends, link_days(days, earlier)))
    for person, key, packed in _of_nodes(tx, _OLDER, older):
        found[person].activity.setdefault(key, {}).update(activity_days([packed]))
    for person, signal, body in _of_nodes(tx, _FACTS, facts):
        if signal not in found[person].facts:
            found[person].facts[signal] = kept_in(signal, body)
    return {person: _person(person, gathered) for person, gathered in found.items()}


def _of_nodes(tx: Tx, query: str, ids: list[int]) -> list[Any]:
    if not ids:
        return []
    return tx.rows("UNWIND $ids AS each MATCH (n) WHERE id(n) = each " + query, ids=ids)


_NODES = (
    "UNWIND $rows AS row MATCH (p) WHERE id(p) = row[0] MATCH (p)-[:HAS]->(n) "
    "RETURN collect([row[1], id(n), n.key, n.order, n.sealed, n.activity, n:Bare, "
    "n.older, n.facts])"
)
_LINKS = (
    "MATCH (n)-[r:SEEN_WITH]->(m) WHERE m.person = n.person "
    "RETURN collect([n.person, n.key, m.key, r.days, r.earlier])"
)
_OLDER = "MATCH (n)-[:ACTIVE_IN]->(a) RETURN collect([n.person, n.key, a.days])"
_FACTS = "MATCH (n)<-[:ABOUT]-(s) RETURN collect([n.person, s.id, s.body])"


def _person(person: PersonId, gathered: Gathered) -> PersonEvidence:
    return PersonEvidence(
        person=person,
        nodes=tuple(sorted(gathered.nodes, key=_key)),
        links=tuple(sorted(gathered.links, key=_pair)),
        activity=gathered.activity,
        facts=tuple(fact for _, fact in sorted(gathered.facts.items())),
    )


def _key(node: Node) -> NodeKey:
    return node.key


def _pair(link: tuple[NodeKey, NodeKey, tuple[LinkDay, ...]]) -> tuple[NodeKey, NodeKey]:
    return link[:2]

"""What the feeder does: read who waits to be published, their evidence, and clear them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from identity.engines.neo4j.connection import Connection, Tx
from identity.engines.neo4j.packing import activity_days, link_days, unpack_signal
from identity.engines.neo4j.resolving import hold, lock_lease
from identity.evidence import Known
from identity.model import (
    KeptFact,
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
        "MATCH (p:Unpublished) WHERE p.unpublished > 0 WITH p.unpublished AS number "
        "ORDER BY number LIMIT $limit RETURN collect(number)",
        limit=max(limit, 1),
    )
    if not numbers:
        return []
    rows = tx.rows(
        "MATCH (p:Unpublished) WHERE p.unpublished > 0 AND p.unpublished <= $last RETURN collect("
        "[p.unpublished, p.id, p.publish_as, coalesce(p.publish_gone, false)])",
        last=numbers[-1],
    )
    rows.sort(key=lambda row: row[:2])
    return [OutboxEntry(person, number, into, gone) for number, person, into, gone in rows]


def clear_outbox(connection: Connection, lease: Lease, entries: Sequence[OutboxEntry]) -> None:
    """Remove what was published, see `GraphStore.clear_outbox`."""

    def work(tx: Tx) -> None:
        hold(tx, lease)
        if entries:
            tx.run(
                "UNWIND $rows AS row MATCH (p:Person {id: row[0]}) WHERE p.unpublished = row[1] "
                "REMOVE p:Unpublished, p.unpublished, p.publish_as, p.publish_gone",
                rows=sorted((entry.person, entry.resolution) for entry in entries),
            )

    connection.write(work)


def evidence(connection: Connection, people: Iterable[PersonId]) -> dict[PersonId, PersonEvidence]:
    """All live evidence of each person, see `GraphStore.evidence`."""
    ids = sorted(set(people))
    rows = connection.read(lambda tx: tx.rows(_EVIDENCE, ids=ids))
    return {person: _person(person, nodes) for person, nodes in rows}


_EVIDENCE = (
    "UNWIND $ids AS each MATCH (p:Person {id: each})-[:HAS]->(n) "
    "WITH each, collect(CASE WHEN n.bare IS NULL THEN [n.key, n.order, n.sealed, n.activity, "
    "[(n)-[:ACTIVE_IN]->(a) | a.days], "
    "[(n)-[r:SEEN_WITH]->(m) WHERE m.person = each | [m.key, r.days, r.earlier]], "
    "[(n)<-[:ABOUT]-(s) | [s.id, s.body]]] END) AS nodes "
    "RETURN collect([each, nodes])"
)


def _person(person: PersonId, rows: list[Any]) -> PersonEvidence:
    rows.sort(key=lambda row: row[0])
    links = []
    activity = {}
    facts: dict[int, KeptFact] = {}
    for key, _, _, newest, older, ties, about in rows:
        links += [(key, other, link_days(*packed)) for other, *packed in ties]
        if newest is not None:
            activity[key] = activity_days([*older, newest])
        for signal, body in about:
            if signal not in facts:
                facts[signal] = _kept(signal, unpack_signal(signal, body))
    links.sort(key=lambda link: link[:2])
    return PersonEvidence(
        person=person,
        nodes=tuple(Node(row[0], row[1], row[2] or b"") for row in rows),
        links=tuple(links),
        activity=activity,
        facts=tuple(fact for _, fact in sorted(facts.items())),
    )


def _kept(signal: int, known: Known) -> KeptFact:
    content = known.live
    assert content is not None
    assert content.fact is not None
    return KeptFact(
        signal=signal,
        digest=content.digest,
        event_us=content.event_us,
        published_us=content.published_us,
        source=content.source,
        assurance=content.assurance,
        fact=content.fact,
    )

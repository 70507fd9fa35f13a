"""What readers ask: the days of links, and how much there is."""

from __future__ import annotations

from collections.abc import Iterable

from identity import evidence
from identity.engines.neo4j.connection import Connection, Tx
from identity.engines.neo4j.nodes import by_label
from identity.engines.neo4j.packing import link_days as unpack_days
from identity.engines.neo4j.signals import look_at
from identity.model import LinkDay, NodeKey
from identity.store import Totals

Pair = tuple[NodeKey, NodeKey]


def link_days(connection: Connection, pairs: Iterable[Pair]) -> dict[Pair, tuple[LinkDay, ...]]:
    """Daily sightings by pair, see `GraphStore.link_days`."""
    wanted = list(dict.fromkeys(pairs))
    return connection.read(lambda tx: _link_days(tx, wanted))


def _link_days(tx: Tx, pairs: list[Pair]) -> dict[Pair, tuple[LinkDay, ...]]:
    ids: dict[NodeKey, int] = {}
    for label, keys in by_label({key for pair in pairs for key in pair}):
        rows = tx.rows(
            f"UNWIND $keys AS key MATCH (n:{label} {{key: key}}) RETURN collect([key, id(n)])",
            keys=keys,
        )
        ids.update(rows)
    known = [pair for pair in pairs if pair[0] in ids and pair[1] in ids]
    rows = tx.rows(
        "UNWIND $rows AS row MATCH (low) WHERE id(low) = row[0] "
        "MATCH (high) WHERE id(high) = row[1] "
        "CALL (low, high) { MATCH (low)-[r:SEEN_WITH]-(high) RETURN r } "
        "RETURN collect([row[2], r.days, r.earlier])",
        rows=[(ids[left], ids[right], i) for i, (left, right) in enumerate(known)],
    )
    return {known[i]: unpack_days(days, earlier) for i, days, earlier in rows}


def named_by(connection: Connection, signals: Iterable[int]) -> dict[int, frozenset[NodeKey]]:
    """Every node that each signal names, see `GraphStore.named_by`."""
    wanted = sorted(set(signals))
    return connection.read(lambda tx: evidence.named_by(look_at(tx, wanted)))


def totals(connection: Connection) -> Totals:
    """Counts over the whole graph, see `GraphStore.totals`."""
    return connection.read(_totals)


def _totals(tx: Tx) -> Totals:
    kinds = tx.rows(
        "MATCH (n:Identifier|Record) WHERE NOT n:Bare OR n.person IS NOT NULL "
        "WITH n.kind AS kind, count(*) AS number RETURN collect([kind, number])"
    )
    (links,) = tx.row("MATCH ()-[r:SEEN_WITH]->() RETURN count(r)")
    (people,) = tx.row("MATCH (p:Person) WHERE EXISTS { (p)-[:HAS]->() } RETURN count(p)")
    # A retraction of what never came is remembered, but is no signal itself.
    (signals,) = tx.row("MATCH (s:Signal) RETURN count(s.seen)")
    (marks,) = tx.row("MATCH (n:Dirty) RETURN count(n)")
    (waiting,) = tx.row("MATCH (p:Unpublished) RETURN count(p)")
    return Totals(dict(kinds), links, people, signals, marks, waiting)

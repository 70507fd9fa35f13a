"""The index of matching: block keys, members of blocks, scored links, and what nodes hold.

    (:Record {blocks})-[:IN_BLOCK]->(:Block {key})
    (:Record)-[:SCORED {mbits}]->(:Record)

The resolver alone writes them, with its lease locked. `mbits` is the match
weight in thousandths of a bit; which way the relationship leads means nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from identity.engines.neo4j.connection import Connection, Tx
from identity.engines.neo4j.nodes import ADDED, BITS, IDENTIFIER, RECORD, find
from identity.engines.neo4j.packing import activity_days, kept_in
from identity.model import RECORD_KIND, BlockKey, KeptFact, Node, NodeEvidence, NodeKey
from identity.store import Matching


def evidence_at(
    connection: Connection, keys: Iterable[NodeKey], activity: bool
) -> dict[NodeKey, NodeEvidence]:
    """What each node holds of its own, see `GraphStore.evidence_at`."""
    wanted = list(dict.fromkeys(keys))
    return connection.read(lambda tx: evidence_in(tx, wanted, activity))


def evidence_in(tx: Tx, keys: Iterable[NodeKey], has_activity: bool) -> dict[NodeKey, NodeEvidence]:
    """`evidence_at` inside a transaction."""
    columns = "n.order, n.sealed, n.activity, n:Bare, n.older, n.facts"
    if not has_activity:
        columns = "n.order, n.sealed, null, n:Bare, null, n.facts"
    nodes = {key: row for key, row in find(tx, keys, columns).items() if not row[4]}
    places = {row[0]: key for key, row in nodes.items()}
    facts: dict[NodeKey, dict[int, KeptFact]] = {key: {} for key in nodes}
    activity = {
        key: activity_days([row[3]]) if row[3] is not None else {} for key, row in nodes.items()
    }
    older = [row[0] for row in nodes.values() if row[5]]
    for place, packed in _of(
        tx, "MATCH (n)-[:ACTIVE_IN]->(a) RETURN collect([each, a.days])", older
    ):
        activity[places[place]].update(activity_days([packed]))
    holders = [row[0] for row in nodes.values() if row[6]]
    told = "MATCH (n)<-[:ABOUT]-(s) RETURN collect([each, s.id, s.body])"
    for place, signal, body in _of(tx, told, holders):
        facts[places[place]][signal] = kept_in(signal, body)
    return {
        key: NodeEvidence(
            Node(key, row[1], row[2] or b""),
            tuple(fact for _, fact in sorted(facts[key].items())),
            activity[key],
        )
        for key, row in nodes.items()
    }


def _of(tx: Tx, query: str, ids: Sequence[int]) -> list[Any]:
    if not ids:
        return []
    return tx.rows("UNWIND $ids AS each MATCH (n) WHERE id(n) = each " + query, ids=ids)


def nodes_of(connection: Connection, kind: str, after: NodeKey, limit: int) -> list[NodeKey]:
    """Nodes of a kind by key, see `GraphStore.nodes_of`."""
    label = RECORD if kind == RECORD_KIND else IDENTIFIER
    query = (
        f"MATCH (n:{label}) WHERE n.key > $after AND n.key < $end "
        "WITH n.key AS key ORDER BY key LIMIT $limit RETURN collect(key)"
    )
    start = max(after, f"{kind}:")
    return connection.read(lambda tx: tx.rows(query, after=start, end=f"{kind};", limit=limit))


def model(connection: Connection) -> str:
    """What the index is of, see `GraphStore.model`."""
    query = "MATCH (l:Lease {name: 'resolver'}) RETURN coalesce(l.model, '')"
    return str(connection.read(lambda tx: tx.row(query))[0])


def block_keys(
    connection: Connection, keys: Iterable[NodeKey]
) -> dict[NodeKey, tuple[BlockKey, ...]]:
    """The block keys of nodes, see `GraphStore.block_keys`."""
    wanted = set(keys)
    rows = connection.read(lambda tx: find(tx, wanted, "n.blocks"))
    return {key: tuple(row[1]) for key, row in rows.items() if row[1]}


def blocks(
    connection: Connection, keys: Iterable[BlockKey], at_most: int
) -> dict[BlockKey, tuple[int, tuple[NodeKey, ...]]]:
    """Size and members of blocks, see `GraphStore.blocks`."""
    wanted = list(keys)
    rows = connection.read(lambda tx: tx.rows(_BLOCKS, keys=wanted, at_most=at_most))
    return {key: (size, tuple(sorted(members))) for key, size, members in rows if size}


_BLOCKS = (
    "UNWIND $keys AS key MATCH (b:Block {key: key}) "
    "WITH b, COUNT { (b)<-[:IN_BLOCK]-() } AS size "
    "RETURN collect([b.key, size, CASE WHEN size <= $at_most "
    "THEN [(b)<-[:IN_BLOCK]-(n) | n.key] ELSE [] END])"
)


def scored(connection: Connection, keys: Iterable[NodeKey]) -> dict[NodeKey, dict[NodeKey, int]]:
    """The scored links of nodes, see `GraphStore.scored`."""
    wanted = set(keys)
    return connection.read(lambda tx: _scored(tx, wanted))


def _scored(tx: Tx, keys: Iterable[NodeKey]) -> dict[NodeKey, dict[NodeKey, int]]:
    ids = [row[0] for row in find(tx, keys, "0").values()]
    found: dict[NodeKey, dict[NodeKey, int]] = {}
    query = "MATCH (n)-[r:SCORED]-(m) RETURN collect([n.key, m.key, r.mbits])"
    for one, other, mbits in _of(tx, query, ids):
        found.setdefault(one, {})[other] = mbits
    return found


def named(matching: Matching) -> set[NodeKey]:
    """Every node that a change of the index names."""
    ends = {key for pair in matching.links for key in pair}
    return {*matching.keys, *ends, *matching.marked}


def write(tx: Tx, held: Mapping[NodeKey, Sequence[Any]], matching: Matching) -> None:
    """Change the index; `held` has the id and the block keys of each locked node, by its key."""
    if matching.model is not None:
        tx.run("MATCH (l:Lease {name: 'resolver'}) SET l.model = $model", model=matching.model)
    _write_keys(tx, held, matching.keys)
    _write_links(tx, held, matching.links)
    marked = [held[key][0] for key in matching.marked if key in held]
    if marked:
        tx.run(
            "UNWIND $ids AS each MATCH (n) WHERE id(n) = each "
            f"SET n.mark = coalesce(n.mark, 0) + {1 << BITS} + CASE WHEN "
            f"coalesce(n.mark, 0) / {ADDED} % 2 = 0 THEN {ADDED} ELSE 0 END, n:Dirty",
            ids=marked,
        )


def _write_keys(
    tx: Tx,
    held: Mapping[NodeKey, Sequence[Any]],
    keys: Mapping[NodeKey, Sequence[BlockKey]],
) -> None:
    less, more, packed = [], [], []
    for key, wanted in keys.items():
        if key not in held:
            continue
        place, present = held[key]
        before, after = set(present or ()), set(wanted)
        if before - after:
            less.append([place, sorted(before - after)])
        if after - before:
            more.append([place, sorted(after - before)])
        if before != after:
            packed.append([place, sorted(after) or None])
    if less:
        tx.run(
            "UNWIND $rows AS row MATCH (n)-[r:IN_BLOCK]->(b) "
            "WHERE id(n) = row[0] AND b.key IN row[1] DELETE r "
            "WITH DISTINCT b WHERE NOT EXISTS { (b)<-[:IN_BLOCK]-() } DELETE b",
            rows=less,
        )
    if more:
        tx.run(
            "UNWIND $rows AS row MATCH (n) WHERE id(n) = row[0] UNWIND row[1] AS key "
            "MERGE (b:Block {key: key}) CREATE (n)-[:IN_BLOCK]->(b)",
            rows=more,
        )
    if packed:
        tx.run(
            "UNWIND $rows AS row MATCH (n) WHERE id(n) = row[0] SET n.blocks = row[1]", rows=packed
        )


def _write_links(
    tx: Tx,
    held: Mapping[NodeKey, Sequence[Any]],
    links: Mapping[tuple[NodeKey, NodeKey], int | None],
) -> None:
    less: list[list[Any]] = []
    more: list[list[Any]] = []
    for (low, high), mbits in links.items():
        if low in held and high in held:
            row = [held[low][0], held[high][0], mbits]
            (less if mbits is None else more).append(row)
    if less:
        tx.run(
            "UNWIND $rows AS row MATCH (n)-[r:SCORED]-(m) "
            "WHERE id(n) = row[0] AND id(m) = row[1] DELETE r",
            rows=less,
        )
    if more:
        tx.run(
            "UNWIND $rows AS row MATCH (n) WHERE id(n) = row[0] MATCH (m) WHERE id(m) = row[1] "
            "MERGE (n)-[r:SCORED]-(m) SET r.mbits = row[2]",
            rows=more,
        )

"""Identifiers and records as nodes: locked, read, made and updated.

Whoever changes evidence holds the lock of every node it touches, taken in
order of label and key. That lock also guards the node's relationships and
activity, so that what was read under it is still true when it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from identity.engines.neo4j.connection import Tx
from identity.engines.neo4j.packing import moment, unpack_activity
from identity.model import RECORD_KIND, Changed, Node, NodeKey, kind_of

IDENTIFIER = "Identifier"
RECORD = "Record"
BITS = 4
"""A mark is one number: how often it was marked, then this many bits of reasons."""
REASONS = (1 << BITS) - 1
NOTHING = Changed(0)

MICROSECONDS = "{0}.epochSeconds * 1000000 + {0}.microsecond"
MOMENT = "datetime({{epochSeconds: {0}, nanosecond: {1}}})"


@dataclass(slots=True)
class NodeState:
    """A node inside a transaction: as read under its lock, and what is to change."""

    key: NodeKey
    id: int = -1
    mark: int = 0
    activity: bytes | None = None
    first_us: int = 0
    last_us: int = 0
    sealed: bool = False
    bare: bool = False
    changed: Changed = NOTHING
    seen_first_us: int | None = None
    seen_last_us: int = 0
    new_activity: bytes | None = None
    activity_gone: bool = False

    @property
    def is_new(self) -> bool:
        """Whether the node is still to be made."""
        return self.id < 0

    def saw(self, first_us: int, last_us: int) -> None:
        """It was seen between these."""
        if self.seen_first_us is None:
            self.seen_first_us, self.seen_last_us = first_us, last_us
            return
        self.seen_first_us = min(self.seen_first_us, first_us)
        self.seen_last_us = max(self.seen_last_us, last_us)

    def next_mark(self) -> int:
        """The mark once more, with the reasons."""
        reasons = self.mark & REASONS | int(self.changed)
        return ((self.mark >> BITS) + 1 << BITS) | reasons


def by_label(keys: Iterable[NodeKey]) -> list[tuple[str, list[NodeKey]]]:
    """Keys in the one order in which nodes are locked, by label."""
    identifiers: list[NodeKey] = []
    records: list[NodeKey] = []
    for key in sorted(keys):
        (records if key.startswith(_RECORD) else identifiers).append(key)
    found = [(IDENTIFIER, identifiers), (RECORD, records)]
    return [(label, some) for label, some in found if some]


_RECORD = RECORD_KIND + ":"


def lock(label: str) -> str:
    """Cypher that locks the nodes of `$keys` as `n`, in the order given, with their place `i`.

    To add a label that a node has already takes its lock and writes nothing.
    """
    return (
        "UNWIND range(0, size($keys) - 1) AS i "
        f"MATCH (n:{label} {{key: $keys[i]}}) SET n:{label} WITH i, n "
    )


def lock_nodes(tx: Tx, keys: Iterable[NodeKey]) -> dict[NodeKey, NodeState]:
    """The nodes that exist, locked until the transaction ends."""
    states: dict[NodeKey, NodeState] = {}
    for label, some in by_label(keys):
        rows = tx.rows(
            lock(label)
            + "RETURN collect([id(n), coalesce(n.mark, 0), n.activity, "
            + MICROSECONDS.format("n.first_seen")
            + ", "
            + MICROSECONDS.format("n.last_seen")
            + ", n.sealed IS NOT NULL, n.bare IS NOT NULL, i])",
            keys=some,
        )
        for row in rows:
            key = some[row[7]]
            states[key] = NodeState(key, *row[:7])
    return states


def kind_label(kind: str) -> str:
    """The label of a kind: ``customer_id`` is CustomerId, ``external:crm`` is External."""
    words = re.findall(r"[A-Za-z0-9]+", kind.partition(":")[0])
    label = "".join(word[0].upper() + word[1:] for word in words)
    return label if label and not label[0].isdigit() else "Other"


def make_nodes(tx: Tx, states: Iterable[NodeState], given: Mapping[NodeKey, Node]) -> None:
    """Make the nodes that are new, already marked."""
    by_kind: dict[str, list[NodeState]] = {}
    for state in sorted(states, key=lambda state: state.key):
        by_kind.setdefault(kind_of(state.key), []).append(state)
    for kind, some in by_kind.items():
        rows = []
        for state in some:
            node = given[state.key]
            assert state.seen_first_us is not None
            rows.append(
                (
                    state.key,
                    node.order,
                    node.sealed or None,
                    *moment(state.seen_first_us),
                    *moment(state.seen_last_us),
                    state.next_mark(),
                    state.new_activity,
                )
            )
        labels = RECORD if kind == RECORD_KIND else f"{IDENTIFIER}:{kind_label(kind)}"
        ids = tx.rows(_make(labels), rows=rows, kind=kind)
        for state, made in zip(some, ids, strict=True):
            state.id = made


def _make(labels: str) -> str:
    return (
        f"UNWIND $rows AS row CREATE (n:{labels}:Dirty {{key: row[0], kind: $kind, "
        "order: row[1], sealed: row[2], "
        f"first_seen: {MOMENT.format('row[3]', 'row[4]')}, "
        f"last_seen: {MOMENT.format('row[5]', 'row[6]')}, "
        "mark: row[7], activity: row[8]}) RETURN collect(id(n))"
    )


def update_nodes(tx: Tx, states: Iterable[NodeState], given: Mapping[NodeKey, Node]) -> None:
    """Write what changed of nodes that were there before, and mark them."""
    marked, activity, first, dirty, sealed, dressed, idle = [], [], [], [], [], [], []
    for state in states:
        last_us = state.seen_last_us
        if not state.bare:
            last_us = max(last_us, state.last_us)
        marked.append((state.id, state.next_mark(), *moment(last_us)))
        if not state.mark & REASONS:
            dirty.append(state.id)
        if state.new_activity is not None:
            activity.append((state.id, state.new_activity))
        elif state.activity_gone:
            idle.append(state.id)
        if state.seen_first_us is not None:
            if state.bare or state.seen_first_us < state.first_us:
                first.append((state.id, *moment(state.seen_first_us)))
            if state.bare:
                dressed.append(state.id)
            node = given.get(state.key)
            if not state.sealed and node is not None and node.sealed:
                sealed.append((state.id, node.sealed))
    _set(tx, f"n.mark = row[1], n.last_seen = {MOMENT.format('row[2]', 'row[3]')}", marked)
    _set(tx, "n.activity = row[1]", activity)
    _set(tx, f"n.first_seen = {MOMENT.format('row[1]', 'row[2]')}", first)
    _set(tx, "n.sealed = row[1]", sealed)
    _each(tx, "SET n:Dirty", dirty)
    _each(tx, "REMOVE n.bare", dressed)
    _each(tx, "REMOVE n.activity", idle)


def _set(tx: Tx, assignments: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        tx.run(f"UNWIND $rows AS row MATCH (n) WHERE id(n) = row[0] SET {assignments}", rows=rows)


def _each(tx: Tx, clause: str, ids: list[int]) -> None:
    if ids:
        tx.run(f"UNWIND $ids AS each MATCH (n) WHERE id(n) = each {clause}", ids=ids)


def review_nodes(tx: Tx, states: Iterable[NodeState]) -> None:
    """Find first and last anew where evidence was taken, and tell nodes that have none left.

    Such a node is `bare`: it stays until the resolver takes it from its person.
    """
    rows = []
    for state in states:
        packed = state.new_activity
        if packed is None and not state.activity_gone:
            packed = state.activity
        days = unpack_activity(packed).values()
        span = None
        if days:
            first_us, last_us = min(day[1] for day in days), max(day[2] for day in days)
            span = (*moment(first_us), *moment(last_us))
        rows.append((state.id, span))
    if rows:
        tx.run(_REVIEW, rows=rows, removed=int(Changed.REMOVED))


_REVIEW = (
    "UNWIND $rows AS row MATCH (n) WHERE id(n) = row[0] "
    "WITH n, [(n)-[r:SEEN_WITH]-() | [r.first_seen, r.last_seen]] "
    "+ [(n)-[:ACTIVE_IN]->(a) | [a.first_seen, a.last_seen]] "
    "+ [(n)<-[r:ABOUT]-() | [r.at, r.at]] "
    "+ CASE WHEN row[1] IS NULL THEN [] ELSE [["
    + MOMENT.format("row[1][0]", "row[1][1]")
    + ", "
    + MOMENT.format("row[1][2]", "row[1][3]")
    + "]] END AS spans "
    "WITH n, spans, size(spans) = 0 AS bare "
    "SET n.first_seen = CASE WHEN bare THEN n.first_seen ELSE reduce("
    "at = spans[0][0], span IN spans | CASE WHEN span[0] < at THEN span[0] ELSE at END) END, "
    "n.last_seen = CASE WHEN bare THEN n.last_seen ELSE reduce("
    "at = spans[0][1], span IN spans | CASE WHEN span[1] > at THEN span[1] ELSE at END) END, "
    "n.bare = CASE WHEN bare THEN true END, "
    "n.mark = CASE WHEN bare AND n.mark / $removed % 2 = 0 "
    "THEN n.mark + $removed ELSE n.mark END"
)

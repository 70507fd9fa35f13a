"""Identifiers and records as nodes: locked, read, made and updated.

Whoever changes evidence holds the lock of every node it touches, taken in
order of label and key. That lock also guards the node's relationships and
activity, so that what was read under it is still true when it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from identity.engines.neo4j.connection import Tx
from identity.engines.neo4j.packing import date_of, unpack_activity
from identity.model import RECORD_KIND, Changed, Node, NodeKey, kind_of

IDENTIFIER = "Identifier"
RECORD = "Record"
BITS = 4
"""A mark is one number: how often it was marked, then this many bits of reasons."""
REASONS = (1 << BITS) - 1
ADDED, REMOVED = int(Changed.ADDED), int(Changed.REMOVED)
ACTIVITY, DECIDED = int(Changed.ACTIVITY), int(Changed.DECIDED)
"""Plain numbers: combining flags costs ten times as much, twice per signal."""

MICROSECONDS = "{0}.epochSeconds * 1000000 + {0}.microsecond"
MOMENT = "datetime({{epochSeconds: {0}, nanosecond: {1}}})"
"""Moments go into Cypher and come out of it as numbers: the driver's own are slow."""


@dataclass(slots=True)
class NodeState:
    """A node inside a transaction: as read under its lock, and what is to change.

    `from_day` and `to_day` are within what its first and last seen say already.
    """

    key: NodeKey
    id: int = -1
    mark: int = 0
    activity: bytes | None = None
    bare: bool = False
    changed: int = 0
    from_day: int | None = None
    to_day: int = 0
    first_day: int | None = None
    last_day: int = 0
    new_activity: bytes | None = None
    activity_gone: bool = False

    @property
    def is_new(self) -> bool:
        """Whether the node is still to be made."""
        return self.id < 0

    def saw(self, day: int) -> None:
        """It was seen on a day."""
        if self.first_day is None:
            self.first_day = self.last_day = day
        elif day < self.first_day:
            self.first_day = day
        elif day > self.last_day:
            self.last_day = day

    def was_seen(self, first_day: int, last_day: int) -> None:
        """Its first and last seen include these days."""
        if self.from_day is None:
            self.from_day, self.to_day = first_day, last_day
            return
        self.from_day = min(self.from_day, first_day)
        self.to_day = max(self.to_day, last_day)

    @property
    def widens(self) -> bool:
        """Whether it may have been seen earlier or later than it says."""
        if self.first_day is None:
            return False
        return self.from_day is None or not (
            self.from_day <= self.first_day and self.last_day <= self.to_day
        )

    def next_mark(self) -> int:
        """The mark once more, with the reasons."""
        reasons = self.mark & REASONS | self.changed
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


def lock(tx: Tx, keys: Iterable[NodeKey], columns: str) -> dict[NodeKey, list[Any]]:
    """Id and `columns` of each node `n` that exists, locked until the transaction ends.

    To add a label that a node has already takes its lock and writes nothing.
    """
    return _reach(tx, keys, "SET n:{label} RETURN collect([i, id(n), " + columns + "])")


def find(tx: Tx, keys: Iterable[NodeKey], columns: str) -> dict[NodeKey, list[Any]]:
    """Id and `columns` of each node `n` that exists, not locked."""
    return _reach(tx, keys, "RETURN collect([i, id(n), " + columns + "])")


def _reach(tx: Tx, keys: Iterable[NodeKey], then: str) -> dict[NodeKey, list[Any]]:
    found: dict[NodeKey, list[Any]] = {}
    places = tx.places.nodes
    for label, some in by_label(keys):
        query = (
            "UNWIND range(0, size($ids) - 1) AS i MATCH (n) "
            "WHERE id(n) = $ids[i] AND n.key = $keys[i] " + then.replace("{label}", label)
        )
        known = [key for key in some if key in places]
        if len(known) < len(some):
            known = _find(tx, label, some)
        rows = tx.rows(query, ids=[places[key] for key in known], keys=known)
        found.update((known[row[0]], row[1:]) for row in rows)
        if len(rows) < len(known):
            moved = [key for key in known if key not in found]
            for key in moved:
                del places[key]
            again = _find(tx, label, moved)
            rows = tx.rows(query, ids=[places[key] for key in again], keys=again)
            found.update((again[row[0]], row[1:]) for row in rows)
    return found


def _find(tx: Tx, label: str, keys: Sequence[NodeKey]) -> list[NodeKey]:
    """Which of the keys have a place, after looking for those that are not known."""
    wanted = [key for key in keys if key not in tx.places.nodes]
    rows = tx.rows(
        f"UNWIND range(0, size($keys) - 1) AS i MATCH (n:{label} {{key: $keys[i]}}) "
        "RETURN collect([i, id(n)])",
        keys=wanted,
    )
    tx.places.nodes.update((wanted[i], node_id) for i, node_id in rows)
    return [key for key in keys if key in tx.places.nodes]


def lock_nodes(tx: Tx, keys: Iterable[NodeKey]) -> dict[NodeKey, NodeState]:
    """The nodes that exist, locked until the transaction ends."""
    rows = lock(tx, keys, "coalesce(n.mark, 0), n.activity, n:Bare")
    return {key: NodeState(key, *row) for key, row in rows.items()}


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
            assert state.first_day is not None
            days = date_of(state.first_day), date_of(state.last_day)
            sealed = node.sealed or None
            mark = state.next_mark()
            rows.append([state.key, node.order, sealed, *days, mark, state.new_activity])
        labels = RECORD if kind == RECORD_KIND else f"{IDENTIFIER}:{kind_label(kind)}"
        ids = tx.rows(
            f"UNWIND $rows AS row CREATE (n:{labels}:Dirty {{key: row[0], kind: $kind, "
            "order: row[1], sealed: row[2], first_seen: date(row[3]), last_seen: date(row[4]), "
            "mark: row[5], activity: row[6]}) RETURN collect(id(n))",
            rows=rows,
            kind=kind,
        )
        for state, made in zip(some, ids, strict=True):
            state.id = made
            tx.places.nodes[state.key] = made


def update_nodes(tx: Tx, states: Iterable[NodeState], given: Mapping[NodeKey, Node]) -> None:
    """Write what changed of nodes that were there before, and mark them."""
    marked, busy, seen, sealed, dressed, idle = [], [], [], [], [], []
    for state in states:
        if state.new_activity is not None:
            busy.append([state.id, state.next_mark(), state.new_activity])
        else:
            marked.append([state.id, state.next_mark()])
            if state.activity_gone:
                idle.append(state.id)
        if state.first_day is not None and (state.bare or state.widens):
            seen.append([state.id, date_of(state.first_day), date_of(state.last_day)])
            if state.bare:
                dressed.append(state.id)
        node = given.get(state.key)
        if node is not None and node.sealed and tx.places.sealed.get(state.key) != state.id:
            sealed.append([state.id, node.sealed])
            tx.places.sealed[state.key] = state.id
    _each(tx, "SET n.first_seen = null, n.last_seen = null REMOVE n:Bare", dressed)
    _set(tx, "n.mark = row[1], n:Dirty", marked)
    _set(tx, "n.mark = row[1], n.activity = row[2], n:Dirty", busy)
    _set(tx, _SEEN, seen)
    _set(tx, "n.sealed = coalesce(n.sealed, row[1])", sealed)
    _each(tx, "REMOVE n.activity", idle)


_SEEN = (
    "n.first_seen = CASE WHEN n.first_seen <= date(row[1]) THEN n.first_seen "
    "ELSE date(row[1]) END, "
    "n.last_seen = CASE WHEN n.last_seen >= date(row[2]) THEN n.last_seen ELSE date(row[2]) END"
)


def _set(tx: Tx, assignments: str, rows: Sequence[Sequence[object]]) -> None:
    if rows:
        tx.run(f"UNWIND $rows AS row MATCH (n) WHERE id(n) = row[0] SET {assignments}", rows=rows)


def _each(tx: Tx, clause: str, ids: list[int]) -> None:
    if ids:
        tx.run(f"UNWIND $ids AS each MATCH (n) WHERE id(n) = each {clause}", ids=ids)


def review_nodes(tx: Tx, states: Iterable[NodeState]) -> None:
    """Find first and last anew where evidence was taken, and tell nodes that have none left.

    Such a node is `:Bare`: it stays until the resolver takes it from its person.
    """
    rows = []
    for state in states:
        packed = state.new_activity
        if packed is None and not state.activity_gone:
            packed = state.activity
        days = unpack_activity(packed)
        rows.append([state.id, [date_of(min(days)), date_of(max(days))] if days else None])
    if rows:
        bare = tx.rows(_REVIEW, rows=rows)
        _each(tx, "SET n:Bare", bare)
        _each(
            tx,
            f"SET n.mark = CASE WHEN n.mark / {REMOVED} % 2 = 0 "
            f"THEN n.mark + {REMOVED} ELSE n.mark END",
            bare,
        )


_REVIEW = (
    "UNWIND $rows AS row MATCH (n) WHERE id(n) = row[0] "
    "WITH n, [(n)-[r:SEEN_WITH]-() | [r.first_seen, r.last_seen]] "
    "+ [(n)-[:ACTIVE_IN]->(a) | [a.first_seen, a.last_seen]] "
    "+ [(n)<-[r:ABOUT]-() | [r.at, r.at]] "
    "+ CASE WHEN row[1] IS NULL THEN [] ELSE [[date(row[1][0]), date(row[1][1])]] END AS spans "
    "SET n.first_seen = CASE WHEN size(spans) = 0 THEN n.first_seen ELSE reduce("
    "at = spans[0][0], span IN spans | CASE WHEN span[0] < at THEN span[0] ELSE at END) END, "
    "n.last_seen = CASE WHEN size(spans) = 0 THEN n.last_seen ELSE reduce("
    "at = spans[0][1], span IN spans | CASE WHEN span[1] > at THEN span[1] ELSE at END) END "
    "WITH n, spans WHERE size(spans) = 0 RETURN collect(id(n))"
)

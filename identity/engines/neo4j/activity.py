"""What holders did, by day: the newest month on the node, each older one in a node of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from identity.engines.neo4j.connection import Tx
from identity.engines.neo4j.nodes import ACTIVITY, NodeState
from identity.engines.neo4j.packing import (
    ActivityDays,
    date_of,
    month_of,
    pack_activity,
    unpack_activity,
)
from identity.evidence import (
    ActivityCell,
    ActivityEntry,
    add_activity,
    take_activity,
    touches_edge,
)
from identity.model import NodeKey


@dataclass(slots=True)
class HolderState:
    """A holder's activity inside a transaction; `days` holds at least the months touched.

    `months` are the ids of the nodes of older months, by month.
    """

    node: NodeState
    days: ActivityDays = field(default_factory=dict)
    whole: bool = False
    months: dict[str, int] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)

    def add(self, day: int, more: ActivityEntry) -> None:
        """Add what was done on a day."""
        self.touched.add(month_of(day))
        self.node.changed |= ACTIVITY
        self.node.saw(day)
        entry = self.days.get(day)
        if entry is None:
            self.days[day] = [more[0], more[1], more[2], dict(more[3]), dict(more[4])]
        else:
            add_activity(entry, more)

    def take(self, day: int, less: ActivityEntry) -> bool:
        """Take what was done on a day; whether its first and last must be found anew."""
        self.touched.add(month_of(day))
        self.node.changed |= ACTIVITY
        entry = self.days[day]
        take_activity(entry, less)
        if entry[0] > 0:
            return touches_edge((entry[1], entry[2]), (less[1], less[2]))
        del self.days[day]
        return False

    def expire(self, before_day: int) -> None:
        """Take all days before a day."""
        for day in [day for day in self.days if day < before_day]:
            self.touched.add(month_of(day))
            self.node.changed |= ACTIVITY
            del self.days[day]


def load_activity(
    tx: Tx,
    nodes: dict[NodeKey, NodeState],
    added: Iterable[ActivityCell],
    taken: Iterable[ActivityCell],
) -> dict[NodeKey, HolderState]:
    """The state of every holder named, new or not; their nodes are locked."""
    holders: dict[NodeKey, HolderState] = {}
    months: dict[NodeKey, set[str]] = {}
    for key, day in added:
        if key not in holders:
            holders[key] = HolderState(nodes[key])
            months[key] = set()
        months[key].add(month_of(day))
    fully = set()
    for key, _ in taken:
        if key not in holders:
            holders[key] = HolderState(nodes[key])
        fully.add(key)
    wanted = []
    for key, holder in holders.items():
        packed = holder.node.activity
        if packed is None:
            holder.whole = True
            continue
        holder.days = unpack_activity(packed)
        holder.node.was_seen(min(holder.days), max(holder.days))
        if key in fully or months[key] != {month_of(next(iter(holder.days)))}:
            wanted.append(holder)
    load_months(tx, wanted)
    return holders


def load_months(tx: Tx, holders: Iterable[HolderState]) -> None:
    """Read the older months of holders; their nodes are locked."""
    by_id = {holder.node.id: holder for holder in holders}
    if not by_id:
        return
    rows = tx.rows(
        "UNWIND $ids AS each MATCH (n) WHERE id(n) = each MATCH (n)-[:ACTIVE_IN]->(a) "
        "RETURN collect([each, id(a), a.month, a.days])",
        ids=list(by_id),
    )
    for each, month_id, month, packed in rows:
        holder = by_id[each]
        holder.months[month] = month_id
        holder.days.update(unpack_activity(packed))
    for holder in by_id.values():
        holder.whole = True


def pack_holder(holder: HolderState) -> dict[str, ActivityDays]:
    """Put the newest month on the node; what else must be written comes back by month."""
    if not holder.whole:
        holder.node.new_activity = pack_activity(holder.days)
        return {}
    by_month: dict[str, ActivityDays] = {}
    for day, entry in holder.days.items():
        by_month.setdefault(month_of(day), {})[day] = entry
    if not by_month:
        holder.node.activity_gone = True
        return {month: {} for month in holder.months}
    newest = max(by_month)
    holder.node.new_activity = pack_activity(by_month.pop(newest))
    changed = {
        month: days
        for month, days in by_month.items()
        if month in holder.touched or month not in holder.months
    }
    return changed | {month: {} for month in holder.months if month not in by_month}


def write_months(tx: Tx, holders: Iterable[tuple[HolderState, dict[str, ActivityDays]]]) -> None:
    """Write the older months that `pack_holder` gave; the nodes exist by now."""
    made, updated, gone = [], [], []
    for holder, changed in holders:
        for month, days in changed.items():
            known = holder.months.get(month)
            if not days:
                if known is not None:
                    gone.append(known)
                continue
            signals = sum(entry[0] for entry in days.values())
            seen = date_of(min(days)), date_of(max(days))
            values = (pack_activity(days), signals, *seen)
            if known is None:
                made.append([holder.node.id, month, *values])
            else:
                updated.append([known, month, *values])
    if made:
        tx.run(
            "UNWIND $rows AS row MATCH (n) WHERE id(n) = row[0] "
            "SET n.older = true CREATE (n)-[r:ACTIVE_IN]->(a:Activity) " + _VALUES,
            rows=made,
        )
    if updated:
        tx.run(
            "UNWIND $rows AS row MATCH (a) WHERE id(a) = row[0] MATCH (a)<-[r:ACTIVE_IN]-() "
            + _VALUES,
            rows=updated,
        )
    if gone:
        tx.run("UNWIND $ids AS each MATCH (a) WHERE id(a) = each DETACH DELETE a", ids=gone)


_VALUES = (
    "SET a.month = row[1], a.days = row[2], a.signals = row[3], "
    "a.first_seen = date(row[4]), a.last_seen = date(row[5]), "
    "r.first_seen = a.first_seen, r.last_seen = a.last_seen"
)

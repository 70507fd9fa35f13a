"""Links as relationships: daily sightings as bytes beside what a reader wants to see.

The newest month with sightings is in `days`, all older ones are in `earlier`,
so that a link of many years costs no more to extend than a young one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from identity.engines.neo4j.connection import Tx
from identity.engines.neo4j.nodes import MICROSECONDS, MOMENT, NodeState
from identity.engines.neo4j.packing import LinkDays, moment, month_of, pack_links, unpack_links
from identity.evidence import LinkCell, touches_edge
from identity.model import Assurance, Changed, NodeKey

Pair = tuple[NodeKey, NodeKey]


@dataclass(slots=True)
class LinkState:
    """A link inside a transaction; `days` holds at least the months that are touched."""

    low: NodeState
    high: NodeState
    id: int = -1
    days: LinkDays = field(default_factory=dict)
    whole: bool = True
    count: int = 0
    first_us: int = 0
    last_us: int = 0
    authenticated: bool = False
    had_earlier: bool = False
    taken_from: bool = False
    was: tuple[int, bool] = (0, False)

    def mark(self, reason: Changed) -> None:
        """Mark both ends."""
        self.low.changed |= reason
        self.high.changed |= reason

    def add(self, day: int, source: str, assurance: int, more: list[int]) -> None:
        """Add sightings."""
        count, first_us, last_us = more
        if all(known[0] != day for known in self.days):
            self.mark(Changed.ADDED)
        if assurance == Assurance.AUTHENTICATED and not self.authenticated:
            self.authenticated = True
            self.mark(Changed.ADDED)
        cell = self.days.get((day, source, assurance))
        if cell is None:
            self.days[day, source, assurance] = [count, first_us, last_us]
        else:
            cell[0] += count
            cell[1] = min(cell[1], first_us)
            cell[2] = max(cell[2], last_us)
        self.first_us = min(self.first_us, first_us) if self.count else first_us
        self.last_us = max(self.last_us, last_us) if self.count else last_us
        self.count += count
        self.mark(Changed.ACTIVITY)

    def take(self, day: int, source: str, assurance: int, less: list[int]) -> bool:
        """Take sightings; whether first and last of the cell must be found anew."""
        self.taken_from = True
        self.mark(Changed.ACTIVITY)
        cell = self.days.get((day, source, assurance))
        assert cell is not None, "what is taken was added before"
        cell[0] -= less[0]
        if cell[0] > 0:
            return touches_edge((cell[1], cell[2]), (less[1], less[2]))
        del self.days[day, source, assurance]
        if all(known[0] != day for known in self.days):
            self.mark(Changed.REMOVED)
        return False

    def expire(self, before_day: int) -> None:
        """Take all sightings before a day."""
        gone = [cell for cell in self.days if cell[0] < before_day]
        for cell in gone:
            del self.days[cell]
        if gone:
            self.taken_from = True
            self.mark(Changed.REMOVED | Changed.ACTIVITY)

    def sum_up(self) -> None:
        """After something was taken: find the summary anew from the days."""
        authenticated = any(cell[2] == Assurance.AUTHENTICATED for cell in self.days)
        if self.was[1] and not authenticated:
            self.mark(Changed.REMOVED)
        self.authenticated = authenticated
        self.count = sum(cell[0] for cell in self.days.values())
        if self.days:
            self.first_us = min(cell[1] for cell in self.days.values())
            self.last_us = max(cell[2] for cell in self.days.values())

    def packed(self) -> tuple[bytes, bytes | None]:
        """The newest month and all older ones, as they are kept."""
        months = {month_of(cell[0]) for cell in self.days} if self.whole else set()
        if len(months) < 2:
            return pack_links(self.days), None
        newest = max(months)
        now: LinkDays = {}
        earlier: LinkDays = {}
        for cell, sightings in self.days.items():
            (now if month_of(cell[0]) == newest else earlier)[cell] = sightings
        return pack_links(now), pack_links(earlier)


def load_links(
    tx: Tx, nodes: dict[NodeKey, NodeState], added: Iterable[LinkCell], taken: Iterable[LinkCell]
) -> dict[Pair, LinkState]:
    """The state of every link named, new or not; their nodes are locked."""
    links: dict[Pair, LinkState] = {}
    months: dict[Pair, set[str]] = {}
    for low, high, day, _, _ in added:
        pair = (low, high)
        if pair not in links:
            links[pair] = LinkState(nodes[low], nodes[high])
            months[pair] = set()
        months[pair].add(month_of(day))
    fully = set()
    for low, high, _, _, _ in taken:
        pair = (low, high)
        if pair not in links:
            links[pair] = LinkState(nodes[low], nodes[high])
        fully.add(pair)
    _read(tx, links.values())
    wanted = [
        link
        for pair, link in links.items()
        if link.had_earlier and (pair in fully or months[pair] != _months(link))
    ]
    _read_earlier(tx, wanted)
    return links


def _months(link: LinkState) -> set[str]:
    return {month_of(cell[0]) for cell in link.days}


def load_all(tx: Tx, links: Iterable[LinkState]) -> None:
    """Read links with all their months; their nodes are locked."""
    known = list(links)
    _read(tx, known)
    _read_earlier(tx, [link for link in known if link.had_earlier])


def _read(tx: Tx, links: Iterable[LinkState]) -> None:
    old = [link for link in links if not (link.low.is_new or link.high.is_new)]
    if not old:
        return
    rows = tx.rows(_READ, rows=[(link.low.id, link.high.id, i) for i, link in enumerate(old)])
    for row in rows:
        link = old[row[0]]
        link.id, days, link.count, link.first_us, link.last_us = row[1:6]
        link.authenticated, link.had_earlier = row[6:8]
        link.was = (link.first_us, link.authenticated)
        link.whole = not link.had_earlier
        link.days = unpack_links(days)


# The subquery makes the planner expand between the two ends, from the one with fewer links.
_READ = (
    "UNWIND $rows AS row MATCH (low) WHERE id(low) = row[0] MATCH (high) WHERE id(high) = row[1] "
    "CALL (low, high) { MATCH (low)-[r:SEEN_WITH]->(high) RETURN r } "
    "RETURN collect([row[2], id(r), r.days, r.count, "
    + MICROSECONDS.format("r.first_seen")
    + ", "
    + MICROSECONDS.format("r.last_seen")
    + ", r.authenticated, r.earlier IS NOT NULL])"
)


def _read_earlier(tx: Tx, links: list[LinkState]) -> None:
    if not links:
        return
    by_id = {link.id: link for link in links}
    rows = tx.rows(
        "UNWIND $ids AS each MATCH ()-[r]->() WHERE id(r) = each RETURN collect([each, r.earlier])",
        ids=list(by_id),
    )
    for each, earlier in rows:
        link = by_id[each]
        link.days.update(unpack_links(earlier))
        link.whole = True


def write_links(tx: Tx, links: Iterable[LinkState]) -> None:
    """Make, update or delete each link; its nodes exist by now."""
    made, updated, wider, earlier, gone = [], [], [], [], []
    for link in links:
        if not link.days:
            if link.id >= 0:
                gone.append(link.id)
            continue
        days, older = link.packed()
        first, last = moment(link.first_us), moment(link.last_us)
        if link.id < 0:
            ends = (link.low.id, link.high.id)
            made.append((*ends, days, link.count, *first, *last, link.authenticated, older))
            continue
        updated.append((link.id, days, link.count, *last))
        if link.was != (link.first_us, link.authenticated):
            wider.append((link.id, *first, link.authenticated))
        if link.whole and (older is not None or link.had_earlier):
            earlier.append((link.id, older))
    if made:
        tx.run(_MAKE, rows=made)
    last_seen = MOMENT.format("row[3]", "row[4]")
    _set(tx, f"r.days = row[1], r.count = row[2], r.last_seen = {last_seen}", updated)
    first_seen = MOMENT.format("row[1]", "row[2]")
    _set(tx, f"r.first_seen = {first_seen}, r.authenticated = row[3]", wider)
    _set(tx, "r.earlier = row[1]", earlier)
    if gone:
        tx.run("UNWIND $ids AS each MATCH ()-[r]->() WHERE id(r) = each DELETE r", ids=gone)


def _set(tx: Tx, assignments: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        tx.run(
            f"UNWIND $rows AS row MATCH ()-[r]->() WHERE id(r) = row[0] SET {assignments}",
            rows=rows,
        )


_MAKE = (
    "UNWIND $rows AS row MATCH (low) WHERE id(low) = row[0] MATCH (high) WHERE id(high) = row[1] "
    "CREATE (low)-[:SEEN_WITH {days: row[2], count: row[3], "
    f"first_seen: {MOMENT.format('row[4]', 'row[5]')}, "
    f"last_seen: {MOMENT.format('row[6]', 'row[7]')}, "
    "authenticated: row[8], earlier: row[9]}]->(high)"
)

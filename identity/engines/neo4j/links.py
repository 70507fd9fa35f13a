"""Links as relationships: daily sightings as bytes beside what a reader wants to see.

The newest month with sightings is in `days`, all older ones are in `earlier`,
so that a link of many years costs no more to extend than a young one. Which way
a relationship leads means nothing: rotated keys may sort the other way round.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from identity.engines.neo4j import nodes
from identity.engines.neo4j.connection import Tx
from identity.engines.neo4j.nodes import NodeState
from identity.engines.neo4j.packing import LinkDays, date_of, month_of, pack_links, unpack_links
from identity.evidence import LinkCell, touches_edge
from identity.model import Assurance, NodeKey

Pair = tuple[NodeKey, NodeKey]


@dataclass(slots=True)
class LinkState:
    """A link inside a transaction; `days` holds at least the months that are touched.

    `span` is what its first and last seen say, `authenticated` what it says of that.
    """

    low: NodeState
    high: NodeState
    id: int = -1
    days: LinkDays = field(default_factory=dict)
    whole: bool = True
    count: int = 0
    authenticated: bool = False
    had_earlier: bool = False
    taken_from: bool = False
    was_authenticated: bool = False
    span: tuple[int, int] | None = None

    @property
    def pair(self) -> Pair:
        """Its ends."""
        return self.low.key, self.high.key

    def read(self, days: bytes, count: int, authenticated: bool, had_earlier: bool) -> None:
        """Take over what is kept of it."""
        self.days = unpack_links(days)
        self.count, self.had_earlier, self.whole = count, had_earlier, not had_earlier
        self.authenticated = self.was_authenticated = authenticated
        self.span = _span(self.days)
        self.low.was_seen(*self.span)
        self.high.was_seen(*self.span)

    def mark(self, reason: int) -> None:
        """Mark both ends."""
        self.low.changed |= reason
        self.high.changed |= reason

    def add(self, day: int, source: str, assurance: int, more: list[int]) -> None:
        """Add sightings."""
        cell = self.days.get((day, source, assurance))
        if cell is None:
            if all(known[0] != day for known in self.days):
                self.mark(nodes.ADDED)
            self.days[day, source, assurance] = list(more)
        else:
            cell[0] += more[0]
            cell[1] = min(cell[1], more[1])
            cell[2] = max(cell[2], more[2])
        if assurance == Assurance.AUTHENTICATED and not self.authenticated:
            self.authenticated = True
            self.mark(nodes.ADDED)
        self.count += more[0]
        self.mark(nodes.ACTIVITY)
        self.low.saw(day)
        self.high.saw(day)

    def take(self, day: int, source: str, assurance: int, less: list[int]) -> bool:
        """Take sightings; whether first and last of the cell must be found anew."""
        self.taken_from = True
        self.mark(nodes.ACTIVITY)
        cell = self.days.get((day, source, assurance))
        assert cell is not None, "what is taken was added before"
        cell[0] -= less[0]
        if cell[0] > 0:
            return touches_edge((cell[1], cell[2]), (less[1], less[2]))
        del self.days[day, source, assurance]
        if all(known[0] != day for known in self.days):
            self.mark(nodes.REMOVED)
        return False

    def expire(self, before_day: int) -> None:
        """Take all sightings before a day."""
        gone = [cell for cell in self.days if cell[0] < before_day]
        for cell in gone:
            del self.days[cell]
        if gone:
            self.taken_from = True
            self.mark(nodes.REMOVED | nodes.ACTIVITY)

    def sum_up(self) -> None:
        """After something was taken: find the summary anew from the days."""
        authenticated = any(cell[2] == Assurance.AUTHENTICATED for cell in self.days)
        if self.was_authenticated and not authenticated:
            self.mark(nodes.REMOVED)
        self.authenticated = authenticated
        self.count = sum(cell[0] for cell in self.days.values())

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
    tx: Tx, held: dict[NodeKey, NodeState], added: Iterable[LinkCell], taken: Iterable[LinkCell]
) -> dict[Pair, LinkState]:
    """The state of every link named, new or not; their nodes are locked."""
    links: dict[Pair, LinkState] = {}
    months: dict[Pair, set[str]] = {}
    for low, high, day, _, _ in added:
        pair = (low, high)
        if pair not in links:
            links[pair] = LinkState(held[low], held[high])
            months[pair] = set()
        months[pair].add(month_of(day))
    fully = set()
    for low, high, _, _, _ in taken:
        pair = (low, high)
        if pair not in links:
            links[pair] = LinkState(held[low], held[high])
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
    places = tx.places.links
    known: list[LinkState] = []
    unknown: list[LinkState] = []
    for link in links:
        if not (link.low.is_new or link.high.is_new):
            (known if link.pair in places else unknown).append(link)
    if known:
        found = [[places[link.pair], link.low.id, link.high.id, i] for i, link in enumerate(known)]
        _take_over(tx, known, tx.rows(_READ_KNOWN, rows=found))
        unknown += [link for link in known if link.id < 0]
    if unknown:
        rows = [[link.low.id, link.high.id, i] for i, link in enumerate(unknown)]
        _take_over(tx, unknown, tx.rows(_READ, rows=rows))


def _take_over(tx: Tx, links: list[LinkState], rows: list[Any]) -> None:
    for i, link_id, days, count, authenticated, had_earlier in rows:
        link = links[i]
        link.id = tx.places.links[link.pair] = link_id
        link.read(days, count, authenticated, had_earlier)


_COLUMNS = "id(r), r.days, r.count, r.authenticated, r.earlier IS NOT NULL"
_READ_KNOWN = (
    "UNWIND $rows AS row MATCH (low)-[r:SEEN_WITH]-(high) "
    "WHERE id(r) = row[0] AND id(low) = row[1] AND id(high) = row[2] "
    f"RETURN collect([row[3], {_COLUMNS}])"
)
# The subquery makes the planner expand between the two ends, from the one with fewer links.
_READ = (
    "UNWIND $rows AS row MATCH (low) WHERE id(low) = row[0] MATCH (high) WHERE id(high) = row[1] "
    "CALL (low, high) { MATCH (low)-[r:SEEN_WITH]-(high) RETURN r } "
    f"RETURN collect([row[2], {_COLUMNS}])"
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
    made: list[LinkState] = []
    updated, seen, earlier, gone = [], [], [], []
    for link in links:
        if not link.days:
            if link.id >= 0:
                gone.append(link.id)
                tx.places.links.pop(link.pair, None)
            continue
        if link.id < 0:
            made.append(link)
            continue
        days, older = link.packed()
        updated.append([link.id, days, link.count])
        span = _span(link.days)
        if link.whole and span != link.span:
            seen.append([link.id, *map(date_of, span), link.authenticated])
        elif span != link.span or link.authenticated is not link.was_authenticated:
            seen.append([link.id, None, date_of(span[1]), link.authenticated])
        if link.whole and (older is not None or link.had_earlier):
            earlier.append([link.id, older])
    _make(tx, made)
    _set(tx, "r.days = row[1], r.count = row[2]", updated)
    _set(
        tx,
        "r.first_seen = coalesce(date(row[1]), r.first_seen), r.last_seen = date(row[2]), "
        "r.authenticated = row[3]",
        seen,
    )
    _set(tx, "r.earlier = row[1]", earlier)
    if gone:
        tx.run("UNWIND $ids AS each MATCH ()-[r]->() WHERE id(r) = each DELETE r", ids=gone)


def _span(days: LinkDays) -> tuple[int, int]:
    if len(days) == 1:
        (day,) = (cell[0] for cell in days)
        return day, day
    return min(cell[0] for cell in days), max(cell[0] for cell in days)


def _make(tx: Tx, links: Sequence[LinkState]) -> None:
    if not links:
        return
    rows = []
    for link in links:
        days, older = link.packed()
        seen = map(date_of, _span(link.days))
        ends = link.low.id, link.high.id
        rows.append([*ends, days, link.count, *seen, link.authenticated, older])
    for link, made in zip(links, tx.rows(_MAKE, rows=rows), strict=True):
        tx.places.links[link.pair] = made


def _set(tx: Tx, assignments: str, rows: Sequence[Sequence[object]]) -> None:
    if rows:
        tx.run(
            f"UNWIND $rows AS row MATCH ()-[r]->() WHERE id(r) = row[0] SET {assignments}",
            rows=rows,
        )


_MAKE = (
    "UNWIND $rows AS row MATCH (low) WHERE id(low) = row[0] MATCH (high) WHERE id(high) = row[1] "
    "CREATE (low)-[r:SEEN_WITH {days: row[2], count: row[3], first_seen: date(row[4]), "
    "last_seen: date(row[5]), authenticated: row[6], earlier: row[7]}]->(high) "
    "RETURN collect(id(r))"
)

"""Counting: what a batch adds to and takes from the evidence, written as rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from identity.engines.sqlite.database import Database
from identity.engines.sqlite.grain import (
    PERIOD_DAYS,
    Documents,
    Place,
    add_doing,
    add_sighting,
    day_bytes,
    set_sighting_edges,
    take_doings,
    take_sightings,
)
from identity.engines.sqlite.names import Names, Nodes
from identity.engines.sqlite.remembered import Remembered, shorten
from identity.engines.sqlite.state import State, bare_nodes, write_marks
from identity.evidence import ActivityCell, Deltas, Known, LinkCell, edges, fold
from identity.horizons import Horizons, is_active, pairs
from identity.model import DAY_US, Changed, Contribution, EvidenceKind, Fact, NodeKey

_ACTIVITY = int(Changed.ACTIVITY)
_ADDED = int(Changed.ACTIVITY | Changed.ADDED)
_REMOVED = int(Changed.ACTIVITY | Changed.REMOVED)
_DECIDED = int(Changed.DECIDED)
FactAt = tuple[Contribution, Fact]


@dataclass(slots=True)
class _Plan:
    """Where each addition goes, before the documents there are read.

    - `links`: place, day in period, source, assurance, moment in the day.
    - `doings`: place, day in period, moment in the day, cells by their short names.
    - `bodies`: how each counted content is remembered, where that is short.
    """

    links: list[tuple[Place, int, int, int, int]] = field(default_factory=list)
    doings: list[tuple[Place, int, int, list[int | str]]] = field(default_factory=list)
    bodies: dict[int, bytes] = field(default_factory=dict)


class Counting:
    """One change of the evidence inside a write transaction; used once.

    1. Make the nodes that are new.
    2. Read the documents that change, add to and take from them.
    3. Remember the signals.
    4. Find anew the edges that were taken away.
    5. Write documents, facts and marks.
    """

    def __init__(
        self,
        database: Database,
        nodes: Nodes,
        names: Names,
        remembered: Remembered,
        state: State,
        horizons: Horizons,
    ) -> None:
        self._database = database
        self._nodes = nodes
        self._names = names
        self._remembered = remembered
        self._state = state
        self._horizons = horizons
        self._ids: dict[NodeKey, int] = {}
        self._documents = Documents(database)
        self._marks: dict[int, int] = {}
        self._pointers: set[tuple[int, int]] = set()
        self._open_links: set[LinkCell] = set()
        self._open_activity: set[ActivityCell] = set()

    def apply(
        self,
        added: Sequence[Contribution],
        taken: Sequence[Contribution],
        known: Mapping[int, Known],
        also_marked: Mapping[int, int] | None = None,
    ) -> list[int]:
        """Count, and remember what is known; gives the signals that are new in `known`."""
        less = fold((), taken, self._horizons)
        facts = self._facts(added)
        if len(known) != len(added) or taken:
            # What is remembered without counting names nodes too.
            self._ids = self._nodes.ids(_named(known.values()))
        new = self._find_nodes(added, taken, facts)
        plan = self._plan(added, known)
        self._read(plan, less, new)
        self._add_links(plan)
        self._add_doings(plan)
        self._take(less)
        arrived = self._remembered.write(known, self._ids, plan.bodies)
        self._close_edges()
        self._documents.write()
        self._documents.point(self._pointers)
        self._keep_facts(facts, self._facts(taken))
        for node, changed in (also_marked or {}).items():
            self._mark(node, changed)
        if taken or also_marked:
            for node in bare_nodes(self._database, sorted(self._marks)):
                self._mark(node, _REMOVED)
        write_marks(self._database, self._marks, self._state.commits)
        return arrived

    def _facts(self, contributions: Iterable[Contribution]) -> list[FactAt]:
        """The facts in contributions that are within their horizon."""
        return [
            (one, fact)
            for one in contributions
            if (fact := one.fact) is not None
            and (not self._horizons or one.day >= self._horizons.get(fact.kind, one.day))
        ]

    def _find_nodes(
        self,
        added: Sequence[Contribution],
        taken: Sequence[Contribution],
        facts: Sequence[FactAt],
    ) -> set[int]:
        """Ids of all nodes that are named; those new are made, marked and given back."""
        nodes = {node.key: node for one in added for node in one.nodes}
        gone = {node.key for one in taken for node in one.nodes}
        ends = {key for one in (*added, *taken) if _is_decision(one) for key in _subjects(one)}
        self._ids |= self._nodes.ids({*nodes, *gone, *ends})
        fresh = {key: node for key, node in nodes.items() if key not in self._ids}
        if fresh and any(one.day < self._whole_from() for one in added):
            evidenced = _evidenced(added, facts, self._horizons)
            fresh = {key: node for key, node in fresh.items() if key in evidenced}
        self._nodes.seal(node for node in nodes.values() if node.sealed and node.key in self._ids)
        made = self._nodes.make(fresh, self._state.next_node)
        self._state.next_node += len(made)
        self._ids.update(made)
        self._marks.update(dict.fromkeys(made.values(), _ADDED))
        return set(made.values())

    def _whole_from(self) -> int:
        """The day from which on nothing of a contribution has expired."""
        return max(self._horizons.values(), default=-(2**62))

    def _plan(self, added: Sequence[Contribution], known: Mapping[int, Known]) -> _Plan:
        """Where everything goes that is within its horizon."""
        plan = _Plan()
        whole_from = self._whole_from()
        ids, short, source_of = self._ids, self._names.short, self._names.id
        for one in added:
            at_us = one.event_us
            day = at_us // DAY_US
            period, place = divmod(day, PERIOD_DAYS)
            moment = at_us - day * DAY_US
            source, assurance = source_of(one.source), int(one.assurance)
            nodes = [ids.get(node.key, 0) for node in one.nodes]
            doings = [
                (ids.get(holder, 0), [short(cell) for cell in cells])
                for holder, cells in one.activity
            ]
            body = shorten(one, known.get(one.signal), source, moment, nodes, doings)
            if body is not None:
                plan.bodies[one.signal] = body
            alive = doings
            if day >= whole_from:
                links: Iterable[tuple[int, int]] = combinations(nodes, 2)
            else:
                links = [(ids[low], ids[high]) for low, high in pairs(one, self._horizons)]
                alive = [
                    doing
                    for doing, (holder, _) in zip(doings, one.activity, strict=True)
                    if is_active(holder, day, self._horizons)
                ]
            for left, right in links:
                link = (left, right, period) if left < right else (right, left, period)
                plan.links.append((link, place, source, assurance, moment))
            for holder, cells in alive:
                plan.doings.append(((holder, 0, period), place, moment, cells))
        return plan

    def _read(self, plan: _Plan, less: Deltas, new: set[int]) -> None:
        """Read every document that changes, but for those of new nodes, which have none."""
        places = {link[0] for link in plan.links}
        places.update([doing[0] for doing in plan.doings])
        places.update([self._link(cell)[0] for cell in less.less_links])
        places.update(
            [(self._ids[holder], 0, day // PERIOD_DAYS) for holder, day in less.less_activity]
        )
        if new:
            places = {place for place in places if place[0] not in new and place[1] not in new}
        self._documents.read(places)

    def _mark(self, node: int, changed: int) -> None:
        self._marks[node] = self._marks.get(node, 0) | changed

    def _link(self, cell: LinkCell) -> tuple[Place, int, int]:
        """Where a link's document stands, the day in it, and the moment the day begins."""
        left, right, day = self._ids[cell[0]], self._ids[cell[1]], cell[2]
        if left > right:
            left, right = right, left
        period, place = divmod(day, PERIOD_DAYS)
        return (left, right, period), place, day * DAY_US

    def _add_links(self, plan: _Plan) -> None:
        documents, marks = self._documents, self._marks
        held = documents.held
        for place, day, source, assurance, moment in plan.links:
            sightings = held.get(place)
            if sightings is None:
                sightings = documents.make(place, [])
                self._pointers.add(place[:2])
            is_new = add_sighting(sightings, day, source, assurance, moment)
            changed = _ADDED if is_new else _ACTIVITY
            left, right, _ = place
            marks[left] = marks.get(left, 0) | changed
            marks[right] = marks.get(right, 0) | changed

    def _add_doings(self, plan: _Plan) -> None:
        documents, marks = self._documents, self._marks
        held = documents.held
        for place, day, moment, cells in plan.doings:
            doings = held.get(place)
            if doings is None:
                doings = documents.make(place, {})
            add_doing(doings, day, moment, cells)
            node = place[0]
            marks[node] = marks.get(node, 0) | _ACTIVITY

    def _take(self, deltas: Deltas) -> None:
        documents, names = self._documents, self._names
        for cell, (count, first_us, last_us) in deltas.less_links.items():
            place, day, start_us = self._link(cell)
            delta = (count, first_us - start_us, last_us - start_us)
            is_lost, is_open = take_sightings(
                documents.held[place], day, names.id(cell[3]), cell[4], delta
            )
            if is_open:
                self._open_links.add(cell)
            for node in place[:2]:
                self._mark(node, _REMOVED if is_lost else _ACTIVITY)
        for (holder, at), entry in deltas.less_activity.items():
            node = self._ids[holder]
            period, day = divmod(at, PERIOD_DAYS)
            if take_doings(documents.held[node, 0, period], day, _within(entry, at), names):
                self._open_activity.add((holder, at))
            self._mark(node, _ACTIVITY)

    def _close_edges(self) -> None:
        """First and last of what was taken from, out of what is left of those days."""
        links, holders = self._open_links, self._open_activity
        days = {cell[2] for cell in links} | {day for _, day in holders}
        for at in sorted(days):
            link_edges, holder_edges = edges(self._remembered.of_day(at), links, holders)
            for cell, (first_us, last_us) in link_edges.items():
                place, day, start_us = self._link(cell)
                edge = (first_us - start_us, last_us - start_us)
                source = self._names.id(cell[3])
                set_sighting_edges(self._documents.held[place], day, source, cell[4], edge)
            for (holder, _), (first_us, last_us) in holder_edges.items():
                period, day = divmod(at, PERIOD_DAYS)
                entry = self._documents.held[self._ids[holder], 0, period][day]
                entry[1:3] = (first_us - at * DAY_US, last_us - at * DAY_US)

    def _keep_facts(self, added: Sequence[FactAt], taken: Sequence[FactAt]) -> None:
        rows = [row for one, fact in taken for row in self._pointers_of(one, fact)]
        self._documents.delete([row[:3] for row in rows])
        self._database.executemany(
            "INSERT INTO grain VALUES (?, ?, ?, ?)",
            [row for one, fact in added for row in self._pointers_of(one, fact)],
        )
        decisions = [one for one, fact in taken if fact.kind is EvidenceKind.DECISION]
        self._database.executemany(
            "DELETE FROM decision WHERE signal = ?", [(one.signal,) for one in decisions]
        )
        self._database.executemany(
            "INSERT INTO decision VALUES (?, ?, ?, ?, ?, ?)",
            [
                (one.signal, *fact.subjects, bool(fact.same), one.event_us, one.digest)
                for one, fact in added
                if fact.kind is EvidenceKind.DECISION
            ],
        )
        for _, fact in (*added, *taken):
            changed = _DECIDED if fact.kind is EvidenceKind.DECISION else _ACTIVITY
            for subject in fact.subjects:
                if subject in self._ids:
                    self._mark(self._ids[subject], changed)

    def _pointers_of(self, one: Contribution, fact: Fact) -> list[tuple[int, int, int, bytes]]:
        """Rows from each subject of a fact to its signal; decisions have none."""
        if fact.kind is EvidenceKind.DECISION:
            return []
        day = day_bytes(one.day)
        subjects = dict.fromkeys(fact.subjects)
        return [(self._ids[subject], -fact.kind, one.signal, day) for subject in subjects]


def _named(known: Iterable[Known]) -> set[NodeKey]:
    """The nodes in any remembered content."""
    return {node.key for one in known for seen in one.seen for node in seen.content.nodes}


def _within(entry: list[object], day: int) -> list[object]:
    """An activity entry with its first and last counted from the day's beginning."""
    count, first_us, last_us, hours, cells = entry
    assert isinstance(first_us, int)
    assert isinstance(last_us, int)
    return [count, first_us - day * DAY_US, last_us - day * DAY_US, hours, cells]


def _is_decision(one: Contribution) -> bool:
    return one.fact is not None and one.fact.kind is EvidenceKind.DECISION


def _subjects(one: Contribution) -> tuple[NodeKey, ...]:
    return one.fact.subjects if one.fact is not None else ()


def _evidenced(
    added: Iterable[Contribution], facts: Iterable[FactAt], horizons: Horizons
) -> set[NodeKey]:
    """The nodes that an addition gives evidence."""
    deltas = fold(added, (), horizons)
    keys = {key for low, high, *_ in deltas.links for key in (low, high)}
    keys |= {holder for holder, _ in deltas.activity}
    keys |= {key for _, fact in facts for key in fact.subjects}
    return keys

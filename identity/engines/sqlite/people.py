"""What the resolver reads and writes: marks, views, decisions, people and their lineage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from identity.engines.sqlite.database import Database
from identity.engines.sqlite.grain import FIELDS, PERIOD_DAYS, Sightings, unpack_document
from identity.engines.sqlite.matching import write_matching
from identity.engines.sqlite.names import Nodes
from identity.engines.sqlite.state import State, write_folding
from identity.model import (
    DAY_US,
    Assurance,
    Changed,
    Decision,
    LineageChange,
    LineageEntry,
    Mark,
    NodeKey,
    NodeView,
    PersonId,
    Tie,
)
from identity.store import NO_MATCHING, Fenced, Lease, Resolution

_MARKS = """
SELECT node.key, mark.count, mark.changed, node.shared
FROM mark JOIN node ON node.id = mark.node ORDER BY mark.first, mark.node LIMIT ?"""
_VIEWED = """
SELECT node.id, node.key, node.digest, node.shared, person.name
FROM node LEFT JOIN person ON person.id = node.person
WHERE node.key IN (SELECT value FROM json_each(?))"""
_ENDS = """
SELECT id, key, digest, shared FROM node WHERE id IN (SELECT value FROM json_each(?))"""
_AROUND = """
SELECT node, other, part, CASE WHEN other > node THEN body END FROM grain
WHERE node IN (SELECT value FROM json_each(?))"""
_LINKS = """
WITH wanted (node, other) AS ({wanted})
SELECT grain.node, grain.other, grain.part, grain.body FROM wanted CROSS JOIN grain
ON grain.node = wanted.node AND grain.other = wanted.other"""
_DECISIONS = """
SELECT left_key, right_key, same, decided_us, digest FROM decision
WHERE left_key IN (SELECT value FROM json_each(?1))
OR right_key IN (SELECT value FROM json_each(?1))"""
_MEMBERS = """
SELECT person.name, node.key FROM person JOIN node ON node.person = person.id
WHERE person.name IN (SELECT value FROM json_each(?))"""
_DROP = """
DELETE FROM node WHERE id = ?1 AND person IS NULL
AND NOT EXISTS (SELECT 1 FROM grain WHERE node = ?1)
AND NOT EXISTS (SELECT 1 FROM mark WHERE node = ?1)"""
_LINEAGE = """
WITH RECURSIVE connected (id) AS (
    SELECT id FROM person WHERE name = ?
    UNION SELECT other FROM lineage JOIN connected ON person = id WHERE other IS NOT NULL
    UNION SELECT person FROM lineage JOIN connected ON other = id
)
SELECT DISTINCT change, person.name, other.name, resolution, at_us, number
FROM connected JOIN lineage ON lineage.person = connected.id
JOIN person ON person.id = lineage.person
LEFT JOIN person AS other ON other.id = lineage.other
ORDER BY number"""
_CURRENT = """
WITH RECURSIVE chain (id, stands_for) AS (
    SELECT id, stands_for FROM person WHERE name = ?
    UNION ALL
    SELECT person.id, person.stands_for FROM person JOIN chain ON person.id = chain.stands_for
    WHERE chain.stands_for <> chain.id
)
SELECT name FROM person WHERE id IN (SELECT id FROM chain WHERE stands_for = id)"""

Row = tuple[int, int, int, bytes | None]


def read_marks(database: Database, limit: int) -> list[Mark]:
    """At most `limit` dirty nodes, longest marked first."""
    rows = database.execute(_MARKS, (limit,))
    return [
        Mark(key, count, Changed(changed), bool(shared)) for key, count, changed, shared in rows
    ]


def read_views(database: Database, keys: Iterable[NodeKey]) -> dict[NodeKey, NodeView]:
    """The nodes that have evidence, with their ties."""
    viewed = {row[0]: row for row in database.look_up(_VIEWED, keys)}
    around: list[Row] = database.look_up(_AROUND, viewed)
    evidenced = {node for node, _, _, _ in around}
    sighted = _sighted(database, around)
    ends = {
        row[0]: row for row in database.look_up(_ENDS, {end for pair in sighted for end in pair})
    }
    ties: dict[int, list[Tie]] = {node: [] for node in viewed}
    for (left, right), documents in sighted.items():
        summed = _Summed(documents)
        for node, other in ((left, right), (right, left)):
            if node in ties:
                ties[node].append(summed.tie(*ends[other][1:]))
    views = {}
    for node, key, order, shared, person in viewed.values():
        if node in evidenced:
            views[key] = NodeView(key, order, bool(shared), person, tuple(ties[node]))
    return views


def _sighted(
    database: Database, around: Iterable[Row]
) -> dict[tuple[int, int], list[tuple[int, Sightings]]]:
    """By link the documents in rows around nodes, pointers followed."""
    sighted: dict[tuple[int, int], list[tuple[int, Sightings]]] = {}
    pointers = []
    for node, other, part, body in around:
        if body is not None:
            sighted.setdefault((node, other), []).append((part, unpack_document(body)))
        elif other > 0:
            pointers.append((other, node))
    for node, other, part, body in database.look_up_rows(
        _LINKS, 2, sorted(pair for pair in pointers if pair not in sighted)
    ):
        sighted.setdefault((node, other), []).append((part, unpack_document(body)))
    return sighted


class _Summed:
    """A link's documents over all sources, for its two ends."""

    def __init__(self, documents: Sequence[tuple[int, Sightings]]) -> None:
        days: set[int] = set()
        firsts, lasts = [], []
        self._count = 0
        self._authenticated = False
        for period, sightings in documents:
            start = period * PERIOD_DAYS
            own = sightings[::FIELDS]
            days.update([start + day for day in own])
            self._count += sum(sightings[3::FIELDS])
            firsts += [
                (start + day) * DAY_US + first
                for day, first in zip(own, sightings[4::FIELDS], strict=True)
            ]
            lasts += [
                (start + day) * DAY_US + last
                for day, last in zip(own, sightings[5::FIELDS], strict=True)
            ]
            self._authenticated |= int(Assurance.AUTHENTICATED) in sightings[2::FIELDS]
        self._days = tuple(sorted(days))
        self._first_us, self._last_us = min(firsts), max(lasts)

    def tie(self, other: NodeKey, order: int, shared: int) -> Tie:
        """The link as seen from its other end."""
        return Tie(
            other,
            order,
            bool(shared),
            self._days,
            self._count,
            self._first_us,
            self._last_us,
            self._authenticated,
        )


def read_decisions(database: Database, keys: Iterable[NodeKey]) -> list[Decision]:
    """Live decisions of staff with an end among the keys, each once."""
    if database.execute("SELECT 1 FROM decision LIMIT 1").fetchone() is None:
        return []
    rows = database.look_up(_DECISIONS, keys)
    return [
        Decision(left, right, bool(same), decided_us, digest)
        for left, right, same, decided_us, digest in rows
    ]


def read_members(
    database: Database, people: Iterable[PersonId]
) -> dict[PersonId, frozenset[NodeKey]]:
    """The nodes assigned to each person."""
    members: dict[PersonId, set[NodeKey]] = {}
    for person, key in database.look_up(_MEMBERS, people):
        members.setdefault(person, set()).add(key)
    return {person: frozenset(keys) for person, keys in members.items()}


def hold(database: Database, lease: Lease) -> None:
    """Raise `Fenced` unless the lease is the one that was given out last."""
    row = database.execute("SELECT lease_owner, lease_epoch FROM state").fetchone()
    if row != (lease.owner, lease.epoch):
        raise Fenced("another resolver has taken over the lease")


class Resolving:
    """One resolution inside a write transaction; used once."""

    def __init__(self, database: Database, nodes: Nodes, state: State) -> None:
        self._database = database
        self._nodes = nodes
        self._state = state
        self._people: dict[PersonId, int] = {}

    def apply(self, resolution: Resolution) -> int:
        """Write it; gives its number.

        1. Give people and nodes their ids.
        2. Assign nodes, set their flags.
        3. Write lineage and outbox.
        4. Clear marks.
        5. Change the index of matching; drop nodes that have neither person nor evidence
           nor a mark: whoever is marked has yet to leave the index.
        """
        database = self._database
        (number,) = database.execute(
            "UPDATE state SET resolution = resolution + 1 RETURNING resolution"
        ).fetchone()
        self._people = self._people_of(_named(resolution))
        marked = {mark.key for mark in resolution.cleared}
        ids = self._nodes.ids({*resolution.people, *resolution.shared, *marked})
        self._assign(resolution, ids)
        self._trace(resolution, number)
        database.executemany(
            "DELETE FROM mark WHERE node = ? AND count = ?",
            sorted((ids[mark.key], mark.count) for mark in resolution.cleared if mark.key in ids),
        )
        if resolution.matching is not NO_MATCHING:
            write_matching(database, self._nodes, self._state, resolution.matching)
        if resolution.folding is not None:
            write_folding(database, resolution.folding)
        doubtful = {mark.key for mark in resolution.cleared if mark.changed & Changed.REMOVED}
        doubtful |= {key for key, person in resolution.people.items() if person is None}
        self._drop(sorted(ids[key] for key in doubtful if key in ids))
        return int(number)

    def _people_of(self, names: set[PersonId]) -> dict[PersonId, int]:
        select = "SELECT name, id FROM person WHERE name IN (SELECT value FROM json_each(?))"
        found = dict(self._database.look_up(select, names)) if names else {}
        for name in sorted(names - found.keys()):
            cursor = self._database.execute("INSERT INTO person (name) VALUES (?)", (name,))
            assert cursor.lastrowid is not None
            found[name] = cursor.lastrowid
        return found

    def _assign(self, resolution: Resolution, ids: Mapping[NodeKey, int]) -> None:
        self._database.executemany(
            "UPDATE node SET person = ?2 WHERE id = ?1",
            sorted(
                (ids[key], self._people[person] if person is not None else None)
                for key, person in resolution.people.items()
                if key in ids
            ),
        )
        self._database.executemany(
            "UPDATE node SET shared = ?2 WHERE id = ?1",
            sorted((ids[key], flag) for key, flag in resolution.shared.items() if key in ids),
        )

    def _trace(self, resolution: Resolution, number: int) -> None:
        people = self._people
        self._database.executemany(
            "INSERT INTO lineage (change, person, other, resolution, at_us) VALUES (?, ?, ?, ?, ?)",
            [
                (
                    int(entry.change),
                    people[entry.person],
                    people[entry.other] if entry.other is not None else None,
                    number,
                    entry.at_us,
                )
                for entry in resolution.lineage
            ],
        )
        self._database.executemany(
            "UPDATE person SET stands_for = ?2 WHERE id = ?1",
            [(people[entry.person], self._stands_for(entry)) for entry in resolution.lineage],
        )
        self._database.executemany(
            "INSERT OR REPLACE INTO outbox VALUES (?, ?, ?, ?)",
            [
                (
                    people[waiting.person],
                    number,
                    people[waiting.merged_into] if waiting.merged_into is not None else None,
                    waiting.gone,
                )
                for waiting in resolution.outbox
            ],
        )

    def _stands_for(self, entry: LineageEntry) -> int | None:
        if entry.change is LineageChange.RETIRED:
            return None
        if entry.change is LineageChange.MERGED and entry.other is not None:
            return self._people[entry.other]
        return self._people[entry.person]

    def _drop(self, nodes: Sequence[int]) -> None:
        if not nodes:
            return
        dropped = self._database.executemany(_DROP, [(node,) for node in nodes]).rowcount
        if dropped:
            self._state.forgets += 1
            self._nodes.forget()


def _named(resolution: Resolution) -> set[PersonId]:
    """Every person id in a resolution."""
    names = {person for person in resolution.people.values() if person is not None}
    for entry in resolution.lineage:
        names |= {entry.person} if entry.other is None else {entry.person, entry.other}
    for waiting in resolution.outbox:
        names.add(waiting.person)
        if waiting.merged_into is not None:
            names.add(waiting.merged_into)
    return names


def read_lineage(database: Database, person: PersonId) -> list[LineageEntry]:
    """Entries of the id and of all ids connected with it, oldest first."""
    return [
        LineageEntry(LineageChange(change), name, other, resolution, at_us)
        for change, name, other, resolution, at_us, _ in database.execute(_LINEAGE, (person,))
    ]


def read_current(database: Database, person: PersonId) -> PersonId | None:
    """The id that an id stands for now."""
    row = database.execute(_CURRENT, (person,)).fetchone()
    return str(row[0]) if row is not None else None


def read_all_people(database: Database) -> Iterator[PersonId]:
    """Every current person id."""
    select = (
        "SELECT name FROM person WHERE EXISTS (SELECT 1 FROM node WHERE node.person = person.id)"
    )
    return iter([name for (name,) in database.execute(select).fetchall()])

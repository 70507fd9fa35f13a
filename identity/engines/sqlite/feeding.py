"""What the feeder and other readers ask for: the outbox, and all evidence of people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from identity.engines.sqlite.database import Database
from identity.engines.sqlite.grain import activity_days, day_of, link_days, unpack_document
from identity.engines.sqlite.names import Names
from identity.engines.sqlite.remembered import Remembered
from identity.evidence import kept_fact
from identity.model import (
    ActivityDay,
    KeptFact,
    LinkDay,
    Node,
    NodeEvidence,
    NodeKey,
    OutboxEntry,
    PersonEvidence,
    PersonId,
)
from identity.store import Totals

_OUTBOX = """
SELECT person.name, outbox.resolution, other.name, outbox.gone
FROM outbox JOIN person ON person.id = outbox.person
LEFT JOIN person AS other ON other.id = outbox.merged_into
WHERE outbox.resolution <= coalesce(
    (SELECT resolution FROM outbox ORDER BY resolution LIMIT 1 OFFSET ?),
    (SELECT max(resolution) FROM outbox)
)
ORDER BY outbox.resolution, outbox.person"""
_CLEAR = """
DELETE FROM outbox WHERE resolution = ?2 AND person = (SELECT id FROM person WHERE name = ?1)"""
_NODES = """
SELECT person.name, node.id, node.key, node.digest, node.sealed
FROM person JOIN node ON node.person = person.id
WHERE person.name IN (SELECT value FROM json_each(?)) ORDER BY node.key"""
_BY_KEY = """
SELECT id, key, digest, sealed FROM node WHERE key IN (SELECT value FROM json_each(?))"""
_GRAIN = """
SELECT node, other, part, body FROM grain WHERE node IN (SELECT value FROM json_each(?))"""
# A node that is a person of its own has no link inside it; a shared one may have thousands outside.
_GRAIN_ALONE = """
SELECT node, other, part, body FROM grain
WHERE node IN (SELECT value FROM json_each(?)) AND other <= 0"""
_FACTS_ALONE = _GRAIN_ALONE.replace("other <= 0", "other < 0")
_LINKED_OUTSIDE = """
SELECT value FROM json_each(?) WHERE EXISTS (SELECT 1 FROM grain WHERE grain.node = value)"""
_LINK_DAYS = """
WITH wanted (node, other) AS ({wanted})
SELECT grain.node, grain.other, grain.part, grain.body FROM wanted CROSS JOIN grain
ON grain.node = wanted.node AND grain.other = wanted.other"""


def read_outbox(database: Database, limit: int) -> list[OutboxEntry]:
    """All entries of the lowest resolutions, up to about `limit`, by resolution."""
    return [
        OutboxEntry(person, resolution, merged_into, bool(gone))
        for person, resolution, merged_into, gone in database.execute(_OUTBOX, (max(limit, 1) - 1,))
    ]


def clear_outbox(database: Database, entries: Sequence[OutboxEntry]) -> None:
    """Remove entries whose resolution is still the one given."""
    database.executemany(_CLEAR, [(entry.person, entry.resolution) for entry in entries])


@dataclass(slots=True)
class _Person:
    """A person's rows while they are gathered."""

    nodes: dict[int, Node] = field(default_factory=dict)
    evidenced: set[int] = field(default_factory=set)
    links: dict[tuple[NodeKey, NodeKey], list[LinkDay]] = field(default_factory=dict)
    activity: dict[NodeKey, dict[int, ActivityDay]] = field(default_factory=dict)
    facts: set[tuple[int, int]] = field(default_factory=set)


class Gathering:
    """All evidence of some people, in a few statements whatever their number; used once."""

    def __init__(self, database: Database, names: Names, remembered: Remembered) -> None:
        self._database = database
        self._names = names
        self._remembered = remembered
        self._people: dict[PersonId, _Person] = {}
        self._home: dict[int, _Person] = {}

    def gather(self, people: Iterable[PersonId]) -> dict[PersonId, PersonEvidence]:
        """The people that have a node with evidence."""
        for name, node, key, order, sealed in self._database.look_up(_NODES, people):
            person = self._people.get(name)
            if person is None:
                person = self._people[name] = _Person()
            person.nodes[node] = Node(key, order, sealed)
            self._home[node] = person
        alone = [node for node, home in self._home.items() if len(home.nodes) == 1]
        together = [node for node, home in self._home.items() if len(home.nodes) > 1]
        for select, nodes in ((_GRAIN_ALONE, alone), (_GRAIN, together)):
            if nodes:
                for row in self._database.look_up(select, nodes):
                    self._sort_in(*row)
        bare = [node for node in alone if not self._home[node].evidenced]
        for (node,) in self._database.look_up(_LINKED_OUTSIDE, bare) if bare else ():
            self._home[node].evidenced.add(node)
        facts = self._facts()
        return {
            name: _told(name, person, facts)
            for name, person in self._people.items()
            if person.evidenced
        }

    def at_nodes(self, keys: Iterable[NodeKey], activity: bool) -> dict[NodeKey, NodeEvidence]:
        """What each node holds of its own; of those that hold anything."""
        for node, key, order, sealed in self._database.look_up(_BY_KEY, keys):
            self._people[key] = self._home[node] = _Person({node: Node(key, order, sealed)})
        select = _GRAIN_ALONE if activity else _FACTS_ALONE
        for row in self._database.look_up(select, self._home):
            self._sort_in(*row)
        facts = self._facts()
        return {
            key: NodeEvidence(
                node,
                tuple(facts[signal] for signal in sorted(signal for _, signal in held.facts)),
                held.activity.get(key, {}),
            )
            for key, held in self._people.items()
            for node in held.nodes.values()
            if held.evidenced
        }

    def _sort_in(self, node: int, other: int, part: int, body: bytes) -> None:
        person = self._home[node]
        person.evidenced.add(node)
        if other == 0:
            days = person.activity.setdefault(person.nodes[node].key, {})
            days.update(activity_days(part, unpack_document(body), self._names))
        elif other < 0:
            person.facts.add((day_of(body), part))
        elif other > node and other in person.nodes:
            low, high = sorted((person.nodes[node].key, person.nodes[other].key))
            sightings = person.links.setdefault((low, high), [])
            sightings += link_days(part, unpack_document(body), self._names)

    def _facts(self) -> dict[int, KeptFact]:
        rows = {row for person in self._people.values() for row in person.facts}
        facts = {}
        for signal, known in self._remembered.at(rows).items() if rows else ():
            live = known.live
            if live is not None and live.fact is not None:
                facts[signal] = kept_fact(live)
        return facts


def _told(name: PersonId, person: _Person, facts: dict[int, KeptFact]) -> PersonEvidence:
    return PersonEvidence(
        person=name,
        nodes=tuple(node for at, node in person.nodes.items() if at in person.evidenced),
        links=tuple(
            (low, high, _in_order(days)) for (low, high), days in sorted(person.links.items())
        ),
        activity=person.activity,
        facts=tuple(facts[signal] for signal in sorted(signal for _, signal in person.facts)),
    )


def _in_order(days: Iterable[LinkDay]) -> tuple[LinkDay, ...]:
    return tuple(sorted(days, key=lambda day: (day.day, day.source, day.assurance)))


def read_link_days(
    database: Database,
    names: Names,
    ids: dict[NodeKey, int],
    pairs: Iterable[tuple[NodeKey, NodeKey]],
) -> dict[tuple[NodeKey, NodeKey], tuple[LinkDay, ...]]:
    """Daily sightings of each pair as given; pairs without any are left out."""
    asked = {
        (left, right): (min(ids[left], ids[right]), max(ids[left], ids[right]))
        for left, right in pairs
        if left in ids and right in ids
    }
    found: dict[tuple[int, int], list[LinkDay]] = {}
    for node, other, part, body in database.look_up_rows(
        _LINK_DAYS, 2, sorted(set(asked.values()))
    ):
        if node < other:
            found.setdefault((node, other), []).extend(
                link_days(part, unpack_document(body), names)
            )
    return {pair: _in_order(found[place]) for pair, place in asked.items() if place in found}


def read_totals(database: Database) -> Totals:
    """Counts over the whole graph, by scans."""
    kinds: dict[str, int] = {}
    rows = database.execute(
        "SELECT substr(key, 1, length(rtrim(key, replace(key, ':', ''))) - 1), count(*) FROM node"
        " WHERE person IS NOT NULL OR EXISTS (SELECT 1 FROM grain WHERE grain.node = node.id)"
        " GROUP BY 1"
    )
    kinds.update(rows)
    counts = [
        database.execute(select).fetchone()[0]
        for select in (
            "SELECT count(*) FROM grain WHERE other > 0 AND other < node",
            "SELECT count(DISTINCT person) FROM node WHERE person IS NOT NULL",
            "SELECT count(*) FROM known WHERE day > -2147483648",
            "SELECT count(*) FROM mark",
            "SELECT count(*) FROM outbox",
        )
    ]
    return Totals(kinds, *counts)

"""People as nodes: who has which identifiers, their lineage, and who is to be published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from identity.engines.neo4j.connection import Connection, Tx
from identity.engines.neo4j.nodes import MICROSECONDS, MOMENT, find
from identity.engines.neo4j.packing import moment
from identity.model import LineageChange, LineageEntry, NodeKey, OutboxEntry, PersonId

TO_OTHER = {LineageChange.MERGED: "MERGED_INTO", LineageChange.SPLIT: "SPLIT_FROM"}


def assign(tx: Tx, people: Mapping[int, PersonId | None], assigned: set[int]) -> None:
    """Give nodes, by id, to people; `assigned` are those that belong to somebody until now."""
    if not people:
        return
    leaving = [each for each in people if each in assigned]
    if leaving:
        tx.run(
            "UNWIND $ids AS each MATCH (n) WHERE id(n) = each REMOVE n.person "
            "WITH n MATCH (n)<-[has:HAS]-() DELETE has",
            ids=leaving,
        )
    if all(person is None for person in people.values()):
        return
    places = _made(tx, {person for person in people.values() if person is not None})
    tx.run(
        "UNWIND $rows AS row MATCH (n) WHERE id(n) = row[0] MATCH (p) WHERE id(p) = row[1] "
        "CREATE (p)-[:HAS {since: datetime()}]->(n) SET n.person = p.id",
        rows=[[each, places[person]] for each, person in people.items() if person is not None],
    )


def _made(tx: Tx, people: set[PersonId]) -> dict[PersonId, int]:
    """The places of people, who are made if they are not there."""
    places = {person: place for place, person in find_people(tx, people)}
    missing = sorted(people - places.keys())
    if missing:
        made = tx.rows(
            "UNWIND $ids AS each MERGE (p:Person {id: each}) RETURN collect([each, id(p)])",
            ids=missing,
        )
        tx.places.people.update(made)
        places.update(made)
    return places


@dataclass(slots=True)
class Life:
    """What a resolution adds to the life of one person."""

    changes: list[int] = field(default_factory=list)
    at: tuple[int, int] = (0, 0)
    former: bool = False
    into: PersonId | None = None


def write_lineage(tx: Tx, entries: Sequence[LineageEntry], number: int) -> None:
    """Write entries in their order.

    Merges and splits are relationships; being created and retired is kept in
    `changes` of the person, four numbers each: change, resolution, place, time.
    """
    if not entries:
        return
    lives: dict[PersonId, Life] = {}
    between: dict[LineageChange, list[list[Any]]] = {}
    for place, entry in enumerate(entries):
        life = lives.setdefault(entry.person, Life())
        life.at = moment(entry.at_us)
        if entry.change in TO_OTHER and entry.other is not None:
            row = [entry.person, entry.other, number, place, *life.at]
            between.setdefault(entry.change, []).append(row)
        else:
            life.changes += [int(entry.change), number, place, entry.at_us]
        life.former = entry.change in (LineageChange.MERGED, LineageChange.RETIRED)
        life.into = entry.other if entry.change is LineageChange.MERGED else None
    made = tx.rows(
        "UNWIND $rows AS row MERGE (p:Person {id: row[0]}) "
        "SET p.changes = coalesce(p.changes, []) + row[1], "
        f"p.since = coalesce(p.since, {MOMENT.format('row[2]', 'row[3]')}), "
        "p.merged_into = row[4] RETURN collect([row[0], id(p), p:Former])",
        rows=[
            [person, life.changes, *life.at, life.into] for person, life in sorted(lives.items())
        ],
    )
    _move(tx, "SET", [place for person, place, was in made if lives[person].former and not was])
    _move(tx, "REMOVE", [place for person, place, was in made if was and not lives[person].former])
    tx.places.people.update((person, place) for person, place, _ in made)
    for change, rows in between.items():
        _made(tx, {row[1] for row in rows})
        tx.run(
            "UNWIND $rows AS row MATCH (p:Person {id: row[0]}) MATCH (o:Person {id: row[1]}) "
            f"CREATE (p)-[:{TO_OTHER[change]} {{resolution: row[2], place: row[3], "
            f"at: {MOMENT.format('row[4]', 'row[5]')}}}]->(o)",
            rows=rows,
        )


def _move(tx: Tx, clause: str, places: list[int]) -> None:
    """Let people be former ones, or again present ones."""
    if places:
        tx.run(f"UNWIND $ids AS each MATCH (p) WHERE id(p) = each {clause} p:Former", ids=places)


def folding(connection: Connection) -> str:
    """By what profiles are folded, see `GraphStore.folding`."""
    query = "MATCH (l:Lease {name: 'resolver'}) RETURN coalesce(l.folding, '')"
    return str(connection.read(lambda tx: tx.row(query))[0])


def write_folding(tx: Tx, folding: str) -> None:
    """From now on profiles are folded by this."""
    tx.run("MATCH (l:Lease {name: 'resolver'}) SET l.folding = $folding", folding=folding)


def write_outbox(tx: Tx, entries: Iterable[OutboxEntry], number: int) -> None:
    """Let people wait to be published, each for this resolution."""
    rows = sorted(
        ((entry.person, entry.merged_into, entry.gone or None) for entry in entries), key=_first
    )
    if not rows:
        return
    places = tx.places.people
    known = [[places[row[0]], *row] for row in rows if row[0] in places]
    done: set[int] = set()
    if known:
        done.update(
            tx.rows(
                "UNWIND $rows AS row MATCH (p) WHERE id(p) = row[0] AND p.id = row[1] "
                f"{_WAIT} RETURN collect(id(p))",
                rows=known,
                number=number,
            )
        )
    others = [[0, *row] for row in rows if places.get(row[0]) not in done]
    if others:
        found = tx.rows(
            f"UNWIND $rows AS row MERGE (p:Person {{id: row[1]}}) {_WAIT} "
            "RETURN collect([row[1], id(p)])",
            rows=others,
            number=number,
        )
        places.update(found)


def _first(row: tuple[Any, ...]) -> PersonId:
    return str(row[0])


_WAIT = "SET p:Unpublished, p.unpublished = $number, p.publish_as = row[2], p.publish_gone = row[3]"


def find_people(tx: Tx, people: Iterable[PersonId]) -> list[list[Any]]:
    """Id inside the database and person id of those that there are."""
    places = tx.places.people
    wanted = list(dict.fromkeys(people))
    found: list[list[Any]] = tx.rows(
        "UNWIND $rows AS row MATCH (p) WHERE id(p) = row[0] AND p.id = row[1] RETURN collect(row)",
        rows=[[places[person], person] for person in wanted if person in places],
    )
    if len(found) < len(wanted):
        known = {person for _, person in found}
        others = tx.rows(
            "UNWIND $ids AS each MATCH (p:Person {id: each}) RETURN collect([id(p), each])",
            ids=sorted(person for person in wanted if person not in known),
        )
        places.update((person, place) for place, person in others)
        found += others
    return found


# ---- readers -------------------------------------------------------------


def members(
    connection: Connection, people: Iterable[PersonId]
) -> dict[PersonId, frozenset[NodeKey]]:
    """The nodes of each person, see `GraphStore.members`."""
    ids = sorted(set(people))
    rows = connection.read(
        lambda tx: tx.rows(
            "UNWIND $ids AS each MATCH (p:Person {id: each})-[:HAS]->(n) "
            "WITH each, collect(n.key) AS keys RETURN collect([each, keys])",
            ids=ids,
        )
    )
    return {person: frozenset(keys) for person, keys in rows}


def current(connection: Connection, person: PersonId) -> PersonId | None:
    """The id that an id stands for now, see `GraphStore.current`."""

    def work(tx: Tx) -> PersonId | None:
        at: PersonId | None = person
        while at is not None:
            rows = tx.rows(
                "MATCH (p:Person {id: $id}) WHERE p.since IS NOT NULL "
                "RETURN collect([p:Former, p.merged_into])",
                id=at,
            )
            if not rows:
                return None
            former, into = rows[0]
            if not former:
                return at
            at = into
        return None

    return connection.read(work)


def lineage(connection: Connection, person: PersonId) -> list[LineageEntry]:
    """Entries of all connected ids, oldest first, see `GraphStore.lineage`."""
    return connection.read(lambda tx: _lineage(tx, person))


def _lineage(tx: Tx, person: PersonId) -> list[LineageEntry]:
    found: dict[tuple[int, int], LineageEntry] = {}
    seen: set[PersonId] = set()
    next_ids = {person}
    while next_ids:
        seen |= next_ids
        rows = tx.rows(_LINEAGE, ids=sorted(next_ids))
        next_ids = set()
        for each, changes, pairs in rows:
            numbers = iter(changes or ())
            for change, number, place, at_us in zip(
                numbers, numbers, numbers, numbers, strict=True
            ):
                found[number, place] = LineageEntry(
                    LineageChange(change), each, None, number, at_us
                )
            for name, one, other, number, place, at_us in pairs:
                change = _CHANGES[name]
                found[number, place] = LineageEntry(change, one, other, number, at_us)
                next_ids |= {one, other} - seen
    return [entry for _, entry in sorted(found.items())]


_CHANGES = {name: change for change, name in TO_OTHER.items()}
_LINEAGE = (
    "UNWIND $ids AS each MATCH (p:Person {id: each}) RETURN collect([each, p.changes, "
    "[(p)-[r:MERGED_INTO|SPLIT_FROM]-() | [type(r), startNode(r).id, endNode(r).id, "
    "r.resolution, r.place, " + MICROSECONDS.format("r.at") + "]]])"
)


def person_of(connection: Connection, keys: Iterable[NodeKey]) -> dict[NodeKey, PersonId]:
    """The person of each node, see `GraphStore.person_of`."""
    wanted = set(keys)
    found = connection.read(lambda tx: find(tx, wanted, "n.person"))
    return {key: person for key, (_, person) in found.items() if person is not None}


def all_people(connection: Connection) -> list[PersonId]:
    """Everybody who has a node."""
    return connection.read(
        lambda tx: tx.rows("MATCH (p:Person) WHERE EXISTS { (p)-[:HAS]->() } RETURN collect(p.id)")
    )


def all_ids(connection: Connection) -> list[PersonId]:
    """Every id ever given out."""
    return connection.read(
        lambda tx: tx.rows("MATCH (p:Person) WHERE p.since IS NOT NULL RETURN collect(p.id)")
    )

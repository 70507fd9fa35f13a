"""People as nodes: who has which identifiers, their lineage, and who is to be published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from identity.engines.neo4j.connection import Connection, Tx
from identity.engines.neo4j.nodes import MICROSECONDS, MOMENT, by_label
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
    rows = [[each, person] for each, person in people.items() if person is not None]
    if not rows:
        return
    _make(tx, (person for person in people.values() if person is not None))
    tx.run(
        "UNWIND $rows AS row MATCH (n) WHERE id(n) = row[0] MATCH (p:Person {id: row[1]}) "
        "CREATE (p)-[:HAS {since: datetime()}]->(n) SET n.person = row[1]",
        rows=rows,
    )


def _make(tx: Tx, people: Iterable[PersonId]) -> None:
    tx.places.people.update(
        tx.rows(
            "UNWIND $ids AS each MERGE (p:Person {id: each}) RETURN collect([each, id(p)])",
            ids=sorted(set(people)),
        )
    )


def write_lineage(tx: Tx, entries: Sequence[LineageEntry], number: int) -> None:
    """Write entries in their order.

    Merges and splits are relationships; being created and retired is kept in
    `changes` of the person, four numbers each: change, resolution, place, time.
    """
    if not entries:
        return
    _make(tx, [entry.person for entry in entries])
    _make(tx, [entry.other for entry in entries if entry.other is not None])
    alone: list[tuple[Any, ...]] = []
    between: dict[LineageChange, list[tuple[Any, ...]]] = {}
    latest: dict[PersonId, tuple[Any, ...]] = {}
    for place, entry in enumerate(entries):
        at = moment(entry.at_us)
        if entry.change in TO_OTHER and entry.other is not None:
            row = (entry.person, entry.other, number, place, *at)
            between.setdefault(entry.change, []).append(row)
        else:
            alone.append((entry.person, [int(entry.change), number, place, entry.at_us]))
        former = entry.change in (LineageChange.MERGED, LineageChange.RETIRED)
        into = entry.other if entry.change is LineageChange.MERGED else None
        latest[entry.person] = (entry.person, former, into, *at)
    tx.run(
        "UNWIND $rows AS row MATCH (p:Person {id: row[0]}) "
        "SET p.changes = coalesce(p.changes, []) + row[1]",
        rows=alone,
    )
    for change, rows in between.items():
        tx.run(
            "UNWIND $rows AS row MATCH (p:Person {id: row[0]}) MATCH (o:Person {id: row[1]}) "
            f"CREATE (p)-[:{TO_OTHER[change]} {{resolution: row[2], place: row[3], "
            f"at: {MOMENT.format('row[4]', 'row[5]')}}}]->(o)",
            rows=rows,
        )
    tx.run(
        "UNWIND $rows AS row MATCH (p:Person {id: row[0]}) "
        f"SET p.since = coalesce(p.since, {MOMENT.format('row[3]', 'row[4]')}), "
        "p.merged_into = row[2]",
        rows=list(latest.values()),
    )
    for clause, former in (("SET", True), ("REMOVE", False)):
        tx.run(
            f"UNWIND $ids AS each MATCH (p:Person {{id: each}}) {clause} p:Former",
            ids=[row[0] for row in latest.values() if row[1] is former],
        )


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
    wanted = list(dict.fromkeys(keys))
    return connection.read(lambda tx: _person_of(tx, wanted))


def _person_of(tx: Tx, keys: list[NodeKey]) -> dict[NodeKey, PersonId]:
    places = tx.places.nodes
    rows = tx.rows(
        "UNWIND $rows AS row MATCH (n) WHERE id(n) = row[0] AND n.key = row[1] "
        "RETURN collect([row[1], n.person])",
        rows=[[places[key], key] for key in keys if key in places],
    )
    found: dict[NodeKey, PersonId | None] = dict(rows)
    for label, some in by_label(key for key in keys if key not in found):
        found.update(
            tx.rows(
                f"UNWIND $keys AS key MATCH (n:{label} {{key: key}}) "
                "RETURN collect([key, n.person])",
                keys=some,
            )
        )
    return {key: person for key, person in found.items() if person is not None}


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

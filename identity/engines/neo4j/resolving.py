"""What the resolver does: hold the lease, read marks and neighbourhoods, write people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, cast

from identity.engines.neo4j import matching, people
from identity.engines.neo4j.connection import Connection, Tx
from identity.engines.neo4j.nodes import BITS, REASONS, find, lock
from identity.engines.neo4j.packing import link_days, unpack_signal
from identity.engines.neo4j.required import read_required
from identity.model import Assurance, Changed, Decision, Mark, NodeKey, NodeView, PersonId, Tie
from identity.store import NO_MATCHING, Fenced, Lease, Resolution


def acquire_lease(connection: Connection, owner: str, now_ms: int, lease_ms: int) -> Lease | None:
    """Take or renew the lease, see `GraphStore.acquire_lease`."""

    def work(tx: Tx) -> Lease | None:
        held, until_ms, _ = lock_lease(tx)
        if held.owner != owner or held.epoch == 0:
            if now_ms < until_ms:
                return None
            held = Lease(owner, held.epoch + 1)
        tx.run(
            "MATCH (l:Lease {name: 'resolver'}) "
            "SET l.owner = $owner, l.epoch = $epoch, l.until_ms = $until_ms",
            owner=held.owner,
            epoch=held.epoch,
            until_ms=now_ms + lease_ms,
        )
        return held

    return connection.write(work)


def lock_lease(tx: Tx) -> tuple[Lease, int, int]:
    """The lease, until when it runs, and how many resolutions there were; locked."""
    owner, epoch, until_ms, resolutions = tx.row(
        "MATCH (l:Lease {name: 'resolver'}) SET l:Lease "
        "RETURN l.owner, l.epoch, l.until_ms, l.resolutions"
    )
    return Lease(owner, epoch), until_ms, resolutions


def hold(tx: Tx, lease: Lease) -> int:
    """How many resolutions there were, with the lease locked; `Fenced` if it is another's."""
    held, _, resolutions = lock_lease(tx)
    if held != lease:
        raise Fenced("another resolver has taken over the lease")
    return resolutions


def last_resolved(tx: Tx) -> int | None:
    """The number of the last resolution that the resolver wrote; others have numbers, too."""
    (number,) = tx.row("MATCH (l:Lease {name: 'resolver'}) RETURN l.resolved")
    return cast("int | None", number)


def marks(connection: Connection, limit: int) -> list[Mark]:
    """Dirty nodes, see `GraphStore.marks`.

    They are read under their locks: a commit becomes visible piece by piece,
    and a mark must not be read before the evidence that it is for.
    """
    return connection.write(lambda tx: _marks(tx, limit))


def _marks(tx: Tx, limit: int) -> list[Mark]:
    dirty = dict(
        tx.rows("MATCH (n:Dirty) WITH n LIMIT $limit RETURN collect([n.key, id(n)])", limit=limit)
    )
    tx.places.nodes.update(dirty)
    rows = lock(tx, dirty, "coalesce(n.mark, 0), n.shared IS NOT NULL")
    return [
        Mark(key, mark >> BITS, Changed(mark & REASONS), shared)
        for key, (_, mark, shared) in rows.items()
        if mark & REASONS
    ]


def views(connection: Connection, keys: Iterable[NodeKey]) -> dict[NodeKey, NodeView]:
    """Nodes with live evidence and their ties, see `GraphStore.views`."""
    wanted = set(keys)
    return connection.read(lambda tx: _views(tx, wanted))


def _views(tx: Tx, keys: Iterable[NodeKey]) -> dict[NodeKey, NodeView]:
    nodes = find(tx, keys, "n.order, n.shared IS NOT NULL, n.person, n:Bare")
    present = {node[0]: key for key, node in nodes.items() if not node[4]}
    ties: dict[NodeKey, list[Tie]] = {key: [] for key in present.values()}
    for each, *tie in tx.rows(_TIES, ids=list(present)):
        ties[present[each]].append(_tie(tie))
    return {
        key: NodeView(
            key=key,
            order=nodes[key][1],
            shared=nodes[key][2],
            person=nodes[key][3],
            ties=tuple(sorted(some, key=_other)),
        )
        for key, some in ties.items()
    }


_TIES = (
    "UNWIND $ids AS each MATCH (n) WHERE id(n) = each MATCH (n)-[r:SEEN_WITH]-(m) "
    "RETURN collect([each, m.key, m.order, m.shared IS NOT NULL, r.days, r.earlier])"
)


def _other(tie: Tie) -> NodeKey:
    return tie.other


def _tie(row: Sequence[Any]) -> Tie:
    days = link_days(row[3], row[4])
    return Tie(
        other=row[0],
        other_order=row[1],
        other_shared=row[2],
        days=tuple(sorted({one.day for one in days})),
        count=sum(one.count for one in days),
        first_us=min(one.first_us for one in days),
        last_us=max(one.last_us for one in days),
        authenticated=any(one.assurance is Assurance.AUTHENTICATED for one in days),
    )


def decisions(connection: Connection, keys: Iterable[NodeKey]) -> list[Decision]:
    """Live decisions with an end among the keys, see `GraphStore.decisions`."""
    wanted = sorted(set(keys))
    return connection.read(lambda tx: _decisions(tx, wanted))


def _decisions(tx: Tx, keys: Sequence[NodeKey]) -> list[Decision]:
    (number,) = tx.row("MATCH (s:Decision) RETURN count(s)")
    if not number:
        return []
    rows = tx.rows(
        "UNWIND $keys AS key CALL (key) { "
        "MATCH (s:Decision {left: key}) RETURN s UNION MATCH (s:Decision {right: key}) RETURN s } "
        "WITH DISTINCT s ORDER BY s.id RETURN collect([s.id, s.body])",
        keys=keys,
    )
    found = []
    for signal, body in rows:
        live = unpack_signal(signal, body).live
        if live is not None and live.fact is not None:
            left, right = live.fact.subjects
            same = bool(live.fact.same)
            found.append(Decision(left, right, same, live.event_us, live.digest))
    return found


# ---- resolutions ---------------------------------------------------------


def commit_resolution(connection: Connection, lease: Lease, resolution: Resolution) -> int:
    """Write a resolution in one transaction, see `GraphStore.commit_resolution`."""
    written: list[int] = []

    def work(tx: Tx) -> int:
        number = hold(tx, lease)
        read_required(tx).settled()
        # A fence may have taken a number since.
        if written and last_resolved(tx) == written[-1]:
            return written[-1]
        written.append(number + 1)
        _write(tx, resolution, number + 1)
        return number + 1

    return connection.write(work)


def _write(tx: Tx, resolution: Resolution, number: int) -> None:
    """Write a resolution.

    1. Lock every node it names, in the order of all writers.
    2. Clear marks that are still as they were read.
    3. Write lineage, give nodes to people, flag the shared.
    4. Write the outbox.
    5. Change the index of matching.
    6. Drop nodes without evidence that are nobody's and not marked any more.
    """
    cleared = {mark.key: mark.count for mark in resolution.cleared}
    held = lock(
        tx,
        {*cleared, *resolution.people, *resolution.shared, *matching.named(resolution.matching)},
        "coalesce(n.mark, 0), n.person, n:Bare, n.blocks",
    )
    done = {
        node[0] for key, node in held.items() if key in cleared and node[1] >> BITS == cleared[key]
    }
    if done:
        tx.run(
            "UNWIND $ids AS each MATCH (n) WHERE id(n) = each "
            "SET n.mark = n.mark - n.mark % $reasons REMOVE n:Dirty",
            ids=list(done),
            reasons=REASONS + 1,
        )
    assigned = {held[key][0]: person for key, person in resolution.people.items() if key in held}
    people.write_lineage(tx, resolution.lineage, number)
    people.assign(tx, assigned, {node[0] for node in held.values() if node[2] is not None})
    _flag(tx, {held[key][0]: flag for key, flag in resolution.shared.items() if key in held})
    people.write_outbox(tx, resolution.outbox, number)
    if resolution.matching is not NO_MATCHING:
        indexed = {key: (node[0], node[4]) for key, node in held.items()}
        matching.write(tx, indexed, resolution.matching)
    if resolution.folding is not None:
        people.write_folding(tx, resolution.folding)
    _drop(tx, held, resolution.people, done)
    tx.run(
        "MATCH (l:Lease {name: 'resolver'}) SET l.resolutions = $number, l.resolved = $number",
        number=number,
    )


Held = Mapping[NodeKey, Sequence[Any]]
"""Node id, mark, person, whether it has no evidence, and its block keys."""


def _flag(tx: Tx, shared: Mapping[int, bool]) -> None:
    if shared:
        tx.run(
            "UNWIND $rows AS row MATCH (n) WHERE id(n) = row[0] "
            "SET n.shared = CASE WHEN row[1] THEN true END",
            rows=list(shared.items()),
        )


def _drop(
    tx: Tx, held: Held, assigned: Mapping[NodeKey, PersonId | None], done: AbstractSet[int]
) -> None:
    ids = [
        node_id
        for key, (node_id, mark, person, bare, _) in held.items()
        if bare
        and assigned.get(key, person) is None
        # Whoever is still marked has yet to leave the index of matching.
        and (node_id in done or not mark & REASONS)
    ]
    if ids:
        tx.run("UNWIND $ids AS each MATCH (n) WHERE id(n) = each DETACH DELETE n", ids=ids)

"""What consumers do: claim a partition, commit batches, move horizons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from identity.engines.neo4j import signals
from identity.engines.neo4j.connection import Connection, Tx
from identity.engines.neo4j.counting import Change, count
from identity.engines.neo4j.packing import brief
from identity.engines.neo4j.required import REQUIRED, Required
from identity.evidence import NO_FENCES, Fences, names_of, settle, signals_of
from identity.horizons import Horizons, kind_named
from identity.model import Contribution, EvidenceKind, Expiring, NodeKey
from identity.store import Batch, Checkpoint, Fenced, Outcome


def claim(connection: Connection, partition: str) -> Checkpoint:
    """Become the owner of a partition, see `GraphStore.claim`."""

    def work(tx: Tx) -> Checkpoint:
        # Whoever holds the graph holds every partition, also those that begin meanwhile.
        hold_graph(tx)
        position, epoch = tx.row(
            "MERGE (c:Checkpoint {partition: $partition}) SET c:Checkpoint "
            "WITH c SET c.epoch = coalesce(c.epoch, 0) + 1, c.commits = coalesce(c.commits, 0), "
            "c.position = coalesce(c.position, $start) RETURN c.position, c.epoch",
            partition=partition,
            start=b"",
        )
        return Checkpoint(partition, bytes(position), epoch)

    return connection.write(work)


@dataclass(slots=True)
class Attempts:
    """What earlier attempts at one commit wrote, in case only the answer got lost."""

    commits: int = -1
    outcomes: list[Outcome] = field(default_factory=list)


def commit(connection: Connection, batch: Batch) -> list[Outcome]:
    """Count a batch in one transaction, see `GraphStore.commit`."""
    attempts = Attempts()
    return connection.write(lambda tx: _commit(tx, batch, attempts))


def _commit(tx: Tx, batch: Batch, attempts: Attempts) -> list[Outcome]:
    """Count a batch.

    1. Lock the checkpoint and compare it with what is expected.
    2. Settle the batch against what is known of its signals and the fences of its nodes.
    3. Count what that adds and takes, and mark it.
    4. Set the checkpoint to the new position.
    """
    expected = batch.expected
    decides = any(
        one.fact is not None and one.fact.kind is EvidenceKind.DECISION
        for one in batch.contributions
    )
    if decides:
        # A decision marks only nodes that exist: no other commit may be making one just now.
        lock_graph(tx)
    position, epoch, commits, horizons, fenced, required = _lock_checkpoint(tx, expected.partition)
    if epoch == expected.epoch and position == batch.position and commits == attempts.commits:
        return attempts.outcomes
    if Checkpoint(expected.partition, position, epoch) != expected:
        raise Fenced("another consumer has taken over the partition")
    if batch.contributions:
        required.admit(batch.keys)
    known = signals.read_known(tx, signals_of(batch.contributions))
    fences = _fences_of(tx, batch.contributions, fenced)
    settled = settle(known, batch.contributions, horizons, fences)
    if settled.known:
        count(tx, Change(settled.added, settled.taken, known, settled.known), horizons)
    tx.run(
        "MATCH (c:Checkpoint {partition: $partition}) "
        "SET c.position = $position, c.commits = $commits",
        partition=expected.partition,
        position=batch.position,
        commits=commits + 1,
    )
    attempts.commits, attempts.outcomes = commits + 1, settled.outcomes
    return settled.outcomes


def hold_graph(tx: Tx) -> None:
    """Wait for whoever has locked the graph and hold up the next, but no plain commit."""
    tx.run("MATCH (g:Graph) SET g:Graph")


def lock_graph(tx: Tx) -> None:
    """Wait for every commit under way and hold up the next ones until the transaction ends."""
    hold_graph(tx)
    tx.run("MATCH (c:Checkpoint) WITH c ORDER BY c.partition SET c:Checkpoint")


def read_fences(tx: Tx, keys: Iterable[NodeKey]) -> dict[NodeKey, int]:
    """The moment up to which each node is fenced; nodes without a fence are left out."""
    return dict(
        tx.rows(
            "UNWIND $keys AS key MATCH (f:Fence {key: key}) RETURN collect([f.key, f.until_us])",
            keys=list(keys),
        )
    )


def _fences_of(tx: Tx, contributions: Sequence[Contribution], fenced: int) -> Fences:
    """The fences of all nodes that a batch names, with the checkpoint locked.

    Every fence raised has a change of its own. Those in brief that are known to
    this program leave few nodes to ask for, however many are fenced.
    """
    places = tx.places
    if fenced != places.fenced_to:
        after = places.fenced_to if places.fenced_to < fenced else 0
        new = tx.rows("MATCH (f:Fence) WHERE f.change > $after RETURN collect(f.key)", after=after)
        places.fenced.update(map(brief, new))
        places.fenced_to = fenced
    briefs = places.fenced
    if not briefs:
        return NO_FENCES
    names = {key for one in contributions for key in names_of(one) if brief(key) in briefs}
    return read_fences(tx, names) if names else NO_FENCES


def _lock_checkpoint(tx: Tx, partition: str) -> tuple[bytes, int, int, Horizons, int, Required]:
    rows = tx.rows(
        "MATCH (c:Checkpoint {partition: $partition}) SET c:Checkpoint "
        "WITH c OPTIONAL MATCH (h:Horizon) WITH c, collect([h.kind, h.before_day]) AS horizons "
        "MATCH (g:Graph) RETURN collect([c.position, c.epoch, c.commits, horizons, "
        "coalesce(g.fenced, 0), " + REQUIRED + "])",
        partition=partition,
    )
    if not rows:
        raise Fenced("nobody has claimed the partition")
    position, epoch, commits, horizons, fenced, required = rows[0]
    told = horizons_from(horizons)
    return bytes(position), epoch, commits, told, fenced, Required(*required)


def horizons_from(rows: list[tuple[str | None, int]]) -> dict[Expiring, int]:
    """Horizons by kind, from their names and days."""
    return {kind_named(kind): day for kind, day in rows if kind is not None}

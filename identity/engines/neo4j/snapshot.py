"""Snapshots of Neo4j: read under the graph's and the resolver's locks.

Neo4j has no snapshot of its own: a transaction reads what is committed when it
reads. So commits, claims, sweeps and resolutions wait while a snapshot is open. The
steps of a horizon that is moving take no such lock; what is before the horizon
is left out here, whether its step has come or not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import polars as pl

from identity.engines.neo4j.connection import Connection, Tx
from identity.engines.neo4j.consuming import horizons_from, lock_graph
from identity.engines.neo4j.matching import evidence_in
from identity.engines.neo4j.nodes import MICROSECONDS
from identity.engines.neo4j.packing import unpack_activity, unpack_links, unpack_signal
from identity.engines.neo4j.people import TO_OTHER
from identity.engines.neo4j.resolving import lock_lease
from identity.engines.neo4j.signals import FACT_LABELS
from identity.horizons import NO_DAY, families
from identity.model import EvidenceKind, NodeKey
from identity.snapshot import (
    CELLS,
    DAYS,
    DECISIONS,
    IDS,
    KEYS,
    LINEAGE,
    LINKS,
    NODES,
    SCORED,
    ActivityPart,
    Moment,
    Schema,
    SignalsPart,
    framed_records,
    framed_rows,
)
from identity.snapshot_signals import SignalRows

ROWS = 20_000
_HELD_AT_ONCE = 1_000
_TOLD = "MATCH (n:Identifier|Record) WHERE NOT n:Bare OR n.person IS NOT NULL "
_NODES = _TOLD + (
    "OPTIONAL MATCH (n)<-[:HAS]-(p) RETURN id(n), n.kind, id(p), n.shared IS NOT NULL"
)
_KEYS = _TOLD + "RETURN id(n), n.key"
_LINKS = "MATCH (a)-[r:SEEN_WITH]->(b) RETURN id(a), id(b), a:Record OR b:Record, r.days, r.earlier"
_DOINGS = (
    "MATCH (n:Identifier|Record) WHERE n.activity IS NOT NULL RETURN id(n), n.activity "
    "UNION ALL MATCH (n)-[:ACTIVE_IN]->(a) RETURN id(n), a.days AS `n.activity`"
)
_SCORED = "MATCH (a)-[r:SCORED]->(b) RETURN id(a), id(b), r.mbits"
_RECORDS = (
    "MATCH (n:Record) WHERE NOT n:Bare OR n.person IS NOT NULL "
    "WITH n ORDER BY n.key LIMIT {limit} RETURN id(n), n.key"
)
_SIGNALS = "MATCH (s:Signal) RETURN s.id, s.body"
_LIVES = "MATCH (p:Person) WHERE p.changes IS NOT NULL RETURN id(p), p.changes"
_BETWEEN = (
    "MATCH (p:Person)-[r:MERGED_INTO|SPLIT_FROM]->(o:Person) "
    "RETURN type(r), id(p), id(o), r.resolution, " + MICROSECONDS.format("r.at")
)
_IDS = "MATCH (p:Person) WHERE p.since IS NOT NULL OR EXISTS { (p)-[:HAS]->() } RETURN id(p), p.id"


class Neo4jSnapshots:
    """`Snapshots` of one Neo4j database that a store has been opened on before."""

    def __init__(
        self,
        uri: str,
        auth: tuple[str, str] | None,
        database: str = "neo4j",
        *,
        patience_s: float = 30.0,
    ) -> None:
        self._connection = Connection(uri, auth, database, patience_s)

    @contextmanager
    def take(self) -> Iterator[Neo4jSnapshot]:
        """Wait for what is under way and hold up what comes, until the context ends."""
        with self._connection.held() as tx:
            lock_graph(tx)
            *_, resolution = lock_lease(tx)
            horizons = horizons_from(
                tx.rows("MATCH (h:Horizon) RETURN collect([h.kind, h.before_day])")
            )
            (marks,) = tx.row("MATCH (n:Dirty) RETURN count(n)")
            (outbox,) = tx.row("MATCH (p:Unpublished) RETURN count(p)")
            (model,) = tx.row("MATCH (l:Lease {name: 'resolver'}) RETURN coalesce(l.model, '')")
            moment = Moment(resolution, horizons, marks, outbox, str(model))
            yield Neo4jSnapshot(tx, moment)

    def close(self) -> None:
        """Close every connection."""
        self._connection.close()


class Neo4jSnapshot:
    """`Snapshot` inside one transaction that holds the locks."""

    def __init__(self, tx: Tx, moment: Moment) -> None:
        self._tx = tx
        self._moment = moment
        self._nodes: dict[NodeKey, int] = {}

    def moment(self) -> Moment:
        """Which moment this is."""
        return self._moment

    def _frames(self, schema: Schema, rows: Iterator[tuple[Any, ...]]) -> Iterator[pl.DataFrame]:
        for some in _in_parts(rows):
            yield framed_rows(schema, some)

    def nodes(self) -> Iterator[pl.DataFrame]:
        """Frames of `NODES`."""
        return self._frames(NODES, self._tx.stream(_NODES))

    def links(self) -> Iterator[pl.DataFrame]:
        """Frames of `LINKS`."""
        return self._frames(LINKS, self._sightings())

    def _sightings(self) -> Iterator[tuple[Any, ...]]:
        horizons = self._moment.horizons
        from_day = self._from_days()
        for left, right, is_record, *packed in self._tx.stream(_LINKS):
            first = horizons.get(EvidenceKind.RECORD if is_record else EvidenceKind.LINK, NO_DAY)
            if from_day:
                first = max(first, from_day.get(left, first), from_day.get(right, first))
            for days in packed:
                for (day, *seen), counted in unpack_links(days).items():
                    if day >= first:
                        yield (left, right, day, *seen, *counted)

    def _from_days(self) -> dict[int, int]:
        """The first day kept of each node whose kind of identifier has a horizon."""
        horizons = {k: day for k, day in self._moment.horizons.items() if isinstance(k, str)}
        if not horizons:
            return {}
        return {
            node: max(days)
            for key, node in self._numbers().items()
            if (days := [horizons[kind] for kind in families(key) if kind in horizons])
        }

    def activity(self, dimensions: Collection[str]) -> Iterator[ActivityPart]:
        """Frames of `DAYS`, each with its `CELLS`."""
        first_day = self._moment.horizons.get(EvidenceKind.ACTIVITY, NO_DAY)
        from_day = self._from_days()
        for some in _in_parts(self._tx.stream(_DOINGS)):
            days, cells = [], []
            for node, packed in some:
                first = max(first_day, from_day.get(node, first_day))
                for day, (count, first_us, last_us, hours, counted) in unpack_activity(
                    packed
                ).items():
                    if day < first:
                        continue
                    days.append((node, day, count, first_us, last_us))
                    named = {f"hour:{hour}": n for hour, n in hours.items()} | counted
                    cells += [
                        (node, day, cell, n)
                        for cell, n in named.items()
                        if cell.partition(":")[0] in dimensions
                    ]
            yield ActivityPart(framed_rows(DAYS, days), framed_rows(CELLS, cells))

    def signals(self) -> Iterator[SignalsPart]:
        """Frames of `SIGNALS`, each with its `NAMED` and `CONSENTS`."""
        node = self._numbers()
        for some in _in_parts(self._tx.stream(_SIGNALS)):
            rows = SignalRows(node, self._moment.horizons)
            for signal, body in some:
                rows.add(unpack_signal(signal, body))
            yield rows.part()

    def _numbers(self) -> dict[NodeKey, int]:
        if not self._nodes:
            self._nodes = {key: node for node, key in self._tx.stream(_KEYS)}
        return self._nodes

    def decisions(self) -> Iterator[pl.DataFrame]:
        """Frames of `DECISIONS`."""
        return self._frames(DECISIONS, self._decided())

    def _decided(self) -> Iterator[tuple[Any, ...]]:
        node = self._numbers()
        select = f"MATCH (s:{FACT_LABELS[EvidenceKind.DECISION]}) RETURN s.id, s.body"
        from_day = self._moment.horizons.get(EvidenceKind.DECISION, -(2**31))
        for signal, body in self._tx.stream(select):
            live = unpack_signal(signal, body).live
            if live is None or live.fact is None or live.day < from_day:
                continue
            left, right = live.fact.subjects
            yield (
                signal,
                live.digest,
                node.get(left),
                node.get(right),
                live.fact.same,
                live.event_us,
            )

    def scored(self) -> Iterator[pl.DataFrame]:
        """Frames of `SCORED`."""
        return self._frames(SCORED, self._tx.stream(_SCORED))

    def records(self, limit: int) -> Iterator[pl.DataFrame]:
        """Frames of `RECORDS`."""
        numbers = {key: node for node, key in self._tx.stream(_RECORDS.format(limit=int(limit)))}
        keys = sorted(numbers)
        for start in range(0, len(keys), _HELD_AT_ONCE):
            held = evidence_in(self._tx, keys[start : start + _HELD_AT_ONCE], has_activity=False)
            yield framed_records(numbers, held, self._moment.horizons)

    def lineage(self) -> Iterator[pl.DataFrame]:
        """Frames of `LINEAGE`."""
        return self._frames(LINEAGE, self._entries())

    def _entries(self) -> Iterator[tuple[Any, ...]]:
        for person, changes in self._tx.stream(_LIVES):
            numbers = iter(changes)
            for change, number, _, at_us in zip(numbers, numbers, numbers, numbers, strict=True):
                yield (change, person, None, number, at_us)
        changes_of = {name: int(change) for change, name in TO_OTHER.items()}
        for name, person, other, number, at_us in self._tx.stream(_BETWEEN):
            yield (changes_of[name], person, other, number, at_us)

    def keys(self) -> Iterator[pl.DataFrame]:
        """Frames of `KEYS`."""
        return self._frames(KEYS, self._tx.stream(_KEYS))

    def ids(self) -> Iterator[pl.DataFrame]:
        """Frames of `IDS`."""
        return self._frames(IDS, self._tx.stream(_IDS))


def _in_parts(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    while some := list(islice(rows, ROWS)):
        yield some

"""Snapshots of the reference engine: a copy of its state, told as columns."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl

from identity.engines.memory import MemoryGraph
from identity.engines.memory_evidence import Evidence
from identity.evidence import Known
from identity.model import RECORD_KIND, LineageEntry, NodeKey, PersonId, kind_of
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
    SignalsPart,
    framed_records,
    framed_rows,
)
from identity.snapshot_signals import SignalRows


class MemorySnapshots:
    """`Snapshots` of a graph in this process's memory."""

    def __init__(self, graph: MemoryGraph) -> None:
        self._graph = graph

    @contextmanager
    def take(self) -> Iterator[MemorySnapshot]:
        """A copy of now; nobody waits for it."""
        graph = self._graph
        with graph.lock:
            moment = Moment(
                graph.resolution,
                dict(graph.horizons),
                len(graph.marks),
                len(graph.outbox),
                graph.matching.model,
            )
            # Evidence is derived anew by every change and never changed in place.
            copied = MemorySnapshot(
                moment,
                graph.evidence,
                dict(graph.people),
                frozenset(graph.shared),
                dict(graph.known),
                list(graph.lineage),
                [
                    (low, high, mbits)
                    for low, others in graph.matching.links.items()
                    for high, mbits in others.items()
                    if low < high
                ],
            )
        yield copied

    def close(self) -> None:
        """Nothing is held."""


@dataclass(slots=True)
class MemorySnapshot:
    """`Snapshot` of a memory graph."""

    at: Moment
    evidence: Evidence
    people: dict[NodeKey, PersonId]
    shared: frozenset[NodeKey]
    known: dict[int, Known]
    entries: list[LineageEntry]
    pairs: list[tuple[NodeKey, NodeKey, int]]

    def _numbers(self) -> dict[NodeKey, int]:
        return {key: at for at, key in enumerate(sorted({*self.evidence.nodes, *self.people}))}

    def _people(self) -> dict[PersonId, int]:
        told = {person for entry in self.entries for person in (entry.person, entry.other)}
        ids = {person for person in {*told, *self.people.values()} if person is not None}
        return {person: at for at, person in enumerate(sorted(ids))}

    def moment(self) -> Moment:
        """Which moment this is."""
        return self.at

    def nodes(self) -> Iterator[pl.DataFrame]:
        """One frame of `NODES`."""
        ids = self._people()
        yield framed_rows(
            NODES,
            [
                (
                    node,
                    kind_of(key),
                    ids[self.people[key]] if key in self.people else None,
                    key in self.shared,
                )
                for key, node in self._numbers().items()
            ],
        )

    def links(self) -> Iterator[pl.DataFrame]:
        """One frame of `LINKS`."""
        node = self._numbers()
        yield framed_rows(
            LINKS,
            [
                (
                    node[low],
                    node[high],
                    day.day,
                    day.source,
                    int(day.assurance),
                    day.count,
                    day.first_us,
                    day.last_us,
                )
                for (low, high), days in self.evidence.links.items()
                for day in days
            ],
        )

    def activity(self, dimensions: Collection[str]) -> Iterator[ActivityPart]:
        """One frame of `DAYS` with its `CELLS`."""
        node = self._numbers()
        days, cells = [], []
        for key, by_day in self.evidence.activity.items():
            for day, did in by_day.items():
                days.append((node[key], day, did.count, did.first_us, did.last_us))
                counted = {f"hour:{hour}": n for hour, n in did.hours.items()} | dict(did.cells)
                cells += [
                    (node[key], day, cell, n)
                    for cell, n in counted.items()
                    if cell.partition(":")[0] in dimensions
                ]
        yield ActivityPart(framed_rows(DAYS, days), framed_rows(CELLS, cells))

    def signals(self) -> Iterator[SignalsPart]:
        """One frame of `SIGNALS` with its `NAMED` and `CONSENTS`."""
        rows = SignalRows(self._numbers(), self.at.horizons)
        for known in self.known.values():
            rows.add(known)
        yield rows.part()

    def decisions(self) -> Iterator[pl.DataFrame]:
        """One frame of `DECISIONS`."""
        node = self._numbers()
        yield framed_rows(
            DECISIONS,
            [
                (
                    signal,
                    one.digest,
                    node.get(one.left),
                    node.get(one.right),
                    one.same,
                    one.decided_us,
                )
                for signal, one in self.evidence.decisions.items()
            ],
        )

    def scored(self) -> Iterator[pl.DataFrame]:
        """One frame of `SCORED`."""
        node = self._numbers()
        yield framed_rows(
            SCORED,
            [
                (node[low], node[high], mbits)
                for low, high, mbits in self.pairs
                if low in node and high in node
            ],
        )

    def records(self, limit: int) -> Iterator[pl.DataFrame]:
        """One frame of `RECORDS`."""
        keys = sorted(key for key in self.evidence.nodes if kind_of(key) == RECORD_KIND)[:limit]
        held = self.evidence.at_nodes(keys)
        yield framed_records(self._numbers(), held, self.at.horizons)

    def lineage(self) -> Iterator[pl.DataFrame]:
        """One frame of `LINEAGE`."""
        ids = self._people()
        yield framed_rows(
            LINEAGE,
            [
                (
                    int(entry.change),
                    ids[entry.person],
                    ids[entry.other] if entry.other is not None else None,
                    entry.resolution,
                    entry.at_us,
                )
                for entry in self.entries
            ],
        )

    def keys(self) -> Iterator[pl.DataFrame]:
        """One frame of `KEYS`."""
        yield framed_rows(KEYS, [(node, key) for key, node in self._numbers().items()])

    def ids(self) -> Iterator[pl.DataFrame]:
        """One frame of `IDS`."""
        yield framed_rows(IDS, [(number, person) for person, number in self._people().items()])

"""The Snapshots port: one moment of a graph as streams of columns, for statistics.

Engines: memory (reference), SQLite, Neo4j. All run one contract suite; each
promise below has a test of the same name there.

Promises
--------
- *One moment.* Everything read from one snapshot is what the graph held between
  two commits, while commits, resolutions and horizons go on.
- *Each once.* A stream gives each of its rows once, whatever the frames' sizes.
- *As the store tells it.* What a snapshot says is what `GraphStore` says of the
  same nodes, links, days, facts and ids.

Not promised: the order of rows and the size of frames. SQLite and memory hold
up no writer. Neo4j reads what is committed when it is read, so its snapshot
locks the graph: writers wait until it is closed. Read it and let it go.

Nodes and people are numbers that mean something within one snapshot only; no
key and no value is in any stream but `keys`, `ids` and `records`. Times and days are as
in `identity.model`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import polars as pl

from identity.horizons import Horizons
from identity.model import DAY_US, EvidenceKind, NodeEvidence, NodeKey

Schema = Mapping[str, Any]

NODES: Schema = {"node": pl.Int64, "kind": pl.String, "person": pl.Int64, "shared": pl.Boolean}
"""Nodes that have live evidence or a person; `person` is null while nobody's."""
LINKS: Schema = {
    "left": pl.Int64,
    "right": pl.Int64,
    "day": pl.Int32,
    "source": pl.String,
    "assurance": pl.UInt8,
    "signals": pl.Int64,
    "first_us": pl.Int64,
    "last_us": pl.Int64,
}
"""Sightings of a link by one source on one day; which end is left is not promised."""
DAYS: Schema = {
    "node": pl.Int64,
    "day": pl.Int32,
    "signals": pl.Int64,
    "first_us": pl.Int64,
    "last_us": pl.Int64,
}
"""What a holder did on one day."""
CELLS: Schema = {"node": pl.Int64, "day": pl.Int32, "cell": pl.String, "signals": pl.Int64}
"""Signals per holder, day and cell; the hours of the day, in UTC, are cells too: `hour:13`."""
SIGNALS: Schema = {
    "signal": pl.Int64,
    "source": pl.String,
    "assurance": pl.UInt8,
    "event_us": pl.Int64,
    "published_us": pl.Int64,
    "latest_us": pl.Int64,
    "fact": pl.UInt8,
}
"""Signals that count: earliest and latest publication, and the kind of their live fact or 0."""
NAMED: Schema = {"signal": pl.Int64, "place": pl.UInt8, "node": pl.Int64}
"""The nodes of each signal, by falling priority from 0; those of which its evidence has expired
are left out, and some may not be among `nodes` any more."""
CONSENTS: Schema = {
    "signal": pl.Int64,
    "digest": pl.Binary,
    "event_us": pl.Int64,
    "published_us": pl.Int64,
    "source": pl.String,
    "payload": pl.Binary,
    "node": pl.Int64,
}
"""Live consents, a row per subject that is there."""
DECISIONS: Schema = {
    "signal": pl.Int64,
    "digest": pl.Binary,
    "left": pl.Int64,
    "right": pl.Int64,
    "same": pl.Boolean,
    "decided_us": pl.Int64,
}
"""Live decisions of staff; an end that was never seen is null."""
SCORED: Schema = {"left": pl.Int64, "right": pl.Int64, "mbits": pl.Int64}
"""Each pair with a positive match weight, once, in thousandths of a bit, under `Moment.model`."""
RECORDS: Schema = {"node": pl.Int64, "key": pl.String, "payload": pl.Binary}
"""What records say, as it rests in the graph: sealed, for who holds the keys."""
LINEAGE: Schema = {
    "change": pl.UInt8,
    "person": pl.Int64,
    "other": pl.Int64,
    "resolution": pl.Int64,
    "at_us": pl.Int64,
}
"""Every entry of every id's lineage."""
KEYS: Schema = {"node": pl.Int64, "key": pl.String}
IDS: Schema = {"person": pl.Int64, "id": pl.String}
"""Every id ever given out."""


def framed(schema: Schema, *columns: Any) -> pl.DataFrame:
    """A frame of columns in the order of a schema."""
    return pl.DataFrame(dict(zip(schema, columns, strict=True)), schema=schema)


def framed_records(
    numbers: Mapping[NodeKey, int], held: Mapping[NodeKey, NodeEvidence], horizons: Horizons
) -> pl.DataFrame:
    """Frame of `RECORDS` from what some nodes hold."""
    return framed_rows(
        RECORDS,
        [
            (numbers[key], key, kept.fact.payload)
            for key, evidence in held.items()
            for kept in evidence.facts
            if kept.fact.kind is EvidenceKind.RECORD
            and kept.event_us // DAY_US >= horizons.get(EvidenceKind.RECORD, -(2**31))
        ],
    )


def framed_rows(schema: Schema, rows: Collection[Any]) -> pl.DataFrame:
    """A frame of rows with values in the order of a schema."""
    return pl.DataFrame(list(rows), schema=schema, orient="row")


@dataclass(frozen=True, slots=True)
class Moment:
    """Which moment a snapshot is of.

    - `resolution`: the last resolution that it holds.
    - `horizons`: as `GraphStore.horizons`.
    - `marks`: nodes that wait to be resolved; `outbox`: people who wait to be published.
    - `model`: as `GraphStore.model`: what scored links are of.
    """

    resolution: int
    horizons: Horizons
    marks: int
    outbox: int
    model: str


class ActivityPart(NamedTuple):
    """Some holders' days with their cells; both of the same rows' days."""

    days: pl.DataFrame
    cells: pl.DataFrame


class SignalsPart(NamedTuple):
    """Some signals, the nodes they name, and the consents among them."""

    signals: pl.DataFrame
    named: pl.DataFrame
    consents: pl.DataFrame


class Snapshot(Protocol):
    """One moment of a graph; see the module for the promises. For the thread that took it."""

    def moment(self) -> Moment:
        """Which moment this is."""

    def nodes(self) -> Iterator[pl.DataFrame]:
        """Frames of `NODES`."""

    def links(self) -> Iterator[pl.DataFrame]:
        """Frames of `LINKS`."""

    def activity(self, dimensions: Collection[str]) -> Iterator[ActivityPart]:
        """Frames of `DAYS`, each with the `CELLS` of these dimensions (`hour` for the hours)."""

    def signals(self) -> Iterator[SignalsPart]:
        """Frames of `SIGNALS`, each with its `NAMED` and `CONSENTS`."""

    def decisions(self) -> Iterator[pl.DataFrame]:
        """Frames of `DECISIONS`."""

    def scored(self) -> Iterator[pl.DataFrame]:
        """Frames of `SCORED`."""

    def records(self, limit: int) -> Iterator[pl.DataFrame]:
        """Frames of `RECORDS`: of the records whose keys come first, at most `limit`.

        Keys are keyed digests, so that these are a fair sample, and mostly the
        same records from one snapshot to the next.
        """

    def lineage(self) -> Iterator[pl.DataFrame]:
        """Frames of `LINEAGE`."""

    def keys(self) -> Iterator[pl.DataFrame]:
        """Frames of `KEYS`, for the nodes of `nodes`."""

    def ids(self) -> Iterator[pl.DataFrame]:
        """Frames of `IDS`, for people and for every id in the lineage."""


class Snapshots(Protocol):
    """Where snapshots of one graph are taken."""

    def take(self) -> AbstractContextManager[Snapshot]:
        """A snapshot of now, good until the context ends.

        Raises: `identity.store.StoreError`, while it is read too.
        """

    def close(self) -> None:
        """Release what is held."""

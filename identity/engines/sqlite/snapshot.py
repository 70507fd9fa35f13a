"""Snapshots of the embedded engine: one read transaction on a connection of their own.

Documents are decoded many at a time; what is integers in the file stays
integers until whole columns are made of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import polars as pl
from numpy.typing import NDArray

from identity.engines.sqlite.database import Database
from identity.engines.sqlite.grain import FIELDS, PERIOD_DAYS
from identity.engines.sqlite.matching import read_evidence_at
from identity.engines.sqlite.names import Names, Nodes
from identity.engines.sqlite.remembered import Remembered
from identity.engines.sqlite.remembered_columns import SignalColumns
from identity.engines.sqlite.state import read_horizons
from identity.model import DAY_US, RECORD_KIND
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
    framed,
    framed_records,
    framed_rows,
)

WAIT_S = 30.0
ROWS = 50_000
"""Rows of the file decoded at once."""
CACHE_MIB = 8
"""Pages held: a snapshot reads each table once from end to end, so more would only lie there."""
_HELD_AT_ONCE = 1_000
_TOLD = "(node.person IS NOT NULL OR EXISTS (SELECT 1 FROM grain WHERE grain.node = node.id))"
_NODES = f"""
SELECT id, substr(key, 1, length(key) - 23), person, shared FROM node WHERE {_TOLD}"""  # noqa: S608 - fixed text
_KEYS = f"SELECT id, key FROM node WHERE {_TOLD}"  # noqa: S608 - fixed text
_LINKS = "SELECT node, other, part, body FROM grain WHERE other > node"
_DOINGS = "SELECT node, part, body FROM grain WHERE other = 0"
_DECISIONS = """
SELECT signal, decision.digest, a.id, b.id, same, decided_us FROM decision
LEFT JOIN node AS a ON a.key = left_key LEFT JOIN node AS b ON b.key = right_key"""
_SCORED = "SELECT node, other, mbits FROM scored WHERE other > node"
_RECORDS = f"""
SELECT key, id FROM node WHERE key > '{RECORD_KIND}:' AND key < '{RECORD_KIND};' AND {_TOLD}
ORDER BY key LIMIT ?"""  # noqa: S608 - fixed text
_LINEAGE = "SELECT change, person, other, resolution, at_us FROM lineage"
_IDS = "SELECT id, name FROM person"
_MOMENT = """
SELECT resolution, (SELECT count(*) FROM mark), (SELECT count(*) FROM outbox), model
FROM state"""


class SqliteSnapshots:
    """`Snapshots` of the SQLite file at `path`; writers are not held up.

    The file's log grows while a snapshot is open, by what is written meanwhile.
    """

    def __init__(self, path: Path, wait_s: float = WAIT_S) -> None:
        self._database = Database(path, wait_s, CACHE_MIB)

    @contextmanager
    def take(self) -> Iterator[SqliteSnapshot]:
        """A read transaction, begun now."""
        with self._database.transaction("DEFERRED"):
            # A deferred transaction begins with its first read.
            yield SqliteSnapshot(self._database, _moment(self._database))

    def close(self) -> None:
        """Release the file."""
        self._database.close()


def _moment(database: Database) -> Moment:
    resolution, marks, outbox, model = database.execute(_MOMENT).fetchone()
    return Moment(resolution, read_horizons(database), marks, outbox, model)


class SqliteSnapshot:
    """`Snapshot` inside one read transaction."""

    def __init__(self, database: Database, moment: Moment) -> None:
        self._database = database
        self._moment = moment
        self._names = Names(database)

    def moment(self) -> Moment:
        """Which moment this is."""
        return self._moment

    def _rows(self, select: str) -> Iterator[list[Any]]:
        found = self._database.execute(select)
        while rows := found.fetchmany(ROWS):
            yield rows

    def nodes(self) -> Iterator[pl.DataFrame]:
        """Frames of `NODES`."""
        for rows in self._rows(_NODES):
            node, kind, person, shared = zip(*rows, strict=True)
            yield framed(NODES, node, kind, person, np.array(shared, bool))

    def links(self) -> Iterator[pl.DataFrame]:
        """Frames of `LINKS`."""
        for rows in self._rows(_LINKS):
            left, right, period, bodies = zip(*rows, strict=True)
            documents = _documents(bodies)
            sightings = [len(document) // FIELDS for document in documents]
            fields = _flat(documents).reshape(-1, FIELDS)
            day = np.repeat(_ints(period), sightings) * PERIOD_DAYS + fields[:, 0]
            start_us = day * DAY_US
            yield framed(
                LINKS,
                np.repeat(_ints(left), sightings),
                np.repeat(_ints(right), sightings),
                day.astype(np.int32),
                self._text(fields[:, 1].tolist()),
                fields[:, 2].astype(np.uint8),
                fields[:, 3],
                start_us + fields[:, 4],
                start_us + fields[:, 5],
            )

    def activity(self, dimensions: Collection[str]) -> Iterator[ActivityPart]:
        """Frames of `DAYS`, each with its `CELLS`."""
        for rows in self._rows(_DOINGS):
            yield self._activity(rows, dimensions)

    def _activity(self, rows: list[Any], dimensions: Collection[str]) -> ActivityPart:
        holders, periods, bodies = zip(*rows, strict=True)
        documents = _documents(bodies)
        lengths = [len(document) for document in documents]
        node = np.repeat(_ints(holders), lengths)
        place = np.fromiter(chain.from_iterable(documents), np.int64)
        day = np.repeat(_ints(periods), lengths) * PERIOD_DAYS + place
        entries = [entry for document in documents for entry in document.values()]
        counts = _flat([entry[:3] for entry in entries]).reshape(-1, 3)
        start_us = day * DAY_US
        days = framed(
            DAYS,
            node,
            day.astype(np.int32),
            counts[:, 0],
            start_us + counts[:, 1],
            start_us + counts[:, 2],
        )
        parts = [self._cells(node, day, [entry[4] for entry in entries], dimensions)]
        if "hour" in dimensions:
            parts.append(_hours(node, day, [entry[3] for entry in entries]))
        return ActivityPart(days, pl.concat(parts))

    def _cells(
        self,
        node: NDArray[np.int64],
        day: NDArray[np.int64],
        cells: list[dict[int | str, int]],
        dimensions: Collection[str],
    ) -> pl.DataFrame:
        lengths = [len(counts) for counts in cells]
        shorts = list(chain.from_iterable(cells))
        texts = self._names.texts
        wanted = {short for short in set(shorts) if texts[short].partition(":")[0] in dimensions}
        is_wanted = np.fromiter((short in wanted for short in shorts), bool, len(shorts))
        return framed(
            CELLS,
            np.repeat(node, lengths)[is_wanted],
            np.repeat(day, lengths)[is_wanted].astype(np.int32),
            self._text([short for short in shorts if short in wanted]),
            _flat([counts.values() for counts in cells])[is_wanted],
        )

    def _text(self, shorts: list[int | str]) -> pl.Series:
        """Names by id; a text is its own name."""
        texts = self._names.texts
        distinct = {short: texts[short] for short in set(shorts)}
        return pl.Series([distinct[short] for short in shorts], dtype=pl.String)

    def signals(self) -> Iterator[SignalsPart]:
        """Frames of `SIGNALS`, each with its `NAMED` and `CONSENTS`."""
        columns = SignalColumns(self._database, self._names, self._moment.horizons)
        for rows in self._rows("SELECT day, signal, body FROM known"):
            yield columns.decode(rows)

    def decisions(self) -> Iterator[pl.DataFrame]:
        """Frames of `DECISIONS`."""
        for rows in self._rows(_DECISIONS):
            yield framed_rows(DECISIONS, [(*row[:4], bool(row[4]), row[5]) for row in rows])

    def scored(self) -> Iterator[pl.DataFrame]:
        """Frames of `SCORED`."""
        for rows in self._rows(_SCORED):
            yield framed(SCORED, *zip(*rows, strict=True))

    def records(self, limit: int) -> Iterator[pl.DataFrame]:
        """Frames of `RECORDS`."""
        numbers = dict(self._database.execute(_RECORDS, (limit,)))
        keys = sorted(numbers)
        remembered = Remembered(self._database, Nodes(self._database), self._names)
        for start in range(0, len(keys), _HELD_AT_ONCE):
            some = keys[start : start + _HELD_AT_ONCE]
            held = read_evidence_at(self._database, self._names, remembered, some, activity=False)
            yield framed_records(numbers, held, self._moment.horizons)

    def lineage(self) -> Iterator[pl.DataFrame]:
        """Frames of `LINEAGE`."""
        for rows in self._rows(_LINEAGE):
            yield framed(LINEAGE, *zip(*rows, strict=True))

    def keys(self) -> Iterator[pl.DataFrame]:
        """Frames of `KEYS`."""
        for rows in self._rows(_KEYS):
            yield framed(KEYS, *zip(*rows, strict=True))

    def ids(self) -> Iterator[pl.DataFrame]:
        """Frames of `IDS`."""
        for rows in self._rows(_IDS):
            yield framed(IDS, *zip(*rows, strict=True))


def _documents(bodies: Iterable[bytes]) -> list[Any]:
    reader = msgpack.Unpacker(strict_map_key=False)
    reader.feed(b"".join(bodies))
    return list(reader)


def _ints(values: Iterable[int]) -> NDArray[np.int64]:
    return np.fromiter(values, np.int64)


def _flat(lists: Iterable[Iterable[int]]) -> NDArray[np.int64]:
    return np.fromiter(chain.from_iterable(lists), np.int64)


def _hours(
    node: NDArray[np.int64], day: NDArray[np.int64], hours: list[dict[int, int]]
) -> pl.DataFrame:
    lengths = [len(counts) for counts in hours]
    hour = pl.Series(_flat(hours)).cast(pl.String)
    return framed(
        CELLS,
        np.repeat(node, lengths),
        np.repeat(day, lengths).astype(np.int32),
        "hour:" + hour,
        _flat([counts.values() for counts in hours]),
    )

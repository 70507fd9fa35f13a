"""What a sample of records says: opened, and at once forgotten but for names and groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import polars as pl

from identity.model import RECORD_KIND, NodeKey
from identity.snapshot import Schema, Snapshot
from kinfold.modelling.groups import NoGroups, groups_of
from kinfold.statistics.insight import RECORDS_READ, Insight, Scoring

SAID: Schema = {"node": pl.Int64, "attributes": pl.List(pl.String), "group": pl.String}
"""What was read of a record: names of its attributes, and its group ("" when none was asked)."""


def said(snapshot: Snapshot, insight: Insight) -> pl.DataFrame:
    """`SAID` of a sample of records; nothing where nobody asks for it."""
    asks = insight.group or any(RECORD_KIND in one.kinds for one in _models(snapshot, insight))
    if insight.opened is None or not asks:
        return pl.DataFrame(schema=SAID)
    rows = [
        row
        for frame in snapshot.records(RECORDS_READ)
        for row in _rows(frame, insight.opened, insight.group)
    ]
    told = pl.DataFrame(rows, schema=SAID, orient="row")
    try:
        groups = groups_of(told["group"].to_list()) if insight.group else [""] * told.height
    except NoGroups:
        groups = [""] * told.height
    return told.with_columns(group=pl.Series(groups, dtype=pl.String))


def _models(snapshot: Snapshot, insight: Insight) -> tuple[Scoring, ...]:
    return insight.models(snapshot.moment().model)


def _rows(
    frame: pl.DataFrame, opened: Callable[[NodeKey, bytes], Mapping[str, str]], group: str
) -> Iterator[tuple[int, list[str], str]]:
    for node, key, payload in frame.rows():
        record = opened(key, payload)
        yield node, sorted(record), record.get(group, "")

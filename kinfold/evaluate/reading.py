"""Files with known answers: their columns understood, the labels kept aside."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from identity.matching.attributes import problems, understand

_UNREADABLE = (OSError, pl.exceptions.PolarsError, UnicodeDecodeError, csv.Error)


class NotEvaluable(Exception):
    """What is wrong with the file or what was said of it; one problem per line."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A file's records as attributes, and how to get at the answers: `labels()` reads them."""

    path: Path
    records: list[dict[str, str]]
    attributes: Mapping[str, str]
    label_column: str

    def labels(self) -> list[str]:
        """The true person of every record, in the file's order; an empty one is a person alone."""
        column = _frame(self.path)[self.label_column].to_list()
        return [text or f"(row {row})" for row, text in enumerate(column)]


def read(path: Path, mapped: Mapping[str, str], label_column: str) -> Answered:
    """Read a CSV, JSON Lines or Parquet file without its labels.

    Raises:
        NotEvaluable: the file cannot be read, lacks a column, or holds no known attribute.
    """
    frame = _frame(path)
    if label_column not in frame.columns:
        raise NotEvaluable(f"--labels {label_column}: the file has no such column")
    found = problems(mapped, frame.columns)
    if found:
        raise NotEvaluable("\n".join(found))
    frame = frame.drop(label_column)
    columns = understand(frame.columns, mapped)
    if not columns:
        raise NotEvaluable("no column names an attribute; say what they are with --map")
    rows: list[dict[str, Any]] = frame.select(list(columns)).to_dicts()
    records = [
        {columns[name]: text for name, value in row.items() if value and (text := value.strip())}
        for row in rows
    ]
    return Answered(path, records, columns, label_column)


def _frame(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path)
        elif path.suffix in (".jsonl", ".ndjson"):
            frame = pl.read_ndjson(path, infer_schema_length=None)
        else:
            frame = pl.read_csv(path, infer_schema=False)
    except _UNREADABLE as error:
        raise NotEvaluable(f"{path.name} cannot be read: {type(error).__name__}") from error
    return frame.with_columns(pl.all().cast(pl.String))

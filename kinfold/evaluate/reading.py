"""Files of records: their columns understood, labels and groups kept aside."""

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
class Given:
    """A file's records as attributes, and which attribute each column holds."""

    path: Path
    records: list[dict[str, str]]
    attributes: Mapping[str, str]

    def column(self, name: str) -> list[str]:
        """A column as it stands in the file, "" where it is empty.

        Raises:
            NotEvaluable: the file has no such column.
        """
        frame = _frame(self.path)
        if name not in frame.columns:
            raise NotEvaluable(f"{self.path.name} has no column {name}")
        return [text or "" for text in frame[name].to_list()]


@dataclass(frozen=True, slots=True)
class Answered(Given):
    """Records whose answers are known, and how to get at these: `labels()` reads them."""

    label_column: str

    def labels(self) -> list[str]:
        """The true person of every record, in the file's order; an empty one is a person alone."""
        column = self.column(self.label_column)
        return [text or f"(row {row})" for row, text in enumerate(column)]


def read(path: Path, mapped: Mapping[str, str], label_column: str) -> Answered:
    """Read a CSV, JSON Lines or Parquet file without its labels.

    Raises:
        NotEvaluable: the file cannot be read, lacks a column, or holds no known attribute.
    """
    frame = _frame(path)
    if label_column not in frame.columns:
        raise NotEvaluable(f"--labels {label_column}: the file has no such column")
    records, attributes = _records(frame, mapped, label_column)
    return Answered(path, records, attributes, label_column)


def read_records(path: Path, mapped: Mapping[str, str]) -> Given:
    """Read a CSV, JSON Lines or Parquet file of records whose answers nobody asks for.

    Raises:
        NotEvaluable: the file cannot be read, lacks a column, or holds no known attribute.
    """
    return Given(path, *_records(_frame(path), mapped))


def _records(
    frame: pl.DataFrame, mapped: Mapping[str, str], *aside: str
) -> tuple[list[dict[str, str]], dict[str, str]]:
    found = problems(mapped, frame.columns)
    if found:
        raise NotEvaluable("\n".join(found))
    columns = understand([name for name in frame.columns if name not in aside], mapped)
    if not columns:
        raise NotEvaluable("no column names an attribute; say what they are with --map")
    rows: list[dict[str, Any]] = frame.select(list(columns)).to_dicts()
    records = [
        {columns[name]: text for name, value in row.items() if value and (text := value.strip())}
        for row in rows
    ]
    return records, columns


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

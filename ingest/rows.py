"""The rows of JSON Lines, CSV and Parquet files, plain or compressed, with their places."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

import polars as pl
import zstandard

BATCH_ROWS = 10_000
_COMPRESSED = (".gz", ".zst")
_FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}


class UnreadableRows(Exception):
    """A file cannot be read as what its name says; nothing of it that was not given out counts."""


def format_of(path: Path) -> str | None:
    """jsonl, csv, tsv or parquet by the file's name, compressed or not; None: by no known name."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    return _FORMATS.get(suffixes[-1]) if suffixes else None


def rows(path: Path, form: str, start: int = 0) -> Iterator[tuple[int, bytes | Mapping[str, Any]]]:
    """(position, row) from row `start` on; positions count rows from 0, blank lines included.

    JSON lines come as bytes, CSV rows as texts, Parquet rows as their values.
    Reads a bounded number of rows at once. Raises `UnreadableRows`.
    """
    try:
        yield from _lines(path, start) if form == "jsonl" else _table(path, form, start)
    except (OSError, EOFError, zstandard.ZstdError, pl.exceptions.PolarsError) as error:
        reason = type(error).__name__
        raise UnreadableRows(f"{path.name}: cannot be read as {form} ({reason})") from None


def opened(path: Path) -> IO[bytes]:
    """The file's bytes, decompressed if its name ends in .gz or .zst."""
    if path.suffix.lower() == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    if path.suffix.lower() == ".zst":
        return io.BufferedReader(zstandard.open(path, "rb"))
    return path.open("rb")


def _lines(path: Path, start: int) -> Iterator[tuple[int, bytes]]:
    with opened(path) as lines:
        for position, line in enumerate(lines):
            if position >= start and not line.isspace():
                yield position, line


def _table(path: Path, form: str, start: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if form == "parquet":
        frame = pl.scan_parquet(path)
    else:
        separator = "\t" if form == "tsv" else ","
        frame = pl.scan_csv(path, separator=separator, infer_schema=False)
    position = 0
    for batch in frame.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
        if position + batch.height > start:
            for row in batch.slice(max(0, start - position)).iter_rows(named=True):
                yield max(position, start), row
                position = max(position, start) + 1
        else:
            position += batch.height

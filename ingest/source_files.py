"""Signals from files and standard input: JSON Lines, and the rows of CSV and Parquet files.

Every file is a partition of its own, named by its resolved path. Lines come
from any file that is no table by its name, unpacked when it ends in ``.gz`` or
``.zst``; rows of ``.csv``, ``.tsv`` and ``.parquet`` come as JSON objects by column.

A position is ``place:head:checksum``: the offset after the line in the unpacked
bytes, or the number of rows read; and the CRC-32 of the file's first `head` bytes.
Where the checksum differs, the file is another one under the old name and is
read from its beginning; signals that were in the old one count once all the same.

A file is read up to its end: a line that a program has not finished writing is
taken for a whole one, so let writers finish first.
"""

from __future__ import annotations

import fcntl
import gzip
import io
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, cast

import orjson
import zstandard

from ingest import rows
from ingest.segment import MAX_BATCH_BYTES
from ingest.source import (
    Extent,
    Form,
    PartitionReader,
    PartitionTaken,
    ReadLimits,
    Received,
    SourceDamaged,
    SourceMissing,
)

STDIN = "-"
HEAD_BYTES = 4096
MAX_LINE_BYTES = MAX_BATCH_BYTES + 1
"""Of a longer line only so much is given; it is no signal anyway."""
_TABLES = frozenset({"csv", "tsv", "parquet"})


class FileSource:
    """Files, and standard input under the name ``-``. Folders are not entered."""

    def __init__(self, paths: Iterable[str | Path], limits: ReadLimits | None = None) -> None:
        self._paths = [str(path) for path in paths]
        self._limits = limits or ReadLimits()

    def partitions(self) -> list[str]:
        """As the port says; a path given twice is one partition."""
        return list(dict.fromkeys(_partition(path) for path in self._paths))

    def wants(self, partition: str) -> bool:
        """As the port says: whoever was given a file reads it."""
        del partition
        return True

    def open(self, partition: str) -> PartitionReader:
        """As the port says."""
        kind, _, name = partition.partition(":")
        if kind == "stdin":
            return LineReader(io.open(0, "rb", closefd=False), STDIN, self._limits)  # noqa: UP020 - standard input
        raw = _open_locked(name)
        if rows.format_of(Path(name)) in _TABLES:
            return TableReader(raw, Path(name), self._limits)
        return LineReader(raw, name, self._limits)

    def close(self) -> None:
        """As the port says: files are held by readers alone."""


def place(position: bytes) -> int:
    """Where in its file a position lies: the same for the same line or row every time."""
    return int(position.partition(b":")[0])


class LineReader:
    """The lines of one file. Blank lines are passed over."""

    def __init__(self, raw: IO[bytes], name: str, limits: ReadLimits) -> None:
        self._raw = raw
        self._name = name
        self._limits = limits
        self._lines = raw
        self._head = _Head(b"")
        self._offset = 0
        self._ended = False
        self._damage: SourceDamaged | None = None

    def resume(self, position: bytes) -> None:
        """As the port says; standard input goes on wherever it is."""
        if self._name == STDIN:
            return
        with _told():
            self._raw.seek(0)
            self._head = _Head(self._raw.read(HEAD_BYTES))
            self._offset = self._head.place(position)
            self._raw.seek(0)
            self._lines = _unpacked(self._raw, self._name)
            if self._lines is self._raw:
                self._raw.seek(self._offset)
            else:
                _skip(self._lines, self._offset)
        self._ended, self._damage = False, None

    def read(self, wait_ms: int) -> list[Received]:
        """As the port says; a file never makes anyone wait."""
        del wait_ms
        if self._damage is not None:
            raise self._damage
        received: list[Received] = []
        try:
            with _told():
                self._fill(received)
        except SourceDamaged as damage:
            # What was sound before the damage is given first.
            self._damage = damage
            if not received:
                raise
        return received

    def acknowledge(self, position: bytes) -> None:
        """As the port says: files forget nothing."""

    @property
    def ended(self) -> bool:
        """As the port says."""
        return self._ended

    def extent(self) -> Extent | None:
        """As the port says, in bytes of the file as it lies there."""
        if self._name == STDIN:
            return None
        with suppress(OSError, ValueError):
            total = os.fstat(self._raw.fileno()).st_size
            done = self._offset if self._lines is self._raw else self._raw.tell()
            return Extent(min(done, total), total, "bytes")
        return None

    def close(self) -> None:
        """As the port says; standard input itself stays open."""
        self._raw.close()

    def _fill(self, received: list[Received]) -> None:
        while len(received) < self._limits.signals:
            line = self._line()
            if not line:
                self._ended = True
                return
            self._offset += len(line)
            text = line.strip()
            if text:
                received.append(Received(text, Form.JSON, self._head.position(self._offset)))

    def _line(self) -> bytes:
        """The next line with its end; all of it is passed, however long it is."""
        line = self._lines.readline(MAX_LINE_BYTES)
        if len(line) < MAX_LINE_BYTES or line.endswith(b"\n"):
            return line
        rest = b""
        while not rest.endswith(b"\n") and (rest := self._lines.readline(MAX_LINE_BYTES)):
            self._offset += len(rest)
        return line


class TableReader:
    """The rows of one CSV or Parquet file, each as a JSON object by column."""

    def __init__(self, raw: IO[bytes], path: Path, limits: ReadLimits) -> None:
        self._raw = raw
        self._path = path
        self._limits = limits
        self._rows: Iterator[tuple[int, object]] = iter(())
        self._head = _Head(b"")
        self._ended = False
        self._damage: SourceDamaged | None = None

    def resume(self, position: bytes) -> None:
        """As the port says."""
        with _told():
            self._raw.seek(0)
            self._head = _Head(self._raw.read(HEAD_BYTES))
        form = rows.format_of(self._path)
        assert form is not None
        self._rows = rows.rows(self._path, form, self._head.place(position))
        self._ended, self._damage = False, None

    def read(self, wait_ms: int) -> list[Received]:
        """As the port says; a file never makes anyone wait."""
        del wait_ms
        if self._damage is not None:
            raise self._damage
        received: list[Received] = []
        try:
            for number, row in islice(self._rows, self._limits.signals):
                payload = orjson.dumps(row, default=str)
                received.append(Received(payload, Form.ROW, self._head.position(number + 1)))
        except rows.UnreadableRows as failure:
            self._damage = SourceDamaged(str(failure))
            if not received:
                raise self._damage from None
        self._ended = not received
        return received

    def acknowledge(self, position: bytes) -> None:
        """As the port says: files forget nothing."""

    @property
    def ended(self) -> bool:
        """As the port says."""
        return self._ended

    def extent(self) -> Extent | None:
        """As the port says: how many rows there are shows at the end."""
        return None

    def close(self) -> None:
        """As the port says."""
        self._raw.close()


class _Head:
    """The first bytes of a file, which tell it from another one under its name."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._known = (0, 0)

    def position(self, place: int) -> bytes:
        # As many bytes as were surely there when the position was given: files grow.
        length = min(place, len(self._head))
        if self._known[0] != length:
            self._known = (length, zlib.crc32(self._head[:length]))
        return b"%d:%d:%d" % (place, *self._known)

    def place(self, position: bytes) -> int:
        """The place to go on from: 0 when this is not the file in which the position was given."""
        with suppress(ValueError):
            place, length, checksum = map(int, position.split(b":"))
            if len(self._head) >= length and zlib.crc32(self._head[:length]) == checksum:
                return place
        return 0


@contextmanager
def _told() -> Iterator[None]:
    """Turns what the system says of a file into the port's words."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError):
        raise SourceDamaged("the packed file is cut or damaged") from None
    except OSError as failure:
        raise SourceDamaged(f"the file cannot be read: {failure.strerror}") from None


def _partition(path: str) -> str:
    return "stdin:" if path == STDIN else f"file:{Path(path).resolve()}"


def _unpacked(raw: IO[bytes], name: str) -> IO[bytes]:
    if name.endswith(".gz"):
        return cast("IO[bytes]", io.BufferedReader(gzip.GzipFile(fileobj=raw)))
    if name.endswith(".zst"):
        reader = zstandard.ZstdDecompressor().stream_reader(
            raw, read_across_frames=True, closefd=False
        )
        return cast("IO[bytes]", io.BufferedReader(reader))
    return raw


def _skip(lines: IO[bytes], offset: int) -> None:
    while offset > 0 and (passed := lines.read(min(offset, 1 << 20))):
        offset -= len(passed)


def _open_locked(name: str) -> IO[bytes]:
    try:
        raw = Path(name).open("rb")  # noqa: SIM115 - held by the reader
    except (FileNotFoundError, IsADirectoryError):
        raise SourceMissing(f"there is no file {name}") from None
    except OSError as failure:
        raise SourceMissing(f"{name} cannot be read: {failure.strerror}") from None
    try:
        fcntl.flock(raw, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raw.close()
        raise PartitionTaken(f"{name} is being read by another") from None
    except OSError:
        # Some network file systems know no locks; two readers only fence each other.
        pass
    return raw

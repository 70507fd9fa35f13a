"""One SQLite file: opened, in transactions, its failures told in the port's words."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from identity.engines.sqlite.private_file import make_private
from identity.engines.sqlite.schema import APPLICATION_ID, STEPS, VERSION
from identity.engines.sqlite.transaction import Access, transaction
from identity.engines.sqlite.waiting import patiently
from identity.store import StoreDamaged, StoreUnavailable

PAGE_BYTES = 4096
CACHE_MIB = 128
# Large enough that pages written by several batches in a row reach the file once.
CHECKPOINT_MIB = 64
_BATCH_ROWS = 256
_FEW_ROWS = 8


class Database:
    """A connection to the file at `path`, made with mode 0600 when it is missing.

    Commits survive power loss: every one is synced. Deleted content is
    overwritten. Waits at most `wait_s` for another writer; holds at most
    `cache_mib` of its pages.

    Raises `StoreUnavailable` when the file cannot be had, `StoreDamaged` when
    it holds something else or what a later version wrote.
    """

    def __init__(self, path: Path, wait_s: float, cache_mib: int = CACHE_MIB) -> None:
        with _told():
            self._make(path)
            self._sql = sqlite3.connect(
                path,
                timeout=wait_s,
                isolation_level=None,
                cached_statements=256,
                check_same_thread=False,
            )
        try:
            with _told():
                patiently(self._sql, lambda: self._set_up(cache_mib), wait_s)
        except BaseException:
            self._sql.close()
            raise
        self.execute = self._sql.execute
        self.executemany = self._sql.executemany

    def _make(self, path: Path) -> None:
        try:
            make_private(path)
        except OSError as failure:
            raise StoreUnavailable("the graph's file cannot be opened") from failure

    def _set_up(self, cache_mib: int) -> None:
        sql = self._sql
        for pragma in (
            f"page_size = {PAGE_BYTES}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "secure_delete = ON",
            f"cache_size = {-cache_mib * 1024}",
            f"wal_autocheckpoint = {CHECKPOINT_MIB * 1024 * 1024 // PAGE_BYTES}",
            "temp_store = MEMORY",
        ):
            sql.execute(f"PRAGMA {pragma}")
        if self._version() < VERSION:
            sql.execute("BEGIN IMMEDIATE")
            for step in STEPS[self._version() :]:
                for statement in step.split(";\n"):
                    sql.execute(statement)
            sql.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            sql.execute(f"PRAGMA user_version = {VERSION}")
            sql.execute("COMMIT")
        if self._version() != VERSION:
            raise StoreDamaged("the graph's file was written by a later version")

    def _version(self) -> int:
        # In this order: another may be making the file, and whoever sees its version sees its id.
        (version,) = self._sql.execute("PRAGMA user_version").fetchone()
        (application_id,) = self._sql.execute("PRAGMA application_id").fetchone()
        if application_id not in (0, APPLICATION_ID) or (version and not application_id):
            raise StoreDamaged("the graph's file is some other program's")
        return int(version)

    def close(self) -> None:
        """Release the file."""
        with _told():
            self._sql.close()

    @contextmanager
    def transaction(self, kind: Access) -> Iterator[None]:
        """All of the body or nothing; `kind` is DEFERRED to read, IMMEDIATE to write."""
        with _told(), transaction(self._sql, kind):
            yield

    def look_up(self, select: str, values: Iterable[int | str]) -> list[Any]:
        """Rows of a statement whose one parameter ``json_each(?)`` lists the values."""
        return self.execute(select, (json.dumps(list(values)),)).fetchall()

    def change(self, statement: str, value: object, keys: Iterable[int | str]) -> int:
        """Carry out a statement on ``json_each(?2)``; how many rows it changed."""
        return self.execute(statement, (value, json.dumps(list(keys)))).rowcount

    def look_up_rows(self, select: str, width: int, rows: Sequence[tuple[int, ...]]) -> list[Any]:
        """Rows of a statement that joins the table ``{wanted}`` of `width` integer columns.

        Few texts for any number of rows, so that statements stay prepared; what
        is missing to a full chunk is filled with NULLs, which match nothing.
        """
        found: list[Any] = []
        size = _FEW_ROWS if len(rows) <= _FEW_ROWS else _BATCH_ROWS
        row_text = "(" + ",".join("?" * width) + ")"
        text = select.replace("{wanted}", "VALUES " + ",".join([row_text] * size))
        for start in range(0, len(rows), size):
            chunk = [value for row in rows[start : start + size] for value in row]
            missing: list[int | None] = [None] * (size * width - len(chunk))
            found += self.execute(text, (*chunk, *missing)).fetchall()
        return found


@contextmanager
def _told() -> Iterator[None]:
    """Failures of the driver in the port's words, without the driver's text."""
    try:
        yield
    except sqlite3.OperationalError as failure:
        raise StoreUnavailable(
            "the graph's file is busy, full or cannot be read or written"
        ) from failure
    except sqlite3.DatabaseError as failure:
        raise StoreDamaged("the graph's file is not what it should be") from failure

"""The audit log in one SQLite file: append-only by trigger, hashed in the transaction that appends.

Several processes may use one log at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Lock
from weakref import finalize

from identity.engines.sqlite.private_file import make_private
from identity.engines.sqlite.transaction import transaction
from identity.engines.sqlite.waiting import patiently
from profiles import merkle
from profiles.audit import (
    AuditDamaged,
    AuditUnavailable,
    Event,
    Head,
    Kind,
    Proof,
    entry_of,
    named_once,
    once_of,
)

_BUSY_S = 10.0
_AT_ONCE = 1_000
_VERSION = 1
_APPEND_ONLY = "\n".join(
    f"""CREATE TRIGGER IF NOT EXISTS {table}_{verb} BEFORE {verb} ON {table}
    BEGIN SELECT RAISE(ABORT, 'append only'); END;"""
    for table in ("entries", "subtrees")
    for verb in ("UPDATE", "DELETE")
)
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS entries (
    place INTEGER PRIMARY KEY,
    once TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS subtrees (
    level INTEGER NOT NULL,
    place INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (level, place)
) STRICT, WITHOUT ROWID;
{_APPEND_ONLY}
"""


class SqliteAuditLog:
    """An AuditLog in a file that nobody else may read. Threads may share it.

    `key` is the log's own (`KeyVault.audit_key`).
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._key = key
        self._lock = Lock()
        with _told():
            make_private(path)
            self._db = sqlite3.connect(
                path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            # Who only appends now and then need not think of closing it.
            self._closing = finalize(self, self._db.close)
            patiently(self._db, self._set_up, _BUSY_S)

    def _set_up(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        with self._writing():
            self._prepare()

    def _prepare(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version not in (0, _VERSION):
            raise AuditDamaged("the audit log is of another version")
        if version == 0:
            for statement in _statements(_SCHEMA):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version={_VERSION}")

    def append(self, events: Sequence[Event]) -> int:
        """See `AuditLog`."""
        if not events:
            return 0
        with self._lock, _told(), self._writing():
            size = before = self._size()
            for event in events:
                once, body = once_of(event, self._key), entry_of(event, self._key)
                made = self._db.execute(
                    "INSERT INTO entries VALUES (?, ?, ?) ON CONFLICT (once) DO NOTHING",
                    (size, once, body),
                )
                if made.rowcount:
                    leaf = merkle.leaf_hash(body)
                    self._db.executemany(
                        "INSERT INTO subtrees VALUES (?, ?, ?)",
                        merkle.grown(size, leaf, self._whole),
                    )
                    size += 1
        return size - before

    def knows(self, kind: Kind, once: str) -> bool:
        """See `AuditLog`."""
        with self._lock, _told():
            row = self._db.execute(
                "SELECT 1 FROM entries WHERE once = ?", (named_once(kind, once, self._key),)
            ).fetchone()
        return row is not None

    def head(self) -> Head:
        """See `AuditLog`."""
        with self._lock, _told(), self._reading():
            return self._head(self._size())

    def entries(self, start: int = 0) -> Iterator[bytes]:
        """See `AuditLog`."""
        while True:
            with self._lock, _told():
                rows = self._db.execute(
                    "SELECT body FROM entries WHERE place >= ? ORDER BY place LIMIT ?",
                    (start, _AT_ONCE),
                ).fetchall()
            if not rows:
                return
            start += len(rows)
            yield from (body for (body,) in rows)

    def inclusion(self, index: int, size: int | None = None) -> Proof:
        """See `AuditLog`."""
        with self._lock, _told(), self._reading():
            head = self._head(self._size() if size is None else size)
            row = self._db.execute("SELECT body FROM entries WHERE place = ?", (index,)).fetchone()
            assert row is not None, "an entry of the log"
            path = merkle.inclusion(index, head.size, self._whole)
        return Proof(index, row[0], head, tuple(path))

    def consistency(self, old: int) -> tuple[bytes, ...]:
        """See `AuditLog`."""
        with self._lock, _told(), self._reading():
            return tuple(merkle.consistency(old, self._size(), self._whole))

    def damaged_at(self) -> int | None:
        """See `AuditLog`. Hashes every entry anew; nothing kept is believed."""
        kept: dict[tuple[int, int], bytes] = {}
        size = 0
        for body in self.entries():
            for level, place, made in merkle.grown(
                size, merkle.leaf_hash(body), lambda level, place: kept[level, place]
            ):
                if self._stored(level, place) != made:
                    return size
                kept[level, place] = made
                # What lies below a whole subtree is not needed any more.
                if level:
                    del kept[level - 1, 2 * place], kept[level - 1, 2 * place + 1]
            size += 1
        with self._lock, _told():
            (places, last, hashes) = self._db.execute(
                "SELECT count(*), max(place), (SELECT count(*) FROM subtrees WHERE level = 0)"
                " FROM entries"
            ).fetchone()
        whole = places == size == hashes and last == (size - 1 if size else None)
        return None if whole else size

    def close(self) -> None:
        """See `AuditLog`."""
        self._closing()

    def _size(self) -> int:
        (last,) = self._db.execute("SELECT max(place) FROM entries").fetchone()
        return 0 if last is None else int(last) + 1

    def _head(self, size: int) -> Head:
        return Head(size, merkle.root(size, self._whole))

    def _whole(self, level: int, place: int) -> bytes:
        row = self._db.execute(
            "SELECT hash FROM subtrees WHERE level = ? AND place = ?", (level, place)
        ).fetchone()
        if row is None:
            raise AuditDamaged("the audit log has lost a hash: `kinfold audit verify` says where")
        found: bytes = row[0]
        return found

    def _stored(self, level: int, place: int) -> bytes | None:
        with self._lock, _told():
            row = self._db.execute(
                "SELECT hash FROM subtrees WHERE level = ? AND place = ?", (level, place)
            ).fetchone()
        return None if row is None else row[0]

    def _writing(self) -> AbstractContextManager[None]:
        return transaction(self._db)

    def _reading(self) -> AbstractContextManager[None]:
        return transaction(self._db, "DEFERRED")


def _statements(script: str) -> list[str]:
    """The statements of a script one by one: `executescript` would commit between them."""
    found, statement = [], ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement) and statement.strip():
            found.append(statement)
            statement = ""
    return found


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong below becomes an AuditError that names no value."""
    try:
        yield
    except sqlite3.OperationalError:
        raise AuditUnavailable("the audit log is busy, full or out of reach") from None
    except sqlite3.DatabaseError:
        raise AuditDamaged("the audit log's file is not a log or is damaged") from None
    except OSError as error:
        raise AuditUnavailable(f"cannot open the audit log: {error.strerror}") from None

"""Dead letters in one SQLite file, the embedded default. Several processes may use it at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

from identity.engines.sqlite.private_file import make_private
from identity.engines.sqlite.transaction import transaction
from identity.engines.sqlite.waiting import patiently
from ingest.dead_letters import (
    DeadLetter,
    LetterId,
    LettersDamaged,
    LettersUnavailable,
)

_BUSY_S = 10.0
_AT_ONCE = 500
_LETTERS = """
CREATE TABLE IF NOT EXISTS letters (
    id TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    field TEXT NOT NULL,
    hint TEXT NOT NULL,
    source TEXT NOT NULL,
    form TEXT NOT NULL,
    partition TEXT NOT NULL,
    position BLOB NOT NULL,
    received_us INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID
"""
_APPLIED = "CREATE TABLE IF NOT EXISTS applied (one INTEGER PRIMARY KEY, deletions TEXT) STRICT"
_COLUMNS = "id, reason, field, hint, source, form, partition, position, received_us, sealed"


class FileLetters:
    """As the port says, in the file at `path`, which is made when it is not there."""

    def __init__(self, path: Path) -> None:
        with _told():
            path.parent.mkdir(parents=True, exist_ok=True)
            make_private(path)
            self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
            patiently(self._db, self._set_up, _BUSY_S)

    def _set_up(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA secure_delete = ON")
        self._db.execute(_LETTERS)
        self._db.execute(_APPLIED)

    def keep(self, letters: Sequence[DeadLetter]) -> None:
        """As the port says."""
        if not letters:
            return
        places = ", ".join("?" * 10)
        with self._transaction() as db:
            db.executemany(
                f"INSERT OR REPLACE INTO letters ({_COLUMNS}) VALUES ({places})",  # noqa: S608 - fixed text
                map(astuple, letters),
            )

    def all(self) -> Iterator[DeadLetter]:
        """As the port says."""
        with _told():
            for row in self._db.execute(
                f"SELECT {_COLUMNS} FROM letters ORDER BY received_us, id"  # noqa: S608 - fixed text
            ):
                yield DeadLetter(*row)

    def find(self, letter: LetterId) -> DeadLetter | None:
        """As the port says."""
        with _told():
            row = self._db.execute(
                f"SELECT {_COLUMNS} FROM letters WHERE id = ?",  # noqa: S608 - fixed text
                (letter,),
            ).fetchone()
        return None if row is None else DeadLetter(*row)

    def remove(self, letters: Iterable[DeadLetter]) -> None:
        """As the port says."""
        as_read = [(each.id, each.received_us) for each in letters]
        with self._transaction() as db:
            db.executemany("DELETE FROM letters WHERE id = ? AND received_us = ?", as_read)

    def rewrap(self, rewrap: Callable[[bytes], bytes]) -> int:
        """As the port says, a few hundred at a time."""
        changed, last = 0, ""
        while True:
            with self._transaction() as db:
                rows = db.execute(
                    "SELECT id, sealed FROM letters WHERE id > ? ORDER BY id LIMIT ?",
                    (last, _AT_ONCE),
                ).fetchall()
                fresh = [
                    (new, letter) for letter, old in rows if old and (new := rewrap(old)) != old
                ]
                db.executemany("UPDATE letters SET sealed = ? WHERE id = ?", fresh)
            changed += len(fresh)
            if not rows:
                return changed
            last = rows[-1][0]

    def applied(self) -> str:
        """As the port says."""
        with _told():
            row = self._db.execute("SELECT deletions FROM applied").fetchone()
        return "" if row is None else str(row[0])

    def set_applied(self, deletions: str) -> None:
        """As the port says."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO applied VALUES (1, ?)", (deletions,))

    def close(self) -> None:
        """As the port says."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _told(), transaction(self._db):
            yield self._db


@contextmanager
def _told() -> Iterator[None]:
    """Turns what SQLite says into the port's words."""
    try:
        yield
    except sqlite3.OperationalError:
        raise LettersUnavailable("the file of dead letters cannot be used just now") from None
    except sqlite3.DatabaseError:
        raise LettersDamaged("the file of dead letters is damaged") from None
    except OSError as failure:
        raise LettersUnavailable(f"the dead letters' folder: {failure.strerror}") from None

"""The register: what was handed out, to whom and until when, and what figures must hold.

One SQLite file, readable by its owner alone, in the home folder or where several
homes share it. It is how a
later export keeps from giving away what an earlier one did not, and how an
erasure finds whose profiles were exported where.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from identity.engines.sqlite.private_file import make_private
from identity.model import PersonId
from kinfold.statistics.cells import Cell, Held

RECIPIENT_CHARS = 200
_BUSY_S = 60.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS held (
    figure TEXT NOT NULL,
    minimum INTEGER NOT NULL,
    name TEXT NOT NULL,
    part TEXT NOT NULL,
    people INTEGER NOT NULL,
    value INTEGER NOT NULL,
    capped INTEGER NOT NULL,
    cap INTEGER NOT NULL,
    PRIMARY KEY (figure, minimum, name, part)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS released (
    figure TEXT NOT NULL,
    minimum INTEGER NOT NULL,
    PRIMARY KEY (figure, minimum)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS exported (
    id INTEGER PRIMARY KEY,
    what TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    recipient TEXT NOT NULL,
    purpose TEXT NOT NULL,
    expires_us INTEGER NOT NULL,
    place TEXT NOT NULL,
    people INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS exported_person (
    person TEXT NOT NULL,
    export INTEGER NOT NULL REFERENCES exported (id),
    row_id TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (person, export)
) STRICT, WITHOUT ROWID;
"""
_ROWS = "ALTER TABLE exported_person ADD COLUMN row_id TEXT NOT NULL DEFAULT ''"
"""Registers were made without."""


def is_recipient(name: str) -> bool:
    """Whether a recipient can be told by this name: one line of text."""
    return bool(name.strip()) and len(name) <= RECIPIENT_CHARS and name.isprintable()


class RegisterError(Exception):
    """The register cannot be used; nothing was written, and nothing may be handed out."""


class LowerMinimum(RegisterError):
    """Figures were released at a higher minimum before, which a lower one would undo.

    Several minima of one figure, rounded apart, would tell the exact number.
    """

    def __init__(self, least: int) -> None:
        super().__init__(f"figures of this register were released for at least {least} people")
        self.least = least


@dataclass(frozen=True, slots=True)
class Exported:
    """One export. `expires_us`: when the recipient must have deleted it; 0: no date was set.

    `row_id`: what the person asked about is called in it; "" where nobody was
    asked about, or it has no rows of people.
    """

    what: str
    at_us: int
    recipient: str
    purpose: str
    expires_us: int
    place: str
    people: int
    row_id: str = ""


class Register:
    """The register in the file at `path`, which is made with mode 0600 when it is missing.

    `tell` hears of every export, with its number, before it is written down for good.

    Raises: RegisterError, from every call.
    """

    def __init__(self, path: Path, tell: Callable[[int, Exported], None] | None = None) -> None:
        self._tell = tell
        with _told():
            make_private(path)
            self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA secure_delete = ON")
            self._db.executescript(_SCHEMA)
            columns = self._db.execute("PRAGMA table_info(exported_person)").fetchall()
            if "row_id" not in {name for _, name, *_ in columns}:
                self._db.execute(_ROWS)

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All of the body or nothing; others that hand something out wait meanwhile."""
        with _told():
            self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with _told():
                self._db.execute("ROLLBACK")
            raise
        with _told():
            self._db.execute("COMMIT")

    def hold_to(self, minimum: int) -> int | None:
        """From here on figures are released for at least so many people.

        When the first was released, in microseconds; None: none ever was.

        Raises:
            LowerMinimum: they were for more.
        """
        with _told():
            (most,) = self._db.execute("SELECT max(minimum) FROM released").fetchone()
            (first_us,) = self._db.execute(
                "SELECT min(at_us) FROM exported WHERE what = 'figures'"
            ).fetchone()
        if most is not None and minimum < most:
            raise LowerMinimum(most)
        return first_us if most is not None else None

    def held(self, figure: str) -> dict[Cell, Held] | None:
        """The numbers that a figure's cells hold; None when it was never released."""
        with _told():
            (minimum,) = self._db.execute(
                "SELECT max(minimum) FROM released WHERE figure = ?", (figure,)
            ).fetchone()
            if minimum is None:
                return None
            rows = self._db.execute(
                "SELECT name, part, people, value, capped, cap FROM held"
                " WHERE figure = ? AND minimum = ?",
                (figure, minimum),
            ).fetchall()
        return {(name, part): Held(*numbers) for name, part, *numbers in rows}

    def hold(self, figure: str, minimum: int, cells: dict[Cell, Held]) -> None:
        """Replace the numbers that a figure's cells hold."""
        with _told():
            self._db.execute("DELETE FROM held WHERE figure = ?", (figure,))
            self._db.execute("INSERT OR IGNORE INTO released VALUES (?, ?)", (figure, minimum))
            self._db.executemany(
                "INSERT INTO held VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(figure, minimum, *cell, *numbers) for cell, numbers in sorted(cells.items())],
            )

    def note(self, export: Exported, people: Mapping[PersonId, str] = MappingProxyType({})) -> int:
        """Write an export down, with whom it holds and what their rows are called; its number."""
        with _told():
            cursor = self._db.execute(
                "INSERT INTO exported (what, at_us, recipient, purpose, expires_us, place, people)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    export.what,
                    export.at_us,
                    export.recipient,
                    export.purpose,
                    export.expires_us,
                    export.place,
                    export.people,
                ),
            )
            number = cursor.lastrowid
            assert number is not None
            self._db.executemany(
                "INSERT INTO exported_person (person, export, row_id) VALUES (?, ?, ?)",
                ((person, number, row_id) for person, row_id in people.items()),
            )
        if self._tell is not None:
            self._tell(number, export)
        return number

    def exports(self, person: PersonId | None = None) -> list[Exported]:
        """All exports, or those that hold a person, oldest first.

        Waits for one that is being made, which may hold them, too.
        """
        with self.writing(), _told():
            rows = self._db.execute(
                "SELECT what, at_us, recipient, purpose, expires_us, place, people,"
                " coalesce(row_id, '')"
                " FROM exported LEFT JOIN exported_person ON export = id AND person = ?1"
                " WHERE ?1 IS NULL OR person = ?1 ORDER BY id",
                (person,),
            ).fetchall()
        return [Exported(*row) for row in rows]


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError):
        raise RegisterError(
            "the register of exports is busy, full, damaged or cannot be written"
        ) from None

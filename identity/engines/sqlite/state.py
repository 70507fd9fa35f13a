"""The one row of counters that every writer reads first and writes last."""

from __future__ import annotations

from dataclasses import dataclass

from identity.engines.sqlite.database import Database
from identity.model import EvidenceKind, Expiring


@dataclass(slots=True)
class State:
    """Counters as a write transaction found them, to be changed and written back.

    - `commits`: write transactions that changed evidence; the count of new marks.
    - `next_node`: the id of the next node.
    - `forgets`: how often nodes were dropped; whoever cached ids compares it.
    """

    commits: int
    next_node: int
    forgets: int


def read_state(database: Database) -> State:
    """The counters as they are now."""
    row = database.execute("SELECT commits, next_node, forgets FROM state").fetchone()
    return State(*row)


def write_state(database: Database, state: State) -> None:
    """Replace the counters."""
    database.execute(
        "UPDATE state SET commits = ?, next_node = ?, forgets = ?",
        (state.commits, state.next_node, state.forgets),
    )


def read_horizons(database: Database) -> dict[Expiring, int]:
    """Per kind the day before which evidence has expired."""
    horizons: dict[Expiring, int] = {}
    for kind, day in database.execute(
        "SELECT kind, before_day FROM horizon UNION ALL SELECT * FROM horizon_of_kind"
    ):
        horizons[kind if isinstance(kind, str) else EvidenceKind(kind)] = day
    return horizons


def write_horizon(database: Database, kind: Expiring, before_day: int) -> None:
    """From now on evidence of the kind has expired before this day."""
    table, name = ("horizon_of_kind", kind) if isinstance(kind, str) else ("horizon", int(kind))
    database.execute(
        f"INSERT OR REPLACE INTO {table} VALUES (?, ?)",  # noqa: S608 - fixed text
        (name, before_day),
    )


def read_cutoffs(database: Database) -> dict[str, int]:
    """Per use the day before which nothing is used for it."""
    return dict(database.execute("SELECT name, before_day FROM cutoff").fetchall())


def write_cutoff(database: Database, name: str, before_day: int) -> None:
    """From now on nothing before this day is used for it."""
    database.execute("INSERT OR REPLACE INTO cutoff VALUES (?, ?)", (name, before_day))


def read_folding(database: Database) -> str:
    """By what profiles are folded."""
    (folding,) = database.execute("SELECT folding FROM state").fetchone()
    return str(folding)


def write_folding(database: Database, folding: str) -> None:
    """From now on profiles are folded by this."""
    database.execute("UPDATE state SET folding = ?", (folding,))


def write_marks(database: Database, marks: dict[int, int], count: int) -> None:
    """Mark nodes with their reasons; `count` is larger than that of any mark there is."""
    database.executemany(
        "INSERT INTO mark VALUES (?1, ?2, ?2, ?3) ON CONFLICT (node) DO UPDATE"
        " SET count = excluded.count, changed = changed | excluded.changed",
        [(node, count, changed) for node, changed in sorted(marks.items())],
    )


def bare_nodes(database: Database, nodes: list[int]) -> list[int]:
    """Those of the nodes that have no evidence."""
    rows = database.look_up(
        "SELECT value FROM json_each(?) WHERE NOT EXISTS (SELECT 1 FROM grain WHERE node = value)",
        nodes,
    )
    return [node for (node,) in rows]

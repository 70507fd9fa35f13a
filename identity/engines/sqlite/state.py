"""The one row of counters that every writer reads first and writes last."""

from __future__ import annotations

from dataclasses import dataclass

from identity.engines.sqlite.database import Database
from identity.model import EvidenceKind


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


def read_horizons(database: Database) -> dict[EvidenceKind, int]:
    """Per kind the day before which evidence has expired."""
    rows = database.execute("SELECT kind, before_day FROM horizon")
    return {EvidenceKind(kind): day for kind, day in rows}


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

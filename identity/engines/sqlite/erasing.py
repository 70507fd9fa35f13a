"""Fences, and sweeping away what they keep out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from identity.engines.sqlite.database import Database
from identity.engines.sqlite.grain import FIELDS, PERIOD_DAYS, day_of, unpack_document
from identity.engines.sqlite.names import Nodes
from identity.engines.sqlite.state import read_horizons
from identity.evidence import NO_FENCES, Fences, Known, erase
from identity.horizons import NO_DAY
from identity.model import Contribution, NodeKey

_HELD = """
SELECT node, other, part, body FROM grain WHERE node IN (SELECT value FROM json_each(?1))
UNION ALL
SELECT link.node, link.other, link.part, link.body FROM grain AS pointer
JOIN grain AS link ON link.node = pointer.other AND link.other = pointer.node
WHERE pointer.node IN (SELECT value FROM json_each(?1))
AND pointer.other > 0 AND pointer.other < pointer.node"""
_ASK_OUTBOX = """
INSERT OR REPLACE INTO outbox
SELECT DISTINCT person, ?1, NULL, 0 FROM node
WHERE key IN (SELECT value FROM json_each(?2)) AND person IS NOT NULL"""


def write_fences(database: Database, fences: Fences) -> None:
    """Raise fences; whoever holds one of the nodes enters the outbox."""
    database.executemany(
        "INSERT INTO fence VALUES (?1, ?2) ON CONFLICT (key)"
        " DO UPDATE SET until_us = max(until_us, ?2)",
        sorted(fences.items()),
    )
    (number,) = database.execute("SELECT resolution + 1 FROM state").fetchone()
    if database.change(_ASK_OUTBOX, number, fences):
        database.execute("UPDATE state SET resolution = ?", (number,))


def read_fences(database: Database, keys: Iterable[NodeKey]) -> dict[NodeKey, int]:
    """The moments of the nodes that are fenced."""
    select = "SELECT key, until_us FROM fence WHERE key IN (SELECT value FROM json_each(?))"
    return dict(database.look_up(select, keys))


def fences_of(database: Database, contributions: Iterable[Contribution]) -> Fences:
    """The fences of all nodes that a batch names; where nobody is fenced, without a look."""
    if database.execute("SELECT 1 FROM fence LIMIT 1").fetchone() is None:
        return NO_FENCES
    keys = {node.key for one in contributions for node in one.nodes}
    keys.update(key for one in contributions if one.fact is not None for key in one.fact.subjects)
    return read_fences(database, keys)


def lower_fences(database: Database, fences: Fences) -> None:
    """Lower fences; 0 takes one away."""
    database.executemany(
        "UPDATE fence SET until_us = min(until_us, ?2) WHERE key = ?1", sorted(fences.items())
    )
    database.executemany(
        "DELETE FROM fence WHERE key = ? AND until_us = 0", [(key,) for key in sorted(fences)]
    )


def days_of(database: Database, nodes: Nodes, keys: Iterable[NodeKey]) -> dict[int, set[int]]:
    """By day the ids of those of the nodes of which signals of that day may be remembered.

    A node holds evidence on every day of its signals, but for what a horizon
    took of a signal while something else of it was kept.
    """
    ids = set(nodes.ids(keys).values())
    days: dict[int, set[int]] = {}
    for node, other, part, body in database.look_up(_HELD, ids):
        ends = {node, other} & ids
        for day in _days_in(other, node, part, body):
            days.setdefault(day, set()).update(ends)
    horizon = max(read_horizons(database).values(), default=NO_DAY)
    if ids:
        select = "SELECT DISTINCT day FROM known WHERE day > ? AND day < ?"
        for (day,) in database.execute(select, (NO_DAY, horizon)):
            days[day] = set(ids)
    return days


def _days_in(other: int, node: int, part: int, body: bytes) -> Iterable[int]:
    if other < 0:
        return (day_of(body),)
    if other and other < node:
        return ()
    document = unpack_document(body)
    within = document if other == 0 else document[::FIELDS]
    return {part * PERIOD_DAYS + day for day in within}


class Erased:
    """What fences make of signals that are known: pure, and counted.

    - `after`: what is still known of those that change; `forgotten`: of which nothing is.
    - `added`, `taken`: what counts now, and what no longer does.
    """

    def __init__(self, known: Mapping[int, Known], fences: Fences) -> None:
        self.after: dict[int, Known] = {}
        self.forgotten: list[int] = []
        self.added: list[Contribution] = []
        self.taken: list[Contribution] = []
        self.contents = 0
        for signal, before in known.items():
            left = erase(before, fences)
            if left is not before:
                self._take(signal, before, left)

    def _take(self, signal: int, before: Known, left: Known | None) -> None:
        old, new = before.live, None if left is None else left.live
        self.contents += len(before.seen) - (0 if left is None else len(left.seen))
        if left is None:
            self.forgotten.append(signal)
        else:
            self.after[signal] = left
        if old != new:
            self.taken += [] if old is None else [old]
            self.added += [] if new is None else [new]

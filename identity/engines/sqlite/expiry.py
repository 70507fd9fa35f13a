"""Moving a horizon: the evidence of a kind before a day goes, by whole rows."""

from __future__ import annotations

from collections.abc import Iterator

from identity.engines.sqlite.database import Database
from identity.engines.sqlite.grain import (
    FIELDS,
    PERIOD_DAYS,
    Documents,
    Place,
    Sightings,
    day_bytes,
    pack_document,
    unpack_document,
)
from identity.model import DAY_US, RECORD_KIND, Changed, EvidenceKind, Expiring

_ROWS = 2_000
_ACTIVITY = int(Changed.ACTIVITY)
_REMOVED = int(Changed.ACTIVITY | Changed.REMOVED)
_OLD_LINKS = """
SELECT grain.node, grain.other, grain.part, grain.body
FROM grain JOIN node AS a ON a.id = grain.node JOIN node AS b ON b.id = grain.other
WHERE grain.other > grain.node AND grain.part <= ?1
AND (substr(a.key, 1, ?2) = ?3 OR substr(b.key, 1, ?2) = ?3) = ?4
AND (grain.node, grain.other, grain.part) > (?5, ?6, ?7)
ORDER BY grain.node, grain.other, grain.part LIMIT ?8"""
_OLD_DOINGS = """
SELECT grain.node, grain.other, grain.part, grain.body
FROM grain JOIN node AS a ON a.id = grain.node
WHERE grain.other = 0 AND grain.part <= ?1 AND substr(a.key, 1, ?2) = ?3
AND (grain.node, grain.other, grain.part) > (?4, ?5, ?6)
ORDER BY grain.node, grain.other, grain.part LIMIT ?7"""
_OLD_FACTS = """
SELECT node, other, part FROM grain WHERE other = ? AND body < ?"""


def expire_grain(database: Database, kind: Expiring, before_day: int) -> dict[int, int]:
    """Delete all evidence of a kind before a day; gives the nodes to mark and why."""
    marks: dict[int, int] = {}
    if isinstance(kind, str):
        _expire_links(database, kind + ":", True, before_day, marks)
        _expire_activity(database, kind + ":", before_day, marks)
        return marks
    if kind in (EvidenceKind.LINK, EvidenceKind.RECORD):
        of_records = kind is EvidenceKind.RECORD
        _expire_links(database, RECORD_KIND + ":", of_records, before_day, marks)
    if kind is EvidenceKind.ACTIVITY:
        _expire_activity(database, "", before_day, marks)
    elif kind is EvidenceKind.DECISION:
        _expire_decisions(database, before_day, marks)
    elif kind is not EvidenceKind.LINK:
        rows = database.execute(_OLD_FACTS, (-kind, day_bytes(before_day))).fetchall()
        Documents(database).delete(rows)
        for node, _, _ in rows:
            _mark(marks, node, _ACTIVITY)
    return marks


def _mark(marks: dict[int, int], node: int, changed: int) -> None:
    marks[node] = marks.get(node, 0) | changed


def _pages(
    database: Database, select: str, *values: object
) -> Iterator[list[tuple[int, int, int, bytes]]]:
    """Rows of a statement that goes on after a place, a page at a time."""
    place: Place = (-(2**62), -(2**62), -(2**62))
    while rows := database.execute(select, (*values, *place, _ROWS)).fetchall():
        yield rows
        place = rows[-1][:3]


def _expire_links(
    database: Database, prefix: str, has_it: bool, before_day: int, marks: dict[int, int]
) -> None:
    """Links of which an end, or none, has a key that begins so."""
    period, day = divmod(before_day, PERIOD_DAYS)
    for rows in _pages(database, _OLD_LINKS, period, len(prefix), prefix, has_it):
        gone: list[Place] = []
        for node, other, part, body in rows:
            sightings = unpack_document(body)
            left = _since(sightings, day) if part == period else []
            if len(left) == len(sightings):
                continue
            for end in (node, other):
                _mark(marks, end, _REMOVED)
            _replace(database, (node, other, part), left, gone)
        Documents(database).delete(gone)


def _since(sightings: Sightings, day: int) -> Sightings:
    starts = [at for at in range(0, len(sightings), FIELDS) if sightings[at] >= day]
    return [value for at in starts for value in sightings[at : at + FIELDS]]


def _expire_activity(
    database: Database, prefix: str, before_day: int, marks: dict[int, int]
) -> None:
    period, day = divmod(before_day, PERIOD_DAYS)
    for rows in _pages(database, _OLD_DOINGS, period, len(prefix), prefix):
        gone: list[Place] = []
        for node, other, part, body in rows:
            doings = unpack_document(body)
            left = {at: entry for at, entry in doings.items() if part == period and at >= day}
            if len(left) < len(doings):
                _mark(marks, node, _ACTIVITY)
                _replace(database, (node, other, part), left, gone)
        Documents(database).delete(gone)


def _replace(database: Database, place: Place, left: object, gone: list[Place]) -> None:
    if not left:
        gone.append(place)
        return
    database.execute(
        "UPDATE grain SET body = ? WHERE node = ? AND other = ? AND part = ?",
        (pack_document(left), *place),
    )


def _expire_decisions(database: Database, before_day: int, marks: dict[int, int]) -> None:
    before_us = before_day * DAY_US
    rows = database.execute(
        "SELECT node.id FROM decision JOIN node ON node.key IN (left_key, right_key)"
        " WHERE decided_us < ?",
        (before_us,),
    ).fetchall()
    database.execute("DELETE FROM decision WHERE decided_us < ?", (before_us,))
    for (node,) in rows:
        _mark(marks, node, int(Changed.DECIDED))

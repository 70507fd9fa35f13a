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
WHERE grain.other > grain.node AND grain.part BETWEEN ?1 AND ?2
AND (substr(a.key, 1, ?3) = ?4 OR substr(b.key, 1, ?3) = ?4) = ?5
AND (grain.node, grain.other, grain.part) > (?6, ?7, ?8)
ORDER BY grain.node, grain.other, grain.part LIMIT ?9"""
_OLD_DOINGS = """
SELECT grain.node, grain.other, grain.part, grain.body
FROM grain JOIN node AS a ON a.id = grain.node
WHERE grain.other = 0 AND grain.part BETWEEN ?1 AND ?2 AND substr(a.key, 1, ?3) = ?4
AND (grain.node, grain.other, grain.part) > (?5, ?6, ?7)
ORDER BY grain.node, grain.other, grain.part LIMIT ?8"""
_OLD_FACTS = """
SELECT node, other, part FROM grain WHERE other = ? AND body >= ? AND body < ?"""
Days = tuple[int, int]
"""The first, and one past the last."""


def expire_grain(database: Database, kind: Expiring, days: Days) -> dict[int, int]:
    """Delete all evidence of a kind of these days, of which none is older; gives the nodes to
    mark and why.
    """
    marks: dict[int, int] = {}
    if isinstance(kind, str):
        _expire_links(database, kind + ":", True, days, marks)
        _expire_activity(database, kind + ":", days, marks)
        return marks
    if kind in (EvidenceKind.LINK, EvidenceKind.RECORD):
        _expire_links(database, RECORD_KIND + ":", kind is EvidenceKind.RECORD, days, marks)
    if kind is EvidenceKind.ACTIVITY:
        _expire_activity(database, "", days, marks)
    elif kind is EvidenceKind.DECISION:
        _expire_decisions(database, days[1], marks)
    elif kind is not EvidenceKind.LINK:
        rows = database.execute(_OLD_FACTS, (-kind, *map(day_bytes, days))).fetchall()
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
    database: Database, prefix: str, has_it: bool, days: Days, marks: dict[int, int]
) -> None:
    """Links of which an end, or none, has a key that begins so."""
    period, day = divmod(days[1], PERIOD_DAYS)
    first = days[0] // PERIOD_DAYS
    for rows in _pages(database, _OLD_LINKS, first, period, len(prefix), prefix, has_it):
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


def _expire_activity(database: Database, prefix: str, days: Days, marks: dict[int, int]) -> None:
    period, day = divmod(days[1], PERIOD_DAYS)
    first = days[0] // PERIOD_DAYS
    for rows in _pages(database, _OLD_DOINGS, first, period, len(prefix), prefix):
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

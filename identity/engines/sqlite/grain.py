"""Evidence at its kept grain as documents: one per link or holder and period of days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgpack

from identity.engines.sqlite.database import Database
from identity.engines.sqlite.names import Names
from identity.evidence import ActivityEntry
from identity.model import DAY_US, HOUR_US, ActivityDay, Assurance, LinkDay

PERIOD_DAYS = 16
"""Long periods make reading a person cheap, short ones counting a signal."""
AUTHENTICATED = int(Assurance.AUTHENTICATED)
_ASSURANCES = {int(assurance): assurance for assurance in Assurance}
Place = tuple[int, int, int]
"""node, other, part: where a row of `grain` stands."""
Sightings = list[int]
"""A link's document: day in period, source, assurance, count, first, last in the day, in turn."""
Doings = dict[int, list[Any]]
"""A holder's document: day in period to [count, first and last in the day, hours, cells]."""
FIELDS = 6
_NO_DAY_EARLIER = 2**31

_pack = msgpack.Packer().pack
_unpack = msgpack.unpackb

_AT = """
WITH wanted (node, other, part) AS ({wanted})
SELECT grain.node, grain.other, grain.part, grain.body FROM wanted CROSS JOIN grain
ON grain.node = wanted.node AND grain.other = wanted.other AND grain.part = wanted.part"""


@dataclass(slots=True)
class Documents:
    """Documents read together, changed in memory and written back together.

    `held` has those that were read and those that were made; `made` the places of the latter.
    """

    database: Database
    held: dict[Place, Any] = field(default_factory=dict)
    made: set[Place] = field(default_factory=set)

    def read(self, places: Iterable[Place]) -> None:
        """Read the documents that exist at these places."""
        rows = self.database.look_up_rows(_AT, 3, sorted(places))
        reader = msgpack.Unpacker(strict_map_key=False)
        reader.feed(b"".join([body for _, _, _, body in rows]))
        for (node, other, part, _), document in zip(rows, reader, strict=True):
            self.held[node, other, part] = document

    def make(self, place: Place, document: Any) -> Any:
        """A document where there was none."""
        self.held[place] = document
        self.made.add(place)
        return document

    def write(self) -> None:
        """Write everything that is held; what became empty is deleted."""
        made, pack = self.made, _pack
        self.database.executemany(
            "INSERT INTO grain VALUES (?, ?, ?, ?)",
            [(*place, pack(self.held[place])) for place in sorted(made) if self.held[place]],
        )
        found = (
            [item for item in self.held.items() if item[0] not in made]
            if made
            else self.held.items()
        )
        # In the order in which they were read, which is the table's.
        self.database.executemany(
            "UPDATE grain SET body = ?4 WHERE node = ?1 AND other = ?2 AND part = ?3",
            [(*place, pack(document)) for place, document in found if document],
        )
        self.delete([place for place, document in found if not document])

    def delete(self, places: Sequence[Place]) -> None:
        """Delete rows, and the pointers to links that are gone whole."""
        if not places:
            return
        self.database.executemany(
            "DELETE FROM grain WHERE node = ? AND other = ? AND part = ?", places
        )
        links = sorted({(node, other) for node, other, _ in places if other > node})
        self.database.executemany(
            "DELETE FROM grain WHERE node = ?2 AND other = ?1 AND part = 0"
            " AND NOT EXISTS (SELECT 1 FROM grain WHERE node = ?1 AND other = ?2)",
            links,
        )

    def point(self, links: Iterable[tuple[int, int]]) -> None:
        """Point from each link's higher node to its lower."""
        self.database.executemany(
            "INSERT OR IGNORE INTO grain VALUES (?2, ?1, 0, x'')", sorted(links)
        )


def day_bytes(day: int) -> bytes:
    """A day as bytes that sort as days do."""
    return (day + _NO_DAY_EARLIER).to_bytes(4, "big")


def day_of(packed: bytes) -> int:
    """The day in `day_bytes`."""
    return int.from_bytes(packed, "big") - _NO_DAY_EARLIER


def pack_document(document: Any) -> bytes:
    """A document as it rests."""
    packed: bytes = _pack(document)
    return packed


def unpack_document(body: bytes) -> Any:
    """A document from where it rests."""
    return _unpack(body, strict_map_key=False)


def link_days(period: int, sightings: Sightings, names: Names) -> list[LinkDay]:
    """A link's document as the port tells it."""
    texts = names.texts
    found = []
    turns = [iter(sightings)] * FIELDS
    for place, source, assurance, count, first, last in zip(*turns, strict=True):
        day = period * PERIOD_DAYS + place
        start_us = day * DAY_US
        found.append(
            LinkDay(
                day,
                texts[source],
                _ASSURANCES[assurance],
                count,
                start_us + first,
                start_us + last,
            )
        )
    return found


def activity_days(period: int, doings: Doings, names: Names) -> dict[int, ActivityDay]:
    """A holder's document as the port tells it, by day."""
    text = names.texts.__getitem__
    found = {}
    for place, (count, first, last, hours, cells) in doings.items():
        day = period * PERIOD_DAYS + place
        start_us = day * DAY_US
        named = dict(zip(map(text, cells), cells.values(), strict=True))
        found[day] = ActivityDay(count, start_us + first, start_us + last, hours, named)
    return found


def add_sighting(sightings: Sightings, day: int, source: int, assurance: int, moment: int) -> bool:
    """Add one sighting; whether it says something new about identity.

    That is the link's first sighting on the day, or its first authenticated one.
    """
    if not sightings:
        sightings += (day, source, assurance, 1, moment, moment)
        return True
    new_day, new_login = True, assurance == AUTHENTICATED
    for at in range(0, len(sightings), FIELDS):
        if sightings[at + 2] == AUTHENTICATED:
            new_login = False
        if sightings[at] == day:
            new_day = False
            if sightings[at + 1] == source and sightings[at + 2] == assurance:
                sightings[at + 3] += 1
                if moment < sightings[at + 4]:
                    sightings[at + 4] = moment
                elif moment > sightings[at + 5]:
                    sightings[at + 5] = moment
                return False
    sightings += (day, source, assurance, 1, moment, moment)
    return new_day or new_login


def take_sightings(
    sightings: Sightings, day: int, source: int, assurance: int, delta: Sequence[int]
) -> tuple[bool, bool]:
    """Take [count, first, last in the day]; whether identity lost something, and an edge is open.

    An open edge is to be found anew and set by `set_sighting_edges`.
    """
    at = _sighting(sightings, day, source, assurance)
    span = _left_of(sightings[at + 3], (sightings[at + 4], sightings[at + 5]), delta)
    sightings[at + 3] -= delta[0]
    if sightings[at + 3]:
        if span is not None:
            sightings[at + 4], sightings[at + 5] = span
        return False, span is None
    del sightings[at : at + FIELDS]
    lost_day = day not in sightings[::FIELDS]
    lost_login = assurance == AUTHENTICATED and AUTHENTICATED not in sightings[2::FIELDS]
    return lost_day or lost_login, False


def set_sighting_edges(
    sightings: Sightings, day: int, source: int, assurance: int, edge: tuple[int, int]
) -> None:
    """Set first and last in the day."""
    at = _sighting(sightings, day, source, assurance)
    sightings[at + 4], sightings[at + 5] = edge


def _sighting(sightings: Sightings, day: int, source: int, assurance: int) -> int:
    for place in range(0, len(sightings), FIELDS):
        if sightings[place : place + 3] == [day, source, assurance]:
            return place
    raise AssertionError("a sighting is taken that was never added")


def _left_of(count: int, span: tuple[int, int], delta: Sequence[int]) -> tuple[int, int] | None:
    """First and last after taking `delta` from `count` signals; None when that cannot be told."""
    taken, first, last = delta
    if first > span[0] and last < span[1]:
        return span
    if count == 2 and taken == 1:
        rest = span[1] if first == span[0] else span[0]
        return rest, rest
    return None


def add_doing(doings: Doings, day: int, moment: int, cells: Iterable[int | str]) -> None:
    """Add one signal with its cells by their short names."""
    entry = doings.get(day)
    hour = moment // HOUR_US
    if entry is None:
        doings[day] = [1, moment, moment, {hour: 1}, dict.fromkeys(cells, 1)]
        return
    entry[0] += 1
    if moment < entry[1]:
        entry[1] = moment
    elif moment > entry[2]:
        entry[2] = moment
    hours, counted = entry[3], entry[4]
    hours[hour] = hours.get(hour, 0) + 1
    for cell in cells:
        counted[cell] = counted.get(cell, 0) + 1


def take_doings(doings: Doings, day: int, delta: ActivityEntry, names: Names) -> bool:
    """Take an entry whose first and last are in the day; whether an edge is open."""
    entry = doings[day]
    count, first, last, hours, cells = delta
    span = _left_of(entry[0], (entry[1], entry[2]), (count, first, last))
    entry[0] -= count
    if not entry[0]:
        del doings[day]
        return False
    _take_counts(entry[3], hours.items())
    _take_counts(entry[4], ((_held(entry[4], cell, names), n) for cell, n in cells.items()))
    if span is not None:
        entry[1], entry[2] = span
    return span is None


def _held(cells: dict[int | str, int], cell: str, names: Names) -> int | str:
    """How a cell stands in a document: by its text if it was crowded out when it was added."""
    return cell if cell in cells else names.short(cell)


def _take_counts(counts: dict[Any, int], less: Iterable[tuple[Any, int]]) -> None:
    for name, n in less:
        if counts[name] > n:
            counts[name] -= n
        else:
            del counts[name]

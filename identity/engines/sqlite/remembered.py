"""What is known of each signal, by day: found, decoded, and written back.

A signal with one content that counts is kept short: its nodes, source and
cells as integers. Any other (retracted, with a second content behind it, or
with a node that has no live evidence) is kept whole, since nodes may go before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgpack

from identity.engines.known_bytes import pack_known, unpack_known
from identity.engines.sqlite.arrivals import SignalFilter
from identity.engines.sqlite.database import Database
from identity.engines.sqlite.names import Names, Nodes
from identity.engines.sqlite.schema import NO_DAY
from identity.evidence import Known, Seen
from identity.model import (
    DAY_US,
    Assurance,
    Contribution,
    EvidenceKind,
    Fact,
    Node,
    NodeKey,
)

_WHOLE = b"\xc1"
"""No msgpack value begins with this byte."""
_pack = msgpack.Packer().pack
_unpack = msgpack.unpackb

_ON_ITS_DAY = """
WITH wanted (day, signal) AS ({wanted})
SELECT known.day, known.signal, known.body FROM wanted CROSS JOIN known
ON known.day = wanted.day AND known.signal = wanted.signal"""
_ON_ANY_DAY = """
WITH RECURSIVE days (day) AS (
    SELECT min(day) FROM known
    UNION ALL
    SELECT (SELECT min(day) FROM known WHERE day > days.day) FROM days WHERE day IS NOT NULL
)
SELECT known.day, known.signal, known.body
FROM days CROSS JOIN json_each(?) AS wanted CROSS JOIN known
ON known.day = days.day AND known.signal = wanted.value"""


class Remembered:
    """The table `known`. Remembers at which day each row it gave out stood."""

    def __init__(self, database: Database, nodes: Nodes, names: Names) -> None:
        self._database = database
        self._nodes = nodes
        self._names = names
        self._days: dict[int, int] = {}

    def find(
        self, contributions: Sequence[Contribution], arrived: SignalFilter
    ) -> dict[int, Known]:
        """What is known of the signals in a batch and of those that it retracts."""
        days: dict[int, int] = {}
        for one in contributions:
            signal, day = one.signal, one.event_us // DAY_US
            if one.retracts is not None:
                signal, day = one.retracts, NO_DAY
            if signal in arrived:
                days.setdefault(signal, day)
        self._days = {}
        if not days:
            return {}
        wanted = sorted((day, signal) for signal, day in days.items())
        rows = self._database.look_up_rows(_ON_ITS_DAY, 2, wanted)
        elsewhere = days.keys() - {signal for _, signal, _ in rows}
        if elsewhere:
            rows += self._database.look_up(_ON_ANY_DAY, sorted(elsewhere))
        self._days = {signal: day for day, signal, _ in rows}
        return dict(self.decode(rows))

    def at(self, rows: Iterable[tuple[int, int]]) -> dict[int, Known]:
        """What is known of signals at these days."""
        found = self._database.look_up_rows(_ON_ITS_DAY, 2, sorted(rows))
        return dict(self.decode(found))

    def of_day(self, day: int) -> Iterator[Contribution]:
        """Every live content of a day."""
        rows = self._database.execute("SELECT day, signal, body FROM known WHERE day = ?", (day,))
        while chunk := rows.fetchmany(2_000):
            for _, known in self.decode(chunk):
                if known.live is not None:
                    yield known.live

    def before(self, day: int) -> Iterator[tuple[int, int, Known]]:
        """Day, signal and what is known of every signal before a day; may be written after."""
        rows = self._database.execute(
            "SELECT day, signal, body FROM known WHERE day > ? AND day < ?", (NO_DAY, day)
        ).fetchall()
        for start in range(0, len(rows), 2_000):
            chunk = rows[start : start + 2_000]
            for (at, _, _), (signal, known) in zip(chunk, self.decode(chunk), strict=True):
                self._days[signal] = at
                yield at, signal, known

    def decode(self, rows: Sequence[tuple[int, int, bytes]]) -> Iterator[tuple[int, Known]]:
        """Rows of the table as signals and what is known of them."""
        short = {
            place: _unpack(body, use_list=False)
            for place, (_, _, body) in enumerate(rows)
            if body[:1] != _WHOLE
        }
        ids = {node for content in short.values() for node in content[6]}
        nodes = self._nodes.keys(ids) if ids else {}
        for place, (day, signal, body) in enumerate(rows):
            if place in short:
                yield signal, self._lengthen(day, signal, short[place], nodes)
            else:
                yield signal, unpack_known(body[1:])

    def write(self, known: Mapping[int, Known], ids: Mapping[NodeKey, int]) -> list[int]:
        """Replace what is known of signals just found, or new; gives the new ones.

        `ids` has the nodes that exist; contents that name others are kept whole.
        """
        rows, moved = [], []
        for signal, one in known.items():
            day = one.seen[0].content.event_us // DAY_US if one.seen else NO_DAY
            rows.append((day, signal, self._shorten(one, ids) or _WHOLE + pack_known(one)))
            before = self._days.get(signal)
            if before is not None and before != day:
                moved.append((before, signal))
        rows.sort()
        if moved:
            self.delete(moved)
        if self._days:
            self._database.executemany("INSERT OR REPLACE INTO known VALUES (?, ?, ?)", rows)
        else:
            self._database.executemany("INSERT INTO known VALUES (?, ?, ?)", rows)
        return [signal for signal in known if signal not in self._days]

    def delete(self, rows: Iterable[tuple[int, int]]) -> None:
        """Forget the signals at these days."""
        self._database.executemany("DELETE FROM known WHERE day = ? AND signal = ?", sorted(rows))

    def _shorten(self, known: Known, ids: Mapping[NodeKey, int]) -> bytes | None:
        """A content as integers, or None when it must be kept whole."""
        if known.retracted_us is not None or len(known.seen) != 1:
            return None
        content, latest_us = known.seen[0]
        try:
            nodes = [ids[node.key] for node in content.nodes]
            places = {node.key: place for place, node in enumerate(content.nodes)}
            short = self._names.short
            activity = [
                (places[holder], [short(cell) for cell in cells])
                for holder, cells in content.activity
            ]
            fact = _short_fact(content.fact, places) if content.fact is not None else None
        except KeyError:
            return None
        packed: bytes = _pack(
            (
                content.digest,
                content.event_us % DAY_US,
                content.published_us - content.event_us,
                latest_us - content.published_us,
                self._names.id(content.source),
                int(content.assurance),
                nodes,
                activity,
                fact,
            )
        )
        return packed

    def _lengthen(
        self, day: int, signal: int, row: tuple[Any, ...], nodes: Mapping[int, Node]
    ) -> Known:
        """The reverse of `_shorten`; nodes dropped since are left out, with what they held."""
        digest, event_us, publish_delay_us, spread_us, source, assurance, ids, activity, fact = row
        event_us += day * DAY_US
        text = self._names.text
        content = Contribution(
            signal=signal,
            digest=digest,
            event_us=event_us,
            published_us=event_us + publish_delay_us,
            source=text(source),
            assurance=Assurance(assurance),
            nodes=tuple(nodes[node] for node in ids if node in nodes),
            activity=tuple(
                (nodes[ids[place]].key, tuple(text(cell) for cell in cells))
                for place, cells in activity
                if ids[place] in nodes
            ),
            fact=_long_fact(fact, ids, nodes) if fact is not None else None,
        )
        return Known((Seen(content, content.published_us + spread_us),))


def _short_fact(fact: Fact, places: Mapping[NodeKey, int]) -> tuple[Any, ...]:
    subjects = [places[subject] for subject in fact.subjects]
    return (int(fact.kind), subjects, fact.payload, fact.same)


def _long_fact(row: tuple[Any, ...], ids: Sequence[int], nodes: Mapping[int, Node]) -> Fact:
    kind, subjects, payload, same = row
    keys = tuple(nodes[ids[place]].key for place in subjects if ids[place] in nodes)
    return Fact(EvidenceKind(kind), keys, payload, same)

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
from identity.evidence import Known, Seen
from identity.horizons import NO_DAY
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
_CONDITIONS = 200
"""So many alternatives in one statement; SQLite takes a thousand."""
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

    def of(self, signals: Iterable[int]) -> dict[int, Known]:
        """What is known of signals, whatever their days."""
        return dict(self.decode(self._database.look_up(_ON_ANY_DAY, sorted(set(signals)))))

    def of_day(self, day: int) -> Iterator[Contribution]:
        """Every live content of a day."""
        rows = self._database.execute("SELECT day, signal, body FROM known WHERE day = ?", (day,))
        while chunk := rows.fetchmany(2_000):
            for _, known in self.decode(chunk):
                if known.live is not None:
                    yield known.live

    def within(self, from_day: int, before_day: int) -> Iterator[tuple[int, int, Known]]:
        """Day, signal and what is known of each signal of which a content may be of these days;
        may be written after.
        """
        rows = self._database.execute(
            "SELECT day, signal, body FROM known WHERE day >= ? AND day > ? AND day < ?"
            " UNION SELECT day, signal, body FROM known INDEXED BY known_whole"
            " WHERE substr(body, 1, 1) = x'c1'",
            (from_day, NO_DAY, before_day),
        ).fetchall()
        for start in range(0, len(rows), 2_000):
            chunk = rows[start : start + 2_000]
            for (at, _, _), (signal, known) in zip(chunk, self.decode(chunk), strict=True):
                self._days[signal] = at
                yield at, signal, known

    def naming(self, day: int, ids: Sequence[int]) -> dict[int, Known]:
        """What is known of a day's signals that name one of the nodes, and perhaps of others.

        Looked for by the bytes of the id, in SQLite, which takes a moment for a day.
        """
        found: dict[tuple[int, int], bytes] = {}
        for at in range(0, len(ids), _CONDITIONS):
            some = [_pack(node) for node in ids[at : at + _CONDITIONS]]
            conditions = " OR ".join(["instr(body, ?)"] * len(some))
            select = f"SELECT signal, body FROM known WHERE day = ? AND ({conditions})"  # noqa: S608 - fixed text
            for signal, body in self._database.execute(select, (day, *some)):
                found[day, signal] = body
        return self._held(sorted((*place, body) for place, body in found.items()))

    def whole(self, keys: Sequence[NodeKey]) -> list[tuple[int, int]]:
        """Day and signal of all that is remembered whole and names one of the nodes."""
        found: set[tuple[int, int]] = set()
        for at in range(0, len(keys), _CONDITIONS):
            some = keys[at : at + _CONDITIONS]
            conditions = " OR ".join(["instr(body, CAST(? AS BLOB))"] * len(some))
            select = (
                "SELECT day, signal FROM known INDEXED BY known_whole"  # noqa: S608 - fixed text
                f" WHERE substr(body, 1, 1) = x'c1' AND ({conditions})"
            )
            found.update(self._database.execute(select, some).fetchall())
        return sorted(found)

    def found_at(self, rows: Iterable[tuple[int, int]]) -> dict[int, Known]:
        """As `at`, to be written back."""
        return self._held(self._database.look_up_rows(_ON_ITS_DAY, 2, sorted(rows)))

    def _held(self, rows: Sequence[tuple[int, int, bytes]]) -> dict[int, Known]:
        self._days = {signal: day for day, signal, _ in rows}
        return dict(self.decode(rows))

    def place(self, signal: int) -> tuple[int, int]:
        """Where a signal that was just found stands: day and signal."""
        return self._days[signal], signal

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

    def write(
        self, known: Mapping[int, Known], ids: Mapping[NodeKey, int], bodies: Mapping[int, bytes]
    ) -> list[int]:
        """Replace what is known of signals just found, or new; gives the new ones.

        `ids` has the nodes that exist; contents that name others are kept
        whole. `bodies` has what the caller shortened already.
        """
        rows, moved = [], []
        for signal, one in known.items():
            day = one.seen[0].content.event_us // DAY_US if one.seen else NO_DAY
            body = bodies.get(signal) or self._body(one, ids)
            rows.append((day, signal, body))
            before = self._days.get(signal)
            if before is not None and before != day:
                moved.append((before, signal))
        rows.sort()
        if moved:
            self.delete(moved)
        verb = "INSERT OR REPLACE" if self._days else "INSERT"
        self._database.executemany(f"{verb} INTO known VALUES (?, ?, ?)", rows)
        return [signal for signal in known if signal not in self._days]

    def _body(self, known: Known, ids: Mapping[NodeKey, int]) -> bytes:
        if len(known.seen) == 1:
            content = known.seen[0].content
            names = self._names
            activity = [
                (ids.get(holder, 0), [names.short(cell) for cell in cells])
                for holder, cells in content.activity
            ]
            nodes = [ids.get(node.key, 0) for node in content.nodes]
            source, moment = names.id(content.source), content.event_us % DAY_US
            body = shorten(content, known, source, moment, nodes, activity)
            if body is not None:
                return body
        return _WHOLE + pack_known(known)

    def delete(self, rows: Iterable[tuple[int, int]]) -> None:
        """Forget the signals at these days."""
        self._database.executemany("DELETE FROM known WHERE day = ? AND signal = ?", sorted(rows))

    def _lengthen(
        self, day: int, signal: int, row: tuple[Any, ...], nodes: Mapping[int, Node]
    ) -> Known:
        """The reverse of `_shorten`; nodes dropped since are left out, with what they held."""
        digest, event_us, publish_delay_us, spread_us, source, assurance, ids, activity, fact = row
        event_us += day * DAY_US
        text = self._names.texts
        content = Contribution(
            signal=signal,
            digest=digest,
            event_us=event_us,
            published_us=event_us + publish_delay_us,
            source=text[source],
            assurance=Assurance(assurance),
            nodes=tuple(nodes[node] for node in ids if node in nodes),
            activity=tuple(
                (nodes[holder].key, tuple([text[cell] for cell in cells]))
                for holder, cells in activity
                if holder in nodes
            ),
            fact=_long_fact(fact, nodes) if fact is not None else None,
        )
        return Known((Seen(content, content.published_us + spread_us),))


def shorten(
    content: Contribution,
    known: Known | None,
    source: int,
    moment: int,
    nodes: Sequence[int],
    activity: Sequence[tuple[int, list[int | str]]],
) -> bytes | None:
    """The one content that is known of a signal as integers, None when it must be kept whole.

    `nodes` and `activity` are the content's with ids (0 where there is no such
    node) and short names, `moment` its time in its day.
    """
    if known is None or known[1] is not None or len(known[0]) != 1 or 0 in nodes:
        return None
    for holder, _ in activity:
        if holder not in nodes:
            return None
    fact = None
    if content.fact is not None:
        fact = _short_fact(content.fact, content.nodes, nodes)
        if fact is None:
            return None
    published_us = content.published_us
    packed: bytes = _pack(
        (
            content.digest,
            moment,
            published_us - content.event_us,
            known[0][0][1] - published_us,
            source,
            int(content.assurance),
            nodes,
            activity,
            fact,
        )
    )
    return packed


def _short_fact(fact: Fact, nodes: Sequence[Node], ids: Sequence[int]) -> tuple[Any, ...] | None:
    by_key = {node.key: node_id for node, node_id in zip(nodes, ids, strict=True)}
    if not by_key.keys() >= set(fact.subjects):
        return None
    subjects = [by_key[subject] for subject in fact.subjects]
    return (int(fact.kind), subjects, fact.payload, fact.same)


def _long_fact(row: tuple[Any, ...], nodes: Mapping[int, Node]) -> Fact:
    kind, subjects, payload, same = row
    keys = tuple(nodes[subject].key for subject in subjects if subject in nodes)
    return Fact(EvidenceKind(kind), keys, payload, same)

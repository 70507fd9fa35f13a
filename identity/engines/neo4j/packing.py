"""The fine grain of evidence as bytes, and what is remembered of a signal."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgpack

from identity.engines.known_bytes import pack_known, unpack_known
from identity.evidence import ActivityEntry, Known, Seen, kept_fact, names_of
from identity.model import (
    DAY_US,
    ActivityDay,
    Assurance,
    Contribution,
    EvidenceKind,
    Fact,
    KeptFact,
    LinkDay,
    Node,
    NodeKey,
)

LinkDays = dict[tuple[int, str, int], list[int]]
"""(day, source, assurance) to [count, first_us, last_us]."""
ActivityDays = dict[int, ActivityEntry]
"""Day to [count, first_us, last_us, {hour: n}, {cell: n}]."""

LEFT_OUT = -1
"""The order of a node that a signal names without repeating what the node itself holds."""
TOKEN = 22
BRIEF = 4


def pack_links(days: LinkDays) -> bytes:
    """Sightings as one value, in order of day, source and assurance."""
    packed: bytes = msgpack.packb(
        [
            (*cell, count, first_us, last_us)
            for cell, (count, first_us, last_us) in sorted(days.items())
        ]
    )
    return packed


def unpack_links(packed: bytes | None) -> LinkDays:
    """What `pack_links` was given; nothing from None."""
    if packed is None:
        return {}
    return {
        (day, source, assurance): [count, first_us, last_us]
        for day, source, assurance, count, first_us, last_us in msgpack.unpackb(packed)
    }


def link_days(*packed: bytes | None) -> tuple[LinkDay, ...]:
    """All sightings in order of day, source and assurance."""
    rows: list[Any] = []
    for each in packed:
        if each is not None:
            rows += msgpack.unpackb(each)
    if len(rows) > 1:
        rows.sort(key=_cell)
    return tuple(
        LinkDay(day, source, Assurance(assurance), count, first_us, last_us)
        for day, source, assurance, count, first_us, last_us in rows
    )


def _cell(row: list[Any]) -> list[Any]:
    return row[:3]


def pack_activity(days: ActivityDays) -> bytes:
    """Days of one holder as one value; each cell's name stands in it once."""
    names: dict[str, int] = {}
    rows = []
    for day, (count, first_us, last_us, hours, cells) in sorted(days.items()):
        start_us = day * DAY_US
        counts = {names.setdefault(cell, len(names)): n for cell, n in cells.items()}
        rows.append((day, count, first_us - start_us, last_us - first_us, hours, counts))
    packed: bytes = msgpack.packb((list(names), rows))
    return packed


def unpack_activity(packed: bytes | None) -> ActivityDays:
    """What `pack_activity` was given; nothing from None."""
    if packed is None:
        return {}
    names, rows = msgpack.unpackb(packed, strict_map_key=False)
    days: ActivityDays = {}
    for day, count, first, spread, hours, counts in rows:
        first_us = day * DAY_US + first
        cells = {names[place]: n for place, n in counts.items()}
        days[day] = [count, first_us, first_us + spread, hours, cells]
    return days


def activity_days(packed: Iterable[bytes]) -> dict[int, ActivityDay]:
    """All days of one holder."""
    return {
        day: ActivityDay(*entry) for each in packed for day, entry in unpack_activity(each).items()
    }


def pack_signal(known: Known) -> bytes:
    """What is remembered of a signal, as one value.

    One content that counts leaves out what its nodes hold themselves; see
    `is_plain`. Anything else is kept whole, for its nodes may go.
    """
    if not is_plain(known):
        return pack_known(known)
    content, latest_us = known.seen[0]
    fact = content.fact
    keys = [node.key for node in content.nodes]
    packed: bytes = msgpack.packb(
        (
            content.digest,
            content.event_us,
            content.published_us,
            latest_us,
            content.source,
            int(content.assurance),
            keys,
            [(_place(keys, holder), cells) for holder, cells in content.activity],
            None if fact is None else (int(fact.kind), fact.subjects, fact.payload, fact.same),
        )
    )
    return packed


def _place(keys: list[str], holder: str) -> int | str:
    return keys.index(holder) if holder in keys else holder


def unpack_signal(signal: int, packed: bytes) -> Known:
    """What `pack_signal` was given, but for orders and sealed values of a plain one's nodes."""
    row = msgpack.unpackb(packed, use_list=False)
    if len(row) == 2:
        return unpack_known(packed)
    digest, event_us, published_us, latest_us, source, assurance, keys, activity, fact = row
    content = Contribution(
        signal=signal,
        digest=digest,
        event_us=event_us,
        published_us=published_us,
        source=source,
        assurance=Assurance(assurance),
        nodes=tuple(Node(key, LEFT_OUT) for key in keys),
        activity=tuple(
            (keys[holder] if isinstance(holder, int) else holder, cells)
            for holder, cells in activity
        ),
        fact=None if fact is None else Fact(EvidenceKind(fact[0]), *fact[1:]),
    )
    return Known((Seen(content, latest_us),))


def is_plain(known: Known) -> bool:
    """Whether all that is known is one content that counts: the rule."""
    return len(known.seen) == 1 and known.retracted_us is None


def brief(key: NodeKey) -> str:
    """The beginning of a node's token; one in 16 million nodes shares it with another."""
    return key[-TOKEN:][:BRIEF].ljust(BRIEF)


def briefs(known: Known) -> str:
    """All nodes that any content of a signal names, in brief.

    So short a text costs next to nothing beside the body, in which no query can look.
    """
    return "".join([brief(key) for seen in known.seen for key in _named(seen.content)])


def _named(content: Contribution) -> Iterable[NodeKey]:
    if content.fact is not None:
        return names_of(content)
    return [node.key for node in content.nodes]


@lru_cache(maxsize=4096)
def date_of(day: int) -> str:
    """A day as ``2026-11-23``; dates sort like their days."""
    # Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
    shifted = day + 719_468
    era, of_era = divmod(shifted, 146_097)
    year_of_era = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * of_year + 2) // 153
    of_month = of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    return f"{year_of_era + era * 400 + (month <= 2):04d}-{month:02d}-{of_month:02d}"


@lru_cache(maxsize=4096)
def month_of(day: int) -> str:
    """The month of a day as ``2026-11``; months sort like their days."""
    return date_of(day)[:7]


def moment(at_us: int) -> tuple[int, int]:
    """Seconds and nanoseconds, as Cypher's datetime() takes them."""
    second, rest_us = divmod(at_us, 1_000_000)
    return second, rest_us * 1_000


def kept_in(signal: int, body: bytes) -> KeptFact:
    """The fact that counts of a packed signal that has one."""
    content = unpack_signal(signal, body).live
    assert content is not None, "facts are of signals that count"
    return kept_fact(content)

"""Fences, and sweeps of what was counted before a fence was raised.

A fence is raised while no commit is under way, as a horizon is: every commit
after it reads it, and all that were before it are there to be swept.

No index leads from a node to the signals that name it, for ingest would pay
for it. A sweep finds them by day: whatever a plain signal (one content, which
counts) says of a node is evidence of the node on that day, unless a horizon
has taken that evidence and left the signal. Of the other signals any content
may be of any day; they are few and have a label.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from identity.engines.neo4j import signals
from identity.engines.neo4j.connection import Connection, Tx
from identity.engines.neo4j.consuming import hold_graph, lock_graph, read_fences
from identity.engines.neo4j.counting import Change, count
from identity.engines.neo4j.expiring import read_horizons
from identity.engines.neo4j.nodes import find
from identity.engines.neo4j.packing import (
    date_of,
    is_plain,
    unpack_activity,
    unpack_links,
    unpack_signal,
)
from identity.engines.neo4j.people import write_outbox
from identity.engines.neo4j.required import read_required
from identity.engines.neo4j.resolving import lock_lease
from identity.evidence import Fences, Known, erase
from identity.horizons import kind_named
from identity.model import EvidenceKind, Expiring, NodeKey, OutboxEntry
from identity.store import StoreUnavailable, Swept

FENCES = 5_000
"""How many fences are raised or lifted in one transaction."""
STEP = 500
"""How many signals are erased in one transaction."""
STEP_DAYS = 4
"""Of how many days they are at most: a day may have to be read for what is first and last now."""
READ_DAYS = 30
"""How many days are looked through in one transaction."""


def fences(connection: Connection, keys: Iterable[NodeKey]) -> dict[NodeKey, int]:
    """The moment up to which each node is fenced, see `GraphStore.fences`."""
    wanted = sorted(set(keys))
    return connection.read(lambda tx: read_fences(tx, wanted))


def fence(connection: Connection, wanted: Mapping[NodeKey, int]) -> None:
    """Raise fences, see `GraphStore.fence`."""
    for some in _parts(sorted(wanted.items()), FENCES):
        connection.write(lambda tx, some=some: _fence(tx, some))  # type: ignore[misc]


def _fence(tx: Tx, rows: Sequence[tuple[NodeKey, int]]) -> None:
    """Raise some fences, and let whoever holds one of the nodes wait to be published."""
    lock_graph(tx)
    read_required(tx).settled()
    (change,) = tx.row("MATCH (g:Graph) SET g.fenced = coalesce(g.fenced, 0) + 1 RETURN g.fenced")
    tx.run(
        "UNWIND $rows AS row MERGE (f:Fence {key: row[0]}) ON CREATE SET f.change = $change "
        "SET f.until_us = CASE WHEN f.until_us > row[1] THEN f.until_us ELSE row[1] END",
        rows=rows,
        change=change,
    )
    *_, resolutions = lock_lease(tx)
    held = find(tx, [key for key, _ in rows], "n.person")
    people = {person for _, person in held.values() if person is not None}
    if people:
        number = resolutions + 1
        write_outbox(tx, [OutboxEntry(person, number) for person in people], number)
        tx.run("MATCH (l:Lease {name: 'resolver'}) SET l.resolutions = $number", number=number)


def lift(connection: Connection, wanted: Mapping[NodeKey, int]) -> None:
    """Lower fences, see `GraphStore.lift`."""
    for some in _parts(sorted(wanted.items()), FENCES):
        connection.write(lambda tx, some=some: _lift(tx, some))  # type: ignore[misc]


def _lift(tx: Tx, rows: Sequence[tuple[NodeKey, int]]) -> None:
    lock_graph(tx)
    read_required(tx).settled()
    tx.run(
        "UNWIND $rows AS row MATCH (f:Fence {key: row[0]}) WHERE f.until_us > row[1] "
        "SET f.until_us = row[1]",
        rows=rows,
    )
    tx.run(
        "UNWIND $keys AS key MATCH (f:Fence {key: key}) WHERE f.until_us <= 0 DELETE f",
        keys=[key for key, _ in rows],
    )


# ---- sweeping ------------------------------------------------------------


def sweep(connection: Connection, keys: Iterable[NodeKey]) -> Swept:
    """Remove all that fences keep out, see `GraphStore.sweep`.

    1. Erase what is kept out of signals with several contents or a retraction.
    2. Erase plain signals that are kept out, day by day.
    3. Do the first again: what was plain may have got a second content meanwhile.

    Raises:
        StoreUnavailable: keys were rotated meanwhile; call it again with the nodes' new names.
    """
    wanted = sorted(set(keys))
    began = connection.read(_tokens)
    erased = _sweep_disputed(connection, wanted)
    traces = connection.read(lambda tx: _traces(tx, wanted))
    erased += _erase_all(connection, wanted, traces.suspects)
    for days in _parts(sorted(traces.days), READ_DAYS):
        found = connection.read(lambda tx, days=days: _of_days(tx, wanted, days))  # type: ignore[misc]
        erased += _erase_all(connection, wanted, found)
    found = connection.read(lambda tx: _before(tx, wanted, traces.expired_day))
    erased += _erase_all(connection, wanted, found)
    erased += _sweep_disputed(connection, wanted)
    if connection.read(_tokens) != began:
        raise StoreUnavailable("nodes were named anew under rotated keys while they were swept")
    return Swept(erased)


def _tokens(tx: Tx) -> int:
    """Under how many keys nodes are named; `StoreUnavailable` while they are being named anew."""
    required = read_required(tx)
    required.settled()
    return required.tokens


@dataclass(frozen=True, slots=True, order=True)
class Suspect:
    """A signal of which something is kept out; `shared` if no commit may be under way with it."""

    day: int
    signal: int
    shared: bool


@dataclass(slots=True)
class _Traces:
    """Where signals that name some nodes may be.

    - `days`: on which the nodes have links or activity, from `expired_day` on.
    - `expired_day`: before it signals may name them and leave no evidence of them.
    - `suspects`: signals found already, by their facts and decisions.
    """

    days: set[int] = field(default_factory=set)
    expired_day: int = 0
    suspects: list[Suspect] = field(default_factory=list)


def _traces(tx: Tx, keys: Sequence[NodeKey]) -> _Traces:
    """Look at the nodes first, at horizons last: what one takes in between lies before it."""
    traces = _Traces()
    fences = read_fences(tx, keys)
    rows = find(tx, keys, "n.activity")
    ids = [node_id for node_id, _ in rows.values()]
    for _, newest in rows.values():
        traces.days |= unpack_activity(newest).keys()
    for (older,) in tx.stream(_OLDER, ids=ids):
        traces.days |= unpack_activity(older).keys()
    for links in tx.stream(_LINKS, ids=ids):
        traces.days |= {cell[0] for packed in links for cell in unpack_links(packed)}
    facts = tx.stream(_FACTS, ids=ids)
    traces.suspects += _suspects(facts, fences)
    traces.suspects += _suspects(tx.stream(_DECISIONS, keys=keys), fences)
    traces.expired_day = _expired_day(tx)
    traces.days = {day for day in traces.days if day >= traces.expired_day}
    return traces


def _expired_day(tx: Tx) -> int:
    """The day before which a signal may outlast what it says of a node.

    From the horizons of links, records and kinds of identifiers on, every two
    nodes of a signal have their link, and one that is alone is holder or subject
    of all there is. Any horizon leaves signals behind until it has been swept.
    """
    horizons = tx.rows(
        "MATCH (h:Horizon) RETURN collect([h.kind, h.before_day, h.swept_day = h.before_day])"
    )
    return max(
        (day for kind, day, swept in horizons if not swept or _unlinks(kind_named(kind))), default=0
    )


def _unlinks(kind: Expiring) -> bool:
    return isinstance(kind, str) or kind in (EvidenceKind.LINK, EvidenceKind.RECORD)


_AT = "UNWIND $ids AS each MATCH (n) WHERE id(n) = each "
_OLDER = _AT + "MATCH (n)-[:ACTIVE_IN]->(a) RETURN a.days"
_LINKS = _AT + "MATCH (n)-[r:SEEN_WITH]-() RETURN r.days, r.earlier"
_FACTS = _AT + "MATCH (n)<-[:ABOUT]-(s) RETURN DISTINCT s.id, s.body"
_DECISIONS = (
    "UNWIND $keys AS key CALL (key) { "
    "MATCH (s:Decision {left: key}) RETURN s UNION MATCH (s:Decision {right: key}) RETURN s } "
    "RETURN DISTINCT s.id, s.body"
)


# Where most signals are of the days asked for, the planner would rather look at all of them.
_BY_DAY = "USING INDEX s:Signal(seen)"


def _suspects(rows: Iterator[tuple[Any, ...]], fences: Fences) -> list[Suspect]:
    found = []
    for signal, body in rows:
        known = unpack_signal(signal, body)
        if erase(known, fences) is not known:
            content = known.seen[0].content
            # What counts next, or no longer, may be a decision, see `consuming`.
            decides = content.fact is not None and content.fact.kind is EvidenceKind.DECISION
            found.append(Suspect(content.day, signal, decides or not is_plain(known)))
    return found


def _of_days(tx: Tx, keys: Sequence[NodeKey], days: Sequence[int]) -> list[Suspect]:
    rows = tx.stream(
        "WITH [day IN $days | date(day)] AS days UNWIND days AS day "
        f"MATCH (s:Signal) {_BY_DAY} WHERE s.seen = day AND {signals.NAMING} RETURN s.id, s.body",
        days=[date_of(day) for day in days],
        names=signals.in_brief(keys),
    )
    return _suspects(rows, read_fences(tx, keys))


def _before(tx: Tx, keys: Sequence[NodeKey], expired_day: int) -> list[Suspect]:
    if not expired_day:
        return []
    rows = tx.stream(
        f"MATCH (s:Signal) {_BY_DAY} WHERE s.seen < date($day) AND {signals.NAMING} "
        "RETURN s.id, s.body",
        day=date_of(expired_day),
        names=signals.in_brief(keys),
    )
    return _suspects(rows, read_fences(tx, keys))


def _sweep_disputed(connection: Connection, keys: Sequence[NodeKey]) -> int:
    def look(tx: Tx) -> list[Suspect]:
        rows = tx.stream(
            f"MATCH (s:Disputed) WHERE {signals.NAMING} RETURN s.id, s.body",
            names=signals.in_brief(keys),
        )
        return _suspects(rows, read_fences(tx, keys))

    return _erase_all(connection, keys, connection.read(look))


# ---- the steps -----------------------------------------------------------


def _erase_all(connection: Connection, keys: Sequence[NodeKey], found: list[Suspect]) -> int:
    erased = 0
    for shared in (False, True):
        for ids in _steps(sorted(each for each in found if each.shared is shared)):
            erased += connection.write(
                lambda tx, ids=ids, shared=shared: _erase(tx, keys, ids, shared)  # type: ignore[misc]
            )
    return erased


def _steps(found: Sequence[Suspect]) -> Iterator[list[int]]:
    ids: list[int] = []
    days: set[int] = set()
    for each in found:
        days.add(each.day)
        if len(ids) == STEP or len(days) > STEP_DAYS:
            yield ids
            ids, days = [], {each.day}
        ids.append(each.signal)
    if ids:
        yield ids


def _erase(tx: Tx, keys: Sequence[NodeKey], ids: Sequence[int], shared: bool) -> int:
    """Erase what is kept out of some signals; how many contents that were.

    1. Hold up horizons, fences, snapshots and decisions; every commit where any is shared.
    2. Lock the signals.
    3. Count what that takes and adds.
    """
    if shared:
        lock_graph(tx)
    else:
        hold_graph(tx)
    read_required(tx).settled()
    before = signals.read_known(tx, ids)
    change, erased = _erased(before, read_fences(tx, keys), shared)
    count(tx, change, read_horizons(tx))
    return erased


def _erased(before: Mapping[int, Known], fences: Fences, shared: bool) -> tuple[Change, int]:
    """What fences change about signals, and how many contents they keep out of them."""
    added, taken, gone = [], [], []
    after: dict[int, Known] = {}
    erased = 0
    for signal, known in before.items():
        left = erase(known, fences)
        # What is no longer plain is found again among the shared signals.
        if left is known or not (shared or is_plain(known)):
            continue
        erased += len(known.seen) - (0 if left is None else len(left.seen))
        if left is None:
            gone.append(signal)
        else:
            after[signal] = left
        old, new = known.live, None if left is None else left.live
        if old is not None and new is not None and old.digest == new.digest and not new.fact:
            continue
        if old is not None:
            taken.append(old)
        if new is not None:
            added.append(new)
    return Change(added, taken, before, after, gone), erased


def _parts(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]

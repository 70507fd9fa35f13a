"""Moving a horizon: what expires goes in steps, each a transaction, begun again if cut short.

The first step sets the horizon while no commit is under way: from then on
nothing older comes in. The steps after it only take away, so they may be
repeated; `swept_day` says how far all of them are done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from identity.engines.neo4j import activity, links, nodes, signals
from identity.engines.neo4j.activity import HolderState
from identity.engines.neo4j.connection import Connection, Tx
from identity.engines.neo4j.consuming import horizons_from, lock_graph
from identity.engines.neo4j.counting import Change, count
from identity.engines.neo4j.links import LinkState
from identity.engines.neo4j.packing import date_of, unpack_activity
from identity.engines.neo4j.signals import FACT_LABELS, PARTS
from identity.evidence import Known, expire
from identity.horizons import NO_DAY, Horizons, name_of
from identity.model import EvidenceKind, Expiring, NodeKey

STEP = 2_000
"""How many links, nodes or signals go in one transaction."""
FIRST_DAY = -719_528
"""0000-01-01, before which the engine knows no dates."""
_Step = Callable[[Tx, Sequence[Any], int], None]


def horizons(connection: Connection) -> dict[Expiring, int]:
    """Per kind the day before which evidence has expired."""
    return connection.read(read_horizons)


def read_horizons(tx: Tx) -> dict[Expiring, int]:
    """The horizons of this moment."""
    return horizons_from(tx.rows("MATCH (h:Horizon) RETURN collect([h.kind, h.before_day])"))


def move_horizon(connection: Connection, kind: Expiring, before_day: int) -> None:
    """Expire all evidence of the kind before a day, see `GraphStore.move_horizon`."""
    swept_day = connection.write(lambda tx: _set_horizon(tx, kind, before_day))
    if swept_day is None:
        return
    for expire_some, old in _passes(connection, kind, before_day):
        _in_steps(connection, old, expire_some, before_day)
    _forget_disputed(connection)
    _forget_plain(connection)
    _forget_others(connection, swept_day, before_day)
    connection.write(
        lambda tx: tx.run(
            "MATCH (h:Horizon {kind: $kind}) WHERE h.before_day = $day SET h.swept_day = $day",
            kind=name_of(kind),
            day=before_day,
        )
    )


def _passes(connection: Connection, kind: Expiring, before_day: int) -> Iterator[tuple[_Step, Any]]:
    """What is to be done for a kind: each step with all that it is to be done for."""
    if isinstance(kind, str) or kind in (EvidenceKind.LINK, EvidenceKind.RECORD):
        yield _expire_links, _old_links(connection, kind, before_day)
    if isinstance(kind, str) or kind is EvidenceKind.ACTIVITY:
        yield _expire_activity, _old_holders(connection, kind, before_day)
    if not isinstance(kind, str) and kind in FACT_LABELS:
        yield _expire_facts, _old_facts(connection, kind, before_day)


def _set_horizon(tx: Tx, kind: Expiring, before_day: int) -> int | None:
    """Set the horizon unless it is there already; up to which day it is swept, None if up to here.

    Horizons are swept one after the other: what an earlier one left is in the days from there.
    """
    lock_graph(tx)
    held, swept = tx.row(
        "MERGE (h:Horizon {kind: $kind}) ON CREATE SET h.before_day = $day "
        "RETURN h.before_day, coalesce(h.swept_day, $none)",
        kind=name_of(kind),
        day=before_day,
        none=NO_DAY,
    )
    if before_day > held:
        tx.run(
            "MATCH (h:Horizon {kind: $kind}) SET h.before_day = $day",
            kind=name_of(kind),
            day=before_day,
        )
    elif before_day < held or swept >= held:
        return None
    return int(swept)


def _in_steps(connection: Connection, found: Sequence[Any], step: _Step, before_day: int) -> None:
    for start in range(0, len(found), STEP):
        some = found[start : start + STEP]
        connection.write(lambda tx, some=some: step(tx, some, before_day))  # type: ignore[misc]


# ---- links ---------------------------------------------------------------


def _old_links(
    connection: Connection, kind: Expiring, before_day: int
) -> list[tuple[NodeKey, NodeKey]]:
    wanted = "(a:Record OR b:Record)"
    if isinstance(kind, str):
        wanted = "(a.key STARTS WITH $prefix OR b.key STARTS WITH $prefix)"
    elif kind is EvidenceKind.LINK:
        wanted = "NOT (a:Record OR b:Record)"
    return connection.read(
        lambda tx: tx.rows(
            "MATCH (a)-[r:SEEN_WITH]->(b) WHERE "
            f"r.first_seen < date($before) AND {wanted} "
            "RETURN collect(CASE WHEN a.key < b.key THEN [a.key, b.key] ELSE [b.key, a.key] END)",
            before=date_of(before_day),
            prefix=_prefix(kind),
        )
    )


def _prefix(kind: Expiring) -> str:
    """What the keys of a kind of identifier begin with; of a kind of evidence: all keys."""
    return kind + ":" if isinstance(kind, str) else ""


def _expire_links(tx: Tx, pairs: Sequence[tuple[NodeKey, NodeKey]], before_day: int) -> None:
    held = nodes.lock_nodes(tx, {key for pair in pairs for key in pair})
    states = [
        LinkState(held[low], held[high]) for low, high in pairs if low in held and high in held
    ]
    links.load_all(tx, states)
    states = [link for link in states if link.id >= 0]
    for link in states:
        link.expire(before_day)
        link.sum_up()
    links.write_links(tx, states)
    _mark(tx, held.values())


def _mark(tx: Tx, states: Iterable[nodes.NodeState]) -> None:
    changed = [state for state in states if state.changed]
    nodes.update_nodes(tx, changed, {})
    nodes.review_nodes(tx, changed)


# ---- activity ------------------------------------------------------------


def _old_holders(connection: Connection, kind: Expiring, before_day: int) -> list[NodeKey]:
    return connection.read(
        lambda tx: tx.rows(
            "MATCH (n:Identifier|Record) WHERE n.activity IS NOT NULL "
            "AND n.first_seen < date($before) AND n.key STARTS WITH $prefix RETURN collect(n.key)",
            before=date_of(before_day),
            prefix=_prefix(kind),
        )
    )


def _expire_activity(tx: Tx, keys: Sequence[NodeKey], before_day: int) -> None:
    held = nodes.lock_nodes(tx, keys)
    holders = []
    for state in held.values():
        if state.activity is not None:
            holder = HolderState(state, unpack_activity(state.activity))
            holders.append(holder)
    activity.load_months(tx, holders)
    older = []
    for holder in holders:
        holder.expire(before_day)
        if holder.touched:
            older.append((holder, activity.pack_holder(holder)))
    activity.write_months(tx, [(holder, months) for holder, months in older if months])
    _mark(tx, held.values())


# ---- facts ---------------------------------------------------------------


def _old_facts(connection: Connection, kind: EvidenceKind, before_day: int) -> list[int]:
    return connection.read(
        lambda tx: tx.rows(
            f"MATCH (s:{FACT_LABELS[kind]}) WHERE s.seen < date($before) RETURN collect(s.id)",
            before=date_of(before_day),
        )
    )


def _expire_facts(tx: Tx, ids: Sequence[int], before_day: int) -> None:
    known = signals.read_known(tx, ids)
    lives = [live for one in known.values() if (live := one.live) is not None]
    old = [live for live in lives if live.day < before_day]
    facts = signals.facts_of(old, {})
    held = nodes.lock_nodes(tx, {key for each in facts for key in each.fact.subjects})
    signals.remove_facts(tx, facts)
    for each in facts:
        decision = each.fact.kind is EvidenceKind.DECISION
        for key in each.fact.subjects:
            if key in held:
                held[key].changed |= nodes.DECIDED if decision else nodes.ACTIVITY
    _mark(tx, held.values())


# ---- signals -------------------------------------------------------------


def _forget_plain(connection: Connection) -> None:
    """Forget signals of which nothing is kept any more."""

    def step(tx: Tx) -> int:
        limits = _limits(read_horizons(tx))
        (gone,) = tx.row(
            "MATCH (s:Signal) WHERE s.seen < date($limits[s.parts]) "
            "AND NOT s:Disputed WITH s LIMIT $step DETACH DELETE s RETURN count(*)",
            limits=limits,
            step=10 * STEP,
        )
        return int(gone)

    while connection.write(step):
        pass


def _limits(horizons: Horizons) -> list[str]:
    """By the parts of a signal, the day before which all of them have expired."""
    limits = ["0000-01-01"] * PARTS
    for parts in range(PARTS):
        kinds = [kind for kind in EvidenceKind if parts >> kind & 1]
        if kinds and all(kind in horizons for kind in kinds):
            limits[parts] = date_of(min(horizons[kind] for kind in kinds))
    return limits


def _forget_others(connection: Connection, from_day: int, before_day: int) -> None:
    """Forget signals of these days of which nothing is kept, whose parts alone do not say so.

    Only horizons of kinds of identifiers leave such. Whatever horizon moves, a
    signal can only have died of it on the days it left behind.
    """
    if not any(isinstance(kind, str) for kind in horizons(connection)):
        return
    ids = connection.read(
        lambda tx: tx.rows(
            "MATCH (s:Signal) WHERE s.seen >= date($from) AND s.seen < date($before) "
            "AND NOT s:Disputed RETURN collect(s.id)",
            **{"from": date_of(max(from_day, FIRST_DAY)), "before": date_of(before_day)},
        )
    )
    for start in range(0, len(ids), STEP):
        some = ids[start : start + STEP]
        connection.write(lambda tx, some=some: _forget_dead(tx, some))  # type: ignore[misc]


def _forget_dead(tx: Tx, ids: Sequence[int]) -> None:
    told = read_horizons(tx)
    known = signals.read_known(tx, ids)
    signals.forget(tx, [signal for signal, one in known.items() if expire(one, told) is None])


def _forget_disputed(connection: Connection) -> None:
    """Expire contents one by one where several, or a retraction, are known of a signal."""
    ids = connection.read(lambda tx: tx.rows("MATCH (s:Disputed) RETURN collect(s.id)"))
    for start in range(0, len(ids), STEP):
        some = ids[start : start + STEP]
        connection.write(lambda tx, some=some: _expire_known(tx, some))  # type: ignore[misc]


def _expire_known(tx: Tx, ids: Sequence[int]) -> None:
    # What counts next may be a decision, see `consuming`.
    lock_graph(tx)
    horizons = read_horizons(tx)
    before = signals.read_known(tx, ids)
    after: dict[int, Known] = {}
    added, gone = [], []
    for signal, known in before.items():
        left = expire(known, horizons)
        if left is known:
            continue
        if left is None:
            gone.append(signal)
            continue
        after[signal] = left
        old, new = known.live, left.live
        if new is not None and (old is None or old.digest != new.digest):
            added.append(new)
    count(tx, Change(added, [], before, after, gone), horizons)

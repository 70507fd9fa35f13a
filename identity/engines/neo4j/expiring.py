"""Moving a horizon: what expires goes in steps, each a transaction, begun again if cut short.

The first step sets the horizon while no commit is under way: from then on
nothing older comes in. The steps after it only take away, so they may be
repeated; `swept_day` says how far all of them are done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from identity.engines.neo4j import activity, links, nodes, signals
from identity.engines.neo4j.activity import HolderState
from identity.engines.neo4j.connection import Connection, Tx
from identity.engines.neo4j.consuming import horizons_from, lock_graph
from identity.engines.neo4j.counting import Change, count
from identity.engines.neo4j.links import LinkState
from identity.engines.neo4j.packing import date_of, unpack_activity
from identity.engines.neo4j.signals import FACT_LABELS, PARTS
from identity.evidence import Horizons, Known, expire
from identity.model import EvidenceKind, NodeKey

STEP = 2_000
"""How many links, nodes or signals go in one transaction."""


def horizons(connection: Connection) -> dict[EvidenceKind, int]:
    """Per kind the day before which evidence has expired."""
    return connection.read(read_horizons)


def read_horizons(tx: Tx) -> dict[EvidenceKind, int]:
    """The horizons of this moment."""
    return horizons_from(tx.rows("MATCH (h:Horizon) RETURN collect([h.kind, h.before_day])"))


def move_horizon(connection: Connection, kind: EvidenceKind, before_day: int) -> None:
    """Expire all evidence of the kind before a day, see `GraphStore.move_horizon`."""
    if not connection.write(lambda tx: _set_horizon(tx, kind, before_day)):
        return
    if kind in (EvidenceKind.LINK, EvidenceKind.RECORD):
        _in_steps(connection, _old_links(connection, kind, before_day), _expire_links, before_day)
    if kind is EvidenceKind.ACTIVITY:
        _in_steps(connection, _old_holders(connection, before_day), _expire_activity, before_day)
    if kind in FACT_LABELS:
        _in_steps(connection, _old_facts(connection, kind, before_day), _expire_facts, before_day)
    _forget_disputed(connection)
    _forget_plain(connection)
    connection.write(
        lambda tx: tx.run(
            "MATCH (h:Horizon {kind: $kind}) WHERE h.before_day = $day SET h.swept_day = $day",
            kind=kind.name.lower(),
            day=before_day,
        )
    )


def _set_horizon(tx: Tx, kind: EvidenceKind, before_day: int) -> bool:
    """Set the horizon unless it is there already; whether anything is left to sweep."""
    lock_graph(tx)
    held, swept = tx.row(
        "MERGE (h:Horizon {kind: $kind}) ON CREATE SET h.before_day = $day "
        "RETURN h.before_day, coalesce(h.swept_day, h.before_day - 1)",
        kind=kind.name.lower(),
        day=before_day,
    )
    if before_day > held:
        tx.run(
            "MATCH (h:Horizon {kind: $kind}) SET h.before_day = $day",
            kind=kind.name.lower(),
            day=before_day,
        )
        return True
    return bool(before_day == held and swept < held)


def _in_steps(
    connection: Connection,
    found: Sequence[Any],
    step: Callable[[Tx, Sequence[Any], int], None],
    before_day: int,
) -> None:
    for start in range(0, len(found), STEP):
        some = found[start : start + STEP]
        connection.write(lambda tx, some=some: step(tx, some, before_day))  # type: ignore[misc]


# ---- links ---------------------------------------------------------------


def _old_links(
    connection: Connection, kind: EvidenceKind, before_day: int
) -> list[tuple[NodeKey, NodeKey]]:
    wanted = "NOT (a:Record OR b:Record)" if kind is EvidenceKind.LINK else "(a:Record OR b:Record)"
    return connection.read(
        lambda tx: tx.rows(
            "MATCH (a)-[r:SEEN_WITH]->(b) WHERE "
            f"r.first_seen < date($before) AND {wanted} "
            "RETURN collect(CASE WHEN a.key < b.key THEN [a.key, b.key] ELSE [b.key, a.key] END)",
            before=date_of(before_day),
        )
    )


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


def _old_holders(connection: Connection, before_day: int) -> list[NodeKey]:
    return connection.read(
        lambda tx: tx.rows(
            "MATCH (n:Identifier|Record) WHERE n.activity IS NOT NULL "
            "AND n.first_seen < date($before) RETURN collect(n.key)",
            before=date_of(before_day),
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

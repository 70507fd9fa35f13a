"""Counting evidence: what a settled batch adds and takes, applied in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from identity.engines.neo4j import activity, links, nodes, signals
from identity.engines.neo4j.activity import HolderState
from identity.engines.neo4j.connection import Tx
from identity.engines.neo4j.links import LinkState, Pair
from identity.engines.neo4j.nodes import NodeState
from identity.engines.neo4j.packing import LEFT_OUT
from identity.engines.neo4j.signals import SignalFact
from identity.evidence import ActivityCell, Deltas, Known, LinkCell, edges, fold
from identity.horizons import Horizons
from identity.model import Contribution, EvidenceKind, Node, NodeKey


@dataclass(slots=True)
class Change:
    """What is to be counted, taken back, remembered and forgotten.

    Of the signals in `before` those in neither `after` nor `gone` stay as they are.
    """

    added: list[Contribution]
    taken: list[Contribution]
    before: Mapping[int, Known]
    after: Mapping[int, Known]
    gone: Sequence[int] = ()


@dataclass(slots=True)
class Work:
    """One application of a change."""

    tx: Tx
    deltas: Deltas
    added_facts: list[SignalFact]
    taken_facts: list[SignalFact]
    nodes: dict[NodeKey, NodeState] = field(default_factory=dict)
    links: dict[Pair, LinkState] = field(default_factory=dict)
    holders: dict[NodeKey, HolderState] = field(default_factory=dict)


def count(tx: Tx, change: Change, horizons: Horizons) -> None:
    """Apply a change; the signals in it are locked or new.

    1. Fold it at the kept grain.
    2. Lock and read all nodes it touches, then their links and activity.
    3. Remember the signals, or forget them.
    4. Merge, and gather the reasons to mark each node.
    5. Write nodes with their marks, then links, activity and facts.
    6. Where something was taken, find first and last seen anew.
    """
    work = Work(
        tx,
        fold(change.added, change.taken, horizons),
        signals.facts_of(change.added, horizons),
        # Also what has expired: the step that takes it may not have come yet.
        signals.facts_of(change.taken, {}),
    )
    _load(work)
    signals.write_known(tx, change.before, change.after)
    signals.forget(tx, change.gone)
    _merge(work)
    _write(work, _given(change.added))
    if change.taken:
        losers = _losers(work)
        nodes.review_nodes(tx, [work.nodes[key] for key in losers])


def _given(added: Iterable[Contribution]) -> dict[NodeKey, Node]:
    """How the nodes of contents are to enter the graph, sealed where any content says so."""
    given: dict[NodeKey, Node] = {}
    for content in added:
        for node in content.nodes:
            if node.order == LEFT_OUT:
                continue
            held = given.get(node.key)
            if held is None or (node.sealed and not held.sealed):
                given[node.key] = node
    return given


def _load(work: Work) -> None:
    deltas = work.deltas
    keys: set[NodeKey] = set()
    for cells in (deltas.links, deltas.less_links):
        for low, high, _, _, _ in cells:
            keys.add(low)
            keys.add(high)
    for holders in (deltas.activity, deltas.less_activity):
        keys.update(holder for holder, _ in holders)
    known: set[NodeKey] = set()
    for each in work.added_facts:
        decision = each.fact.kind is EvidenceKind.DECISION
        (known if decision else keys).update(each.fact.subjects)
    for each in work.taken_facts:
        known.update(each.fact.subjects)
    work.nodes = nodes.lock_nodes(work.tx, keys | known)
    for key in keys:
        if key not in work.nodes:
            work.nodes[key] = NodeState(key, changed=nodes.ADDED)
    work.links = links.load_links(work.tx, work.nodes, deltas.links, deltas.less_links)
    work.holders = activity.load_activity(
        work.tx, work.nodes, deltas.activity, deltas.less_activity
    )


def _merge(work: Work) -> None:
    for (low, high, *cell), more in work.deltas.links.items():
        work.links[low, high].add(cell[0], cell[1], cell[2], more)  # type: ignore[arg-type]
    for (holder, day), entry in work.deltas.activity.items():
        work.holders[holder].add(day, entry)
    for each in work.added_facts:
        _mark_fact(work, each, seen=True)
    for each in work.taken_facts:
        _mark_fact(work, each, seen=False)
    for state in work.nodes.values():
        if state.bare and state.first_day is not None:
            state.changed |= nodes.ADDED
    if work.deltas.less_links or work.deltas.less_activity:
        _take(work)


def _mark_fact(work: Work, each: SignalFact, *, seen: bool) -> None:
    decision = each.fact.kind is EvidenceKind.DECISION
    for key in each.fact.subjects:
        state = work.nodes.get(key)
        if state is None:
            continue
        state.changed |= nodes.DECIDED if decision else nodes.ACTIVITY
        if seen and not decision:
            state.saw(each.content.day)


def _take(work: Work) -> None:
    stale_links: set[LinkCell] = set()
    stale_days: set[ActivityCell] = set()
    for cell, less in work.deltas.less_links.items():
        low, high, day, source, assurance = cell
        if work.links[low, high].take(day, source, assurance, less):
            stale_links.add(cell)
    for (holder, day), entry in work.deltas.less_activity.items():
        if work.holders[holder].take(day, entry):
            stale_days.add((holder, day))
    for day in {cell[2] for cell in stale_links} | {day for _, day in stale_days}:
        links_then = {cell for cell in stale_links if cell[2] == day}
        days_then = {cell for cell in stale_days if cell[1] == day}
        found = edges(
            signals.read_day(work.tx, day, _lows(links_then) | {key for key, _ in days_then}),
            links_then,
            days_then,
        )
        for (low, high, *rest), span in found[0].items():
            work.links[low, high].days[tuple(rest)][1:] = span  # type: ignore[index]
        for (holder, _), span in found[1].items():
            work.holders[holder].days[day][1:3] = span
    for link in work.links.values():
        if link.taken_from:
            link.sum_up()


def _lows(cells: Iterable[LinkCell]) -> set[NodeKey]:
    return {low for low, *_ in cells}


def _write(work: Work, given: Mapping[NodeKey, Node]) -> None:
    tx = work.tx
    older = [(holder, activity.pack_holder(holder)) for holder in work.holders.values()]
    new = [state for state in work.nodes.values() if state.is_new]
    old = [state for state in work.nodes.values() if state.changed and not state.is_new]
    nodes.make_nodes(tx, new, given)
    nodes.update_nodes(tx, old, given)
    links.write_links(tx, work.links.values())
    activity.write_months(tx, [(holder, months) for holder, months in older if months])
    signals.remove_facts(tx, work.taken_facts)
    signals.write_facts(tx, work.added_facts, work.nodes)


def _losers(work: Work) -> set[NodeKey]:
    keys: set[NodeKey] = set()
    for low, high, _, _, _ in work.deltas.less_links:
        keys |= {low, high}
    keys.update(holder for holder, _ in work.deltas.less_activity)
    for each in work.taken_facts:
        if each.fact.kind is not EvidenceKind.DECISION:
            keys.update(each.fact.subjects)
    return {key for key in keys if key in work.nodes}

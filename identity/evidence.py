"""Evidence as a set: settling what each signal's content is, and folding contributions at the kept grain.

Every engine of `GraphStore` calls the same functions, so that the set laws are
proved once. A signal's state is a join-semilattice (smallest digest, latest
publication of it, latest retraction), so it depends on the set of what arrived
and on nothing else; what counts is derived from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from identity.model import (
    DAY_US,
    HOUR_US,
    RECORD_KIND,
    Contribution,
    EvidenceKind,
    NodeKey,
)
from identity.store import Outcome

Horizons = Mapping[EvidenceKind, int]
LinkCell = tuple[NodeKey, NodeKey, int, str, int]
"""low key, high key, day, source, assurance."""
ActivityCell = tuple[NodeKey, int]
"""holder, day."""


@dataclass(frozen=True, slots=True)
class Known:
    """All that is remembered of one signal id.

    `content` is the contribution with the smallest digest seen, or None when
    only a retraction arrived so far; its `published_us` is the latest seen of
    that digest. `retracted_us` is the latest retraction's event time.
    """

    content: Contribution | None
    retracted_us: int | None = None

    @property
    def live(self) -> Contribution | None:
        """The content if it counts: published later than every retraction."""
        if self.content is None or self.retracted_us is None:
            return self.content
        return self.content if self.content.published_us > self.retracted_us else None


@dataclass(slots=True)
class Settled:
    """What a batch changes: outcomes in order, net additions and removals, and what to remember."""

    outcomes: list[Outcome]
    added: list[Contribution] = field(default_factory=list)
    taken: list[Contribution] = field(default_factory=list)
    known: dict[int, Known] = field(default_factory=dict)


def signals_of(contributions: Iterable[Contribution]) -> set[int]:
    """Every signal whose `Known` must be read before settling: the batch's own and those retracted."""
    wanted = set()
    for contribution in contributions:
        wanted.add(contribution.signal)
        if contribution.retracts is not None:
            wanted.add(contribution.retracts)
    return wanted


def settle(
    known: Mapping[int, Known], contributions: Sequence[Contribution], horizons: Horizons
) -> Settled:
    """Settle a batch against what is known of its signals (`signals_of`), without changing either.

    `added` and `taken` are net over the batch: a signal that is added and
    retracted within it is in neither.
    """
    state: dict[int, Known] = {}
    settled = Settled([], known=state)
    for contribution in contributions:
        if not alive(contribution, horizons):
            settled.outcomes.append(Outcome.EXPIRED)
            continue
        before = state.get(contribution.signal) or known.get(contribution.signal)
        after, outcome = _join(before, contribution)
        if after is not before:
            state[contribution.signal] = after
        if contribution.retracts is not None and outcome is Outcome.COUNTED:
            outcome = Outcome.RETRACTION
            _retract(state, known, contribution.retracts, contribution.event_us)
        settled.outcomes.append(outcome)
    for signal, after in state.items():
        _net(settled, known.get(signal), after)
    return settled


def _join(before: Known | None, new: Contribution) -> tuple[Known, Outcome]:
    """The join of what is known and a newly arrived content, and what that means for the newcomer."""
    if before is None:
        return Known(new), Outcome.COUNTED
    old = before.content
    if old is None or new.digest < old.digest:
        after = Known(new, before.retracted_us)
        if after.live is None:
            return after, Outcome.WITHHELD
        return after, Outcome.COUNTED if old is None else Outcome.REPLACED
    if new.digest > old.digest:
        return before, Outcome.OUTDONE
    if new.published_us <= old.published_us:
        return before, Outcome.DUPLICATE
    after = Known(new, before.retracted_us)
    revived = before.live is None and after.live is not None
    return after, Outcome.COUNTED if revived else Outcome.DUPLICATE


def _retract(
    state: dict[int, Known], known: Mapping[int, Known], target: int, retracted_us: int
) -> None:
    before = state.get(target) or known.get(target) or Known(None)
    if before.retracted_us is None or retracted_us > before.retracted_us:
        state[target] = Known(before.content, retracted_us)


def _net(settled: Settled, before: Known | None, after: Known) -> None:
    old = before.live if before is not None else None
    new = after.live
    if old is new or (old is not None and new is not None and old.digest == new.digest):
        return
    if old is not None:
        settled.taken.append(old)
    if new is not None:
        settled.added.append(new)


def alive(contribution: Contribution, horizons: Horizons) -> bool:
    """Whether any part of a contribution is on or after its kind's horizon; retractions always are."""
    if not horizons or contribution.retracts is not None:
        return True
    day = contribution.day
    if contribution.activity and day >= horizons.get(EvidenceKind.ACTIVITY, day):
        return True
    fact = contribution.fact
    if fact is not None and day >= horizons.get(fact.kind, day):
        return True
    return any(True for _ in pairs(contribution, horizons))


def pairs(
    contribution: Contribution, horizons: Horizons
) -> Iterable[tuple[NodeKey, NodeKey]]:
    """Every two nodes of a contribution, lower key first, that are on or after the horizon.

    A pair with a record expires with records, any other with links.
    """
    nodes = contribution.nodes
    if len(nodes) < 2:
        return
    day = contribution.day
    link_alive = day >= horizons.get(EvidenceKind.LINK, day)
    record_alive = day >= horizons.get(EvidenceKind.RECORD, day)
    keys = [node.key for node in nodes]
    for i, left in enumerate(keys):
        for right in keys[i + 1 :]:
            is_record = left.startswith(_RECORD) or right.startswith(_RECORD)
            if record_alive if is_record else link_alive:
                yield (left, right) if left < right else (right, left)


_RECORD = RECORD_KIND + ":"


@dataclass(slots=True)
class Deltas:
    """Contributions folded at the kept grain, additions and removals apart.

    - `links`: cell to [count, first_us, last_us] to add.
    - `activity`: cell to [count, first_us, last_us, {hour: n}, {cell: n}] to add.
    - `less_links`, `less_activity`: the same to take; their first and last say
      which extremes may have gone, see `touches_edge`.
    """

    links: dict[LinkCell, list[int]] = field(default_factory=dict)
    activity: dict[ActivityCell, list[object]] = field(default_factory=dict)
    less_links: dict[LinkCell, list[int]] = field(default_factory=dict)
    less_activity: dict[ActivityCell, list[object]] = field(default_factory=dict)


def fold(
    added: Iterable[Contribution], taken: Iterable[Contribution], horizons: Horizons
) -> Deltas:
    """Fold contributions into deltas; parts before their horizon are left out."""
    deltas = Deltas()
    for contribution in added:
        _fold_links(deltas.links, contribution, horizons)
        _fold_activity(deltas.activity, contribution, horizons)
    for contribution in taken:
        _fold_links(deltas.less_links, contribution, horizons)
        _fold_activity(deltas.less_activity, contribution, horizons)
    return deltas


def _fold_links(
    links: dict[LinkCell, list[int]], contribution: Contribution, horizons: Horizons
) -> None:
    if len(contribution.nodes) < 2:
        return
    at = contribution.event_us
    day, source, assurance = at // DAY_US, contribution.source, int(contribution.assurance)
    for low, high in pairs(contribution, horizons):
        cell = links.get((low, high, day, source, assurance))
        if cell is None:
            links[(low, high, day, source, assurance)] = [1, at, at]
            continue
        cell[0] += 1
        if at < cell[1]:
            cell[1] = at
        if at > cell[2]:
            cell[2] = at


def _fold_activity(
    activity: dict[ActivityCell, list[object]], contribution: Contribution, horizons: Horizons
) -> None:
    at = contribution.event_us
    day = at // DAY_US
    if not contribution.activity or day < horizons.get(EvidenceKind.ACTIVITY, day):
        return
    hour = at % DAY_US // HOUR_US
    for holder, cells in contribution.activity:
        entry = activity.get((holder, day))
        if entry is None:
            activity[(holder, day)] = [1, at, at, {hour: 1}, dict.fromkeys(cells, 1)]
            continue
        add_activity(entry, 1, at, at, {hour: 1}, dict.fromkeys(cells, 1))


def add_activity(
    entry: list[object],
    count: int,
    first_us: int,
    last_us: int,
    hours: Mapping[int, int],
    cells: Mapping[str, int],
) -> None:
    """Add counts to an activity entry ``[count, first_us, last_us, hours, cells]`` in place."""
    known_count, known_first, known_last, known_hours, known_cells = entry
    assert isinstance(known_count, int)
    assert isinstance(known_first, int)
    assert isinstance(known_last, int)
    assert isinstance(known_hours, dict)
    assert isinstance(known_cells, dict)
    entry[0] = known_count + count
    if first_us < known_first:
        entry[1] = first_us
    if last_us > known_last:
        entry[2] = last_us
    for hour, n in hours.items():
        known_hours[hour] = known_hours.get(hour, 0) + n
    for cell, n in cells.items():
        known_cells[cell] = known_cells.get(cell, 0) + n


def touches_edge(kept: tuple[int, int], less: tuple[int, int]) -> bool:
    """Whether taking signals between `less` may move first or last of what is kept between `kept`.

    If so the engine finds them anew from the remembered contributions of that day.
    """
    return less[0] <= kept[0] or less[1] >= kept[1]


def edges(
    contributions: Iterable[Contribution],
    links: set[LinkCell],
    holders: set[ActivityCell],
) -> tuple[dict[LinkCell, tuple[int, int]], dict[ActivityCell, tuple[int, int]]]:
    """First and last of the wanted cells over live contributions."""
    link_edges: dict[LinkCell, tuple[int, int]] = {}
    holder_edges: dict[ActivityCell, tuple[int, int]] = {}
    for contribution in contributions:
        at, day = contribution.event_us, contribution.day
        for low, high in pairs(contribution, {}):
            link = (low, high, day, contribution.source, int(contribution.assurance))
            if link in links:
                link_edges[link] = _widen(link_edges.get(link), at)
        for holder, _ in contribution.activity:
            if (holder, day) in holders:
                holder_edges[(holder, day)] = _widen(holder_edges.get((holder, day)), at)
    return link_edges, holder_edges


def _widen(edge: tuple[int, int] | None, at_us: int) -> tuple[int, int]:
    return (at_us, at_us) if edge is None else (min(edge[0], at_us), max(edge[1], at_us))

"""Evidence as a set: settling what each signal says, folding contributions at the kept grain.

Every engine of `GraphStore` calls the same functions, so that the set laws are
proved once. A signal's state is a join-semilattice (contents by digest, each
with its earliest and latest publication, and the latest retraction), so it
depends on the set of what arrived and on nothing else; what counts is derived
from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from identity.horizons import Horizons, alive, is_active, pairs, parts_of
from identity.model import (
    DAY_US,
    HOUR_US,
    Contribution,
    KeptFact,
    NodeKey,
    PersonEvidence,
)
from identity.store import Outcome

Fences = Mapping[NodeKey, int]
"""Per node the moment up to which whatever names it is kept out."""
LinkCell = tuple[NodeKey, NodeKey, int, str, int]
"""low key, high key, day, source, assurance."""
ActivityCell = tuple[NodeKey, int]
"""holder, day."""
ActivityEntry = list[Any]
"""[count, first_us, last_us, {hour: n}, {cell: n}]; a list, for it is changed in place."""


class Seen(NamedTuple):
    """One content seen under a signal id.

    `content.published_us` is the earliest publication seen of its digest (that
    is when a consent took effect), `latest_us` the latest (a retraction holds
    until the signal is published again).
    """

    content: Contribution
    latest_us: int


class Known(NamedTuple):
    """All that is remembered of one signal id.

    `seen` has the smallest digest first: that content counts, unless it is
    retracted. Behind it stand only contents that some horizon lets outlive all
    before them; when those expire, the next one counts, as if they had never
    come. `retracted_us` is the latest retraction's event time, which never expires.
    """

    seen: tuple[Seen, ...]
    retracted_us: int | None = None

    @property
    def live(self) -> Contribution | None:
        """The content that counts: the smallest digest's, if published after every retraction."""
        if not self.seen:
            return None
        content, latest_us = self.seen[0]
        if self.retracted_us is not None and latest_us <= self.retracted_us:
            return None
        return content


@dataclass(slots=True)
class Settled:
    """What a batch changes: outcomes in order, net additions and removals, and what to remember."""

    outcomes: list[Outcome]
    added: list[Contribution] = field(default_factory=list)
    taken: list[Contribution] = field(default_factory=list)
    known: dict[int, Known] = field(default_factory=dict)


def kept_fact(content: Contribution) -> KeptFact:
    """The fact of a content that counts and has one, as the graph keeps it."""
    assert content.fact is not None, "only asked of contents with a fact"
    return KeptFact(
        signal=content.signal,
        digest=content.digest,
        event_us=content.event_us,
        published_us=content.published_us,
        source=content.source,
        assurance=content.assurance,
        fact=content.fact,
    )


def signals_of(contributions: Iterable[Contribution]) -> set[int]:
    """Every signal whose `Known` must be read before settling: a batch's own, or the retracted."""
    return {
        contribution.signal if contribution.retracts is None else contribution.retracts
        for contribution in contributions
    }


NO_FENCES: Fences = {}


def settle(
    known: Mapping[int, Known],
    contributions: Sequence[Contribution],
    horizons: Horizons,
    fences: Fences = NO_FENCES,
) -> Settled:
    """Settle a batch against what is known of its signals (`signals_of`), without changing either.

    `fences` has those of all nodes that the batch names (`names_of`).

    `added` and `taken` are net over the batch: a signal that is added and
    retracted within it is in neither. A content whose fact turns out to have
    been published earlier is in both. Retractions are remembered at their
    target alone, so that they hold whatever else comes under their own id.
    """
    state: dict[int, Known] = {}
    settled = Settled([], known=state)
    note = settled.outcomes.append
    for contribution in contributions:
        retracts = contribution.retracts
        signal = contribution.signal if retracts is None else retracts
        before = state.get(signal) or known.get(signal)
        if retracts is not None:
            after, outcome = _retract(before, contribution.event_us)
        elif fences and is_fenced(contribution, fences):
            note(Outcome.ERASED)
            continue
        elif horizons and not alive(contribution, horizons):
            note(Outcome.EXPIRED)
            continue
        elif before is None:
            after, outcome = first_sight(contribution), Outcome.COUNTED
        else:
            after, outcome = _join(before, contribution)
        if after is not before:
            state[signal] = after
        note(outcome)
    for signal, after in state.items():
        _net(settled, known.get(signal), after)
    return settled


def first_sight(contribution: Contribution) -> Known:
    """What is known of a signal after its first arrival."""
    return Known((Seen(contribution, contribution.published_us),))


def _retract(before: Known | None, retracted_us: int) -> tuple[Known, Outcome]:
    if before is None:
        return Known((), retracted_us), Outcome.RETRACTION
    if before.retracted_us is not None and retracted_us <= before.retracted_us:
        return before, Outcome.DUPLICATE
    return Known(before.seen, retracted_us), Outcome.RETRACTION


def _join(before: Known, new: Contribution) -> tuple[Known, Outcome]:
    """The join of what is known and an arriving content, and what became of the newcomer."""
    if before.seen and new.digest > before.seen[0].content.digest:
        return _beside(before, new), Outcome.OUTDONE
    again = bool(before.seen) and new.digest == before.seen[0].content.digest
    after = _beside(before, new)
    if again:
        revived = before.live is None and after.live is not None
        return after, Outcome.COUNTED if revived else Outcome.DUPLICATE
    if after.live is None:
        return after, Outcome.WITHHELD
    return after, Outcome.REPLACED if before.seen else Outcome.COUNTED


def _beside(before: Known, new: Contribution) -> Known:
    """What is known with one more content, kept only as far as it can ever count."""
    by_digest = {seen.content.digest: seen for seen in before.seen}
    held = by_digest.get(new.digest)
    if held is None:
        by_digest[new.digest] = Seen(new, new.published_us)
    else:
        content, latest_us = held
        if content.published_us <= new.published_us <= latest_us:
            return before
        if new.published_us < content.published_us:
            content = replace(content, published_us=new.published_us)
        by_digest[new.digest] = Seen(content, max(latest_us, new.published_us))
    kept: list[Seen] = []
    for _, seen in sorted(by_digest.items()):
        if not any(_outlasts(smaller.content, seen.content) for smaller in kept):
            kept.append(seen)
    after = Known(tuple(kept), before.retracted_us)
    return before if after == before else after


def _outlasts(smaller: Contribution, larger: Contribution) -> bool:
    """Whether one content is kept for as long as another under all horizons and fences."""
    if smaller.event_us < larger.event_us or not names_of(smaller) <= names_of(larger):
        return False
    mine = parts_of(smaller)
    return all(
        any(kind is own and named >= others for own, others in mine)
        for kind, named in parts_of(larger)
    )


def _net(settled: Settled, before: Known | None, after: Known) -> None:
    old = before.live if before is not None else None
    new = after.live
    if old is not None and new is not None and old.digest == new.digest:
        moved = new.fact is not None and old.published_us != new.published_us
        if not moved:
            return
    if old is not None:
        settled.taken.append(old)
    if new is not None:
        settled.added.append(new)


def names_of(contribution: Contribution) -> set[NodeKey]:
    """Every node that a contribution says something of."""
    names = {node.key for node in contribution.nodes}
    if contribution.fact is not None:
        names.update(contribution.fact.subjects)
    return names


def named_by(known: Mapping[int, Known]) -> dict[int, frozenset[NodeKey]]:
    """Every node that each signal says something of; those of which nothing counts are left out."""
    return {
        signal: frozenset(names_of(live))
        for signal, one in known.items()
        if (live := one.live) is not None
    }


def is_fenced(contribution: Contribution, fences: Fences) -> bool:
    """Whether a fence keeps a content out: it names the node, and it happened or was published
    up to the fence's moment.
    """
    until_us = max((fences.get(key, 0) for key in names_of(contribution)), default=0)
    return min(contribution.event_us, contribution.published_us) <= until_us and until_us > 0


def erase(known: Known, fences: Fences) -> Known | None:
    """What is still remembered of a signal behind fences; None when nothing is.

    The same object when nothing is kept out. A content that was published again
    after the fence, and happened after it, stays as of its latest publication.
    """
    seen = []
    for one in known.seen:
        if not is_fenced(one.content, fences):
            seen.append(one)
            continue
        again = replace(one.content, published_us=one.latest_us)
        if not is_fenced(again, fences):
            seen.append(Seen(again, one.latest_us))
    if tuple(seen) == known.seen:
        return known
    if not seen and known.retracted_us is None:
        return None
    return Known(tuple(seen), known.retracted_us)


def is_kept_out(evidence: PersonEvidence, fences: Fences) -> bool:
    """Whether a person still holds evidence that a fence keeps out: it was not swept yet."""
    if not fences:
        return False
    for low, high, days in evidence.links:
        until_us = max(fences.get(low, 0), fences.get(high, 0))
        if any(day.first_us <= until_us for day in days):
            return True
    for holder, doings in evidence.activity.items():
        until_us = fences.get(holder, 0)
        if any(day.first_us <= until_us for day in doings.values()):
            return True
    return any(
        min(kept.event_us, kept.published_us) <= fences.get(subject, 0)
        for kept in evidence.facts
        for subject in kept.fact.subjects
    )


def expire(known: Known, horizons: Horizons) -> Known | None:
    """What is still remembered of a signal under new horizons; None when nothing is.

    The same object when nothing expired. The caller counts its `live` content
    if that is another one than before; what counted before has gone whole.
    """
    seen = tuple(one for one in known.seen if alive(one.content, horizons))
    if len(seen) == len(known.seen):
        return known
    if not seen and known.retracted_us is None:
        return None
    return Known(seen, known.retracted_us)


@dataclass(slots=True)
class Deltas:
    """Contributions folded at the kept grain, additions and removals apart.

    - `links`: cell to [count, first_us, last_us] to add.
    - `activity`: cell to [count, first_us, last_us, {hour: n}, {cell: n}] to add.
    - `less_links`, `less_activity`: the same to take; their first and last say
      which extremes may have gone, see `touches_edge`.
    """

    links: dict[LinkCell, list[int]] = field(default_factory=dict)
    activity: dict[ActivityCell, ActivityEntry] = field(default_factory=dict)
    less_links: dict[LinkCell, list[int]] = field(default_factory=dict)
    less_activity: dict[ActivityCell, ActivityEntry] = field(default_factory=dict)


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
        elif at > cell[2]:
            cell[2] = at


def _fold_activity(
    activity: dict[ActivityCell, ActivityEntry], contribution: Contribution, horizons: Horizons
) -> None:
    at = contribution.event_us
    day = at // DAY_US
    hour = at % DAY_US // HOUR_US
    for holder, cells in contribution.activity:
        if horizons and not is_active(holder, day, horizons):
            continue
        entry = activity.get((holder, day))
        if entry is None:
            activity[(holder, day)] = [1, at, at, {hour: 1}, dict.fromkeys(cells, 1)]
            continue
        add_activity(entry, [1, at, at, {hour: 1}, dict.fromkeys(cells, 1)])


def add_activity(entry: ActivityEntry, more: ActivityEntry) -> None:
    """Add counts to an activity entry in place."""
    entry[0] += more[0]
    entry[1] = min(entry[1], more[1])
    entry[2] = max(entry[2], more[2])
    for place in (3, 4):
        counts = entry[place]
        for name, n in more[place].items():
            counts[name] = counts.get(name, 0) + n


def take_activity(entry: ActivityEntry, less: ActivityEntry) -> None:
    """Take counts from an activity entry in place; its first and last stay, see `touches_edge`."""
    entry[0] -= less[0]
    for place in (3, 4):
        counts = entry[place]
        for name, n in less[place].items():
            left = counts.get(name, 0) - n
            if left:
                counts[name] = left
            else:
                counts.pop(name, None)


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

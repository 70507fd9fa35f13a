"""Why two nodes are, or are not, one person: as data and as sentences."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from identity.limits import beside_counts, is_shared
from identity.matching.index import MatchIndex
from identity.matching.score import Bar
from identity.matching.waterfall import sentence as waterfall_sentence
from identity.model import (
    Decision,
    LinkDay,
    NodeKey,
    NodeView,
    PersonId,
    kind_of,
    token_of,
)
from identity.neighbourhood import Neighbourhood, gather
from identity.policy import MBITS, IdentityPolicy
from identity.resolve import Basis, Link
from identity.store import GraphStore


@dataclass(frozen=True, slots=True)
class Step:
    """One link of a chain, told from the end nearer to where the chain begins.

    Times are None and `signals` 0 for a decision of staff and a scored link. The
    latter has `bars`, which add up to its weight, its calibrated probability,
    and the fingerprint of the model that scored it.
    """

    left: NodeKey
    right: NodeKey
    basis: Basis
    weight_bits: float
    sources: tuple[str, ...]
    signals: int
    first_us: int | None
    last_us: int | None
    bars: tuple[Bar, ...] = ()
    probability: float | None = None
    model: str = ""

    @property
    def sentence(self) -> str:
        """The step in words, with tokens cut short and no raw value."""
        left, right = name_of(self.left), name_of(self.right)
        if self.basis is Basis.DECIDED:
            return f"staff decided that {left} and {right} are one person"
        if self.basis is Basis.SCORED:
            why = waterfall_sentence(self.bars, self.probability or 0.0).rstrip(".")
            return f"{left} and {right} are alike: {why[0].lower()}{why[1:]}"
        seen = "logged in together" if self.basis is Basis.AUTHENTICATED else "seen together"
        times = "once" if self.signals == 1 else f"{self.signals} times"
        return f"{left} and {right} were {seen} {times} by {', '.join(self.sources)}{self._when()}"

    def _when(self) -> str:
        if self.first_us is None or self.last_us is None:
            return ""
        first, last = _date(self.first_us), _date(self.last_us)
        if first == last:
            return f" on {first}"
        return f" from {first} to {last}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The strongest chain between two nodes of one person, or what stands between them."""

    same_person: bool
    steps: tuple[Step, ...]
    obstacles: tuple[str, ...]
    sentence: str


def name_of(key: NodeKey) -> str:
    """A node in words: its kind and the first characters of its token."""
    return f"{kind_of(key)} {token_of(key)[:6]}…"


def _date(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).date().isoformat()


def explain(
    store: GraphStore,
    policy: IdentityPolicy,
    left: NodeKey,
    right: NodeKey,
    index: MatchIndex | None = None,
) -> Explanation | None:
    """Explain two nodes from the evidence as it is now; None when either is unknown.

    `index` is a fresh one of the store, under the models in force; when the
    store was resolved under others, scored links are left out.

    The chain is the path between them in the tree of links that canonical
    order takes first, so no other chain has a stronger weakest link.
    """
    people = store.person_of((left, right))
    if left not in people or right not in people:
        return None
    if index is not None and store.model() != index.model:
        index = None
    area = gather(store, policy, {left, right}, index)
    if people[left] == people[right]:
        members = store.members([people[left]]).get(people[left], frozenset())
        links = [*area.links(policy), *area.scored_links()]
        inside = [link for link in links if link.low in members and link.high in members]
        return _together(store, left, right, inside, index)
    obstacles = tuple(_obstacles(store, area, policy, between=(left, right), people=people))
    sentence = f"{name_of(left)} and {name_of(right)} are two people: {'; '.join(obstacles)}."
    return Explanation(False, (), obstacles, sentence)


def _together(
    store: GraphStore,
    left: NodeKey,
    right: NodeKey,
    links: Sequence[Link],
    index: MatchIndex | None,
) -> Explanation:
    if left == right:
        return Explanation(True, (), (), f"{name_of(left)} was asked about twice.")
    chain = _chain(links, left, right)
    pairs = [tuple(sorted((link.low, link.high))) for _, _, link in chain]
    days = store.link_days([(low, high) for low, high in pairs])
    steps = tuple(
        _step(start, end, link, days.get((link.low, link.high), ()), index)
        for start, end, link in chain
    )
    if not steps:
        return Explanation(
            True,
            (),
            (),
            f"{name_of(left)} and {name_of(right)} are one person; the evidence"
            " has changed since and is waiting to be resolved.",
        )
    told = "; ".join(step.sentence for step in steps)
    sentence = f"{name_of(left)} and {name_of(right)} are one person: {told}."
    return Explanation(True, steps, (), sentence)


def _chain(
    links: Iterable[Link], left: NodeKey, right: NodeKey
) -> list[tuple[NodeKey, NodeKey, Link]]:
    """The path in the maximum spanning tree by canonical order (Kruskal), or []."""
    root: dict[NodeKey, NodeKey] = {}

    def find(key: NodeKey) -> NodeKey:
        while root.setdefault(key, key) != key:
            root[key] = root[root[key]]
            key = root[key]
        return key

    tree: dict[NodeKey, list[tuple[NodeKey, Link]]] = {}
    for link in sorted(links, key=lambda link: link.order):
        low, high = find(link.low), find(link.high)
        if low != high:
            root[low] = high
            tree.setdefault(link.low, []).append((link.high, link))
            tree.setdefault(link.high, []).append((link.low, link))
    return _walk(tree, left, right)


def _walk(
    tree: Mapping[NodeKey, Sequence[tuple[NodeKey, Link]]], left: NodeKey, right: NodeKey
) -> list[tuple[NodeKey, NodeKey, Link]]:
    came: dict[NodeKey, tuple[NodeKey, Link] | None] = {left: None}
    queue = deque([left])
    while queue:
        here = queue.popleft()
        for other, link in tree.get(here, ()):
            if other not in came:
                came[other] = (here, link)
                queue.append(other)
    path = []
    here, back = right, came.get(right)
    while back is not None:
        path.append((back[0], here, back[1]))
        here, back = back[0], came[back[0]]
    return path[::-1]


def _step(
    start: NodeKey, end: NodeKey, link: Link, days: Sequence[LinkDay], index: MatchIndex | None
) -> Step:
    comparer = index.comparer(start) if index is not None else None
    if link.basis is Basis.SCORED and index is not None and comparer is not None:
        return Step(
            left=start,
            right=end,
            basis=link.basis,
            weight_bits=link.weight / MBITS,
            sources=(),
            signals=0,
            first_us=None,
            last_us=None,
            bars=tuple(index.explain(start, end)),
            probability=comparer.probability(link.weight),
            model=comparer.model,
        )
    return Step(
        left=start,
        right=end,
        basis=link.basis,
        weight_bits=0.0 if link.basis is Basis.DECIDED else link.weight / MBITS,
        sources=tuple(sorted({day.source for day in days})),
        signals=sum(day.count for day in days),
        first_us=min((day.first_us for day in days), default=None),
        last_us=max((day.last_us for day in days), default=None),
    )


def _obstacles(
    store: GraphStore,
    area: Neighbourhood,
    policy: IdentityPolicy,
    *,
    between: tuple[NodeKey, NodeKey],
    people: Mapping[NodeKey, PersonId],
) -> list[str]:
    left, right = between
    found = [
        sentence
        for key in (left, right)
        if key in area.views
        for sentence in shared_because(area.views[key], policy)
    ]
    sides = store.members(people.values())
    ours, theirs = sides.get(people[left], frozenset()), sides.get(people[right], frozenset())
    found += _held_apart(area.decisions, ours, theirs)
    found += _too_many(policy, ours, theirs)
    shared = _shared_between(store, area, policy, left, right)
    found += [sentence for sentence in shared if sentence not in found]
    return found or ["nothing links them"]


def shared_because(view: NodeView, policy: IdentityPolicy) -> list[str]:
    """Why a node is shared, one sentence per higher kind over its limit; [] when it is not."""
    kind = policy.kind(kind_of(view.key))
    if kind is None or not is_shared(view, policy):
        return []
    window = f" within {kind.shared_window_days} days" if kind.shared_window_days else ""
    reasons = []
    for other, count in sorted(beside_counts(view, policy).items()):
        limit = kind.shared_beside.get(other, kind.shared_beside.get(""))
        if limit is not None and count > limit:
            reasons.append(
                f"{name_of(view.key)} is shared: beside {count} values of {other}{window}, "
                f"{limit} allowed"
            )
    return reasons


def _held_apart(
    decisions: Iterable[Decision], ours: frozenset[NodeKey], theirs: frozenset[NodeKey]
) -> list[str]:
    return [
        f"staff decided on {_date(decision.decided_us)} that {name_of(decision.left)} and "
        f"{name_of(decision.right)} are not the same"
        for decision in decisions
        if not decision.same
        and (
            (decision.left in ours and decision.right in theirs)
            or (decision.left in theirs and decision.right in ours)
        )
    ]


def _too_many(
    policy: IdentityPolicy, ours: frozenset[NodeKey], theirs: frozenset[NodeKey]
) -> list[str]:
    found = []
    for kind_name in sorted({kind_of(key) for key in ours} & {kind_of(key) for key in theirs}):
        kind = policy.kind(kind_name)
        total = sum(kind_of(key) == kind_name for key in ours | theirs)
        if kind and kind.max_per_person and total > kind.max_per_person:
            found.append(
                f"together they would have {total} values of {kind_name}, "
                f"{kind.max_per_person} allowed a person"
            )
    return found


def _shared_between(
    store: GraphStore,
    area: Neighbourhood,
    policy: IdentityPolicy,
    left: NodeKey,
    right: NodeKey,
) -> list[str]:
    """Identifiers beside both that are shared and so join nobody."""
    if left not in area.views or right not in area.views:
        return []
    beside_left = {tie.other for tie in area.views[left].ties}
    both = beside_left & {tie.other for tie in area.views[right].ties}
    views = store.views(both)
    return [sentence for key in sorted(views) for sentence in shared_because(views[key], policy)]

"""The affected neighbourhood: every connected component that a change touches, whole.

It is the union of the components, before and after the change, over admissible
links, seeded with both ends of every pair whose admissibility changed. A path
of the component before that the change broke leads to such an end, so the
components after the change of all seeds cover the component before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from identity.allowing import Groups, Used
from identity.limits import is_shared
from identity.matching.index import MatchIndex
from identity.model import Decision, NodeKey, NodeView, PersonId
from identity.policy import IdentityPolicy
from identity.resolve import Basis, Link, Scored, in_force, link_of, order_digest
from identity.store import GraphStore


@dataclass(slots=True)
class Neighbourhood:
    """Nodes with live evidence, what they are held together by, and who they were.

    - `shared`: the flag by present evidence, for every node of `views`.
    - `decisions`: those in force with an end in `views`.
    - `held`: every person with a member here, with all members.
    - `scores`: per node that a model compares, all its scored links, to whomever.
    """

    views: dict[NodeKey, NodeView] = field(default_factory=dict)
    shared: dict[NodeKey, bool] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    held: dict[PersonId, frozenset[NodeKey]] = field(default_factory=dict)
    scores: dict[NodeKey, Mapping[NodeKey, int]] = field(default_factory=dict)

    def flips(self) -> dict[NodeKey, bool]:
        """Nodes whose shared flag is no longer what the last resolution said."""
        return {
            key: flag for key, flag in self.shared.items() if flag is not self.views[key].shared
        }

    def links(self, policy: IdentityPolicy) -> Iterator[Link]:
        """Every admissible link inside the neighbourhood, decisions included."""
        for view in self.views.values():
            for tie in view.ties:
                if view.key < tie.other and tie.other in self.views:
                    shared = self.shared[view.key], self.shared[tie.other]
                    link = link_of(view, tie, *shared, policy)
                    if link is not None:
                        yield link
        yield from self._decided_links()

    def scored(self, index: MatchIndex, store: GraphStore, used: Used) -> list[Scored]:
        """What each comparer of an index says of the nodes here; the store has their facts.

        `used` hears of those that were looked at.
        """
        orders = {key: self.views[key].order for key in self.scores}
        found = []
        for comparer in index.comparers:
            own = {
                key: links for key, links in self.scores.items() if index.comparer(key) is comparer
            }
            if own:
                asked = comparer.may_join
                groups = asked and Groups(store, self.views, self.decisions, asked, used)
                may_join = groups.may_join if groups is not None else None
                found.append(Scored(comparer, own, orders, index.item, may_join))
        return found

    def scored_links(self) -> Iterator[Link]:
        """Every positive scored link inside the neighbourhood."""
        for key, links in self.scores.items():
            for other, mbits in links.items():
                if mbits > 0 and key < other and other in self.scores:
                    digest = order_digest(self.views[key].order, self.views[other].order)
                    yield Link(key, other, Basis.SCORED, mbits, digest)

    def _decided_links(self) -> Iterator[Link]:
        for decision in self.decisions:
            low, high = sorted((decision.left, decision.right))
            if decision.same and low in self.views and high in self.views:
                digest = order_digest(self.views[low].order, self.views[high].order)
                yield Link(low, high, Basis.DECIDED, decision.decided_us, digest)


def gather(
    store: GraphStore,
    policy: IdentityPolicy,
    changed: set[NodeKey],
    index: MatchIndex | None = None,
) -> Neighbourhood:
    """The neighbourhood of nodes whose links, decisions or existence changed.

    Over positive scored links too, where there is an index of them.

    Whole people come along, so that no id is given away while some of its
    members are out of sight.
    """
    area = Neighbourhood()
    decisions: dict[Decision, None] = {}
    asked: set[NodeKey] = set()
    frontier = set(changed)
    while frontier:
        asked |= frontier
        views = store.views(frontier)
        _take(area, views, changed, policy)
        found = store.decisions(frontier)
        decisions.update(dict.fromkeys(found))
        wanted = _linked(area, views.values(), policy)
        wanted |= {end for d in in_force(found) if d.same for end in (d.left, d.right)}
        wanted |= _fellows(store, area, frontier, views)
        if index is not None and index.comparers:
            wanted |= _alike(index, area, views)
        frontier = wanted - asked
    area.decisions = in_force(decisions)
    return area


def _take(
    area: Neighbourhood,
    views: Mapping[NodeKey, NodeView],
    changed: set[NodeKey],
    policy: IdentityPolicy,
) -> None:
    """Only changed nodes can have a new flag; those are all in the first frontier."""
    area.views.update(views)
    for key, view in views.items():
        area.shared[key] = is_shared(view, policy) if key in changed else view.shared


def _linked(area: Neighbourhood, views: Iterable[NodeView], policy: IdentityPolicy) -> set[NodeKey]:
    """Nodes one admissible link away, and all neighbours of nodes whose flag flipped."""
    wanted = set()
    for view in views:
        shared = area.shared[view.key]
        flipped = shared is not view.shared
        for tie in view.ties:
            other_shared = area.shared.get(tie.other, tie.other_shared)
            if flipped or link_of(view, tie, shared, other_shared, policy) is not None:
                wanted.add(tie.other)
    return wanted


def _alike(index: MatchIndex, area: Neighbourhood, views: Iterable[NodeKey]) -> set[NodeKey]:
    """Nodes one positive scored link away."""
    compared = [key for key in views if index.comparer(key) is not None]
    if not compared:
        return set()
    found = index.links(compared)
    area.scores.update(found)
    return {other for links in found.values() for other, mbits in links.items() if mbits > 0}


def _fellows(
    store: GraphStore,
    area: Neighbourhood,
    frontier: set[NodeKey],
    views: Mapping[NodeKey, NodeView],
) -> set[NodeKey]:
    """All members of people that came into sight; a node without evidence may still have one."""
    people = {view.person for view in views.values() if view.person is not None}
    gone = frontier - views.keys()
    if gone:
        people.update(store.person_of(gone).values())
    unseen = people - area.held.keys()
    if not unseen:
        return set()
    held = store.members(unseen)
    area.held.update(held)
    return {key for members in held.values() for key in members}

"""People as a pure function of the evidence: admissible links, and how they are clustered.

`partition` takes exact links in one canonical order and joins their ends unless
a limit, a contradiction or a decision of staff forbids it; then it joins whom
the match models say are one, under the same limits. Its result on a connected component
depends on that component alone, so recomputing the components that a change
touches gives what a rebuild gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import blake2b

from identity.matching.comparing import Comparer, ItemOf
from identity.model import RECORD_KIND, Decision, NodeKey, NodeView, Tie, kind_of
from identity.policy import IdentityPolicy

Apart = Mapping[NodeKey, frozenset[NodeKey]]


class Basis(IntEnum):
    """What a link rests on; the first are taken first."""

    DECIDED = 1
    AUTHENTICATED = 2
    OBSERVED = 3
    SCORED = 4


@dataclass(frozen=True, slots=True)
class Link:
    """An admissible link with its place in the canonical order.

    `weight` is the match weight in thousandths of a bit; for decisions the
    event time. `digest` is the 64-bit order digest of the two ends.
    """

    low: NodeKey
    high: NodeKey
    basis: Basis
    weight: int
    digest: int

    @property
    def order(self) -> tuple[int, int, int, NodeKey, NodeKey]:
        """Canonical order: decisions and authenticated joins, then weight, then digest.

        Scored links come last: by then the evidence of whole people is at hand.
        """
        return (int(self.basis), -self.weight, self.digest, self.low, self.high)


def order_digest(left: int, right: int) -> int:
    """64-bit digest of two nodes' orders, whichever comes first.

    The orders are keyed digests under a key that never rotates, so the digest
    needs no key of its own.
    """
    low, high = (left, right) if left <= right else (right, left)
    joined = low.to_bytes(8, "big") + high.to_bytes(8, "big")
    return int.from_bytes(blake2b(joined, digest_size=8).digest(), "big")


def link_of(
    view: NodeView, tie: Tie, is_shared: bool, other_shared: bool, policy: IdentityPolicy
) -> Link | None:
    """The observed link of a tie, or None when it is not admissible.

    A link with a shared end is not admissible, unless both ends are accounts
    that an authenticated login joined: what else names two accounts comes in as
    claimed.
    """
    low, high = (view.key, tie.other) if view.key < tie.other else (tie.other, view.key)
    joins = tie.authenticated and _is_account(view.key, policy) and _is_account(tie.other, policy)
    if (is_shared or other_shared) and not joins:
        return None
    basis = Basis.AUTHENTICATED if joins else Basis.OBSERVED
    weight = min(_weight(view.key, policy), _weight(tie.other, policy))
    return Link(low, high, basis, weight, order_digest(view.order, tie.other_order))


def _is_account(key: NodeKey, policy: IdentityPolicy) -> bool:
    kind = policy.kind(kind_of(key))
    return kind is not None and kind.account


def _weight(key: NodeKey, policy: IdentityPolicy) -> int:
    kind_name = kind_of(key)
    if kind_name == RECORD_KIND:
        return policy.record_weight_mbits
    kind = policy.kind(kind_name)
    return kind.weight_mbits if kind is not None else 0


def in_force(decisions: Iterable[Decision]) -> list[Decision]:
    """Per pair the latest decision; at a tie "not the same", then the smaller digest."""
    latest: dict[tuple[NodeKey, NodeKey], Decision] = {}
    for decision in decisions:
        low, high = sorted((decision.left, decision.right))
        held = latest.get((low, high))
        if held is None or _rank(decision) > _rank(held):
            latest[(low, high)] = decision
    return list(latest.values())


def _rank(decision: Decision) -> tuple[int, bool, int]:
    return (decision.decided_us, not decision.same, -int.from_bytes(decision.digest, "big"))


def apart_of(decisions: Iterable[Decision]) -> dict[NodeKey, frozenset[NodeKey]]:
    """Per node the nodes that staff decided are not the same, of decisions in force."""
    apart: dict[NodeKey, set[NodeKey]] = {}
    for decision in decisions:
        if not decision.same and decision.left != decision.right:
            apart.setdefault(decision.left, set()).add(decision.right)
            apart.setdefault(decision.right, set()).add(decision.left)
    return {key: frozenset(others) for key, others in apart.items()}


@dataclass(frozen=True, slots=True)
class Scored:
    """What one comparer says of the nodes in a neighbourhood: every link, positive or not.

    Links may lead out of it; those are left aside. `may_join` tells of two groups
    of nodes whether they may be joined; None: whoever is alike may.
    """

    comparer: Comparer
    links: Mapping[NodeKey, Mapping[NodeKey, int]]
    orders: Mapping[NodeKey, int]
    item_of: ItemOf
    may_join: Callable[[Sequence[NodeKey], Sequence[NodeKey]], bool] | None = None

    def contrary(self) -> dict[NodeKey, frozenset[NodeKey]]:
        """Per node those that contradict it."""
        apart_mbits = self.comparer.apart_mbits
        if apart_mbits is None:
            return {}
        return {
            key: frozenset(other for other, mbits in links.items() if mbits <= apart_mbits)
            for key, links in self.links.items()
            if links and min(links.values()) <= apart_mbits
        }


@dataclass(slots=True)
class _Cluster:
    """`apart` are nodes that staff hold apart from it, `contrary` those that contradict it."""

    members: list[NodeKey]
    apart: set[NodeKey]
    counts: dict[str, int]
    contrary: set[NodeKey] = field(default_factory=set)


def partition(
    nodes: Iterable[NodeKey],
    links: Iterable[Link],
    apart: Apart,
    policy: IdentityPolicy,
    scored: Sequence[Scored] = (),
) -> list[frozenset[NodeKey]]:
    """Cluster nodes into people.

    1. Take exact links in canonical order.
    2. Skip a link whose clusters staff holds apart, at any two members.
    3. Skip an observed link that would give the person more values of a kind
       than `max_per_person`, or two members that contradict each other.
    4. Join the ends of all others.
    5. Let each comparer in turn join clusters by the scored links between all
       their members, as far as 2 and 3 allow, and both clusters by what they say.

    Links to nodes outside `nodes` are left out. Depends on no order of its inputs.
    """
    home = {key: _cluster(key, apart, policy) for key in nodes}
    for own in scored:
        for key, against in own.contrary().items():
            if key in home:
                home[key].contrary |= against
    for link in sorted(links, key=lambda link: link.order):
        left, right = home.get(link.low), home.get(link.high)
        if left is None or right is None or left is right:
            continue
        if held_apart(left.members, left.apart, right.members, right.apart):
            continue
        if link.basis >= Basis.OBSERVED and _forbidden(left, right, policy):
            continue
        _join(left, right, home)
    for own in scored:
        _group(home, own, policy)
    people = {id(cluster): cluster for cluster in home.values()}
    return [frozenset(cluster.members) for cluster in people.values()]


def _group(home: dict[NodeKey, _Cluster], scored: Scored, policy: IdentityPolicy) -> None:
    """Join clusters as a comparer says."""
    members = [key for key in scored.links if key in home]
    together: dict[int, list[NodeKey]] = {}
    for key in members:
        together.setdefault(id(home[key]), []).append(key)

    def join(one: NodeKey, other: NodeKey) -> bool:
        left, right = home[one], home[other]
        apart = held_apart(left.members, left.apart, right.members, right.apart)
        if apart or _forbidden(left, right, policy):
            return False
        if scored.may_join is not None and not scored.may_join(left.members, right.members):
            return False
        _join(left, right, home)
        return True

    joined = [group for group in together.values() if len(group) > 1]
    scored.comparer.group(
        members, scored.links, scored.orders.__getitem__, joined, join, scored.item_of
    )


def _cluster(key: NodeKey, apart: Apart, policy: IdentityPolicy) -> _Cluster:
    kind_name = kind_of(key)
    kind = policy.kind(kind_name)
    limited = kind is not None and kind.max_per_person is not None
    return _Cluster([key], set(apart.get(key, ())), {kind_name: 1} if limited else {})


def held_apart(
    left: list[NodeKey], left_apart: set[NodeKey], right: list[NodeKey], right_apart: set[NodeKey]
) -> bool:
    """Whether any member of one side is held apart from any of the other."""
    if not left_apart or not right_apart:
        return False
    return not (left_apart.isdisjoint(right) and right_apart.isdisjoint(left))


def _forbidden(left: _Cluster, right: _Cluster, policy: IdentityPolicy) -> bool:
    """Whether two clusters contradict each other, or would have too many values of a kind."""
    if held_apart(left.members, left.contrary, right.members, right.contrary):
        return True
    for kind_name, count in right.counts.items():
        kind = policy.kind(kind_name)
        own = left.counts.get(kind_name, 0)
        if not own or kind is None or kind.max_per_person is None:
            continue
        if own + count > kind.max_per_person:
            return True
    return False


def _join(left: _Cluster, right: _Cluster, home: dict[NodeKey, _Cluster]) -> None:
    if len(left.members) < len(right.members):
        left, right = right, left
    left.members += right.members
    left.apart |= right.apart
    left.contrary |= right.contrary
    for kind_name, count in right.counts.items():
        left.counts[kind_name] = left.counts.get(kind_name, 0) + count
    for key in right.members:
        home[key] = left

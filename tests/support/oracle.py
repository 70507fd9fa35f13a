"""People worked out naively from all that ever arrived: what every engine must agree with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import networkx as nx

from identity.model import (
    RECORD_KIND,
    Assurance,
    Contribution,
    EvidenceKind,
    Expiring,
    NodeKey,
    kind_of,
)
from identity.policy import IdentityPolicy
from identity.resolve import order_digest
from tests.support import oracle_matching
from tests.support.oracle_matching import Scores

Horizons = Mapping[Expiring, int]
Pair = tuple[NodeKey, NodeKey]


def let_through(
    arrived: Iterable[Contribution], fences: Mapping[NodeKey, int]
) -> list[Contribution]:
    """What names nobody who was fenced when it happened or was published."""
    kept = []
    for one in arrived:
        named = {node.key for node in one.nodes} | set(one.fact.subjects if one.fact else ())
        if all(
            one.event_us > fences.get(key, -1) and one.published_us > fences.get(key, -1)
            for key in named
        ):
            kept.append(one)
    return kept


def live(arrived: Iterable[Contribution], horizons: Horizons) -> list[Contribution]:
    """The contents that count: of those not expired the smallest digest, unless it is retracted."""
    retracted: dict[int, int] = {}
    contents: dict[int, list[Contribution]] = {}
    for contribution in arrived:
        if contribution.retracts is not None:
            held = retracted.get(contribution.retracts, contribution.event_us)
            retracted[contribution.retracts] = max(held, contribution.event_us)
        elif named(contribution, horizons):
            contents.setdefault(contribution.signal, []).append(contribution)
    counted = []
    for signal, competing in contents.items():
        smallest = min(competing, key=lambda c: c.digest)
        latest_us = max(c.published_us for c in competing if c.digest == smallest.digest)
        if signal not in retracted or latest_us > retracted[signal]:
            counted.append(smallest)
    return counted


def named(contribution: Contribution, horizons: Horizons) -> set[NodeKey]:
    """The nodes of which a contribution says something that is on or after its horizon."""
    found: set[NodeKey] = set()
    fact = contribution.fact
    if fact is not None and _kept(contribution, horizons, fact.kind):
        found.update(fact.subjects)
    for holder, _ in contribution.activity:
        if _kept(contribution, horizons, EvidenceKind.ACTIVITY, holder):
            found.add(holder)
    for left, right in combinations(contribution.nodes, 2):
        linking = _linking(left.key, right.key)
        if _kept(contribution, horizons, linking, left.key, right.key):
            found.update((left.key, right.key))
    return found


def _linking(left: NodeKey, right: NodeKey) -> EvidenceKind:
    is_record = RECORD_KIND in (kind_of(left), kind_of(right))
    return EvidenceKind.RECORD if is_record else EvidenceKind.LINK


def _kept(
    contribution: Contribution, horizons: Horizons, kind: EvidenceKind, *named: NodeKey
) -> bool:
    """Whether the day is on or after the horizons of the kind and of the kinds of those named."""
    under: list[Expiring] = [kind]
    for key in named:
        under += [kind_of(key), kind_of(key).split(":")[0]]
    return all(contribution.day >= horizons[one] for one in under if one in horizons)


class Evidence:
    """Live evidence after the horizons, in the plainest shape."""

    def __init__(self, arrived: Iterable[Contribution], horizons: Horizons) -> None:
        self.days: dict[Pair, set[int]] = {}
        self.authenticated: set[Pair] = set()
        self.orders: dict[NodeKey, int] = {}
        self.nodes: set[NodeKey] = set()
        self.decisions: list[Contribution] = []
        self.records: dict[NodeKey, bytes] = {}
        for contribution in live(arrived, horizons):
            self._add(contribution, horizons)

    def _add(self, contribution: Contribution, horizons: Horizons) -> None:
        def kept(kind: EvidenceKind, *named: NodeKey) -> bool:
            return _kept(contribution, horizons, kind, *named)

        for node in contribution.nodes:
            self.orders[node.key] = node.order
        for left, right in combinations(sorted(node.key for node in contribution.nodes), 2):
            if kept(_linking(left, right), left, right):
                self.days.setdefault((left, right), set()).add(contribution.day)
                self.nodes |= {left, right}
                if contribution.assurance is Assurance.AUTHENTICATED:
                    self.authenticated.add((left, right))
        self.nodes |= {
            holder for holder, _ in contribution.activity if kept(EvidenceKind.ACTIVITY, holder)
        }
        fact = contribution.fact
        if fact is not None and kept(fact.kind):
            if fact.kind is EvidenceKind.DECISION:
                self.decisions.append(contribution)
            else:
                self.nodes |= set(fact.subjects)
            if fact.kind is EvidenceKind.RECORD:
                self.records[fact.subjects[0]] = fact.payload


def people(
    arrived: Iterable[Contribution],
    horizons: Horizons,
    policy: IdentityPolicy,
    bound: int | None = None,
) -> set[frozenset[NodeKey]]:
    """The partition by definition: components of admissible links, clustered by brute force.

    `bound` is that of the blocks of `match_world`'s model; None: nothing is matched.
    """
    evidence = Evidence(arrived, horizons)
    scores = Scores({}, 0) if bound is None else Scores(evidence.records, bound)
    shared = {key for key in evidence.nodes if _is_shared(key, evidence, policy)}
    same, apart = _decided(evidence)
    graph: nx.Graph[NodeKey] = nx.Graph()
    graph.add_nodes_from(evidence.nodes)
    for pair in evidence.days:
        rank = _rank(pair, evidence, shared, policy)
        if rank is not None:
            graph.add_edge(*pair, rank=rank)
    for pair, decided_us in same.items():
        if set(pair) <= evidence.nodes:
            digest = order_digest(*(evidence.orders[key] for key in pair))
            graph.add_edge(*pair, rank=(1, -decided_us, digest, *pair))
    exact = graph.copy()
    graph.add_edges_from(scores.positive())
    found: set[frozenset[NodeKey]] = set()
    for component in nx.connected_components(graph):
        clusters = _cluster(exact.subgraph(component), apart, scores.contrary(), policy)
        found |= oracle_matching.grouped(
            clusters,
            scores,
            evidence.orders,
            lambda left, right: (
                _held_apart(left, right, apart)
                or _held_apart(left, right, scores.contrary())
                or _too_many(left, right, policy)
            ),
        )
    return found


def _is_shared(key: NodeKey, evidence: Evidence, policy: IdentityPolicy) -> bool:
    own = policy.kind(kind_of(key))
    if own is None:
        return False
    beside: dict[str, dict[NodeKey, set[int]]] = {}
    for pair, days in evidence.days.items():
        if key in pair:
            other = pair[0] if pair[1] == key else pair[1]
            kind = policy.kind(kind_of(other)) if kind_of(other) != RECORD_KIND else None
            if kind is not None and kind.priority > own.priority:
                beside.setdefault(kind_of(other), {})[other] = days
    for kind_name, values in beside.items():
        limit = own.shared_beside.get(kind_name, own.shared_beside.get(""))
        if limit is None:
            continue
        span = own.shared_window_days or 10**9
        starts = {day for days in values.values() for day in days}
        for start in starts:
            seen = [v for v, days in values.items() if any(start <= d < start + span for d in days)]
            if len(seen) > limit:
                return True
    return False


def _rank(
    pair: Pair, evidence: Evidence, shared: set[NodeKey], policy: IdentityPolicy
) -> tuple[int, int, int, NodeKey, NodeKey] | None:
    kinds = [policy.kind(kind_of(key)) for key in pair]
    joins = pair in evidence.authenticated and all(kind and kind.account for kind in kinds)
    if not joins and shared & set(pair):
        return None
    weights = [
        kind.weight_mbits if kind is not None else policy.record_weight_mbits for kind in kinds
    ]
    digest = order_digest(*(evidence.orders[key] for key in pair))
    return (2 if joins else 3, -min(weights), digest, *pair)


def _decided(evidence: Evidence) -> tuple[dict[Pair, int], set[Pair]]:
    latest: dict[Pair, Contribution] = {}
    for contribution in sorted(
        evidence.decisions,
        key=lambda c: (c.event_us, not c.fact.same, [255 - b for b in c.digest]),  # type: ignore[union-attr]
    ):
        assert contribution.fact is not None
        low, high = sorted(contribution.fact.subjects)
        latest[(low, high)] = contribution
    same = {p: c.event_us for p, c in latest.items() if c.fact is not None and c.fact.same}
    return same, latest.keys() - same.keys()


def _cluster(
    graph: nx.Graph[NodeKey], apart: set[Pair], contrary: set[Pair], policy: IdentityPolicy
) -> list[set[NodeKey]]:
    clusters: list[set[NodeKey]] = [{key} for key in graph.nodes]
    edges = [(data["rank"], low, high) for low, high, data in graph.edges(data=True)]
    for rank, low, high in sorted(edges):
        left = next(c for c in clusters if low in c)
        right = next(c for c in clusters if high in c)
        if left is right or _held_apart(left, right, apart):
            continue
        if rank[0] == 3 and (_too_many(left, right, policy) or _held_apart(left, right, contrary)):
            continue
        clusters = [c for c in clusters if c is not left and c is not right] + [left | right]
    return clusters


def _held_apart(left: set[NodeKey], right: set[NodeKey], apart: Iterable[Pair]) -> bool:
    return any(set(pair) <= left | right and _across(pair, left) for pair in apart)


def _across(pair: Pair, left: set[NodeKey]) -> bool:
    return (pair[0] in left) is not (pair[1] in left)


def _too_many(left: set[NodeKey], right: set[NodeKey], policy: IdentityPolicy) -> bool:
    for kind_name in {kind_of(key) for key in left} & {kind_of(key) for key in right}:
        kind = policy.kind(kind_name)
        total = sum(kind_of(key) == kind_name for key in left | right)
        if kind is not None and kind.max_per_person is not None and total > kind.max_per_person:
            return True
    return False


def sorted_people(found: Iterable[frozenset[NodeKey]]) -> Sequence[tuple[NodeKey, ...]]:
    """People in a fixed order, for messages of failed tests."""
    return sorted(tuple(sorted(person)) for person in found)

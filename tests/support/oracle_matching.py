"""Scored links and the groups they make, worked out naively: what the index must agree with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

from identity.matching.model import HELD_APART_MBITS, Clustering
from identity.model import NodeKey
from tests.support import match_world

Pair = tuple[NodeKey, NodeKey]
Forbidden = Callable[[set[NodeKey], set[NodeKey]], bool]
_SCALE = 1 << 20


class Scores:
    """Every pair of records with a block in common that is within its bound."""

    def __init__(self, records: Mapping[NodeKey, bytes], bound: int) -> None:
        self.weights: dict[Pair, int] = {}
        self.rules = Clustering()
        if not records:
            return
        scorer = match_world.scorer(bound)
        self.rules = scorer.model.clustering
        ready = {
            key: scorer.prepare(match_world.opened(key, payload))
            for key, payload in records.items()
        }
        sizes = Counter(block for one in ready.values() for block in set(one.keys))
        for low, high in combinations(sorted(ready), 2):
            shared = set(ready[low].keys) & set(ready[high].keys)
            if any(sizes[block] <= bound for block in shared):
                self.weights[low, high] = scorer.weigh(ready[low], ready[high])

    def positive(self) -> list[Pair]:
        """Pairs that make a component."""
        return [pair for pair, mbits in self.weights.items() if mbits > 0]

    def contrary(self) -> set[Pair]:
        """Pairs that are held apart."""
        return {pair for pair, mbits in self.weights.items() if mbits <= HELD_APART_MBITS}

    def between(self, left: set[NodeKey], right: set[NodeKey]) -> dict[Pair, int | None]:
        """The weight of every pair of records across two groups."""
        mine = {key for pair in self.weights for key in pair}
        return {
            pair: self.weights.get(pair)
            for one in left & mine
            for other in right & mine
            for pair in [(min(one, other), max(one, other))]
        }

    def average(self, left: set[NodeKey], right: set[NodeKey], records: set[NodeKey]) -> int | None:
        """The average weight of two groups, as `clusters` says it; None when they cannot join."""
        found = self.between(left, right)
        known = [mbits for mbits in found.values() if mbits is not None]
        if not any(mbits > 0 for mbits in known):
            return None
        if any(mbits <= HELD_APART_MBITS for mbits in known):
            return None
        rules, pairs = self.rules, len(left & records) * len(right & records)
        capped = [max(rules.floor_mbits, min(rules.cap_mbits, mbits)) for mbits in known]
        total = sum(capped) + rules.missing_mbits * (pairs - len(known))
        return total * _SCALE // pairs


def grouped(
    clusters: Sequence[set[NodeKey]],
    scores: Scores,
    orders: Mapping[NodeKey, int],
    forbidden: Forbidden,
) -> set[frozenset[NodeKey]]:
    """Join the two groups of the largest average weight until none may."""
    groups = [set(cluster) for cluster in clusters]
    records = {key for group in groups for key in group if key.startswith("record:")}
    ranked = sorted(records, key=lambda key: orders[key])
    place = {key: number for number, key in enumerate(ranked)}

    def least(group: set[NodeKey]) -> int:
        return min(place[key] for key in group & records)

    while True:
        found = []
        for left, right in combinations([group for group in groups if group & records], 2):
            weight = scores.average(left, right, records)
            if weight is None or weight <= scores.rules.stop_mbits * _SCALE:
                continue
            if not forbidden(left, right):
                ends = sorted((least(left), least(right)))
                found.append((-weight, ends[0], ends[1], left, right))
        if not found:
            return {frozenset(group) for group in groups}
        _, _, _, left, right = min(found, key=lambda one: one[:3])
        groups = [group for group in groups if group is not left and group is not right]
        groups.append(left | right)

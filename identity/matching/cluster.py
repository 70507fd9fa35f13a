"""Clustering by average weight: canonical, constrained, local to a component.

Pure. Its result is a function of the set of members and links; ties in weight
fall to the order digest of the two groups' least members.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from typing import TypeVar

from identity.matching.model import HELD_APART_MBITS, Clustering

Key = TypeVar("Key", bound=Hashable)
Links = Mapping[Key, Mapping[Key, int]]
_NEVER = -(10**15)
_SCALE = 1 << 20


def clusters(
    members: Iterable[Key],
    links: Links[Key],
    order: Callable[[Key], int],
    rules: Clustering,
    joined: Iterable[Collection[Key]] = (),
    join: Callable[[Key, Key], bool] | None = None,
) -> list[frozenset[Key]]:
    """Group the members of a component.

    1. Every member is a group, those in one of `joined` are one. Two groups'
       weight is the average over all pairs across them; a pair without a link
       counts `missing_mbits`.
    2. The two groups of the largest weight join, if some link between them is
       positive, none is held apart, the weight is above `stop_mbits`, and
       `join`, called with the least member of each, does not say False.
    3. Repeat until no two can.

    `links[a][b]` and `links[b][a]` are the same number of thousandths of a bit.
    `order` is distinct for distinct members and depends on no arrival.
    """
    ranked = sorted(members, key=order)
    place = {key: number for number, key in enumerate(ranked)}
    rows = [
        {place[other]: mbits for other, mbits in links.get(key, {}).items() if other in place}
        for key in ranked
    ]
    groups = _Groups(rows, rules, _told(ranked, join))
    for group in joined:
        first, *others = sorted(place[key] for key in group)
        for other in others:
            groups.merge(first, other)
    groups.run()
    return [frozenset(ranked[number] for number in group) for group in groups.members if group]


def _told(ranked: list[Key], join: Callable[[Key, Key], bool] | None) -> Callable[[int, int], bool]:
    return lambda left, right: join is None or join(ranked[left], ranked[right])


class _Groups:
    """Groups by the number of their least member."""

    def __init__(
        self, rows: list[dict[int, int]], rules: Clustering, may_join: Callable[[int, int], bool]
    ) -> None:
        self.rules = rules
        self.may_join = may_join
        self.members: list[list[int]] = [[number] for number in range(len(rows))]
        cap, floor = rules.cap_mbits, rules.floor_mbits
        missing = rules.missing_mbits
        # Sums are kept as what a link weighs beyond a missing one, so that an
        # average needs no count of the links behind it.
        self.beyond: list[dict[int, int]] = [
            {o: (_NEVER if w <= HELD_APART_MBITS else max(floor, min(cap, w)) - missing)
             for o, w in row.items()}
            for row in rows
        ]  # fmt: skip
        self.positive: list[set[int]] = [{o for o, w in row.items() if w > 0} for row in rows]
        self.heap: list[tuple[int, int, int]] = []

    def run(self) -> None:
        self.heap.clear()
        for number, others in enumerate(self.positive):
            for other in others:
                if other > number:
                    self._offer(number, other)
        heapq.heapify(self.heap)
        while self.heap:
            weight, left, right = heapq.heappop(self.heap)
            # What forbids two groups to join forbids whatever they grow into.
            if self._weight(left, right) == -weight and self.may_join(left, right):
                self.merge(left, right)

    def _weight(self, left: int, right: int) -> int | None:
        """Average weight in 2**-20 of a thousandth of a bit; None when either is gone."""
        pairs = len(self.members[left]) * len(self.members[right])
        beyond = self.beyond[left].get(right)
        if not pairs or beyond is None:
            return None
        return (self.rules.missing_mbits * pairs + beyond) * _SCALE // pairs

    def _offer(self, left: int, right: int) -> None:
        low, high = (left, right) if left < right else (right, left)
        weight = self._weight(low, high)
        if weight is not None and weight > self.rules.stop_mbits * _SCALE:
            self.heap.append((-weight, low, high))

    def merge(self, left: int, right: int) -> None:
        """Make two groups one; the group of the lesser number stays."""
        self.members[left] += self.members[right]
        self.members[right] = []
        row, gone = self.beyond[left], self.beyond[right]
        row.pop(right, None)
        gone.pop(left, None)
        for other, beyond in gone.items():
            row[other] = row.get(other, 0) + beyond
            theirs = self.beyond[other]
            del theirs[right]
        for other, beyond in row.items():
            self.beyond[other][left] = beyond
        self.beyond[right] = {}
        positive = self.positive[left] | self.positive[right]
        positive -= {left, right}
        for other in self.positive[right]:
            self.positive[other].discard(right)
            self.positive[other].add(left)
        self.positive[left], self.positive[right] = positive, set()
        start = len(self.heap)
        for other in positive:
            self._offer(left, other)
        fresh = self.heap[start:]
        del self.heap[start:]
        for entry in fresh:
            heapq.heappush(self.heap, entry)

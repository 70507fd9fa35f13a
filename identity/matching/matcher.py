"""Matching as records arrive: candidates, scores and people, always as if all had come at once.

The state after any sequence of additions and removals is a function of the
set of records and the model: links exist between records that share a key
whose block is within its bound, and people are the clusters of the components
over positive links.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from identity.matching.cluster import clusters
from identity.matching.score import Prepared, Scorer

BlockKey = tuple[int, str]
_SHARED_BITS = 10
"""A link is kept as its weight above so many bits that count the live keys behind it."""
_SHARED = (1 << _SHARED_BITS) - 1


@dataclass(slots=True)
class Changes:
    """What a batch changed: the people that were there and are not, and those that are new."""

    before: list[frozenset[str]] = field(default_factory=list)
    after: list[frozenset[str]] = field(default_factory=list)


class Matcher:
    """Records by id, their scored links, and the people that follow.

    `order` gives a record's 63-bit order digest, which depends on no arrival.
    Not thread-safe.
    """

    def __init__(self, scorer: Scorer, order: Callable[[str], int]) -> None:
        self._scorer = scorer
        self._order = order
        self._bounds = [blocking.bound for blocking in scorer.model.blocking]
        self._rules = scorer.model.clustering
        self._records: dict[str, Prepared] = {}
        self._blocks: dict[BlockKey, list[str]] = {}
        self._links: dict[str, dict[str, int]] = {}
        self._people: dict[str, frozenset[str]] = {}

    def __len__(self) -> int:
        return len(self._records)

    def person(self, record: str) -> frozenset[str]:
        """The records that are one person with this one, itself included."""
        return self._people[record]

    def people(self) -> list[frozenset[str]]:
        """Every person once, by least record id."""
        return sorted(set(self._people.values()), key=min)

    def links(self, record: str) -> dict[str, int]:
        """The scored links of a record: match weight in thousandths of a bit."""
        return {key: kept >> _SHARED_BITS for key, kept in self._links[record].items()}

    def update(
        self, add: Mapping[str, Mapping[str, str]] | None = None, remove: Iterable[str] = ()
    ) -> Changes:
        """Take records out and in, then cluster the neighbourhoods that this touches.

        1. A removed record leaves its blocks; a block that drops back within
           its bound gives its pairs again.
        2. An added record replaces one of the same id. A block that crosses
           its bound takes its pairs away.
        3. The components over positive links, before and after, of all ends
           whose links changed are clustered anew.
        """
        touched: set[str] = set()
        for record in remove:
            self._take(record, touched)
        for record, attributes in (add or {}).items():
            if record in self._records:
                self._take(record, touched)
            self._put(record, self._scorer.prepare(attributes), touched)
        return self._recluster(touched)

    def _put(self, record: str, prepared: Prepared, touched: set[str]) -> None:
        shared: Counter[str] = Counter()
        for key in prepared.keys:
            block = self._blocks.setdefault(key, [])
            size, bound = len(block), self._bounds[key[0]]
            if size < bound:
                shared.update(block)
            elif size == bound:
                self._close(block, touched)
            block.append(record)
        self._records[record] = prepared
        mine = self._links[record] = {}
        records, links = self._records, self._links
        weights = self._scorer.weigh_many(prepared, [records[other] for other in shared])
        for (other, keys), weight in zip(shared.items(), weights, strict=True):
            mine[other] = links[other][record] = weight << _SHARED_BITS | keys
        touched.add(record)

    def _take(self, record: str, touched: set[str]) -> None:
        prepared = self._records.pop(record)
        for other, kept in self._links.pop(record).items():
            del self._links[other][record]
            if kept >> _SHARED_BITS > 0:
                touched.add(other)
        touched |= self._people.pop(record)
        touched.discard(record)
        for key in prepared.keys:
            block = self._blocks[key]
            block.remove(record)
            if len(block) == self._bounds[key[0]]:
                self._open(block, touched)
            if not block:
                del self._blocks[key]

    def _close(self, block: list[str], touched: set[str]) -> None:
        """The block has become over-full: its pairs that share no other live key go."""
        for number, left in enumerate(block):
            mine = self._links[left]
            for right in block[:number]:
                kept = mine[right]
                if kept & _SHARED > 1:
                    mine[right] = self._links[right][left] = kept - 1
                    continue
                del mine[right], self._links[right][left]
                if kept >> _SHARED_BITS != self._rules.missing_mbits:
                    touched.add(left)
                    touched.add(right)

    def _open(self, block: list[str], touched: set[str]) -> None:
        """The block is back within its bound: its pairs count again."""
        for number, left in enumerate(block):
            mine = self._links[left]
            for right in block[:number]:
                kept = mine.get(right)
                if kept is None:
                    weight = self._scorer.weigh(self._records[left], self._records[right])
                    kept = weight << _SHARED_BITS
                    touched.add(left)
                    touched.add(right)
                mine[right] = self._links[right][left] = kept + 1

    def _recluster(self, touched: set[str]) -> Changes:
        """Components after the change of all touched records, and of their fellows before."""
        changes = Changes()
        seeds = set(touched)
        for record in touched:
            seeds |= self._people.get(record, frozenset())
        seen: set[str] = set()
        gone: set[frozenset[str]] = set()
        fresh: list[frozenset[str]] = []
        for seed in seeds:
            if seed not in seen and seed in self._records:
                component = self._component(seed)
                seen |= component
                fresh += self._cluster(component)
        for record in seen:
            before = self._people.get(record)
            if before is not None:
                gone.add(before)
        for person in fresh:
            for record in person:
                self._people[record] = person
        new = set(fresh)
        changes.before = sorted(gone - new, key=min)
        changes.after = sorted(new - gone, key=min)
        return changes

    def _component(self, seed: str) -> set[str]:
        found, frontier = {seed}, [seed]
        positive = 1 << _SHARED_BITS
        while frontier:
            for other, kept in self._links[frontier.pop()].items():
                if kept >= positive and other not in found:
                    found.add(other)
                    frontier.append(other)
        return found

    def _cluster(self, component: set[str]) -> list[frozenset[str]]:
        if len(component) == 1:
            return [frozenset(component)]
        links = {
            record: {
                other: kept >> _SHARED_BITS
                for other, kept in self._links[record].items()
                if other in component
            }
            for record in component
        }
        return clusters(component, links, self._order, self._rules)

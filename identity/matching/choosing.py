"""Blocking rules chosen from the data: what each would cost and bring is known before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from identity.matching.bulk import Floats, Ints
from identity.matching.keys import STANDING, Parts, Rule

BOUND = 100
"""Records in a block beyond which it contributes no pairs."""
_BUDGET = 40
"""Candidate pairs per record that all rules together may bring."""
_LEAST_YIELD = 0.01
"""Likely matches that a rule must newly bring per pair it costs."""


_STANDING_PAIRS = 3
"""Pairs per record that a standing rule may cost."""


@dataclass(slots=True)
class _Part:
    """Values of one part: those of record `i` are `values[start[i]:start[i + 1]]`."""

    start: Ints
    values: Ints
    distinct: int


@dataclass(slots=True)
class Index:
    """The keys of all records, ready to be combined into the blocks of any rule."""

    records: int
    _parts: dict[str, _Part]

    @classmethod
    def of(cls, all_parts: Sequence[Parts]) -> Index:
        """Index the parts of every record."""
        names = sorted({name for parts in all_parts for name in parts})
        return cls(len(all_parts), {name: _indexed(name, all_parts) for name in names})

    @property
    def parts(self) -> list[str]:
        """The parts that any record has."""
        return list(self._parts)

    def _keys(self, rule: Rule) -> tuple[Ints, Ints]:
        """The record and the key of every record's key under a rule."""
        records = np.arange(self.records, dtype=np.int64)
        keys = np.zeros(self.records, dtype=np.int64)
        for name in rule:
            part = self._parts[name]
            counts = (part.start[1:] - part.start[:-1])[records]
            first = part.start[records]
            offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            keys = np.repeat(keys, counts) * part.distinct
            keys += part.values[np.repeat(first, counts) + offset]
            records = np.repeat(records, counts)
            # Renumbering keeps the product of the parts' sizes within 64 bits.
            keys = np.unique(keys, return_inverse=True)[1].astype(np.int64)
        return records, keys

    def _blocks(self, rule: Rule, bound: int) -> tuple[Ints, Ints, Ints]:
        """Records in order of key; where each block begins; its size. Only blocks that count."""
        records, keys = self._keys(rule)
        order = np.argsort(keys, kind="stable")
        sizes = np.bincount(keys) if len(keys) else np.zeros(0, dtype=np.int64)
        starts = np.cumsum(sizes) - sizes
        counts = (sizes >= 2) & (sizes <= bound)
        return records[order], starts[counts], sizes[counts]

    def cost(self, rule: Rule, bound: int) -> int:
        """How many pairs the rule brings."""
        _, _, sizes = self._blocks(rule, bound)
        return int((sizes * (sizes - 1) // 2).sum())

    def pairs(self, rule: Rule, bound: int, anchors: NDArray[np.bool_] | None = None) -> Ints:
        """The rule's pairs as `lesser << 32 | greater`, sorted; with an end among the anchors."""
        records, starts, sizes = self._blocks(rule, bound)
        found = []
        for size in np.unique(sizes).tolist():
            members = records[starts[sizes == size][:, None] + np.arange(size)]
            left, right = np.triu_indices(size, 1)
            one, other = members[:, left].ravel(), members[:, right].ravel()
            if anchors is not None:
                kept = anchors[one] | anchors[other]
                one, other = one[kept], other[kept]
            found.append(np.minimum(one, other) << 32 | np.maximum(one, other))
        return np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)


def _indexed(name: str, all_parts: Sequence[Parts]) -> _Part:
    known: dict[str, int] = {}
    values = [
        [known.setdefault(value, len(known)) for value in parts.get(name, ())]
        for parts in all_parts
    ]
    start = np.zeros(len(values) + 1, dtype=np.int64)
    start[1:] = np.cumsum([len(own) for own in values])
    flat = np.array([number for own in values for number in own], dtype=np.int64)
    return _Part(start, flat, max(1, len(known)))


@dataclass(frozen=True, slots=True)
class Choice:
    """A chosen rule: its pairs over all records, and the likely matches it newly brought."""

    rule: Rule
    pairs: int
    likely: float


def choose(
    rules: Sequence[tuple[Rule, int, Ints]], pool: Ints, likely: Floats, records: int
) -> tuple[list[Choice], float]:
    """Take the rule that brings most for its cost until no rule is worth it; then standing ones.

    `rules`: each with its cost over all records and its pairs in the pool;
    `likely`: the probability of every pair of the pool. Returns the choices in
    order, and the share of the pool's likely matches that they keep.
    """
    found = [(rule, cost, np.searchsorted(pool, pairs)) for rule, cost, pairs in rules]
    scale = _scale(found, records)
    open_weight = likely.copy()
    total = float(likely.sum())
    left = _BUDGET * records
    choices: list[Choice] = []
    while found:
        gains = [float(open_weight[places].sum()) for _, _, places in found]
        net = [
            gain * scale - _LEAST_YIELD * cost if cost <= left else 0.0
            for gain, (_, cost, _) in zip(gains, found, strict=True)
        ]
        best = int(np.argmax(net))
        if net[best] <= 0:
            best = _standing(found, records)
        if best < 0:
            break
        rule, cost, places = found.pop(best)
        choices.append(Choice(rule, cost, gains[best] * scale))
        open_weight[places] = 0
        left -= cost
    return choices, 1 - float(open_weight.sum()) / total if total else 0.0


def _standing(found: Sequence[tuple[Rule, int, Ints]], records: int) -> int:
    """The place of a rule that is taken whatever it brings here, if it costs little; else -1."""
    for place, (rule, cost, _) in enumerate(found):
        if rule in STANDING and cost <= _STANDING_PAIRS * records:
            return place
    return -1


def _scale(found: Sequence[tuple[Rule, int, Ints]], records: int) -> float:
    """How many pairs of all records one pair of the pool stands for."""
    pooled = sum(len(places) for _, _, places in found)
    return sum(cost for _, cost, _ in found) / pooled if pooled and records else 1.0

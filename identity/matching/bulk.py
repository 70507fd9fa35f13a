"""Many records at once for training: values by number, levels of many pairs, term frequencies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identity.matching.comparisons import NAME_PARTS, SAME, Comparison, comparisons_for
from identity.matching.features import Features
from identity.matching.names import levels as name_levels
from identity.matching.rarity import (
    SAME_HOUSEHOLD,
    absorbed_places,
    household_agreement,
    rarity_mbits,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
KEPT_FROM = 5
"""A value must have been seen this often for its frequency to be kept."""
CORRELATED = (
    ("family", "household"),
    ("birth_place", "postcode"),
    ("city", "postcode"),
    ("given", "gender"),
    (SAME_HOUSEHOLD, "birth_date"),
    (SAME_HOUSEHOLD, "unit"),
    (SAME_HOUSEHOLD, "phone"),
    (SAME_HOUSEHOLD, "email"),
    (SAME_HOUSEHOLD, "postcode"),
)
"""Comparisons whose evidence overlaps, counted jointly where both are there."""


@dataclass(slots=True)
class Column:
    """One slot of all records: number of the value per record (-1: missing), and the values."""

    numbers: Ints
    values: list[Any]


@dataclass(slots=True)
class Terms:
    """Term frequencies of one comparison; `rarity` by value number, in thousandths of a bit."""

    expected: float
    rare: float
    values: dict[str, float]
    rarity: Ints


@dataclass(slots=True)
class Pairs:
    """Pairs of records with all that the model reads of them.

    `levels` is pairs by comparisons, `rarity` the same in bits; `joint` per
    entry of `Bulk.correlated` the code `4 * left + right` of coarse agreement.
    """

    left: Ints
    right: Ints
    levels: NDArray[np.int8]
    rarity: Floats
    joint: list[Ints]

    def __len__(self) -> int:
        return len(self.left)


@dataclass(slots=True)
class Bulk:
    """All records of a training set."""

    features: Sequence[Features]
    comparisons: list[Comparison] = field(init=False)
    place: dict[str, int] = field(init=False)
    correlated: list[tuple[str, str]] = field(init=False)
    terms: dict[str, Terms] = field(init=False)
    _columns: dict[str, Column] = field(init=False)

    def __post_init__(self) -> None:
        slots = {slot for features in self.features for slot in features}
        self.comparisons = comparisons_for(slots)
        self.place = {c.name: number for number, c in enumerate(self.comparisons)}
        self._columns = {slot: self._column(slot) for slot in sorted(slots)}
        self.correlated = [pair for pair in CORRELATED if self._has(pair)]
        self.terms = {c.name: t for c in self.comparisons if (t := self._terms(c)) is not None}

    def __len__(self) -> int:
        return len(self.features)

    def _has(self, pair: tuple[str, str]) -> bool:
        both = {"family", "household"}
        names = (both if pair[0] == SAME_HOUSEHOLD else {pair[0]}) | {pair[1]}
        return names <= self.place.keys()

    def _column(self, slot: str) -> Column:
        known: dict[Any, int] = {}
        numbers = [
            -1 if (value := features.get(slot)) is None else known.setdefault(value, len(known))
            for features in self.features
        ]
        return Column(np.array(numbers, dtype=np.int64), list(known))

    def _terms(self, comparison: Comparison) -> Terms | None:
        if not comparison.rare:
            return None
        column = self._columns[comparison.slot]
        terms = [comparison.rarity_of(value) for value in column.values]
        seen: Counter[str] = Counter()
        uses = np.bincount(column.numbers[column.numbers >= 0], minlength=len(terms)).tolist()
        for term, count in zip(terms, uses, strict=True):
            if term:
                seen[term] += count
        total = sum(seen.values())
        if not total:
            return None
        few = [count for count in seen.values() if count < KEPT_FROM]
        rare = max(sum(few) / max(1, len(few)), 1.0) / total
        values = {term: n / total for term, n in sorted(seen.items()) if n >= KEPT_FROM}
        expected = sum(n * values.get(term, rare) for term, n in seen.items()) / total
        rarity = [rarity_mbits(expected, values.get(term, rare)) if term else 0 for term in terms]
        return Terms(expected, rare, values, np.array(rarity, dtype=np.int64))

    def pairs(self, left: Ints, right: Ints) -> Pairs:
        """Compare pairs of records; equal pairs of values are compared once."""
        levels = np.zeros((len(left), len(self.comparisons)), np.int8)
        for slot in sorted({comparison.slot for comparison in self.comparisons}):
            self._compare(slot, left, right, levels)
        rarity, joint = self._rarity(left, right, levels), self._joint(levels)
        return Pairs(left, right, levels, rarity, joint)

    def _compare(self, slot: str, left: Ints, right: Ints, levels: NDArray[np.int8]) -> None:
        column = self._columns[slot]
        ones, others = column.numbers[left], column.numbers[right]
        known = np.flatnonzero((ones >= 0) & (others >= 0))
        low = np.minimum(ones[known], others[known])
        high = np.maximum(ones[known], others[known])
        distinct, back = np.unique(low << 32 | high, return_inverse=True)
        values = column.values
        numbers = distinct.tolist()
        pairs = [(values[number >> 32], values[number & 0xFFFFFFFF]) for number in numbers]
        if slot == "name":
            first = self.place[NAME_PARTS[0]]
            table = np.array([name_levels(*pair) for pair in pairs], np.int8).reshape(-1, 4)
            levels[known, first : first + 4] = table[back]
            return
        place, level_of = self.place[slot], self.comparisons[self.place[slot]].level_of
        assert level_of is not None
        table = np.array([level_of(*pair) for pair in pairs], np.int8)
        levels[known, place] = table[back]

    def _rarity(self, left: Ints, right: Ints, levels: NDArray[np.int8]) -> Floats:
        found = np.zeros(levels.shape)
        for place, comparison in enumerate(self.comparisons):
            terms = self.terms.get(comparison.name)
            if terms is None:
                continue
            numbers = self._columns[comparison.slot].numbers
            at = np.flatnonzero(np.isin(levels[:, place], list(comparison.rare)))
            mbits = np.minimum(terms.rarity[numbers[left[at]]], terms.rarity[numbers[right[at]]])
            whole = levels[at, place] == SAME
            found[at, place] = np.where(whole, mbits, mbits // 2) / 1000
        for silenced, by in absorbed_places(self.place):
            found[(levels[:, by] >= 1) & (levels[:, by] <= 3), silenced] = 0
        return found

    def _joint(self, levels: NDArray[np.int8]) -> list[Ints]:
        coarse = {
            c.name: np.array(c.coarse, dtype=np.int64)[levels[:, place]]
            for place, c in enumerate(self.comparisons)
        }
        if "family" in coarse and "household" in coarse:
            table = np.array([[household_agreement(f, a) for a in range(4)] for f in range(4)])
            coarse[SAME_HOUSEHOLD] = table[coarse["family"], coarse["household"]]
        return [4 * coarse[left] + coarse[right] for left, right in self.correlated]

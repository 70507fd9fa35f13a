"""Match weights: what two records' agreement says about their being one person, in bits.

Fellegi and Sunter's model with term frequencies. Correlated comparisons are
corrected jointly, so a household's surname and address count once. Pure: a
score reads its two records and the model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from identity.matching.comparisons import SAME, Comparison, comparison_of
from identity.matching.features import Features, features_of
from identity.matching.keys import keys_of, parts_of
from identity.matching.model import MBITS, MatchModel
from identity.matching.names import levels as name_levels

SAME_HOUSEHOLD = "same_household"
_RAREST, _COMMONEST = 8 * MBITS, -6 * MBITS
"""Bounds on what a rare or common value adds, in thousandths of a bit."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record ready to be compared under one model.

    `values` and `rarity_mbits` stand in the order of the model's comparisons;
    `keys` are its blocking keys.
    """

    values: tuple[Any, ...]
    rarity_mbits: tuple[int, ...]
    keys: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """One step of a match weight's waterfall, in thousandths of a bit."""

    comparison: str
    level: str
    mbits: int


@dataclass(slots=True)
class Scorer:
    """Compares records under a model. `key` is the secret that term tokens are keyed with."""

    model: MatchModel
    key: bytes
    comparisons: list[Comparison] = field(init=False)
    _tables: list[tuple[int, ...]] = field(init=False)
    _plain: list[tuple[int, Any, tuple[int, ...]]] = field(init=False)
    _joints: list[tuple[int, int, tuple[int, ...]]] = field(init=False)
    _place: dict[str, int] = field(init=False)
    _absorbed: list[tuple[int, int]] = field(init=False)
    _caches: list[dict[tuple[Any, Any], int]] = field(init=False)

    def __post_init__(self) -> None:
        names = [weights.name for weights in self.model.weights]
        self.comparisons = [comparison_of(name) for name in names]
        self._place = {name: place for place, name in enumerate(names)}
        self._tables = [weights.mbits for weights in self.model.weights]
        self._plain = [
            (place, comparison.level_of, self._tables[place])
            for place, comparison in enumerate(self.comparisons)
            if comparison.level_of is not None
        ]
        self._joints = [
            (self._place.get(joint.left, -1), self._place[joint.right], joint.mbits)
            for joint in self.model.joints
        ]
        self._absorbed = absorbed_places(self._place)
        self._caches = [{} for _ in names]

    def prepare(self, record: Mapping[str, str]) -> Prepared:
        """Normalise a record of attributes once."""
        return self.prepare_features(features_of(record, day_first=self.model.day_first))

    def prepare_features(self, features: Features) -> Prepared:
        """Ready a record that is normalised already."""
        values = tuple(features.get(comparison.slot) for comparison in self.comparisons)
        rarity = tuple(
            self._rarity(comparison, value)
            for comparison, value in zip(self.comparisons, values, strict=True)
        )
        rules = [blocking.rule for blocking in self.model.blocking]
        return Prepared(values, rarity, tuple(keys_of(parts_of(features), rules)))

    def _rarity(self, comparison: Comparison, value: Any) -> int:
        frequencies = self.model.frequencies.get(comparison.name)
        if frequencies is None or value is None:
            return 0
        term = comparison.rarity_of(value)
        if not term:
            return 0
        found = frequencies.values.get(term_token(self.key, comparison.name, term))
        return rarity_mbits(frequencies.expected, found or frequencies.rare)

    def levels(self, left: Prepared, right: Prepared) -> list[int]:
        """The level of every comparison, in the model's order."""
        found = [0] * len(self.comparisons)
        place = self._place.get("family", -1)
        if place >= 0:
            name, other = left.values[place], right.values[place]
            if name is not None and other is not None:
                found[place : place + 4] = name_levels(name, other)
        for place, level_of, _ in self._plain:
            value, other = left.values[place], right.values[place]
            if value is None or other is None:
                continue
            if value == other:
                found[place] = 1
                continue
            cache = self._caches[place]
            pair = (value, other) if value < other else (other, value)
            level = cache.get(pair)
            if level is None:
                if len(cache) >= 1 << 18:
                    cache.clear()
                level = cache[pair] = level_of(*pair)
            found[place] = level
        return found

    def weigh(self, left: Prepared, right: Prepared) -> int:
        """The match weight with the prior, in thousandths of a bit; symmetric."""
        levels = self.levels(left, right)
        total = self.model.prior_mbits
        for place, level in enumerate(levels):
            if level:
                total += self._tables[place][level]
        total += sum(mbits for _, mbits in self._rarities(left, right, levels))
        return total + sum(mbits for _, mbits in self._corrections(levels))

    def _rarities(
        self, left: Prepared, right: Prepared, levels: list[int]
    ) -> list[tuple[int, int]]:
        silent = {place for place, by in self._absorbed if 1 <= levels[by] <= 3}
        found = []
        for place, comparison in enumerate(self.comparisons):
            level = levels[place]
            if level in comparison.rare and place not in silent:
                mbits = min(left.rarity_mbits[place], right.rarity_mbits[place])
                found.append((place, mbits if level == SAME else mbits // 2))
        return found

    def _corrections(self, levels: list[int]) -> list[tuple[int, int]]:
        found = []
        for number, (left, right, mbits) in enumerate(self._joints):
            agreement = (
                self._household(levels) if left < 0 else self.comparisons[left].coarse[levels[left]]
            )
            other = self.comparisons[right].coarse[levels[right]]
            if agreement and other:
                found.append((number, mbits[4 * agreement + other]))
        return found

    def _household(self, levels: list[int]) -> int:
        family, address = self._place["family"], self._place["household"]
        return household_agreement(
            self.comparisons[family].coarse[levels[family]],
            self.comparisons[address].coarse[levels[address]],
        )

    def explain(self, left: Prepared, right: Prepared) -> list[Bar]:
        """The waterfall behind `weigh`: its bars add up to it exactly."""
        levels = self.levels(left, right)
        rarities = dict(self._rarities(left, right, levels))
        bars = [Bar("prior", "before any evidence", self.model.prior_mbits)]
        for place, level in enumerate(levels):
            comparison = self.comparisons[place]
            if level:
                words = comparison.levels[level]
                bars.append(Bar(comparison.name, words, self._tables[place][level]))
            if rarities.get(place):
                words = "rare value" if rarities[place] > 0 else "common value"
                bars.append(Bar(comparison.name, words, rarities[place]))
        for number, mbits in self._corrections(levels):
            joint = self.model.joints[number]
            if mbits:
                bars.append(Bar(f"{joint.left} with {joint.right}", "counted once", mbits))
        return bars


def absorbed_places(place: Mapping[str, int]) -> list[tuple[int, int]]:
    """Comparisons whose rarity says nothing once another agrees: (silenced, by which)."""
    pairs = (
        ("family", "household"),
        ("household", "family"),
        ("birth_place", "postcode"),
        ("city", "postcode"),
    )
    return [(place[one], place[by]) for one, by in pairs if one in place and by in place]


def household_agreement(family: int, address: int) -> int:
    """Coarse agreement in surname and address at once; 0 when either is missing."""
    if not family or not address:
        return 0
    return 1 if family == address == SAME else 3


def rarity_mbits(expected: float, frequency: float) -> int:
    """What agreeing in a value of this frequency adds to agreeing in any."""
    return max(_COMMONEST, min(_RAREST, round(MBITS * math.log2(expected / frequency))))


def term_token(key: bytes, comparison: str, term: str) -> str:
    """The keyed token of a term; 12 hexadecimal digits."""
    return blake2b(f"{comparison}\0{term}".encode(), key=key, digest_size=6).hexdigest()

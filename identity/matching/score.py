"""Match weights: what two records' agreement says about their being one person, in bits.

Fellegi and Sunter's model with term frequencies. Correlated comparisons are
corrected jointly, so a household's surname and address count once. Pure: a
score reads its two records and the model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from identity.matching.comparisons import NAME_PARTS, SAME, Comparison, comparison_of
from identity.matching.features import Features, features_of
from identity.matching.keys import keys_of, parts_of
from identity.matching.model import APART_MBITS, MBITS, MatchModel
from identity.matching.names import SUFFIX_LEVELS
from identity.matching.names import levels as name_levels

SAME_HOUSEHOLD = "same_household"
SUFFIX_PLACE = NAME_PARTS.index("suffix")
SUFFIX_DIFFERENT = SUFFIX_LEVELS.index("different")
_RAREST, _COMMONEST = 8 * MBITS, -6 * MBITS
"""Bounds on what a rare or common value adds, in thousandths of a bit."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record ready to be compared under one model.

    `values`, `numbers` and `rarity_mbits` stand in the order of the model's
    comparisons; a number stands for the value in caches, 0 for none. `keys`
    are its blocking keys.
    """

    values: tuple[Any, ...]
    numbers: tuple[int, ...]
    rarity_mbits: tuple[int, ...]
    keys: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """One step of a match weight's waterfall, in thousandths of a bit."""

    comparison: str
    level: str
    mbits: int


_CACHED = 1 << 18
"""Entries that each cache holds before it starts anew."""


class Scorer:
    """Compares records under a model. `key` is the secret that term tokens are keyed with."""

    def __init__(self, model: MatchModel, key: bytes) -> None:
        self.model = model
        self.comparisons: list[Comparison] = [comparison_of(w.name) for w in model.weights]
        self._key = key
        self._rules = [blocking.rule for blocking in model.blocking]
        self._place = {weights.name: place for place, weights in enumerate(model.weights)}
        self._tables = [weights.mbits for weights in model.weights]
        self._coarse = [comparison.coarse for comparison in self.comparisons]
        self._name = self._place.get("family", -1)
        self._plain = [
            (place, comparison.level_of)
            for place, comparison in enumerate(self.comparisons)
            if comparison.level_of is not None
        ]
        self._modes = [_rarity_modes(comparison) for comparison in self.comparisons]
        silenced = dict(absorbed_places(self._place))
        self._silencer = [
            silenced.get(place, len(self.comparisons)) for place in range(len(self.comparisons))
        ]
        self._joints = [
            (self._place.get(joint.left, -1), self._place[joint.right], joint.mbits)
            for joint in model.joints
        ]
        self._numbers: list[dict[Any, int]] = [{} for _ in model.weights]
        self._given_out = 0
        self._levels: list[dict[tuple[int, int], Any]] = [{} for _ in model.weights]

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
        numbers = tuple(self._number(place, value) for place, value in enumerate(values))
        return Prepared(values, numbers, rarity, tuple(keys_of(parts_of(features), self._rules)))

    def _number(self, place: int, value: Any) -> int:
        """A number for a value; one value may get several in time, a number never another value."""
        if value is None:
            return 0
        known = self._numbers[place]
        number = known.get(value)
        if number is None:
            if len(known) >= _CACHED:
                known.clear()
            self._given_out += 1
            number = known[value] = self._given_out
        return number

    def _rarity(self, comparison: Comparison, value: Any) -> int:
        frequencies = self.model.frequencies.get(comparison.name)
        if frequencies is None or value is None:
            return 0
        term = comparison.rarity_of(value)
        if not term:
            return 0
        found = frequencies.values.get(term_token(self._key, comparison.name, term))
        return rarity_mbits(frequencies.expected, found or frequencies.rare)

    def levels(self, left: Prepared, right: Prepared) -> list[int]:
        """The level of every comparison, in the model's order, and a 0 after the last."""
        ones, others = left.numbers, right.numbers
        found = [0] * (len(ones) + 1)
        place = self._name
        if place >= 0 and ones[place] and others[place]:
            cache = self._levels[place]
            pair = (ones[place], others[place])
            levels = cache.get(pair)
            if levels is None:
                levels = name_levels(left.values[place], right.values[place])
                _keep(cache, pair, levels)
            found[place : place + 4] = levels
        for place, level_of in self._plain:
            one, other = ones[place], others[place]
            if not one or not other:
                continue
            if one == other:
                found[place] = SAME
                continue
            cache = self._levels[place]
            level = cache.get((one, other))
            if level is None:
                level = level_of(left.values[place], right.values[place])
                _keep(cache, (one, other), level)
            found[place] = level
        return found

    def weigh(self, left: Prepared, right: Prepared) -> int:
        """The match weight with the prior, in thousandths of a bit; symmetric."""
        levels = self.levels(left, right)
        total = self.model.prior_mbits
        rarity, other_rarity = left.rarity_mbits, right.rarity_mbits
        tables, modes, silencer = self._tables, self._modes, self._silencer
        for place, level in enumerate(levels):
            if level:
                total += tables[place][level]
                mode = modes[place][level]
                if mode and not 1 <= levels[silencer[place]] <= 3:
                    one, other = rarity[place], other_rarity[place]
                    total += min(one, other) // mode
        coarse = self._coarse
        for place, other_place, mbits in self._joints:
            agreement = coarse[place][levels[place]] if place >= 0 else self._household(levels)
            if agreement:
                total += mbits[4 * agreement + coarse[other_place][levels[other_place]]]
        return total + APART_MBITS if self._contradict(levels) else total

    def _contradict(self, levels: list[int]) -> bool:
        """Whether no evidence makes the two one person: Jr and Sr, father and son."""
        return self._name >= 0 and levels[self._name + SUFFIX_PLACE] == SUFFIX_DIFFERENT

    def _household(self, levels: list[int]) -> int:
        family, address = self._place["family"], self._place["household"]
        return household_agreement(
            self._coarse[family][levels[family]], self._coarse[address][levels[address]]
        )

    def explain(self, left: Prepared, right: Prepared) -> list[Bar]:
        """The waterfall behind `weigh`: its bars add up to it exactly."""
        levels = self.levels(left, right)
        bars = [Bar("prior", "before any evidence", self.model.prior_mbits)]
        for place, level in enumerate(levels):
            if not level:
                continue
            comparison = self.comparisons[place]
            bars.append(Bar(comparison.name, comparison.levels[level], self._tables[place][level]))
            mode = self._modes[place][level]
            if mode and not 1 <= levels[self._silencer[place]] <= 3:
                mbits = min(left.rarity_mbits[place], right.rarity_mbits[place]) // mode
                words = "rare value" if mbits > 0 else "common value"
                bars.append(Bar(comparison.name, words, mbits))
        bars += self._corrections(levels)
        if self._contradict(levels):
            bars.append(Bar("suffix", "held apart", APART_MBITS))
        return bars

    def _corrections(self, levels: list[int]) -> list[Bar]:
        bars = []
        for joint, (place, other_place, mbits) in zip(self.model.joints, self._joints, strict=True):
            agreement = (
                self._coarse[place][levels[place]] if place >= 0 else self._household(levels)
            )
            other = self._coarse[other_place][levels[other_place]]
            if agreement and mbits[4 * agreement + other]:
                words = f"{joint.left} with {joint.right}"
                bars.append(Bar(words, "counted once", mbits[4 * agreement + other]))
        return bars


def _keep(cache: dict[tuple[int, int], Any], pair: tuple[int, int], levels: Any) -> None:
    if len(cache) >= _CACHED:
        cache.clear()
    cache[pair] = cache[pair[::-1]] = levels


def _rarity_modes(comparison: Comparison) -> tuple[int, ...]:
    """By level: 0 where rarity says nothing, else what it is divided by."""
    return tuple(
        0 if level not in comparison.rare else 1 if level == SAME else 2
        for level in range(len(comparison.levels))
    )


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

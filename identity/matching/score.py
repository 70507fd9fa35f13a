"""Match weights: what two records' agreement says about their being one person, in bits.

Fellegi and Sunter's model with term frequencies. Correlated comparisons are
corrected jointly, so a household's surname and address count once. Pure: a
score reads its two records and the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from identity.matching.comparisons import Comparison, comparison_of
from identity.matching.features import Features, features_of
from identity.matching.keys import keys_of, parts_of, slots_of
from identity.matching.model import APART_MBITS, MatchModel
from identity.matching.names import levels as name_levels
from identity.matching.packing import Packing, absorbs
from identity.matching.rarity import rarity_mbits, term_token


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record ready to be compared under one model.

    `values`, `numbers` and `rarity_mbits` stand in the order of the scorer's
    slots: a number stands for the value while it is remembered, 0 for none;
    rarities are one per comparison of the slot. `keys` are its blocking keys.
    """

    values: tuple[Any, ...]
    numbers: tuple[int, ...]
    rarity_mbits: tuple[tuple[int, ...], ...]
    keys: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """One step of a match weight's waterfall, in thousandths of a bit."""

    comparison: str
    level: str
    mbits: int


_REMEMBERED = 1 << 17
"""Values, and pairs of values, that each slot remembers before it forgets all of them."""


class _Slot:
    """One slot of the features: its comparisons, the values seen, and what pairs of them said."""

    def __init__(
        self, name: str, first: int, comparisons: list[Comparison], packing: Packing
    ) -> None:
        self.name = name
        self.first = first
        self.comparisons = comparisons
        places = range(first, first + len(comparisons))
        self.tables = [packing.table(place) for place in places]
        self.divisors = [packing.divisors[place] for place in places]
        self.known: dict[Any, tuple[int, tuple[int, ...]]] = {}
        self.rows: dict[int, dict[int, int]] = {}
        self.pairs = 0
        self._level_of = comparisons[0].level_of

    def levels(self, left: Any, right: Any) -> Sequence[int]:
        """The level of each of the slot's comparisons."""
        if self._level_of is None:
            return name_levels(left, right)
        return (self._level_of(left, right),)

    def row(self, number: int) -> dict[int, int]:
        """By number of another value, the code of the two; a missing one says nothing."""
        if self.pairs >= _REMEMBERED:
            self.rows.clear()
            self.pairs = 0
        row = self.rows.get(number)
        if row is None:
            row = self.rows[number] = {0: 0}
        return row


class Scorer:
    """Compares records under a model. `key` is the secret that term tokens are keyed with."""

    def __init__(self, model: MatchModel, key: bytes) -> None:
        self.model = model
        self.comparisons: list[Comparison] = [comparison_of(w.name) for w in model.weights]
        self._key = key
        self._rules = [blocking.rule for blocking in model.blocking]
        self._blocked = slots_of(self._rules)
        self._packing = Packing(model, self.comparisons)
        self._slots = _slots(self.comparisons, self._packing)
        self._given_out = 0

    def prepare(self, record: Mapping[str, str]) -> Prepared:
        """Normalise a record of attributes once."""
        return self.prepare_features(features_of(record, day_first=self.model.day_first))

    def prepare_features(self, features: Features) -> Prepared:
        """Ready a record that is normalised already."""
        values = tuple([features.get(slot.name) for slot in self._slots])
        found = [
            _NOTHING if value is None else slot.known.get(value) or self._learn(slot, value)
            for slot, value in zip(self._slots, values, strict=True)
        ]
        return Prepared(
            values,
            tuple([number for number, _ in found]),
            tuple([rarity for _, rarity in found]),
            tuple(keys_of(parts_of(features, self._blocked), self._rules)),
        )

    def _learn(self, slot: _Slot, value: Any) -> tuple[int, tuple[int, ...]]:
        """A number for a value; one value may get several in time, a number never another value."""
        if len(slot.known) >= _REMEMBERED:
            slot.known.clear()
        self._given_out += 1
        rarity = tuple(self._rarity(comparison, value) for comparison in slot.comparisons)
        slot.known[value] = self._given_out, rarity
        return self._given_out, rarity

    def _rarity(self, comparison: Comparison, value: Any) -> int:
        frequencies = self.model.frequencies.get(comparison.name)
        if frequencies is None or value is None:
            return 0
        term = comparison.rarity_of(value)
        if not term:
            return 0
        found = frequencies.values.get(term_token(self._key, comparison.name, term))
        return rarity_mbits(frequencies.expected, found or frequencies.rare)

    def weigh(self, left: Prepared, right: Prepared) -> int:
        """The match weight with the prior, in thousandths of a bit; symmetric."""
        return self.weigh_many(left, (right,))[0]

    def weigh_many(self, one: Prepared, others: Sequence[Prepared]) -> list[int]:
        """`weigh` of the one with each of the others, in their order; faster than one by one."""
        start = self._packing.start
        codes = [self._codes(at, one, others) for at, number in enumerate(one.numbers) if number]
        totals = map(sum, zip(*codes, strict=True)) if codes else [0] * len(others)
        weight = self._packing.weight
        return [weight(start + total) for total in totals]

    def _codes(self, at: int, one: Prepared, others: Sequence[Prepared]) -> list[int]:
        """What one slot's values say, by the other record."""
        slot, mine = self._slots[at], one.numbers[at]
        row = slot.row(mine)
        numbers = [other.numbers[at] for other in others]
        found: list[Any] = list(map(row.get, numbers))
        for place in [place for place, code in enumerate(found) if code is None]:
            theirs = numbers[place]
            code = row.get(theirs)
            if code is None:
                turned = slot.rows.get(theirs)
                code = turned.get(mine) if turned else None
                if code is None:
                    code = self._code(at, one, others[place])
                row[theirs] = code
                slot.pairs += 1
            found[place] = code
        return found

    def _code(self, at: int, left: Prepared, right: Prepared) -> int:
        """The code of two values, both there."""
        slot, code = self._slots[at], 0
        ones, others = left.rarity_mbits[at], right.rarity_mbits[at]
        for number, level in enumerate(slot.levels(left.values[at], right.values[at])):
            if level:
                code += slot.tables[number][level]
                if divisor := slot.divisors[number][level]:
                    lesser = min(ones[number], others[number])
                    code += self._packing.rarity(slot.first + number, lesser // divisor)
        return code

    def explain(self, left: Prepared, right: Prepared) -> list[Bar]:
        """The waterfall behind `weigh`: its bars add up to it exactly."""
        levels, rarities = self._levels(left, right)
        packing = self._packing
        bars = [Bar("prior", "before any evidence", self.model.prior_mbits)]
        for place, level in enumerate(levels):
            if not level:
                continue
            comparison, mbits = self.comparisons[place], self.model.weights[place].mbits
            bars.append(Bar(comparison.name, comparison.levels[level], mbits[level]))
            divisor, by = packing.divisors[place][level], packing.absorbed.get(place)
            if divisor and not (by is not None and absorbs(levels[by])):
                rarity = rarities[place] // divisor
                words = "rare value" if rarity > 0 else "common value"
                bars.append(Bar(comparison.name, words, rarity))
        bars += self._corrections(levels)
        bars += [
            Bar(self.comparisons[place].name, "held apart", APART_MBITS)
            for place, level in enumerate(levels)
            if level in packing.apart[place]
        ]
        return bars

    def _levels(self, left: Prepared, right: Prepared) -> tuple[list[int], list[int]]:
        """The level of every comparison, in the model's order, and the lesser rarity."""
        levels, rarities = [0] * len(self.comparisons), [0] * len(self.comparisons)
        for at, slot in enumerate(self._slots):
            places = slice(slot.first, slot.first + len(slot.comparisons))
            if left.numbers[at] and right.numbers[at]:
                levels[places] = slot.levels(left.values[at], right.values[at])
                pairs = zip(left.rarity_mbits[at], right.rarity_mbits[at], strict=True)
                rarities[places] = [min(pair) for pair in pairs]
        return levels, rarities

    def _corrections(self, levels: list[int]) -> list[Bar]:
        coarse = {
            place: comparison.coarse[level]
            for place, (comparison, level) in enumerate(zip(self.comparisons, levels, strict=True))
        }
        return [
            Bar(f"{joint.left} with {joint.right}", "counted once", mbits)
            for number, joint in enumerate(self.model.joints)
            if (mbits := self._packing.correction(number, coarse))
        ]


_NOTHING = (0, ())


def _slots(comparisons: Sequence[Comparison], packing: Packing) -> list[_Slot]:
    """The slots that the comparisons read, each with all of its comparisons."""
    found: dict[str, list[Comparison]] = {}
    for comparison in comparisons:
        found.setdefault(comparison.slot, []).append(comparison)
    return [_Slot(name, comparisons.index(own[0]), own, packing) for name, own in found.items()]

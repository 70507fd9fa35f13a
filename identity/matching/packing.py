"""Evidence of one slot as one whole number, so that the evidence of all slots adds up at once.

The low bits of a code are a weight in thousandths of a bit. Above them stand
three bits for each comparison whose agreement decides what another counts
(coarse agreement, and whether it absorbs a rarity), then fifteen for each
rarity that another comparison may absorb. Fields of different comparisons
never overlap, so a sum of codes holds them all, and what they decide jointly
is found once per combination.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from identity.matching.comparisons import SAME, Comparison, apart
from identity.matching.model import APART_MBITS, MatchModel
from identity.matching.rarity import absorbed_places, divisors, household_agreement

WEIGHT_BITS = 40
WEIGHT_MASK = (1 << WEIGHT_BITS) - 1
_BIAS = 1 << (WEIGHT_BITS - 1)
_FLAG_BITS, _RARITY_BITS = 3, 15
_ABSORBS = 4
_NO_RARITY = 1 << (_RARITY_BITS - 1)
_KNOWN = 1 << 17
"""Combinations remembered before they are forgotten all at once."""


class Packing:
    """How levels and rarities of a model's comparisons become codes, and sums of codes weights."""

    def __init__(self, model: MatchModel, comparisons: Sequence[Comparison]) -> None:
        self.start = model.prior_mbits + _BIAS
        self.divisors = [divisors(comparison) for comparison in comparisons]
        self.apart = [
            apart(comparison, weights.m)
            for comparison, weights in zip(comparisons, model.weights, strict=True)
        ]
        self._tables = [weights.mbits for weights in model.weights]
        self._coarse = [comparison.coarse for comparison in comparisons]
        self._place = {weights.name: place for place, weights in enumerate(model.weights)}
        self.absorbed = dict(absorbed_places(self._place))
        self.joints = [
            (self._place.get(joint.left, -1), self._place[joint.right], joint.mbits)
            for joint in model.joints
        ]
        self._flag_at, self._rarity_at = self._layout()
        self._settled: dict[int, int] = {}

    def _layout(self) -> tuple[dict[int, int], dict[int, int]]:
        """Where the flags of a comparison and its rarity begin, above the weight."""
        told = {place for one, other, _ in self.joints for place in (one, other) if place >= 0}
        told |= {place for pair in self.absorbed.items() for place in pair}
        if any(place < 0 for place, _, _ in self.joints):
            told |= {self._place["family"], self._place["household"]}
        flags = {place: _FLAG_BITS * number for number, place in enumerate(sorted(told))}
        width = _FLAG_BITS * len(flags)
        rarities = {
            place: width + _RARITY_BITS * number
            for number, place in enumerate(sorted(self.absorbed))
        }
        return flags, rarities

    def table(self, place: int) -> tuple[int, ...]:
        """By level of the comparison at a place, its code without any rarity."""
        at, codes = self._flag_at.get(place), []
        for level, mbits in enumerate(self._tables[place]):
            code = mbits + (APART_MBITS if level in self.apart[place] else 0)
            if at is not None:
                flags = self._coarse[place][level] + (_ABSORBS if absorbs(level) else 0)
                code += flags << WEIGHT_BITS + at
            codes.append(code)
        return tuple(codes)

    def rarity(self, place: int, mbits: int) -> int:
        """The code of a rarity at a place."""
        at = self._rarity_at.get(place)
        if at is None or not mbits:
            return mbits
        return mbits + _NO_RARITY << WEIGHT_BITS + at

    def weight(self, total: int) -> int:
        """The match weight that a sum of codes, begun at `start`, stands for."""
        above = total >> WEIGHT_BITS
        settled = self._settled.get(above)
        if settled is None:
            if len(self._settled) >= _KNOWN:
                self._settled.clear()
            settled = self._settled[above] = self._settle(above)
        return (total & WEIGHT_MASK) + settled

    def _settle(self, above: int) -> int:
        """What the fields above the weight add to it, less the bias."""
        told = {place: above >> at & 7 for place, at in self._flag_at.items()}
        mbits = -_BIAS + sum(self.correction(number, told) for number in range(len(self.joints)))
        for place, at in self._rarity_at.items():
            rarity = above >> at & (1 << _RARITY_BITS) - 1
            if rarity and not told[self.absorbed[place]] & _ABSORBS:
                mbits += rarity - _NO_RARITY
        return mbits

    def correction(self, number: int, told: Mapping[int, int]) -> int:
        """What a joint comparison adds, from the coarse agreement of each place."""
        place, other, mbits = self.joints[number]
        if place >= 0:
            agreement = told[place] & 3
        else:
            family, address = self._place["family"], self._place["household"]
            agreement = household_agreement(told[family] & 3, told[address] & 3)
        return mbits[4 * agreement + (told[other] & 3)] if agreement else 0


def absorbs(level: int) -> bool:
    """Whether a comparison at this level leaves nothing to say to the rarity it absorbs."""
    return SAME <= level <= SAME + 2

"""Probabilities that mean what they say: from match weights, without labels.

The people that clustering finds use each record's whole company, which no
single pair knows. How often pairs of a weight end up in one person is what
the weight's probability is read from, kept from falling by pooling adjacent
violators (Ayer et al., 1955). Where nobody else had a say in a pair, its
being together repeats its own weight: such pairs count by that alone.
"""

from __future__ import annotations

import numpy as np

from identity.matching.bulk import Floats, Ints, Pairs
from identity.matching.expectation import probability
from identity.matching.model import MBITS

_REACH_BITS = 14
_TAIL_BITS = 17.0
_COMPANY = 3
"""Records that a person must have for its others to have had a say."""
_PSEUDO = 0.1
"""Pairs' worth of the weight's own word in every bin."""
_OVERSTATED = 0.7
"""What a bit of summed weight is worth by itself: the errors of one record come together, so
comparisons are less independent than their sum says. Measured over several sets of records."""
_LEAST = 1e-7


def calibrate(pairs: Pairs, bits: Floats, person: Ints) -> tuple[tuple[int, float], ...]:
    """Points (thousandths of a bit, probability), one per bit of weight, rising in both.

    `bits`: the match weight of every pair; `person`: the person of every record.
    """
    if not len(pairs):
        return ((0, 0.5),)
    said = probability(bits * _OVERSTATED)
    shares = np.where(_decided_by_others(pairs, person), _together(pairs, person), said)
    bins = np.floor(np.clip(bits, -_REACH_BITS, _REACH_BITS - 1e-9)).astype(np.int64)
    centres, hits, sizes = [], [], []
    for number in np.unique(bins).tolist():
        own = np.flatnonzero(bins == number)
        centres.append(float(np.clip(bits[own], -_TAIL_BITS, _TAIL_BITS).mean()))
        hits.append(float(shares[own].sum() + _PSEUDO * said[own].mean()))
        sizes.append(len(own) + _PSEUDO)
    return tuple(
        (round(centre * MBITS), min(1 - _LEAST, max(_LEAST, share)))
        for centre, share in zip(centres, rising(hits, sizes), strict=True)
    )


def _together(pairs: Pairs, person: Ints) -> Floats:
    same: Floats = (person[pairs.left] == person[pairs.right]).astype(np.float64)
    return same


def _decided_by_others(pairs: Pairs, person: Ints) -> np.ndarray:
    company = np.bincount(person)[person]
    decided: np.ndarray = np.maximum(company[pairs.left], company[pairs.right]) >= _COMPANY
    return decided


def rising(hits: list[float], sizes: list[float]) -> list[float]:
    """The shares nearest to hits / sizes that never fall."""
    blocks: list[list[float]] = []
    for hit, size in zip(hits, sizes, strict=True):
        blocks.append([hit, size, 1])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            hit_last, size_last, count = blocks.pop()
            blocks[-1][0] += hit_last
            blocks[-1][1] += size_last
            blocks[-1][2] += count
    return [hit / size for hit, size, count in blocks for _ in range(int(count))]

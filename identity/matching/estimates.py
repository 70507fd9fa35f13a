"""How good a model's links are by its own calibrated probabilities: no answers needed. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from identity.matching.bulk import Floats, Ints
from identity.matching.model import MBITS

THRESHOLDS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
_EDGE_BITS, _STEP_BITS = 20, 2


class AtThreshold(NamedTuple):
    """What linking from a probability on would come to."""

    probability: float
    pairs: int
    precision: float
    recall: float


class Bin(NamedTuple):
    """Scored pairs of a range of match weights, and how many of them are expected to match."""

    from_bits: int | None
    pairs: int
    expected: float


def at_threshold(threshold: float, probability: Floats, blocking_recall: float) -> AtThreshold:
    """Expected precision and recall of the pairs from a probability on.

    Precision is the mean probability of the pairs taken; recall their sum over
    that of all scored pairs, times the share of matches that blocking keeps.
    Without any pair both are 1 and 0.
    """
    taken = probability[probability >= threshold]
    matches = float(taken.sum())
    all_matches = float(probability.sum())
    return AtThreshold(
        threshold,
        len(taken),
        round(matches / len(taken), 4) if len(taken) else 1.0,
        round(blocking_recall * matches / all_matches, 4) if all_matches else 0.0,
    )


def histogram(mbits: Ints, probability: Floats) -> list[Bin]:
    """Scored pairs by match weight, two bits a bin, from -20 to 20; beyond in the outer ones.

    The first bin has no lower edge.
    """
    edges = np.arange(-_EDGE_BITS, _EDGE_BITS + 1, _STEP_BITS)
    places = np.searchsorted(edges * MBITS, mbits, side="right")
    pairs = np.bincount(places, minlength=len(edges) + 1)
    expected = np.bincount(places, weights=probability, minlength=len(edges) + 1)
    begins = [None, *edges.tolist()]
    return [
        Bin(begin, count, round(matches, 2))
        for begin, count, matches in zip(begins, pairs.tolist(), expected.tolist(), strict=True)
    ]

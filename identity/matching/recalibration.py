"""Probabilities refitted where answers are known: labels, or what staff decided. Pure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from identity.matching.bulk import Floats, Ints
from identity.matching.calibration import rising
from identity.matching.model import HELD_APART_MBITS, MBITS, MatchModel

_REACH_BITS = 16
_FORMER_PAIRS = 10.0
"""Pairs' worth of the former curve in every bin: where few answers are, it stays."""
_LEAST = 1e-7


class TooFewAnswers(ValueError):
    """Answers of both kinds are needed: some that match, some that do not."""


def recalibrate(model: MatchModel, mbits: Ints, matches: NDArray[np.bool_]) -> MatchModel:
    """The model with its calibration refitted to pairs whose answer is known.

    One point per bit of weight; each is the share of matches among its pairs,
    drawn towards the former curve by ten pairs, and never falls (pooled
    adjacent violators). Weights stay, so links keep their bits; only what they
    mean as probabilities changes. Contradictions are left out.

    Raises:
        TooFewAnswers: there are not both matches and others.
    """
    usable = mbits > HELD_APART_MBITS
    mbits, matches = mbits[usable], matches[usable]
    if not matches.any() or matches.all():
        raise TooFewAnswers("calibration needs scored pairs that match and others that do not")
    bins = np.clip(mbits // MBITS, -_REACH_BITS, _REACH_BITS - 1).astype(np.int64)
    centres, hits, sizes = [], [], []
    for number in range(-_REACH_BITS, _REACH_BITS):
        own = bins == number
        count = int(own.sum())
        centre = number * MBITS + MBITS // 2
        centres.append(centre)
        hits.append(float(matches[own].sum()) + _FORMER_PAIRS * model.probability(centre))
        sizes.append(count + _FORMER_PAIRS)
    points = tuple(
        (centre, min(1 - _LEAST, max(_LEAST, share)))
        for centre, share in zip(centres, rising(hits, sizes), strict=True)
    )
    return replace(model, calibration=points)


def held_out(model: MatchModel, mbits: Ints, matches: NDArray[np.bool_], folds: int = 5) -> Floats:
    """Probabilities of the pairs, each from a calibration that did not see its answer.

    Raises:
        TooFewAnswers: a part is without both matches and others.
    """
    found = np.zeros(len(mbits))
    part = np.arange(len(mbits)) % folds
    for number in range(folds):
        own = part == number
        fitted = recalibrate(model, mbits[~own], matches[~own])
        found[own] = [fitted.probability(int(one)) for one in mbits[own]]
    return found

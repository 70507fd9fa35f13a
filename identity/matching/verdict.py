"""What becomes of a scored pair: a link, a case for staff to review, or left alone. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from identity.matching.model import MatchModel

_FURTHEST_MBITS = 200_000
"""Beyond what evidence weighs, within what holds apart: no probability changes out there."""


class Verdict(StrEnum):
    """What the model's two thresholds make of a match weight."""

    LINK = "link"
    REVIEW = "review"
    LEAVE = "leave"


class Thresholds(NamedTuple):
    """A model's thresholds as the least match weights that reach them, thousandths of a bit.

    For many pairs: two comparisons of integers say what `verdict` says.
    """

    link_mbits: int
    review_mbits: int

    def verdict(self, mbits: int) -> Verdict:
        """The same as `verdict` under the model that these are of."""
        if mbits >= self.link_mbits:
            return Verdict.LINK
        return Verdict.REVIEW if mbits >= self.review_mbits else Verdict.LEAVE


def verdict(model: MatchModel, mbits: int) -> Verdict:
    """Link from `model.link` on, review from `model.review` on, leave below; by probability.

    `mbits` is the match weight with the prior, as `Scorer.weigh` gives it. A
    contradiction is left.
    """
    probability = model.probability(mbits)
    if probability >= model.link:
        return Verdict.LINK
    return Verdict.REVIEW if probability >= model.review else Verdict.LEAVE


def thresholds(model: MatchModel) -> Thresholds:
    """The least match weights that the model links and reviews."""
    return Thresholds(_least(model, model.link), _least(model, model.review))


def _least(model: MatchModel, probability: float) -> int:
    """By halving: a heavier pair is never less likely."""
    low, high = -_FURTHEST_MBITS, _FURTHEST_MBITS
    while low < high:
        middle = (low + high) // 2
        if model.probability(middle) >= probability:
            high = middle
        else:
            low = middle + 1
    return low

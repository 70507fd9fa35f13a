"""Affinities: from daily counts to a score that halves with every half-life.

    score = sum over days of count(day) * 2 ** -((as_of_day - day) / half_life)

after the exponential decay usual for recency. Summed from the integers with
`math.fsum`, which rounds once: so the score does not depend on the order in
which anything arrived. Exponents are never positive: no half-life overflows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import exp2, fsum
from operator import mul
from typing import NamedTuple


class Interest(NamedTuple):
    """One category's score at the as-of day, its plain sum and the last day it was seen."""

    category: str
    score: float
    signals: int
    last_day: int


def interests(
    daily: Mapping[str, Sequence[tuple[int, int]]], as_of_day: int, half_life_days: int
) -> list[Interest]:
    """Interests by category, strongest first; equal ones by category.

    `daily` gives (day, count) per category; a day may come more than once. Days
    after `as_of_day` are the caller's mistake. `half_life_days` is 1 or more.
    """
    decay = decay_by_age(half_life_days)
    found = []
    for category, daily_counts in daily.items():
        days, counts = zip(*daily_counts, strict=True)
        try:
            weights = [decay[as_of_day - day] for day in days]
        except IndexError:
            weights = [decay[min(as_of_day - day, len(decay) - 1)] for day in days]
        score = fsum(map(mul, counts, weights))
        found.append(Interest(category, score, sum(counts), max(days)))
    found.sort(key=lambda interest: (-interest.score, interest.category))
    return found


@lru_cache(maxsize=16)
def decay_by_age(half_life_days: int) -> tuple[float, ...]:
    """The decay for each age in days from 0 on; its last is 0 and stands for all ages beyond."""
    assert half_life_days >= 1, "a half-life is one day or more"
    longest = min(1075 * half_life_days, _LONGEST_DAYS)
    return (*(exp2(-age / half_life_days) for age in range(longest)), 0.0)


_LONGEST_DAYS = 36_525
"""A hundred years: what is older no longer counts, however long the half-life."""

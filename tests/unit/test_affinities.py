"""Affinities decay by the formula, in any order, with any half-life."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.affinities import decay_by_age, interests

AS_OF = 20_000
daily_counts = st.lists(
    st.tuples(st.integers(AS_OF - 3_000, AS_OF), st.integers(1, 1_000)), min_size=1, max_size=40
)


@given(days=daily_counts, half_life=st.integers(1, 400))
def test_the_score_is_the_formula(days: list[tuple[int, int]], half_life: int) -> None:
    """The score is the decayed sum as exact arithmetic over the decays gives it, rounded once."""
    (interest,) = interests({"sport": days}, AS_OF, half_life)
    exact = sum(
        (Fraction(n) * Fraction(math.exp2(-(AS_OF - day) / half_life)) for day, n in days),
        Fraction(0),
    )
    assert interest.score == pytest.approx(float(exact), rel=1e-12, abs=1e-300)
    assert interest.signals == sum(n for _, n in days)
    assert interest.last_day == max(day for day, _ in days)


@given(days=daily_counts, half_life=st.integers(1, 400), seed=st.integers())
def test_order_makes_no_difference_to_the_last_bit(
    days: list[tuple[int, int]], half_life: int, seed: int
) -> None:
    """Any order of days gives the very same float."""
    shuffled = days[:]
    random.Random(seed).shuffle(shuffled)
    assert interests({"sport": days}, AS_OF, half_life) == interests(
        {"sport": shuffled}, AS_OF, half_life
    )


@given(
    half_life=st.integers(1, 10**18),
    age=st.integers(0, 10**7),
    n=st.integers(1, 10**12),
)
def test_no_half_life_overflows(half_life: int, age: int, n: int) -> None:
    """However short or long the half-life and however old the day, the score is a number."""
    (interest,) = interests({"sport": [(AS_OF - age, n), (AS_OF, 1)]}, AS_OF, half_life)
    assert math.isfinite(interest.score)
    assert 1.0 <= interest.score <= n + 1


def test_one_half_life_halves() -> None:
    """Eight signals, three half-lives ago, are worth one of today."""
    (interest,) = interests({"sport": [(AS_OF - 90, 8)]}, AS_OF, 30)
    assert interest.score == 1.0


def test_a_hundred_years_are_nothing() -> None:
    """What is older than a hundred years scores nothing, but still counts as seen."""
    (interest,) = interests({"sport": [(AS_OF - 40_000, 8)]}, AS_OF, 10**9)
    assert (interest.score, interest.signals) == (0.0, 8)
    assert len(decay_by_age(10**9)) < 40_000


def test_strongest_first_and_equals_by_name() -> None:
    """Interests are ordered by score, then by category."""
    daily = {"b": [(AS_OF, 1)], "a": [(AS_OF, 1)], "c": [(AS_OF, 2)]}
    assert [one.category for one in interests(daily, AS_OF, 30)] == ["c", "a", "b"]

"""Thresholds, the review queue and what staff decide."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.matching.model import APART_MBITS, MatchModel
from identity.matching.review import Case, case_json, case_lines, queue
from identity.matching.score import Bar
from identity.matching.verdict import Verdict, thresholds, verdict


def model(
    points: tuple[tuple[int, float], ...] = ((-4_000, 0.05), (0, 0.4), (5_000, 0.95)),
    link: float = 0.5,
    review: float = 0.1,
) -> MatchModel:
    """A model that only calibrates."""
    return MatchModel(
        name="test", records=2, seed=1, day_first=False, prior_mbits=0, weights=(), joints=(),
        frequencies={}, blocking=(), blocking_recall=1.0, calibration=points,
        link=link, review=review,
    )  # fmt: skip


def scored(*pairs: tuple[str, str, int]) -> Iterator[tuple[str, str, int, list[Bar]]]:
    """Pairs with one bar each."""
    for low, high, mbits in pairs:
        yield low, high, mbits, [Bar("city", "same", mbits)]


@pytest.mark.parametrize(
    ("mbits", "found"),
    [
        (5_000, Verdict.LINK),
        (0, Verdict.REVIEW),
        (-4_000, Verdict.LEAVE),
        (60_000, Verdict.LINK),
        (APART_MBITS + 40_000, Verdict.LEAVE),
    ],
)
def test_two_thresholds_make_three_verdicts(mbits: int, found: Verdict) -> None:
    """Probable pairs link, doubtful ones are reviewed, the rest and contradictions are left."""
    assert verdict(model(), mbits) is found


@given(
    shares=st.lists(st.floats(1e-7, 1 - 1e-7), min_size=1, max_size=8),
    at=st.lists(st.integers(-20_000, 20_000), min_size=8, max_size=8, unique=True),
    mbits=st.integers(-1_200_000, 300_000),
    bounds=st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99)),
)
def test_thresholds_in_bits_say_the_same(
    shares: list[float], at: list[int], mbits: int, bounds: tuple[float, float]
) -> None:
    """The least weights that reach a threshold give the verdict that probabilities give."""
    points = tuple(zip(sorted(at)[: len(shares)], sorted(shares), strict=True))
    own = model(points, link=max(bounds), review=min(bounds))
    found = thresholds(own)
    for near in (mbits, *(edge + off for edge in found for off in (-1, 0))):
        if abs(near) < 200_000 or near < -500_000:
            assert found.verdict(near) is verdict(own, near)


def test_the_queue_holds_doubtful_pairs_likeliest_first() -> None:
    """Links and what is left are not in it; each pair is once, whichever end came first."""
    pairs = [("c", "d", -900), ("a", "b", 200), ("b", "a", 200), ("e", "f", 9_000),
             ("g", "h", -9_000), ("j", "i", -900)]  # fmt: skip
    found = queue(scored(*pairs), model())
    assert [(case.low, case.high) for case in found] == [("a", "b"), ("c", "d"), ("i", "j")]
    assert found[0].probability == model().probability(200)


def test_decided_pairs_leave_the_queue() -> None:
    """A pair that staff have decided is not asked about again."""
    found = queue(scored(("b", "a", 0), ("a", "c", 0)), model(), decided={("a", "b")})
    assert [(case.low, case.high) for case in found] == [("a", "c")]


def test_a_limit_keeps_the_likeliest() -> None:
    """Of many cases the limit keeps those that come first without a limit."""
    pairs = [(f"a{n:05}", "z", -((n * 7_919) % 2_000) - 1) for n in range(6_000)]
    whole = queue(scored(*pairs), model())
    assert len(whole) == 6_000
    assert queue(scored(*pairs), model(), limit=25) == whole[:25]


def test_a_case_shows_its_waterfall() -> None:
    """As data and in lines a case names its ends, its probability and its bars."""
    case = Case("record:a", "record:b", 0, 0.4, [Bar("city", "same", 0)])
    found = case_json(case)
    assert (found["low"], found["high"], found["probability"]) == ("record:a", "record:b", 0.4)
    assert found["bars"][0]["words"] == "city: same"
    lines = case_lines(case, 3)
    assert lines[0] == "3. record:a and record:b: one person with probability 0.4000"
    assert lines[1].startswith("city: same")

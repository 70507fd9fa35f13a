"""Probabilities refitted to answers, and what a model says of its own quality."""

import numpy as np
import pytest

from identity.matching.estimates import at_threshold, histogram
from identity.matching.model import APART_MBITS
from identity.matching.recalibration import TooFewAnswers, held_out, recalibrate
from kinfold.modelling.resolving import resolve
from tests.support.match_models import KEY, town, town_model


def answers(shift: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Match weights, and matches as often as weights that overstate by so many bits deserve."""
    random = np.random.default_rng(3)
    mbits = random.integers(-15_000, 15_000, count)
    true = 1 / (1 + 2.0 ** -(mbits / 1_000 - shift))
    return mbits, random.random(count) < true


def test_probabilities_become_what_answers_show() -> None:
    """Refitted, a weight's probability is near the share of matches seen at it."""
    mbits, matches = answers(shift=3.0)
    fitted = recalibrate(town_model(), mbits, matches)
    for centre in (-2_500, 500, 3_500, 6_500):
        near = np.abs(mbits - centre) < 500
        assert fitted.probability(centre) == pytest.approx(float(matches[near].mean()), abs=0.05)


def test_refitting_never_makes_a_heavier_pair_less_likely() -> None:
    """The refitted curve rises, and the weights stay what they were."""
    mbits, matches = answers(shift=-2.0, count=300)
    fitted = recalibrate(town_model(), mbits, matches)
    curve = [fitted.probability(at) for at in range(-20_000, 20_001, 250)]
    assert curve == sorted(curve)
    assert fitted.weights == town_model().weights
    assert fitted.prior_mbits == town_model().prior_mbits


def test_where_no_answers_are_the_former_curve_stays() -> None:
    """Answers about heavy pairs say little about light ones."""
    mbits = np.array([8_500] * 500 + [9_500] * 500)
    matches = np.arange(1_000) % 2 == 0
    model = town_model()
    fitted = recalibrate(model, mbits, matches)
    assert fitted.probability(9_000) == pytest.approx(0.55, abs=0.06)
    assert fitted.probability(-9_500) == pytest.approx(model.probability(-9_500), abs=0.01)


def test_contradictions_are_no_answers() -> None:
    """Pairs held apart do not count as evidence that light pairs never match."""
    mbits, matches = answers(shift=0.0, count=500)
    more = np.append(mbits, [APART_MBITS + 9_000] * 500)
    fitted = recalibrate(town_model(), more, np.append(matches, [False] * 500))
    assert fitted == recalibrate(town_model(), mbits, matches)


@pytest.mark.parametrize("same", [True, False])
def test_answers_of_one_kind_are_too_few(same: bool) -> None:
    """Without both matches and others nothing is refitted."""
    with pytest.raises(TooFewAnswers):
        recalibrate(town_model(), np.array([1_000, 2_000]), np.array([same, same]))


def test_held_out_probabilities_have_not_seen_their_answer() -> None:
    """Turning one answer round changes no probability of its own pair."""
    mbits, matches = answers(shift=1.0, count=200)
    turned = matches.copy()
    turned[7] = not turned[7]
    one, other = held_out(town_model(), mbits, matches), held_out(town_model(), mbits, turned)
    assert one[7] == other[7]
    assert not np.array_equal(one, other)


def test_expected_precision_and_recall() -> None:
    """Precision is the mean probability of what is taken; recall is of all, lost pairs included."""
    probability = np.array([0.9, 0.7, 0.4, 0.0])
    found = at_threshold(0.5, probability, blocking_recall=0.8)
    assert (found.pairs, found.precision, found.recall) == (2, 0.8, 0.64)
    nothing = at_threshold(0.5, np.zeros(0), blocking_recall=0.8)
    assert (nothing.pairs, nothing.precision, nothing.recall) == (0, 1.0, 0.0)


def test_the_histogram_counts_every_pair_once() -> None:
    """Weights at an edge belong above it; those beyond the ends to the outer bins."""
    mbits = np.array([APART_MBITS, -20_001, -20_000, -1, 0, 1_999, 2_000, 90_000])
    bins = {own.from_bits: own for own in histogram(mbits, np.full(8, 0.5))}
    assert {at: own.pairs for at, own in bins.items() if own.pairs} == {
        None: 2, -20: 1, -2: 1, 0: 2, 2: 1, 20: 1,
    }  # fmt: skip
    assert sum(own.expected for own in bins.values()) == 4.0


def test_what_a_model_expects_is_what_is_true() -> None:
    """On another town of its kind the expected precision is near the true one."""
    model = town_model()
    records, labels = town(250, seed=77)
    resolved = resolve(records, model, KEY)
    linked = resolved.probability >= model.link
    pairs = zip(resolved.left[linked].tolist(), resolved.right[linked].tolist(), strict=True)
    right = [labels[left] == labels[right] for left, right in pairs]
    expected = at_threshold(model.link, resolved.probability, model.blocking_recall)
    assert expected.pairs == len(right) > 200
    assert expected.precision == pytest.approx(sum(right) / len(right), abs=0.06)

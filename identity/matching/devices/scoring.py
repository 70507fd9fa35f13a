"""A pair of devices scored bit by bit, and how pairs that want one device compete."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from identity.matching.devices.comparisons import COMPARISONS
from identity.matching.devices.device import Device
from identity.matching.devices.model import DeviceModel
from identity.matching.devices.population import Population

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Pair = tuple[int, int]

UNTOLD = -1
"""Level of a comparison of which nothing can be told."""

BY_NAME = {own.name: own for own in COMPARISONS}

_ROUNDS = 200
_STILL = 1e-9
_MOST_BITS = 60.0


@dataclass(frozen=True, slots=True)
class Seats:
    """Who competes: per pair the two seats it would take.

    A seat is a device's place for one device of another type, so a phone may
    go with a desktop and with a television, but with only one of each.
    """

    left: Ints
    right: Ints
    count: int


def seats_of(pairs: Sequence[Pair], devices: Sequence[Device]) -> Seats:
    """Number the seats that pairs take."""
    numbers: dict[tuple[int, str], int] = {}

    def seat(own: int, other: int) -> int:
        return numbers.setdefault((own, devices[other].type), len(numbers))

    left = np.array([seat(left, right) for left, right in pairs], dtype=np.int64)
    right = np.array([seat(right, left) for left, right in pairs], dtype=np.int64)
    return Seats(left, right, len(numbers))


def compete(bits: Floats, seats: Seats) -> Floats:
    """Per pair the probability that it matches, given that each seat is taken once at most.

    The marginals of a random matching whose weight is the product of its
    pairs' odds, by belief propagation (Bayati, Shah and Sharma, 2008, for the
    largest; here sums in place of maxima). Without a rival it is the plain
    probability of the bits.
    """
    odds = np.exp2(np.clip(bits, -_MOST_BITS, _MOST_BITS))
    from_left, from_right = odds.copy(), odds.copy()
    for _ in range(_ROUNDS):
        next_left = odds / (1 + _others(from_right, seats.left, seats.count))
        next_right = odds / (1 + _others(from_left, seats.right, seats.count))
        left = np.sqrt(next_left * from_left)
        right = np.sqrt(next_right * from_right)
        change = max(
            np.abs(np.log(left / from_left)).max(initial=0.0),
            np.abs(np.log(right / from_right)).max(initial=0.0),
        )
        from_left, from_right = left, right
        if change < _STILL:
            break
    rivals = (1 + _others(from_right, seats.left, seats.count)) * (
        1 + _others(from_left, seats.right, seats.count)
    )
    return np.asarray(odds / (odds + rivals))


def _others(messages: Floats, seat: Ints, count: int) -> Floats:
    """Per pair the sum over the other pairs of its seat."""
    return np.maximum(np.bincount(seat, messages, count)[seat] - messages, 0.0)


def scores_of(
    pairs: Sequence[Pair], devices: Sequence[Device], population: Population, names: Iterable[str]
) -> dict[str, Floats]:
    """Per comparison named the scores of all pairs, NaN where nothing can be told."""
    seats = seats_of(pairs, devices)
    found = {}
    for name in names:
        own = BY_NAME[name]
        scores = np.full(len(pairs), np.nan)
        for row, (left, right) in enumerate(pairs):
            score = own.score(devices[left], devices[right], population)
            if score is not None:
                scores[row] = score
        found[name] = above_rivals(scores, seats) if own.above_rivals else scores
    return found


def above_rivals(scores: Floats, seats: Seats) -> Floats:
    """Per pair how far its score is above the best other of its two seats, and above 0."""
    plain = np.where(np.isnan(scores), 0.0, scores)
    rivals = np.maximum(_best_other(plain, seats.left, seats.count), 0.0)
    rivals = np.maximum(rivals, _best_other(plain, seats.right, seats.count))
    return scores - rivals


def _best_other(scores: Floats, seat: Ints, count: int) -> Floats:
    """Per pair the best score among the other pairs of its seat."""
    best = np.full(count, -np.inf)
    np.maximum.at(best, seat, scores)
    is_best = scores == best[seat]
    ties = np.bincount(seat, is_best, count)
    second = np.full(count, -np.inf)
    np.maximum.at(second, seat[~is_best], scores[~is_best])
    return np.where(is_best & (ties[seat] == 1), second[seat], best[seat])


def levels_of(
    pairs: Sequence[Pair], devices: Sequence[Device], population: Population, model: DeviceModel
) -> Ints:
    """Per pair and comparison of the model its level, UNTOLD where nothing can be told."""
    scores = scores_of(pairs, devices, population, [own.name for own in model.comparisons])
    columns = [level_of(scores[own.name], own.edges) for own in model.comparisons]
    return np.stack(columns, axis=1) if columns else np.zeros((len(pairs), 0), dtype=np.int64)


def level_of(scores: Floats, edges: Sequence[float]) -> Ints:
    """The level of each score: how many edges are below it; UNTOLD for NaN."""
    told = ~np.isnan(scores)
    return np.where(told, np.searchsorted(edges, np.where(told, scores, 0.0)), UNTOLD)


def mbits_of(levels: Ints, model: DeviceModel) -> Ints:
    """Per pair and comparison its match weight in thousandths of a bit."""
    columns = [
        np.array([*own.mbits, 0], dtype=np.int64)[levels[:, place]]
        for place, own in enumerate(model.comparisons)
    ]
    return np.stack(columns, axis=1) if columns else np.zeros((len(levels), 0), dtype=np.int64)

"""How pairs that want the same device compete: a phone goes with one desktop at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

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


def seats_of(pairs: Sequence[tuple[int, int]], types: Sequence[str]) -> Seats:
    """Number the seats that pairs of devices take, by the devices' types."""
    numbers: dict[tuple[int, str], int] = {}

    def seat(own: int, other: int) -> int:
        return numbers.setdefault((own, types[other]), len(numbers))

    left = np.array([seat(left, right) for left, right in pairs], dtype=np.int64)
    right = np.array([seat(right, left) for left, right in pairs], dtype=np.int64)
    return Seats(left, right, len(numbers))


def compete(bits: Floats, seats: Seats) -> Floats:
    """Per pair the probability that it matches, given that each seat is taken once at most.

    The marginals of a random matching whose weight is the product of its
    pairs' odds, by belief propagation (Bayati, Shah and Sharma, 2008, for the
    largest; here sums in place of maxima). Without a rival it is the plain
    probability of the bits. Exact where no pairs make a cycle.
    """
    odds = np.exp2(np.clip(bits, -_MOST_BITS, _MOST_BITS))
    to_left, to_right = odds.copy(), odds.copy()
    for _ in range(_ROUNDS):
        at_left, at_right = _others(to_left, to_right, seats)
        left = np.sqrt(to_left * odds / (1 + at_right))
        right = np.sqrt(to_right * odds / (1 + at_left))
        change = max(
            np.abs(np.log(left / to_left)).max(initial=0.0),
            np.abs(np.log(right / to_right)).max(initial=0.0),
        )
        to_left, to_right = left, right
        if change < _STILL:
            break
    at_left, at_right = _others(to_left, to_right, seats)
    return np.asarray(odds / (odds + (1 + at_left) * (1 + at_right)))


def _others(to_left: Floats, to_right: Floats, seats: Seats) -> tuple[Floats, Floats]:
    """Per pair what its rivals want, at its left seat and at its right.

    What is wanted of a seat comes from all its pairs, whichever end they have there.
    """
    wanted = np.bincount(seats.left, to_left, seats.count)
    wanted += np.bincount(seats.right, to_right, seats.count)
    return (
        np.maximum(wanted[seats.left] - to_left, 0.0),
        np.maximum(wanted[seats.right] - to_right, 0.0),
    )

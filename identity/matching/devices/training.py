"""A device model learnt without labels, by expectation maximisation under one-to-one competition.

u comes from all pairs that are not thought to match, m from those that are.
A level with little evidence stays near its guess, and a comparison's weights
never fall as devices grow more alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from identity.matching.devices.blocking import candidates
from identity.matching.devices.comparisons import COMPARISONS, Comparison
from identity.matching.devices.device import Device
from identity.matching.devices.model import MBITS, DeviceModel, Levels
from identity.matching.devices.population import population_of
from identity.matching.devices.scoring import (
    BY_NAME,
    UNTOLD,
    Floats,
    Ints,
    Pair,
    Seats,
    compete,
    level_of,
    scores_of,
    seats_of,
)

_MOST_PAIRS = 40_000
_ROUNDS = 40
_GUESS_PAIRS = 3.0
_HALF_PAIR = 0.5
_PROMISE = 0.9
_LEAST = 1 / 3
_GUESS_MATCHED = 0.4
_GUESS_WEIGHT = 0.5


class TooFewDevices(ValueError):
    """Fewer than two devices of different types that may be linked."""


def train(devices: Sequence[Device], *, name: str, seed: int) -> DeviceModel:
    """Learn a model from devices that may be linked; the same for any order of them.

    The seed draws the devices to learn from when they make more than 40,000
    pairs: devices, not pairs, because competition needs whole neighbourhoods.
    """
    ordered = sorted(devices, key=lambda device: device.key)
    found_pairs = candidates(ordered).pairs
    if not found_pairs:
        raise TooFewDevices("no two devices of different types that may be linked")
    pairs = _sample(found_pairs, len(ordered), seed)
    scores = scores_of(pairs, ordered, population_of(ordered), BY_NAME)
    found = _Learning.begin(scores, seats_of(pairs, ordered))
    for _ in range(_ROUNDS):
        found.step()
    expected = float(found.matched.sum())
    return DeviceModel(
        name=name,
        seed=seed,
        prior_mbits=round(found.prior_bits * MBITS),
        threshold=threshold_of(found.matched),
        comparisons=tuple(_levels(own) for own in found.comparisons),
        trained_on={
            "devices": len(ordered),
            "pairs": len(pairs),
            "expected_matches": round(expected),
        },
    )


def threshold_of(chances: Floats) -> float:
    """The probability from which on to link: as many pairs as promise nine right in ten.

    Never below a third: less likely pairs are not worth a link, however sure
    the others are. Between the last pair taken and the first left, so that a
    digit more or less does not matter.
    """
    ordered = np.sort(chances)[::-1]
    promised = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    taken = int(np.count_nonzero((promised >= _PROMISE) & (ordered >= _LEAST)))
    if not taken:
        return _PROMISE
    around = ordered[taken - 1 : taken + 1]
    return round(max(float(around.mean()), _LEAST), 4)


def _sample(pairs: Sequence[Pair], devices: int, seed: int) -> Sequence[Pair]:
    if len(pairs) <= _MOST_PAIRS:
        return pairs
    share = (_MOST_PAIRS / len(pairs)) ** 0.5
    kept = np.random.default_rng(seed).random(devices) < share
    return [(left, right) for left, right in pairs if kept[left] and kept[right]] or pairs


@dataclass(slots=True)
class _Learnt:
    """One comparison being learnt: its levels by pair, the guess, and the weights so far."""

    name: str
    edges: tuple[float, ...]
    levels: Ints
    guess: Floats
    u: Floats
    bits: Floats

    def learn(self, matched: Floats) -> None:
        """Weights from how likely each pair matches.

        The logarithm of a share seen n times has a variance of about 1/n, so
        what is seen of a level and its guess are averaged by n and by the
        three pairs that the guess is worth.
        """
        told = self.levels != UNTOLD
        size = len(self.guess)
        alike = np.bincount(self.levels[told], matched[told], size)
        chance = np.bincount(self.levels[told], 1 - matched[told], size) + _HALF_PAIR
        self.u = chance / chance.sum()
        surety = alike + _GUESS_PAIRS
        seen = np.log2((alike / self.u + _HALF_PAIR) / (alike.sum() + _HALF_PAIR))
        told_bits = (alike * seen + _GUESS_PAIRS * self.guess) / surety
        self.bits = _never_falling(told_bits.tolist(), surety.tolist())


def _begin(own: Comparison, scores: Floats) -> _Learnt | None:
    told = ~np.isnan(scores)
    if not told.any():
        return None
    edges = own.edges or _edges(scores[told], own)
    levels = level_of(scores, edges)
    guess = np.array(own.guess, dtype=np.float64)
    return _Learnt(own.name, edges, levels, guess, np.ones(len(guess)) / len(guess), guess)


def _edges(scores: Floats, own: Comparison) -> tuple[float, ...]:
    """Edges of levels from the scores of all pairs."""
    if not own.above_rivals:
        assert own.shares is not None
        return tuple(float(edge) for edge in np.quantile(scores, own.shares))
    below, above = scores[scores <= 0], scores[scores > 0]
    middle = float(np.quantile(below, 0.5)) if len(below) else 0.0
    quarters = np.quantile(above, (0.25, 0.5, 0.75)) if len(above) else np.zeros(3)
    return (middle, 0.0, *(float(edge) for edge in quarters))


@dataclass(slots=True)
class _Learning:
    """All comparisons, the prior and the present opinion of every pair."""

    comparisons: list[_Learnt]
    seats: Seats
    prior_bits: float
    matched: Floats
    guess_matches: float

    @classmethod
    def begin(cls, scores: dict[str, Floats], seats: Seats) -> _Learning:
        """Start from the guesses, one of them how many devices have a match."""
        comparisons = [_begin(own, scores[own.name]) for own in COMPARISONS]
        pairs = len(seats.left)
        scarcer = min(len(np.unique(seats.left)), len(np.unique(seats.right)))
        guess = _GUESS_MATCHED * scarcer
        return cls(
            [own for own in comparisons if own is not None],
            seats,
            _log_odds(guess / pairs),
            np.zeros(pairs),
            guess,
        )

    def step(self) -> None:
        """One round: opinions from weights, weights from opinions."""
        bits = np.full(len(self.matched), self.prior_bits)
        for own in self.comparisons:
            bits += np.append(own.bits, 0.0)[own.levels]
        self.matched = compete(bits, self.seats)
        for own in self.comparisons:
            own.learn(self.matched)
        expected = float(self.matched.sum()) + _GUESS_WEIGHT * self.guess_matches
        self.prior_bits = _log_odds(expected / (1 + _GUESS_WEIGHT) / len(self.matched))


def _log_odds(share: float) -> float:
    share = min(share, 0.5)
    return float(np.log2(share / (1 - share)))


def _never_falling(bits: Sequence[float], weights: Sequence[float]) -> Floats:
    """The nearest weights that never fall, pooling neighbours (Ayer et al., 1955)."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(bits, weights, strict=True):
        pools.append((value, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (high, mass, count), (low, other, more) = pools[-2:]
            pools[-2:] = [
                ((high * mass + low * other) / (mass + other), mass + other, count + more)
            ]
    return np.array([value for value, _, count in pools for _ in range(count)])


def _levels(own: _Learnt) -> Levels:
    m = own.u * np.exp2(own.bits)
    return Levels(
        name=own.name,
        edges=own.edges,
        m=tuple(round(float(share), 6) for share in m / m.sum()),
        u=tuple(round(float(share), 6) for share in own.u),
        mbits=tuple(round(float(bits) * MBITS) for bits in own.bits),
    )

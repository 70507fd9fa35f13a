"""A device model learnt without labels, by expectation maximisation under one-to-one competition.

u comes from all pairs that are not thought to match, m from those that are.
What is seen seldom stays near its guess, and a comparison's weights never fall
as devices grow more alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from identity.matching.devices.blocking import RULES
from identity.matching.devices.cluster import DeviceClustering
from identity.matching.devices.comparisons import COMPARISONS, Comparison
from identity.matching.devices.competition import Floats, Ints, Seats, compete, seats_of
from identity.matching.devices.device import Device
from identity.matching.devices.linking import Candidates, candidates, link
from identity.matching.devices.model import MBITS, DeviceModel, Levels
from identity.matching.devices.population import population_of
from identity.matching.devices.prepared import PreparedDevice
from identity.matching.devices.score import UNTOLD, DeviceScorer

_MOST_PAIRS = 40_000
_ROUNDS = 40
_GUESS_PAIRS = 3.0
_REACH_PAIRS = 12.0
_HALF_PAIR = 0.5
_PROMISE = 0.9
_LEAST = 0.5
_GUESS_MATCHED = 0.4
_GUESS_WEIGHT = 0.5
_REACHES = np.linspace(0.04, 1.0, 97)
_LEAST_AT_LEVEL = 8
"""Pairs that the closest level of a comparison holds at least."""


class TooFewDevices(ValueError):
    """Fewer than two devices of different types that may be linked."""


def train(devices: Sequence[Device], *, name: str, seed: int, key: bytes) -> DeviceModel:
    """Learn a model from devices that may be linked; the same for any order of them.

    1. Count what is common; find the pairs that blocking compares.
    2. Cut each comparison's scores into levels.
    3. In turns, how likely each pair matches, given that a device goes with one
       of each other type; and what each level weighs, given that.
    4. Set the threshold by what this model makes of the devices.

    `key` keys the tokens of sites, languages and time zones. The seed draws the
    devices to learn from when they make more than 40,000 pairs: devices, not
    pairs, because competition needs whole neighbourhoods.

    Raises:
        TooFewDevices: no two devices of different types that may be linked.
    """
    ordered = sorted(devices, key=lambda device: device.key)
    blank = DeviceModel(
        name=name,
        seed=seed,
        prior_mbits=0,
        comparisons=(),
        blocking=RULES,
        population=population_of([own for own in ordered if own.may_link], key),
        clustering=DeviceClustering(),
        trained_on={},
    )
    scorer = DeviceScorer(blank, key)
    ready = [scorer.prepare(device) for device in ordered]
    found = candidates(ready, scorer)
    if not found.pairs:
        raise TooFewDevices("no two devices of different types that may be linked")
    learning = _learn(ready, found, scorer, seed)
    model = replace(
        blank,
        prior_mbits=round(learning.prior_bits * MBITS),
        comparisons=tuple(_levels(own) for own in learning.comparisons),
        trained_on={
            "devices": len(ordered),
            "pairs": len(learning.matched),
            "expected_matches": round(float(learning.matched.sum())),
        },
    )
    linked = link(ordered, model, key)
    chances = [own.probability for own in (*linked.links, *linked.below)]
    return replace(model, clustering=DeviceClustering(threshold_of(chances)))


def threshold_of(chances: Sequence[float]) -> float:
    """The probability from which on to link: as many pairs as promise nine right in ten.

    Never below a half: less likely pairs are not worth a link, however sure
    the others are. Between the last pair taken and the first left, so that a
    digit more or less does not matter.
    """
    ordered = np.sort(chances)[::-1]
    promised = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    taken = int(np.count_nonzero((promised >= _PROMISE) & (ordered >= _LEAST)))
    if not taken:
        return _PROMISE
    first_left = float(ordered[taken]) if taken < len(ordered) else 0.0
    return round(max((float(ordered[taken - 1]) + first_left) / 2, _LEAST), 4)


def _learn(
    ready: Sequence[PreparedDevice], found: Candidates, scorer: DeviceScorer, seed: int
) -> _Learning:
    pairs = _sample(found.pairs, len(ready), seed)
    types = [own.device.type for own in ready]
    learning = _Learning.begin(
        [_begin(own, _scores(own, pairs, ready, found, scorer)) for own in COMPARISONS],
        seats_of(pairs, types),
    )
    for _ in range(_ROUNDS):
        learning.step()
    return learning


def _scores(
    own: Comparison,
    pairs: Sequence[tuple[int, int]],
    ready: Sequence[PreparedDevice],
    found: Candidates,
    scorer: DeviceScorer,
) -> Floats:
    """The scores of all pairs, NaN where nothing can be told."""
    scores = np.full(len(pairs), np.nan)
    for row, (left, right) in enumerate(pairs):
        met = scorer.met(ready[left], ready[right], found.sizes)
        score = own.score(ready[left], ready[right], met)
        if score is not None:
            scores[row] = score
    return scores


def _sample(pairs: Sequence[tuple[int, int]], devices: int, seed: int) -> Sequence[tuple[int, int]]:
    if len(pairs) <= _MOST_PAIRS:
        return pairs
    share = (_MOST_PAIRS / len(pairs)) ** 0.5
    kept = np.random.default_rng(seed).random(devices) < share
    return [(left, right) for left, right in pairs if kept[left] and kept[right]] or pairs


@dataclass(slots=True)
class _Learnt:
    """One comparison being learnt: its levels by pair, and the weights so far."""

    comparison: Comparison
    edges: tuple[float, ...]
    levels: Ints
    u: Floats
    bits: Floats

    def learn(self, matched: Floats) -> None:
        """Weights from how likely each pair matches."""
        told = self.levels != UNTOLD
        size = len(self.edges) + 1
        alike = _sums(self.levels[told], matched[told], size)
        chance = _sums(self.levels[told], 1 - matched[told], size) + _HALF_PAIR
        self.u = chance / chance.sum()
        if self.comparison.guess:
            self.bits = _by_level(alike, self.u, np.array(self.comparison.guess, dtype=np.float64))
        else:
            self.bits = _by_reach(alike, self.u, self.comparison.reach)


def _sums(levels: Ints, weights: Floats, size: int) -> Floats:
    return np.bincount(levels, weights, size).astype(np.float64)


def _begin(own: Comparison, scores: Floats) -> _Learnt | None:
    told = ~np.isnan(scores)
    if not told.any():
        return None
    edges = own.edges or _halving_edges(scores[told])
    levels = np.where(told, np.searchsorted(edges, np.where(told, scores, 0.0)), UNTOLD)
    size = len(edges) + 1
    begun = _Learnt(own, edges, levels, np.ones(size) / size, np.zeros(size))
    begun.learn(np.zeros(len(scores)))
    return begun


def _halving_edges(scores: Floats) -> tuple[float, ...]:
    """Edges of the upper half of the scores, the upper quarter, eighth and so on."""
    halvings = max(int(np.log2(len(scores) / _LEAST_AT_LEVEL)), 1)
    shares = 1 - 0.5 ** np.arange(1, halvings + 1)
    edges = np.quantile(scores, shares, method="inverted_cdf")
    return tuple(float(edge) for edge in edges)


def _by_level(alike: Floats, u: Floats, guess: Floats) -> Floats:
    """Each level's weight, near its guess where little is seen of it.

    The logarithm of a share seen n times has a variance of about 1/n, so what
    is seen of a level and its guess are averaged by n and by the three pairs
    that the guess is worth.
    """
    surety = alike + _GUESS_PAIRS
    seen = np.log2((alike / u + _HALF_PAIR) / (alike.sum() + _HALF_PAIR))
    told = (alike * seen + _GUESS_PAIRS * guess) / surety
    return _never_falling(told.tolist(), surety.tolist())


def _by_reach(alike: Floats, u: Floats, guess: float) -> Floats:
    """All levels' weights by one number, `reach`, learnt by maximum likelihood.

    A pair that chance puts among the closest share p of all is, if it matches,
    there with probability p ** reach (Lehmann, 1953): 1 when the comparison
    tells nothing. The guess is worth twelve pairs.
    """
    beyond = np.append(np.cumsum(u[::-1])[::-1], 0.0)
    powers = beyond[None, :] ** _REACHES[:, None]
    shares = np.maximum(powers[:, :-1] - powers[:, 1:], 1e-12)
    expected = beyond**guess
    counts = alike + _REACH_PAIRS * (expected[:-1] - expected[1:])
    best = int(np.argmax(np.log(shares) @ counts))
    return np.asarray(np.log2(shares[best] / u))


@dataclass(slots=True)
class _Learning:
    """All comparisons, the prior and the present opinion of every pair."""

    comparisons: list[_Learnt]
    seats: Seats
    places: tuple[int, int]
    prior_bits: float
    matched: Floats
    guess_matches: float

    @classmethod
    def begin(cls, comparisons: Sequence[_Learnt | None], seats: Seats) -> _Learning:
        """Start from the guesses, one of them how many devices have a match."""
        pairs = len(seats.left)
        places = len(np.unique(seats.left)), len(np.unique(seats.right))
        guess = _GUESS_MATCHED * min(places)
        told = [own for own in comparisons if own is not None]
        return cls(told, seats, places, _prior(guess, pairs, places), np.zeros(pairs), guess)

    def step(self) -> None:
        """One round: opinions from weights, weights from opinions."""
        bits = np.full(len(self.matched), self.prior_bits)
        for own in self.comparisons:
            bits += np.append(own.bits, 0.0)[own.levels]
        self.matched = compete(bits, self.seats)
        for own in self.comparisons:
            own.learn(self.matched)
        expected = float(self.matched.sum()) + _GUESS_WEIGHT * self.guess_matches
        expected /= 1 + _GUESS_WEIGHT
        self.prior_bits = _prior(expected, len(self.matched), self.places)


def _prior(expected: float, pairs: int, places: tuple[int, int]) -> float:
    """Bits of a pair before anything is compared, both of its devices being free.

    Competition takes away what belongs to devices that are not free: so that
    in all `expected` pairs match, a pair weighs their share over the shares of
    places, on either side, that stay free.
    """
    free = [max(1 - expected / own, 0.1) for own in places]
    return min(float(np.log2(expected / pairs / (free[0] * free[1]))), 0.0)


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
        name=own.comparison.name,
        edges=own.edges,
        m=tuple(round(float(share), 6) for share in m / m.sum()),
        u=tuple(round(float(share), 6) for share in own.u),
        mbits=tuple(round(float(bits) * MBITS) for bits in own.bits),
    )

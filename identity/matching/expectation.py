"""m, u and the prior without labels: expectation maximisation over candidate pairs.

u comes from random pairs and stays. m of a comparison is estimated on pairs
that the other comparisons alone make nearly certain, so that a comparison
never vouches for itself and lookalike groups (members of one household,
people of one name and age) do not pass for matches. The prior is the share
of matches among all pairs of records, not among candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from identity.matching.bulk import Bulk, Floats, Ints, Pairs
from identity.matching.comparisons import Comparison, apart
from identity.matching.model import APART_MBITS, MBITS
from identity.matching.rarity import SAME_HOUSEHOLD

ROUNDS = 12
_JOINT_FROM = 3
"""Rounds before correlations are estimated: first the comparisons must stand."""
_CERTAIN_BITS = 6.0
_FEW = 5.0
"""Pairs' worth of certain matches below which nothing is learnt from them."""
_HOUSEHOLD_PAIRS = 25
"""Pairs of one household but two people, below which nothing is said of households."""
_SHARED = {"birth_date": 0.004, "phone": 0.2, "email": 0.05}
"""Pairs of a household's people that share one at least: twins, the family's phone and box."""
_PSEUDO = 8.0
"""Pairs' worth of independence that a joint estimate starts from."""


@dataclass(slots=True)
class Parameters:
    """What training estimates: per comparison m and u by level, per joint bits by code."""

    comparisons: Sequence[Comparison]
    m: list[Floats]
    u: list[Floats]
    joint: list[Floats]
    prior: float

    def bits(self, pairs: Pairs) -> Floats:
        """Match weight of every pair, prior included, in bits."""
        parts, joints = self.parts(pairs)
        total: Floats = np.log2(self.prior / (1 - self.prior)) + sum(parts) + sum(joints)
        for place, (comparison, m) in enumerate(zip(self.comparisons, self.m, strict=True)):
            held = np.isin(pairs.levels[:, place], list(apart(comparison, m.tolist())))
            total += np.where(held, APART_MBITS / MBITS, 0.0)
        return total

    def parts(self, pairs: Pairs) -> tuple[list[Floats], list[Floats]]:
        """What each comparison and each joint correction adds, pair by pair."""
        parts = [
            np.log2(m / u)[pairs.levels[:, place]] + pairs.rarity[:, place]
            for place, (m, u) in enumerate(zip(self.m, self.u, strict=True))
        ]
        return parts, [bits[codes] for bits, codes in zip(self.joint, pairs.joint, strict=True)]


def probability(bits: Floats) -> Floats:
    """What a match weight says as a probability."""
    found: Floats = 1 / (1 + 2.0 ** -np.clip(bits, -50, 50))
    return found


def estimate(bulk: Bulk, candidates: Pairs, chance: Pairs, all_pairs: float) -> Parameters:
    """Estimate from candidate pairs and random ones.

    `all_pairs`: how many pairs of records the candidates were chosen from.
    """
    sizes = [len(comparison.levels) for comparison in bulk.comparisons]
    even = np.ones(len(chance))
    u = [_levels(chance, place, size, even) for place, size in enumerate(sizes)]
    found = Parameters(
        comparisons=bulk.comparisons,
        m=[_first_guess(size) for size in sizes],
        u=u,
        joint=[np.zeros(16) for _ in bulk.correlated],
        prior=min(0.5, 1 / (len(bulk) - 1)),
    )
    for number in range(ROUNDS):
        _round(found, bulk, candidates, chance, all_pairs, joint=number >= _JOINT_FROM)
    return found


def _round(
    found: Parameters,
    bulk: Bulk,
    candidates: Pairs,
    chance: Pairs,
    all_pairs: float,
    *,
    joint: bool,
) -> None:
    parts, joints = found.parts(candidates)
    bits = np.log2(found.prior / (1 - found.prior)) + sum(parts) + sum(joints)
    likely = probability(bits)
    for place, comparison in enumerate(bulk.comparisons):
        others = bits - parts[place]
        for pair, part in zip(bulk.correlated, joints, strict=True):
            household = pair[0] == SAME_HOUSEHOLD and comparison.name in ("family", "household")
            if comparison.name in pair or household:
                others = others - part
        certain = np.where(others > _CERTAIN_BITS, probability(others), 0.0)
        if certain.sum() < _FEW:
            # Where few attributes say little each, none can be left out.
            certain = np.where(likely > 0.5, likely, 0.0)
        if certain.sum() < _FEW:
            continue
        size = len(comparison.levels)
        found.m[place] = _levels(candidates, place, size, certain)
        _say_nothing_of(found, place, chance, candidates, certain)
    # Half a match at least, so that a set without any gives a model that says no.
    found.prior = min(0.5, max(0.5, float(likely.sum())) / all_pairs)
    if joint:
        matched = np.where(likely > 0.5, likely, 0.0)
        # Among few records, random pairs are matches often enough to be mistaken for households.
        strangers = np.where(found.bits(chance) < 0, 1.0, 0.0)
        for number, pair in enumerate(bulk.correlated):
            counts = _counts(candidates.joint[number], matched)
            m = _ratio(counts)
            u = _by_chance(
                pair, candidates.joint[number], chance.joint[number], likely, strangers, all_pairs
            )
            found.joint[number] = np.where(_unheard_of(counts), 0.0, np.log2(m / u))
            if pair[0] == SAME_HOUSEHOLD:
                # What a household shares can at most say nothing.
                same = np.log2(found.m[bulk.place[pair[1]]] / found.u[bulk.place[pair[1]]])[1]
                found.joint[number][5] = max(found.joint[number][5], min(0.0, -same))


def _first_guess(size: int) -> Floats:
    """Each level half as likely as the one before; the last at least one in twenty."""
    guess = np.array([0.0] + [0.5**level for level in range(1, size)])
    guess[-1] = max(guess[-1], 0.05)
    guess /= guess.sum()
    guess[0] = 1.0
    return guess


def _levels(pairs: Pairs, place: int, size: int, weights: Floats) -> Floats:
    """Share of each level among pairs that have one; level 0 is 1, so that it weighs nothing."""
    found = np.bincount(pairs.levels[:, place], weights=weights, minlength=size)
    counts: Floats = found.astype(np.float64)
    counts[0] = 0
    counts[1:] += 0.3
    counts /= counts.sum()
    counts[0] = 1.0
    return counts


def _say_nothing_of(
    found: Parameters, place: int, chance: Pairs, candidates: Pairs, certain: Floats
) -> None:
    """Levels that neither matches nor random pairs have shown weigh nothing.

    The sizes of the two samples would otherwise decide what they weigh.
    """
    m, u = found.m[place], found.u[place]
    seen = np.bincount(candidates.levels[:, place], weights=certain, minlength=len(m))
    by_chance = np.bincount(chance.levels[:, place], minlength=len(u))
    unseen = (seen < 1) & (by_chance < 1)
    m[unseen] = u[unseen]


def _counts(codes: Ints, weights: Floats) -> Floats:
    counts: Floats = np.bincount(codes, weights=weights, minlength=16).astype(np.float64)
    return counts.reshape(4, 4)[1:, 1:]


def _by_chance(
    pair: tuple[str, str],
    codes: Ints,
    chance: Ints,
    likely: Floats,
    strangers: Floats,
    all_pairs: float,
) -> Floats:
    """How much more often two comparisons agree in non-matches than if they were independent.

    Random pairs hardly ever are of one household: there the candidates, which
    hold nearly all such pairs, count instead if they are more.
    """
    counts = _counts(chance, strangers) * (all_pairs / max(1, len(chance)))
    among = _counts(codes, np.where(likely < 0.5, 1 - likely, 0.0))
    if pair[0] == SAME_HOUSEHOLD:
        counts[0] = max(counts[0], among[0], key=np.sum)
        return _household_ratio(counts, _SHARED.get(pair[1], 0.0))
    if pair == ("family", "household"):
        counts[0, 0] = max(counts[0, 0], among[0, 0])
    return _ratio(counts)


def _ratio(counts: Floats) -> Floats:
    """How much more often the two agree so than if they were independent."""
    total = counts.sum()
    found = np.ones((4, 4))
    if total > 0:
        apart = np.outer(counts.sum(1), counts.sum(0)) / total
        start = _PSEUDO * apart / total + 0.5
        found[1:, 1:] = (counts + start) / (apart + start)
    return found.ravel()


def _unheard_of(counts: Floats) -> NDArray[np.bool_]:
    """Agreements of the two that matches neither have nor would have if they were independent."""
    found = np.zeros((4, 4), dtype=np.bool_)
    if (total := counts.sum()) > 0:
        apart = np.outer(counts.sum(1), counts.sum(0)) / total
        found[1:, 1:] = (counts < 1) & (apart < 1)
    return found.ravel()


def _household_ratio(counts: Floats, shared: float) -> Floats:
    """As `_ratio`, given the first: a household's members say nothing of strangers.

    People of one household are never less alike in this than strangers are,
    and `shared` of them agree even if the records show none who do.
    """
    found = np.ones((4, 4))
    total = counts.sum()
    if counts[0].sum() >= _HOUSEHOLD_PAIRS:
        among_all = (counts.sum(0) + 0.5) / (total + 1.5)
        for row in range(3):
            start = _PSEUDO * among_all
            found[row + 1, 1:] = (counts[row] + start) / (counts[row].sum() + _PSEUDO) / among_all
        found[1, 1:3] = np.maximum(found[1, 1:3], 1.0)
        found[1, 1] = max(found[1, 1], shared / among_all[0])
    return found.ravel()

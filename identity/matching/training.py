"""A match model from records alone: no labels, one seed, the same model every time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from identity.matching import assumed, attributes
from identity.matching.bulk import Bulk, Floats, Ints, Pairs
from identity.matching.calibration import calibrate
from identity.matching.choosing import BOUND, Choice, Index, choose
from identity.matching.cluster import clusters
from identity.matching.dates import speaks_day_first
from identity.matching.expectation import Parameters, estimate, probability
from identity.matching.features import features_of
from identity.matching.keys import STANDING, parts_of, rules_over
from identity.matching.model import (
    MBITS,
    Blocking,
    Clustering,
    Frequencies,
    Joint,
    MatchModel,
    Weights,
)
from identity.matching.rarity import term_token

_CHANCE_PAIRS = 300_000
_POOL_PAIRS = 1_500_000
_DEAR_RULE = 60
"""Pairs per record beyond which a rule is not even looked at."""

Records = Sequence[Mapping[str, str]]
Step = Callable[[str], None]


class TooLittle(ValueError):
    """There is too little to learn from: two records with an attribute in common at least."""


def train(
    records: Records, *, name: str, seed: int, key: bytes, step: Step = lambda _: None
) -> MatchModel:
    """Learn a model from records of attributes.

    1. Read each record as it is compared; learn how dates are written.
    2. Sample random pairs (u) and a wide pool of candidates around anchors (m).
    3. Choose blocking rules by what they bring of the likely pairs, and cost.
    4. Estimate again on all candidates of these rules.
    5. Cluster, and calibrate by who ended up together.

    `key` keys the term tokens. `step` is told what is being done.

    Raises:
        TooLittle: fewer than two records, or nothing to compare them by.
    """
    step("reading records")
    day_first = _day_first(records)
    features = [features_of(record, day_first=day_first) for record in records]
    bulk = Bulk(features)
    if len(bulk) < 2 or not bulk.comparisons:
        raise TooLittle("a model needs two records or more with a known attribute")
    chance = _chance(bulk, seed)
    step("choosing blocking rules")
    index = Index.of([parts_of(own) for own in features])
    choices, recall = _choose(bulk, index, chance, seed)
    step("estimating weights")
    found = [index.pairs(choice.rule, BOUND) for choice in choices]
    candidates = _pairs(bulk, np.unique(np.concatenate(found)) if found else _none())
    whole = len(bulk) * (len(bulk) - 1) / 2
    parameters = estimate(bulk, candidates, chance, whole)
    step("calibrating")
    rules = Clustering()
    bits = parameters.bits(candidates)
    points = calibrate(candidates, bits, _people(len(bulk), candidates, bits, rules))
    return _model(name, seed, key, day_first, bulk, parameters, choices, recall, points, rules)


def _none() -> Ints:
    return np.zeros(0, dtype=np.int64)


def _day_first(records: Records) -> bool:
    return sum(speaks_day_first(r.get(attributes.BIRTH_DATE, "")) for r in records) > 0


def _pairs(bulk: Bulk, coded: Ints) -> Pairs:
    return bulk.pairs(coded >> 32, coded & 0xFFFFFFFF)


def _chance(bulk: Bulk, seed: int) -> Pairs:
    random = np.random.default_rng(seed)
    count = min(_CHANCE_PAIRS, len(bulk) * (len(bulk) - 1) // 2)
    left = random.integers(0, len(bulk), count)
    right = random.integers(0, len(bulk) - 1, count)
    right += right >= left
    return bulk.pairs(left, right)


def _choose(bulk: Bulk, index: Index, chance: Pairs, seed: int) -> tuple[list[Choice], float]:
    """Rules over a pool of candidates wide enough to hold nearly every likely match."""
    records = len(bulk)
    costs = {rule: index.cost(rule, BOUND) for rule in rules_over(index.parts)}
    worth = [
        rule
        for rule, cost in costs.items()
        if (cost or rule in STANDING) and cost <= _DEAR_RULE * records
    ]
    seen = 2 * sum(costs[rule] for rule in worth) / records
    count = min(records, max(500, int(_POOL_PAIRS / max(1.0, seen))))
    anchors = np.zeros(records, dtype=np.bool_)
    anchors[np.random.default_rng(seed + 1).permutation(records)[:count]] = True
    brought = [(rule, costs[rule], index.pairs(rule, BOUND, anchors)) for rule in worth]
    pool = np.unique(np.concatenate([pairs for _, _, pairs in brought])) if brought else _none()
    candidates = _pairs(bulk, pool)
    all_pairs = count * (records - 1) - count * (count - 1) / 2
    parameters = estimate(bulk, candidates, chance, all_pairs)
    return choose(brought, pool, probability(parameters.bits(candidates)), records)


def _people(records: int, pairs: Pairs, bits: Floats, rules: Clustering) -> Ints:
    """The person of each record, by its least one."""
    mbits = np.round(bits * MBITS).astype(np.int64).tolist()
    links: dict[int, dict[int, int]] = {}
    parent = list(range(records))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = place = parent[parent[place]]
        return place

    for left, right, weight in zip(pairs.left.tolist(), pairs.right.tolist(), mbits, strict=True):
        links.setdefault(left, {})[right] = weight
        links.setdefault(right, {})[left] = weight
        if weight > 0:
            parent[root(left)] = root(right)
    components: dict[int, list[int]] = {}
    for record in links:
        components.setdefault(root(record), []).append(record)
    person = np.arange(records, dtype=np.int64)
    for members in components.values():
        if len(members) > 1:
            for group in clusters(members, links, lambda record: record, rules):
                person[list(group)] = min(group)
    return person


def _model(
    name: str,
    seed: int,
    key: bytes,
    day_first: bool,
    bulk: Bulk,
    parameters: Parameters,
    choices: Sequence[Choice],
    recall: float,
    points: tuple[tuple[int, float], ...],
    rules: Clustering,
) -> MatchModel:
    model = MatchModel(
        name=name,
        records=len(bulk),
        seed=seed,
        day_first=day_first,
        prior_mbits=round(MBITS * np.log2(parameters.prior / (1 - parameters.prior))),
        weights=(),
        joints=tuple(
            Joint(left, right, tuple(_mbits(bits)))
            for (left, right), bits in zip(bulk.correlated, parameters.joint, strict=True)
        ),
        frequencies=_frequencies(bulk, key),
        blocking=(
            *(Blocking(c.rule, BOUND, c.pairs, round(c.likely, 1)) for c in choices),
            *assumed.rules(bulk.place.keys(), [c.rule for c in choices]),
        ),
        blocking_recall=round(recall, 4),
        calibration=points,
        clustering=rules,
    )
    weights = _weights(bulk, parameters) + assumed.weights(bulk.place.keys())
    return replace(model, weights=tuple(weights))


def _mbits(bits: Floats) -> list[int]:
    return [round(MBITS * float(value)) for value in bits]


def _weights(bulk: Bulk, parameters: Parameters) -> list[Weights]:
    return [
        Weights(
            comparison.name,
            tuple(round(float(value), 9) for value in m),
            tuple(round(float(value), 9) for value in u),
            tuple(_mbits(np.log2(m / u))),
        )
        for comparison, m, u in zip(bulk.comparisons, parameters.m, parameters.u, strict=True)
    ]


def _frequencies(bulk: Bulk, key: bytes) -> dict[str, Frequencies]:
    return {
        name: Frequencies(
            terms.expected,
            terms.rare,
            {term_token(key, name, term): share for term, share in terms.values.items()},
        )
        for name, terms in bulk.terms.items()
    }

"""How good a clustering and its probabilities are, against known answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BOOTSTRAPS = 200
_BINS = 10
_UNSURE = (0.01, 0.99)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Quality:
    """Precision, recall, and their harmonic mean."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 when both are."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    def as_json(self) -> dict[str, float]:
        """The three figures, to four digits."""
        return {
            "precision": round(self.precision, 4),
            "recall": round(self.recall, 4),
            "f1": round(self.f1, 4),
        }


def pair_count(labels: Sequence[Hashable]) -> int:
    """Pairs of items with one label."""
    return sum(count * (count - 1) // 2 for count in Counter(labels).values())


def pairwise(said: int, right: int, true: int) -> Quality:
    """From pairs said to match, how many of them do, and how many truly match."""
    return Quality(right / said if said else 1.0, right / true if true else 1.0)


def cluster_pairs(found: Sequence[Hashable], truth: Sequence[Hashable]) -> Quality:
    """Pairwise precision and recall over all pairs inside clusters."""
    right = pair_count(list(zip(found, truth, strict=True)))
    return pairwise(pair_count(found), right, pair_count(truth))


def b_cubed(found: Sequence[Hashable], truth: Sequence[Hashable]) -> tuple[Floats, Floats]:
    """Per item, B-cubed precision and recall (Bagga and Baldwin, 1998)."""
    sizes, true_sizes = Counter(found), Counter(truth)
    both = Counter(zip(found, truth, strict=True))
    shared = np.array([both[pair] for pair in zip(found, truth, strict=True)], dtype=np.float64)
    return (
        shared / np.array([sizes[label] for label in found]),
        shared / np.array([true_sizes[label] for label in truth]),
    )


def exact_people(found: Sequence[Hashable], truth: Sequence[Hashable]) -> float:
    """Share of true people that were found whole and unmixed."""
    sizes, true_sizes = Counter(found), Counter(truth)
    both = Counter(zip(found, truth, strict=True))
    exact = sum(
        1 for (label, true), count in both.items() if count == sizes[label] == true_sizes[true]
    )
    return exact / len(true_sizes) if true_sizes else 1.0


def best_pairwise(scores: Floats, matches: Flags, true: int) -> Quality:
    """The best F1 that any threshold on the scores reaches; needs the answers."""
    if not len(scores) or not true:
        return Quality(1.0, 0.0)
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(matches[order])
    said = np.arange(1, len(order) + 1)
    last = np.append(np.diff(scores[order]) != 0, [True])
    f1 = np.where(last, 2 * right / (said + true), 0)
    best = int(np.argmax(f1))
    return pairwise(int(said[best]), int(right[best]), true)


def calibration_error(probabilities: Floats, matches: Flags) -> tuple[float, int]:
    """Expected calibration error over ten bins of equal mass, of pairs from .01 to .99.

    Returns the error and how many such pairs there are; 0 when there are none.
    """
    unsure = (probabilities >= _UNSURE[0]) & (probabilities <= _UNSURE[1])
    said, true = probabilities[unsure], matches[unsure].astype(np.float64)
    if not len(said):
        return 0.0, 0
    bins = np.array_split(np.argsort(said, kind="stable"), _BINS)
    off = sum(len(own) * abs(said[own].mean() - true[own].mean()) for own in bins if len(own))
    return float(off / len(said)), len(said)


def log_loss(probabilities: Floats, matches: Flags) -> float:
    """Mean negative log likelihood, natural logarithm."""
    if not len(probabilities):
        return 0.0
    said = np.clip(np.where(matches, probabilities, 1 - probabilities), 1e-9, 1)
    return float(-np.log(said).mean())


def bootstrap(
    found: Sequence[Hashable], truth: Sequence[Hashable], seed: int
) -> dict[str, list[float]]:
    """95 % intervals of B-cubed and cluster-pair F1, resampling true people."""
    people = {label: place for place, label in enumerate(dict.fromkeys(truth))}
    person = np.array([people[label] for label in truth])
    precision, recall = b_cubed(found, truth)
    said, right, true = _pair_shares(found, truth)
    sums = [
        np.bincount(person, weights=values, minlength=len(people))
        for values in (np.ones(len(person)), precision, recall, said, right, true)
    ]
    random = np.random.default_rng(seed)
    b3, pairs = [], []
    for _ in range(_BOOTSTRAPS):
        drawn = np.bincount(random.integers(0, len(people), len(people)), minlength=len(people))
        records, p, r, said_n, right_n, true_n = (float(drawn @ own) for own in sums)
        b3.append(Quality(p / records, r / records).f1)
        pairs.append(
            Quality(right_n / said_n if said_n else 1, right_n / true_n if true_n else 1).f1
        )
    return {"b3_f1": _middle(b3), "cluster_pairs_f1": _middle(pairs)}


def _pair_shares(
    found: Sequence[Hashable], truth: Sequence[Hashable]
) -> tuple[Floats, Floats, Floats]:
    """Per item its share of the pairs said, right and true: others beside it, halved."""
    sizes, true_sizes = Counter(found), Counter(truth)
    both = Counter(zip(found, truth, strict=True))
    return (
        np.array([(sizes[label] - 1) / 2 for label in found]),
        np.array([(both[pair] - 1) / 2 for pair in zip(found, truth, strict=True)]),
        np.array([(true_sizes[label] - 1) / 2 for label in truth]),
    )


def _middle(values: list[float]) -> list[float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return [round(float(low), 4), round(float(high), 4)]

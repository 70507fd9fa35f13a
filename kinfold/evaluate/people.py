"""Matching of person-like records, evaluated: trained without labels, streamed, then compared.

Labels are never read before every record has been scored and clustered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from identity.matching.matcher import Matcher
from identity.matching.model import MatchModel, fingerprint, uncalibrated
from identity.matching.score import Scorer
from identity.matching.training import train
from kinfold.evaluate import metrics

Advance = Callable[[int, int | None], None]


@dataclass(slots=True)
class Streamed:
    """What streaming a file record by record gave; times in milliseconds, churn in records."""

    matcher: Matcher
    latency_ms: list[float]
    churn: list[int]
    stream_s: float


def train_on(
    records: Sequence[Mapping[str, str]], seed: int, step: Callable[[str], None]
) -> tuple[MatchModel, bytes, float]:
    """A model of the records, the key of its tokens, and the seconds it took."""
    key = blake2b(f"evaluate {seed}".encode(), digest_size=16).digest()
    start = time.perf_counter()
    model = train(records, name="evaluation", seed=seed, key=key, step=step)
    return model, key, time.perf_counter() - start


def stream(
    records: Sequence[Mapping[str, str]],
    model: MatchModel,
    key: bytes,
    advance: Callable[[int], None],
) -> Streamed:
    """Give the records to a matcher one at a time, in the file's order."""
    matcher = Matcher(Scorer(model, key), order=lambda record: order_of(key, record))
    latency_ms, churn = [], []
    start = time.perf_counter()
    for number, record in enumerate(records):
        began = time.perf_counter()
        changes = matcher.update({str(number): record})
        latency_ms.append((time.perf_counter() - began) * 1000)
        churn.append(moved(changes.before, changes.after, str(number)))
        if number % 100 == 0:
            advance(number)
    return Streamed(matcher, latency_ms, churn, time.perf_counter() - start)


def order_of(key: bytes, record: str) -> int:
    """The record's 63-bit order digest."""
    return int.from_bytes(blake2b(record.encode(), key=key, digest_size=8).digest()) >> 1


def moved(before: Sequence[frozenset[str]], after: Sequence[frozenset[str]], new: str) -> int:
    """Existing records whose company among existing records is no longer what it was."""
    company = {record: person for person in before for record in person}
    return sum(
        1
        for person in after
        for record in person
        if record != new and company.get(record, frozenset()) != person - {new}
    )


def report(
    streamed: Streamed, model: MatchModel, labels: Sequence[str], train_s: float
) -> dict[str, Any]:
    """Every figure, against the labels: read here, for the first time."""
    matcher = streamed.matcher
    found = [min(matcher.person(str(number))) for number in range(len(labels))]
    mbits, matches = _scored(matcher, labels)
    probabilities = np.array([model.probability(int(m)) for m in mbits])
    raw = np.array([uncalibrated(int(m)) for m in mbits])
    true = metrics.pair_count(labels)
    linked = probabilities >= model.link
    precision, recall = metrics.b_cubed(found, labels)
    error, unsure = metrics.calibration_error(probabilities, matches)
    figures: dict[str, Any] = {
        "records": len(labels),
        "people": len(set(found)),
        "true_people": len(set(labels)),
        "blocking_recall": _r(float(matches.sum()) / true if true else 1.0),
        "blocking_recall_estimated": model.blocking_recall,
        "candidate_pairs": len(matches),
        "pairwise": metrics.pairwise(int(linked.sum()), int(matches[linked].sum()), true).as_json(),
        "pairwise_best": metrics.best_pairwise(mbits, matches, true).as_json(),
        "b3": metrics.Quality(float(precision.mean()), float(recall.mean())).as_json(),
        "cluster_pairs": metrics.cluster_pairs(found, labels).as_json(),
        "exact_people": _r(metrics.exact_people(found, labels)),
        "calibration_error": _r(error),
        "calibration_pairs": unsure,
        "calibration_error_uncalibrated": _r(metrics.calibration_error(raw, matches)[0]),
        "log_loss": round(metrics.log_loss(probabilities, matches), 5),
        "log_loss_uncalibrated": round(metrics.log_loss(raw, matches), 5),
        "intervals": metrics.bootstrap(found, labels, model.seed),
        "model": fingerprint(model),
    }
    return figures | speeds(streamed, train_s)


def speeds(streamed: Streamed, train_s: float) -> dict[str, Any]:
    """Times and churn of a streamed file."""
    churn = np.array(streamed.churn)
    latency = np.array(streamed.latency_ms)
    return {
        "churn": {"mean": _r(float(churn.mean())), "p99": float(np.quantile(churn, 0.99))},
        "train_s": round(train_s, 2),
        "stream_s": round(streamed.stream_s, 2),
        "records_per_s": round(len(churn) / streamed.stream_s, 1),
        "p50_ms": round(float(np.quantile(latency, 0.5)), 3),
        "p99_ms": round(float(np.quantile(latency, 0.99)), 3),
    }


def _scored(matcher: Matcher, labels: Sequence[str]) -> tuple[metrics.Floats, metrics.Flags]:
    """Match weight and truth of every scored pair, each pair once."""
    mbits: list[int] = []
    matches: list[bool] = []
    for number, label in enumerate(labels):
        for other, weight in matcher.links(str(number)).items():
            if int(other) < number:
                mbits.append(weight)
                matches.append(labels[int(other)] == label)
    return np.array(mbits, dtype=np.float64), np.array(matches, dtype=np.bool_)


def _r(value: float) -> float:
    return round(value, 4)

"""Matching of person-like records, evaluated: trained without labels, streamed, then compared.

Labels are never read before every record has been scored and clustered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from identity.matching.model import MatchModel, fingerprint, uncalibrated
from identity.matching.training import train
from kinfold.evaluate import metrics
from kinfold.evaluate.streaming import Streamed


def train_on(
    records: Sequence[Mapping[str, str]], seed: int, key: bytes, step: Callable[[str], None]
) -> tuple[MatchModel, float]:
    """A model of the records, its terms keyed with `key`, and the seconds it took."""
    start = time.perf_counter()
    model = train(records, name="evaluation", seed=seed, key=key, step=step)
    return model, time.perf_counter() - start


def report(
    streamed: Streamed, model: MatchModel, labels: Sequence[str], train_s: float
) -> dict[str, Any]:
    """Every figure, against the labels: read here, for the first time."""
    found = streamed.people
    mbits, matches = _scored(streamed, labels)
    probabilities = np.array([model.probability(int(m)) for m in mbits])
    raw = np.array([uncalibrated(int(m)) for m in mbits])
    true = metrics.pair_count(labels)
    linked = probabilities >= model.link
    precision, recall = metrics.b_cubed(found, labels)
    error, unsure = metrics.calibration_error(probabilities, matches)
    figures: dict[str, Any] = {
        "records": len(labels),
        "refused": streamed.refused,
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


def _scored(streamed: Streamed, labels: Sequence[str]) -> tuple[metrics.Floats, metrics.Flags]:
    """Match weight and truth of every scored pair."""
    mbits = np.fromiter(streamed.links.values(), dtype=np.float64, count=len(streamed.links))
    matches = [labels[low] == labels[high] for low, high in streamed.links]
    return mbits, np.array(matches, dtype=np.bool_)


def _r(value: float) -> float:
    return round(value, 4)

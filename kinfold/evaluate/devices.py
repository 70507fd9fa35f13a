"""Matching of devices, evaluated: learnt without answers, then compared with them.

The answers are not looked at before every pair has been scored and clustered.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from identity.matching.devices.linking import Linked, link
from identity.matching.devices.model import DeviceModel, fingerprint
from identity.matching.devices.training import TooFewDevices, train
from identity.matching.model import uncalibrated
from kinfold.evaluate import devices_baseline, metrics
from kinfold.evaluate.devices_reading import DESKTOP, PHONE, Study, read
from kinfold.evaluate.reading import NotEvaluable

_BOOTSTRAPS = 500
_KEY = b"kinfold evaluate"

Pair = tuple[str, str]


def evaluate(events: Path, about: Path, truth: Path, seed: int) -> dict[str, Any]:
    """Read, learn, link, compare. Raises NotEvaluable when a file is not what was said.

    `pairwise` is over pairs of a phone and a desktop that ended in one person,
    at the default threshold; `baseline` what TF-IDF cosine on (network, day)
    with mutual best makes of the same events, in the same form.
    """
    return judge(read(events, about, truth), events.name, seed)


def judge(study: Study, name: str, seed: int) -> dict[str, Any]:
    """Learn, link, compare."""
    devices = study.devices()
    started = time.perf_counter()
    try:
        model = train(devices, name=name, seed=seed, key=_KEY)
    except TooFewDevices as error:
        raise NotEvaluable(f"{name}: {error}") from None
    trained = time.perf_counter()
    linked = link(devices, model, _KEY)
    score_s = time.perf_counter() - trained
    figures = report(study, linked, seed)
    return figures | {
        "model": fingerprint(model),
        "weights_bits": _weights(model),
        "train_s": round(trained - started, 3),
        "score_s": round(score_s, 3),
    }


def report(study: Study, linked: Linked, seed: int) -> dict[str, Any]:
    """All figures that need the answers."""
    true = study.true_pairs()
    found = paired(linked.people, study)
    said = {
        pair: (chance, uncalibrated(linked.weights[ends]))
        for ends, chance in linked.chances.items()
        for pair in paired([ends], study)
    }
    chances, raw = np.array(list(said.values())).reshape(-1, 2).T
    matches = np.array([pair in true for pair in said], dtype=np.bool_)
    error, unsure = metrics.calibration_error(chances, matches)
    return {
        "devices": len(study.sightings),
        "true_pairs": len(true),
        "linked_pairs": len(found),
        "people": len(linked.people),
        "candidate_pairs": len(said),
        "skipped_blocks": linked.skipped_blocks,
        "blocking_recall": _share(int(matches.sum()), len(true)),
        "pairwise": quality(found, true).as_json(),
        "pairwise_best": metrics.best_pairwise(chances, matches, len(true)).as_json(),
        "baseline": _baseline(study, true, devices_baseline.network_day),
        "baseline_network_site": _baseline(study, true, devices_baseline.network_and_site),
        "calibration_error": round(error, 4),
        "calibration_pairs": unsure,
        "log_loss": round(metrics.log_loss(chances, matches), 5),
        "log_loss_uncalibrated": round(metrics.log_loss(raw, matches), 5),
        "interval_f1": _interval(found, true, study, seed),
    }


def paired(people: Iterable[Collection[str]], study: Study) -> set[Pair]:
    """Pairs of a phone and a desktop in one person, the phone first."""
    return {
        (phone, desktop)
        for person in people
        for phone in person
        for desktop in person
        if study.types[phone] == PHONE and study.types[desktop] == DESKTOP
    }


def quality(found: Collection[Pair], true: Collection[Pair]) -> metrics.Quality:
    """Pairwise precision and recall of the pairs found."""
    return metrics.pairwise(len(found), len(set(found) & set(true)), len(true))


def _baseline(
    study: Study, true: Collection[Pair], terms: devices_baseline.Terms
) -> dict[str, float]:
    return quality(devices_baseline.mutual_best(study, terms), true).as_json()


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 1.0


def _interval(found: set[Pair], true: Collection[Pair], study: Study, seed: int) -> list[float]:
    """95 % interval of F1, drawing phones anew: each brings what was said of it and is true."""
    phones = sorted(key for key, own in study.types.items() if own == PHONE)
    said = np.array([sum(1 for pair in found if pair[0] == key) for key in phones])
    right = np.array(
        [sum(1 for pair in found if pair[0] == key and pair in true) for key in phones]
    )
    own = np.array([sum(1 for pair in true if pair[0] == key) for key in phones])
    if not phones:
        return [0.0, 0.0]
    random = np.random.default_rng(seed)
    drawn = random.integers(0, len(phones), (_BOOTSTRAPS, len(phones)))
    f1 = [
        metrics.pairwise(int(said[at].sum()), int(right[at].sum()), int(own[at].sum())).f1
        for at in drawn
    ]
    low, high = np.quantile(f1, [0.025, 0.975])
    return [round(float(low), 4), round(float(high), 4)]


def _weights(model: DeviceModel) -> dict[str, list[float]]:
    return {own.name: [bits / 1000 for bits in own.mbits] for own in model.comparisons}

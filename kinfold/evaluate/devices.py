"""Matching of devices, evaluated: learnt without answers, then compared with them.

The answers are not looked at before every pair has been scored and clustered.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from identity.matching.devices.device import Device
from identity.matching.devices.linking import DeviceLink, Scored, people, score
from identity.matching.devices.model import DeviceModel, fingerprint
from identity.matching.devices.training import TooFewDevices, train
from kinfold.evaluate import devices_baseline, metrics
from kinfold.evaluate.devices_reading import DESKTOP, PHONE, Study, read
from kinfold.evaluate.reading import NotEvaluable

_BOOTSTRAPS = 500

Pair = tuple[str, str]


def evaluate(events: Path, about: Path, truth: Path, seed: int) -> dict[str, Any]:
    """Read, learn, link, compare. Raises NotEvaluable when a file is not what was said.

    `pairwise` is over pairs of a phone and a desktop that ended in one person,
    at the default threshold; `baseline` what TF-IDF cosine on (network, day)
    with mutual best makes of the same events, in the same form.
    """
    study = read(events, about, truth)
    devices = study.devices()
    started = time.perf_counter()
    try:
        model = train(devices, name=events.name, seed=seed)
    except TooFewDevices as error:
        raise NotEvaluable(f"{events.name}: {error}") from None
    trained = time.perf_counter()
    scored = score(devices, model)
    score_s = time.perf_counter() - trained
    figures = report(study, devices, scored, seed)
    return figures | {
        "model": fingerprint(model),
        "weights_bits": _weights(model),
        "train_s": round(trained - started, 3),
        "score_s": round(score_s, 3),
    }


def report(study: Study, devices: Sequence[Device], scored: Scored, seed: int) -> dict[str, Any]:
    """All figures that need the answers."""
    true = study.true_pairs()
    found = linked_pairs(devices, scored.links)
    pairs = _phone_and_desktop((*scored.links, *scored.below), devices)
    chances = np.array([link.probability for _, link in pairs])
    matches = np.array([pair in true for pair, _ in pairs], dtype=np.bool_)
    error, unsure = metrics.calibration_error(chances, matches)
    return {
        "devices": len(devices),
        "true_pairs": len(true),
        "linked_pairs": len(found),
        "people": len(people(devices, scored.links)),
        "candidate_pairs": len(pairs),
        "skipped_blocks": scored.skipped_blocks,
        "blocking_recall": _share(int(matches.sum()), len(true)),
        "pairwise": quality(found, true).as_json(),
        "pairwise_best": metrics.best_pairwise(chances, matches, len(true)).as_json(),
        "baseline": _baseline(study, true, devices_baseline.network_day),
        "baseline_network_site": _baseline(study, true, devices_baseline.network_and_site),
        "calibration_error": round(error, 4),
        "calibration_pairs": unsure,
        "log_loss": round(metrics.log_loss(chances, matches), 5),
        "interval_f1": _interval(found, true, study, seed),
    }


def linked_pairs(devices: Sequence[Device], links: Sequence[DeviceLink]) -> set[Pair]:
    """Pairs of a phone and a desktop that ended in one person, the phone first."""
    types = {device.key: device.type for device in devices}
    return {
        (phone, desktop)
        for person in people(devices, links)
        for phone in person
        for desktop in person
        if types[phone] == PHONE and types[desktop] == DESKTOP
    }


def quality(found: Collection[Pair], true: Collection[Pair]) -> metrics.Quality:
    """Pairwise precision and recall of the pairs found."""
    return metrics.pairwise(len(found), len(set(found) & set(true)), len(true))


def _phone_and_desktop(
    links: Sequence[DeviceLink], devices: Sequence[Device]
) -> list[tuple[Pair, DeviceLink]]:
    types = {device.key: device.type for device in devices}
    return [
        ((low, high) if types[low] == PHONE else (high, low), link)
        for link in links
        for low, high in ((link.low, link.high),)
        if {types[low], types[high]} == {PHONE, DESKTOP}
    ]


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

"""From records to a model that is kept: trained or calibrated, tried on the same records, told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identity.matching.model import MatchModel, uncalibrated
from identity.matching.recalibration import held_out, recalibrate
from identity.matching.training import train
from kinfold.evaluate import metrics
from kinfold.evaluate.reading import NotEvaluable
from kinfold.modelling.card import card_of, data_of
from kinfold.modelling.groups import groups_of, rates
from kinfold.modelling.resolving import Resolved, resolve
from kinfold.modelling.sources import Source

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Made:
    """A new model with its card, and what it makes of its own records."""

    model: MatchModel
    card: dict[str, Any]
    resolved: Resolved


def group_names(source: Source, column: str | None) -> list[str] | None:
    """Each record's group in a column; None without one.

    Raises:
        NotEvaluable: there is no such column.
        NoGroups: it holds no groups.
    """
    return None if column is None else groups_of(source.column(column))


def trained(
    source: Source, *, name: str, seed: int, key: bytes, step: Callable[[str], None]
) -> MatchModel:
    """A model of the source's records, learnt without answers.

    Raises:
        TooLittle: there is nothing to learn from.
    """
    return train(source.records, name=name, seed=seed, key=key, step=step)


def with_thresholds(model: MatchModel, link: float | None, review: float | None) -> MatchModel:
    """The model with other thresholds, where given.

    Raises:
        NotEvaluable: they are no probabilities, or more would link than be reviewed.
    """
    changed = replace(
        model,
        link=model.link if link is None else link,
        review=model.review if review is None else review,
    )
    if not 0 < changed.review <= changed.link < 1:
        raise NotEvaluable("--review and --link are probabilities, --review not above --link")
    return changed


def described(
    model: MatchModel,
    source: Source,
    key: bytes,
    *,
    date: str,
    made_by: str,
    group: tuple[str, list[str]] | None,
    measured: dict[str, Any] | None = None,
    advance: Advance,
) -> Made:
    """The model with its card: the records are resolved under it, and counted.

    `group` is the column and each record's group; `measured` what calibration
    with answers gave.
    """
    resolved = resolve(source.records, model, key, advance)
    groups = rates(*group, resolved, model) if group is not None else None
    data = data_of(source.name, source.records)
    card = card_of(
        model, resolved, data=data, date=date, made_by=made_by, groups=groups, calibrated=measured
    )
    return Made(model, card, resolved)


def calibrated(
    model: MatchModel, source: Source, resolved: Resolved, labels: list[str] | None
) -> tuple[MatchModel, dict[str, Any]]:
    """The model refitted to labels, or to what staff decided; and what that measured.

    The errors after are of pairs held out of the fit, in five parts.

    Raises:
        TooFewAnswers: no pairs that match, or none that do not, have an answer.
    """
    known, matches = _answers(source, resolved, labels)
    mbits, before = resolved.mbits[known], resolved.probability[known]
    fitted = recalibrate(model, mbits, matches)
    after = held_out(model, mbits, matches)
    raw = np.array([uncalibrated(int(one)) for one in mbits])
    measured: dict[str, Any] = {
        "from": "labels" if labels is not None else "decisions of staff",
        "pairs": len(mbits),
        "matches": int(matches.sum()),
    }
    for name, said in (("before", before), ("after", after), ("uncalibrated", raw)):
        error, _ = metrics.calibration_error(said, matches)
        measured[f"calibration_error_{name}"] = round(error, 4)
        measured[f"log_loss_{name}"] = round(metrics.log_loss(said, matches), 5)
    return fitted, measured


def _answers(
    source: Source, resolved: Resolved, labels: list[str] | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which scored pairs have an answer, contradictions left out, and these answers."""
    usable = ~resolved.held_apart
    if labels is not None:
        codes = {label: code for code, label in enumerate(dict.fromkeys(labels))}
        person = np.array([codes[label] for label in labels], dtype=np.int64)
        told = np.array([label != "" for label in labels], dtype=np.bool_)
        known = usable & told[resolved.left] & told[resolved.right]
        return known, (person[resolved.left] == person[resolved.right])[known]
    pairs = zip(resolved.left.tolist(), resolved.right.tolist(), strict=True)
    said = [source.decided.get(pair) for pair in pairs]
    known = usable & np.array([own is not None for own in said], dtype=np.bool_)
    return known, np.array([own is True for own in said], dtype=np.bool_)[known]

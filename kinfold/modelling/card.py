"""A model card: where a match model came from, what was measured, what is known against it.

A card holds counts, rates, names of columns and of groups: no value of a record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from identity.matching.attributes import ATTRIBUTES
from identity.matching.comparisons import comparison_of
from identity.matching.estimates import THRESHOLDS, at_threshold, histogram
from identity.matching.model import MBITS, MatchModel, Weights
from kinfold.modelling.resolving import Resolved

_FEW_RECORDS = 1_000
_SURE = (0.01, 0.99)
_OF_ONE_PERSON = {"given": "the given name", "birth_date": "the birth date"}
_DIFFERING = 0.25
"""In published sets with answers, models find these to differ in at most 16 % of the pairs that
are one person; a model that finds many more took the people of a household for one."""


def card_of(
    model: MatchModel,
    resolved: Resolved,
    *,
    data: Mapping[str, Any],
    date: str,
    made_by: str,
    groups: Any = None,
    calibrated: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The card of a model that was just made.

    - `data`: name, records and share of records that hold each attribute.
    - `date`: of the making, ISO 8601.
    - `made_by`: the verb, and the model that it started from.
    - `groups`: rates by group (`kinfold.modelling.groups.rates`).
    - `calibrated`: what calibration with answers measured; None: without answers.
    """
    thresholds = sorted({*THRESHOLDS, model.link, model.review})
    return {
        "kind": "records",
        "data": dict(data),
        "date": date,
        "made_by": made_by,
        "resolved": _resolved(model, resolved),
        "histogram": [own._asdict() for own in histogram(resolved.mbits, resolved.probability)],
        "at_thresholds": [
            at_threshold(own, resolved.probability, model.blocking_recall)._asdict()
            for own in thresholds
        ],
        "calibration": dict(calibrated or {"from": "who ended up together, without answers"}),
        "groups": groups,
        "limits": limits(model, data, calibrated is not None),
    }


def data_of(name: str, records: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """What a card says of the records: how many, and the share that holds each attribute."""
    held: dict[str, int] = {}
    for record in records:
        for attribute in record:
            held[attribute] = held.get(attribute, 0) + 1
    shares = {name: round(count / len(records), 4) for name, count in sorted(held.items())}
    return {"name": name, "records": len(records), "attributes": shares}


def _resolved(model: MatchModel, resolved: Resolved) -> dict[str, Any]:
    probability = resolved.probability
    linked = probability >= model.link
    review = (probability >= model.review) & ~linked
    sizes = np.bincount(resolved.person)
    sizes = sizes[sizes > 0]
    return {
        "people": len(sizes),
        "largest": int(sizes.max(initial=0)),
        "alone": int((sizes == 1).sum()),
        "pairs": len(probability),
        "link": int(linked.sum()),
        "review": int(review.sum()),
        "leave": int((~linked & ~review & ~resolved.held_apart).sum()),
        "held_apart": int(resolved.held_apart.sum()),
        "linked_but_not_together": int((linked & ~resolved.together).sum()),
        "expected_matches": round(float(probability.sum()), 1),
        "unsure": int(((probability >= _SURE[0]) & (probability <= _SURE[1])).sum()),
    }


def limits(model: MatchModel, data: Mapping[str, Any], has_answers: bool) -> list[str]:
    """What is known against the model, each in a sentence."""
    found = []
    if not has_answers:
        found.append(
            "No answers were used: precision, recall and calibration are the model's own"
            " estimates, read from whom it put together."
        )
    lost = 1 - model.blocking_recall
    found.append(
        f"About {lost:.1%} of the likely pairs share no blocking key and are never compared;"
        " blocks over their bound compare nobody."
    )
    found += doubts(model)
    if model.records < _FEW_RECORDS:
        found.append(
            f"Learnt from {model.records:,} records only: weights of rare levels are rough."
        )
    unseen = sorted(ATTRIBUTES - set(data.get("attributes", {})))
    if unseen:
        found.append(f"Never seen in training, so they weigh nothing: {', '.join(unseen)}.")
    found.append("It works only with the keys of the home folder in which it was learnt.")
    return found


def doubts(model: MatchModel) -> list[str]:
    """Why a model may have learnt something else than who is one person, each in a sentence."""
    differ = {
        _OF_ONE_PERSON[own.name]: level["m"]
        for own in model.weights
        if own.name in _OF_ONE_PERSON
        for level in levels_of(own)
        if level["level"] == "different" and level["m"] > _DIFFERING
    }
    if not differ:
        return []
    told = " and ".join(f"{words} differs in {m:.0%}" for words, m in differ.items())
    learnt = "it may have learnt households instead of people, and join those who live together"
    return [f"Of the pairs it takes for one person {told}: {learnt}."]


def frequencies_of(model: MatchModel) -> list[dict[str, Any]]:
    """Term frequencies in short: how many values are kept, and how far rare and common weigh."""
    found = []
    for name, terms in sorted(model.frequencies.items()):
        most = max(terms.values.values(), default=terms.rare)
        found.append(
            {
                "comparison": name,
                "values": len(terms.values),
                "expected": terms.expected,
                "rare_bits": round(float(np.log2(terms.expected / terms.rare)), 2),
                "commonest_bits": round(float(np.log2(terms.expected / most)), 2),
            }
        )
    return found


def levels_of(weights: Weights) -> list[dict[str, Any]]:
    """A comparison's levels in words, with m, u and bits; "missing" weighs nothing: left out."""
    words = comparison_of(weights.name).levels
    return [
        {"level": level, "m": m, "u": u, "bits": mbits / MBITS}
        for level, m, u, mbits in zip(words, weights.m, weights.u, weights.mbits, strict=True)
    ][1:]


def card_json(pin: str, model: MatchModel, card: Mapping[str, Any]) -> dict[str, Any]:
    """The whole card as data: the model's parameters, and what its card tells."""
    return {
        "model": pin,
        "name": model.name,
        "records": model.records,
        "seed": model.seed,
        "day_first": model.day_first,
        "prior_bits": model.prior_mbits / MBITS,
        "thresholds": {"link": model.link, "review": model.review},
        "comparisons": [
            {"comparison": own.name, "levels": levels_of(own)} for own in model.weights
        ],
        "joints": [
            {"left": own.left, "right": own.right, "bits": [bits / MBITS for bits in own.mbits]}
            for own in model.joints
        ],
        "frequencies": frequencies_of(model),
        "blocking": [
            {
                "rule": list(own.rule), "bound": own.bound, "pairs": own.pairs,
                "likely": own.likely,
            }
            for own in model.blocking
        ],
        "blocking_recall": model.blocking_recall,
        "calibration_points": [
            {"bits": mbits / MBITS, "probability": share} for mbits, share in model.calibration
        ],
        "card": dict(card),
    }  # fmt: skip

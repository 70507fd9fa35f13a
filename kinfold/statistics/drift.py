"""Drift: how far what comes in now lies from what the model in force was made of.

The population stability index of two distributions p (now) and q (then) is the
sum over bands of (p - q) ln(p / q), as in N. Siddiqi, "Credit Risk Scorecards",
Wiley 2006, chapter 9: below 0.1 nothing moved, from 0.25 on it is another
population.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

import polars as pl

from identity.model import RECORD_KIND
from kinfold.statistics.figure import CELLS, Figure, Shape, Spec
from kinfold.statistics.gathered import Gathered
from kinfold.statistics.insight import Scoring
from kinfold.statistics.scores import LAST_BITS, STEP_BITS, scored_by

SCORES = "match weights"
_LEAST = 1e-4
_TO_NEAREST = 5
"""A thousandth more or less tells of one record; nobody decides by it."""
DRIFT = Spec(
    "drift",
    "Drift against the model in force",
    "How far match weights, and the share of records that hold each attribute, lie from those "
    "the model for records was made of.",
    "Population stability index times 1,000 against the model's card, to the nearest 5: below 100 "
    "nothing moved, from 100 on it moved, from 250 on it is another population and the model "
    "should be made anew. Match weights above 0 by bands of two bits, as in "
    "`score_distribution`, a band that too few people show being one with the next; attributes "
    "held or not, as in `record_attributes`: what fewer people than the minimum hold counts as "
    "held by nobody, and what fewer records than that held when the model was made is left out.",
    Shape.SPREAD,
    "thousandths of PSI",
    group="model",
    part="what",
    marks=(100, 250),
)


def figure(gathered: Gathered, models: tuple[Scoring, ...], minimum: int) -> Figure:
    """The figure."""
    rows = [
        (model.title, what, people, _thousandths(index), _thousandths(index), 1)
        for model in models
        if RECORD_KIND in model.kinds
        for what, people, index in [
            *_weights(gathered, model, minimum),
            *_attributes(gathered, model, minimum),
        ]
        if people
    ]
    return Figure(DRIFT, pl.DataFrame(rows, schema=CELLS, orient="row"))


def _weights(gathered: Gathered, model: Scoring, minimum: int) -> Iterator[tuple[str, int, float]]:
    pairs = scored_by(gathered, model)
    bands = pairs.group_by("part").agg(pairs=pl.len(), people=pl.col("person").n_unique())
    now = {part: (count, people) for part, count, people in bands.rows()}
    if then := _weights_then(model):
        yield SCORES, pairs["person"].n_unique(), psi(*_merged(now, then, minimum))


def _merged(
    now: Mapping[str, tuple[int, int]], then: Mapping[str, int], minimum: int
) -> tuple[dict[str, int], dict[str, int]]:
    """Pairs by band now and then; a band that too few show, then or now, is one with the next."""
    wide_now: dict[str, int] = {}
    wide_then: dict[str, int] = {}
    last, count, people, before = "", 0, 0, 0
    for part in sorted({*now, *then}, key=lambda part: int(re.split(r"\D", part)[0])):
        more, others = now.get(part, (0, 0))
        count, people, before = count + more, max(people, others), before + then.get(part, 0)
        if people >= minimum and before >= minimum:
            last, wide_now[part], wide_then[part] = part, count, before
            count, people, before = 0, 0, 0
    if last:
        wide_now[last] += count
        wide_then[last] += before
    return wide_now, wide_then


def _weights_then(model: Scoring) -> dict[str, int]:
    """Pairs by band of bits when the model was made."""
    found: dict[str, int] = {}
    for one in model.card.get("histogram", []):
        start = one["from_bits"]
        if start is not None and start >= 0:
            last = start >= LAST_BITS
            name = f"{LAST_BITS}+" if last else f"{start}-{start + STEP_BITS - 1}"
            found[name] = found.get(name, 0) + one["pairs"]
    return found


def _attributes(
    gathered: Gathered, model: Scoring, minimum: int
) -> Iterator[tuple[str, int, float]]:
    own = gathered.nodes.select("node", "person")
    records = gathered.said.join(own, on="node")
    everybody = records["person"].n_unique()
    held = records.explode("attributes").group_by("attributes")
    holders = {
        name: count if people >= minimum else 0
        for name, count, people in held.agg(
            records=pl.len(), people=pl.col("person").n_unique()
        ).rows()
    }
    made_of = model.card.get("data", {})
    for name, share in sorted(made_of.get("attributes", {}).items()):
        if records.height and share * made_of["records"] >= minimum:
            has = holders.get(name, 0)
            now = {"held": has, "not": records.height - has}
            yield name, everybody, psi(now, {"held": share, "not": 1 - share})


def psi(now: Mapping[str, float], then: Mapping[str, float]) -> float:
    """The population stability index over the bands of `now`; both may be counts or shares."""
    all_now, all_then = sum(now.values()), sum(then.values())
    if not all_now or not all_then:
        return 0.0
    total = 0.0
    for band, count in now.items():
        p = max(count / all_now, _LEAST)
        q = max(then[band] / all_then, _LEAST)
        total += (p - q) * math.log(p / q)
    return total


def _thousandths(index: float) -> int:
    return round(index * 1_000 / _TO_NEAREST) * _TO_NEAREST

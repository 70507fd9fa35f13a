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
from kinfold.statistics.cells import Held
from kinfold.statistics.figure import CELLS, GROUP_END, Figure, Shape, Spec, sums
from kinfold.statistics.gathered import Gathered
from kinfold.statistics.insight import Scoring
from kinfold.statistics.pairs import pair_sums
from kinfold.statistics.scores import LAST_BITS, STEP_BITS, scored_by

SCORES = "match weights"
HELD, LACKED = "held", "not held"
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
    "held or not, as in `record_attributes`: what fewer people than the minimum hold, or lack, "
    "counts as held by nobody, or by all, and what fewer records than that held when the model "
    "was made is left out. Each band holds its count as other figures do.",
    Shape.INDEX,
    "thousandths of PSI",
    group="model",
    part="what",
    marks=(100, 250),
)


def figure(gathered: Gathered, models: tuple[Scoring, ...], minimum: int) -> Figure:
    """The figure: bands of each of what is looked at, now, and the index against the card."""
    cells = [pl.DataFrame(schema=CELLS)]
    then: dict[str, Mapping[str, float]] = {}
    for model in models:
        if RECORD_KIND in model.kinds:
            weights = _weights_then(model)
            if weights:
                group = f"{model.title}{GROUP_END}{SCORES}"
                then[group] = weights
                pairs = scored_by(gathered, model).with_columns(group=pl.lit(group))
                cells.append(pair_sums(pairs, minimum))
            cells += _attributes(gathered, model, minimum, then)

    def index(group: str, bands: Mapping[str, Held]) -> int | None:
        before = then.get(group)
        if before is None:
            return None
        is_weights = group.endswith(GROUP_END + SCORES)
        return _of_weights(bands, before, minimum) if is_weights else _held(bands, before, minimum)

    return Figure(DRIFT, pl.concat(cells), index=index)


def _of_weights(bands: Mapping[str, Held], then: Mapping[str, float], minimum: int) -> int:
    now = {part: (numbers.value, numbers.people) for part, numbers in bands.items()}
    return _thousandths(psi(*_merged(now, then, minimum)))


def _held(bands: Mapping[str, Held], then: Mapping[str, float], minimum: int) -> int:
    every = sum(numbers.value for numbers in bands.values())
    now = dict.fromkeys((HELD, LACKED), 0)
    now |= {part: band.value for part, band in bands.items() if band.people >= minimum}
    if min(now.values()) == 0:
        now = {part: every if count else 0 for part, count in now.items()}
    return _thousandths(psi(now, then))


def _merged(
    now: Mapping[str, tuple[int, int]], then: Mapping[str, float], minimum: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Pairs by band now and then; a band that too few show, then or now, is one with the next."""
    wide_now: dict[str, float] = {}
    wide_then: dict[str, float] = {}
    last, count, people, before = "", 0, 0, 0.0
    for part in sorted({*now, *then}, key=lambda part: int(re.split(r"\D", part)[0])):
        more, others = now.get(part, (0, 0))
        count, people, before = count + more, max(people, others), before + then.get(part, 0)
        if people >= minimum and before >= minimum:
            last, wide_now[part], wide_then[part] = part, count, before
            count, people, before = 0, 0, 0.0
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
    gathered: Gathered, model: Scoring, minimum: int, then: dict[str, Mapping[str, float]]
) -> Iterator[pl.DataFrame]:
    """Bands of each attribute that the model was made of; what they were then goes into `then`."""
    own = gathered.nodes.select("node", "person")
    records = gathered.said.join(own, on="node")
    made_of = model.card.get("data", {})
    for name, share in sorted(made_of.get("attributes", {}).items()):
        if records.height and share * made_of["records"] >= minimum:
            group = f"{model.title}{GROUP_END}{name}"
            then[group] = {HELD: share, LACKED: 1 - share}
            held = pl.when(pl.col("attributes").list.contains(name)).then(pl.lit(HELD))
            told = records.select(
                "person", part=held.otherwise(pl.lit(LACKED)), n=pl.lit(1, pl.Int64)
            )
            yield sums(told, minimum, group=pl.lit(group), part=pl.col("part"))


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

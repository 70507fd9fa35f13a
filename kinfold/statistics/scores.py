"""Figures of scored links: how they are distributed, and what staff's decisions say of them."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from kinfold.statistics.figure import Figure, Shape, Spec
from kinfold.statistics.gathered import Gathered
from kinfold.statistics.insight import Scoring
from kinfold.statistics.pairs import PAIRS, pair_sums

MBITS = 1_000
STEP_BITS, LAST_BITS = 2, 20
_TENTHS = 10
_BOTH = ("person", "other", "low", "high")
SAME, NOT_SAME = "the same", "not the same"
TOGETHER, APART = "of one person", "of two people"
DISTRIBUTION = Spec(
    "score_distribution",
    "Scored links by match weight",
    "Pairs that a match model finds alike, by how many bits speak for it.",
    "Pairs with a weight above 0 under the model that the graph is resolved with, by model and by "
    "whether they are one person now. A band of 4-5 bits is from 4 to just under 6. A pair is "
    "both people's, and is taken only while neither stands in more than the cap.",
    Shape.SUMS,
    "pairs",
    group="model and whose",
    part="bits",
)
CALIBRATION = Spec(
    "calibration",
    "Probabilities against decisions",
    "Of the pairs that staff decided, those that are the same, by the probability the model gave.",
    "Decisions in force on pairs with a weight above 0, by tenths of the model's calibrated "
    "probability. A model is well calibrated where the share that is the same lies within the "
    "tenth. Staff see doubtful pairs first, so the tenths are no sample of all pairs; within a "
    "tenth they are a fair one.",
    Shape.SUMS,
    "decided pairs",
    group="model and probability",
    part="decision",
    order=(SAME, NOT_SAME),
    shares=True,
)
VERDICTS = Spec(
    "decided_pairs",
    "What the model makes of decided pairs",
    "Pairs that staff decided, by whether the model alone would have linked them.",
    "Decisions in force on two of a kind that the model compares. Linked: from the model's "
    "threshold on; a pair that the model never compared is not linked. Precision is linked and "
    "the same over all linked; recall is linked and the same over all that are the same. Both "
    "are of decided pairs only.",
    Shape.SUMS,
    "decided pairs",
    group="model and verdict",
    part="decision",
    order=(SAME, NOT_SAME),
    shares=True,
)


def figures(gathered: Gathered, models: tuple[Scoring, ...], minimum: int) -> Iterator[Figure]:
    """Every figure of this module."""
    pairs = _pairs(gathered)
    told = [_distribution(pairs, model) for model in models]
    yield _summed(DISTRIBUTION, told, minimum)
    decided = in_force(gathered)
    answered = [_answered(gathered, decided, pairs, model) for model in models]
    calibrated = [_calibrated(frame, model) for frame, model in zip(answered, models, strict=True)]
    yield _summed(CALIBRATION, calibrated, minimum)
    judged = [_judged(frame, model) for frame, model in zip(answered, models, strict=True)]
    yield _summed(VERDICTS, judged, minimum)


def _summed(spec: Spec, told: list[pl.DataFrame], minimum: int) -> Figure:
    return Figure(spec, pair_sums(pl.concat([pl.DataFrame(schema=PAIRS), *told]), minimum))


def ends(gathered: Gathered, pairs: pl.DataFrame, left: str, right: str) -> pl.DataFrame:
    """Pairs of somebody's nodes with both ends' kind and person, and low and high as in `PAIRS`."""
    own = gathered.nodes.select("node", "person", "kind", "account").join(
        gathered.places, on="node", how="left"
    )
    return (
        pairs.join(own, left_on=left, right_on="node")
        .join(own, left_on=right, right_on="node", suffix="_right")
        .with_columns(
            other="person_right",
            low=pl.min_horizontal("place", "place_right"),
            high=pl.max_horizontal("place", "place_right"),
        )
    )


def _pairs(gathered: Gathered) -> pl.DataFrame:
    """Scored links with their ends; mbits."""
    return ends(gathered, gathered.scored, "left", "right")


def linked(gathered: Gathered, models: tuple[Scoring, ...]) -> pl.DataFrame:
    """Person of the scored links inside people that a model alone links."""
    pairs = _pairs(gathered).filter(pl.col("person") == pl.col("person_right"))
    told = [
        pairs.filter(_of(model) & (pl.col("mbits") >= model.link_mbits)).select("person")
        for model in models
    ]
    return pl.concat([pairs.clear().select("person"), *told])


def _of(model: Scoring) -> pl.Expr:
    return pl.col("kind").cast(pl.String).is_in(sorted(model.kinds))


def _distribution(pairs: pl.DataFrame, model: Scoring) -> pl.DataFrame:
    one = pl.col("person") == pl.col("person_right")
    whose = pl.when(one).then(pl.lit(TOGETHER)).otherwise(pl.lit(APART))
    return pairs.filter(_of(model)).select(
        *_BOTH, group=pl.concat_str(pl.lit(model.title + ", "), whose), part=band(pl.col("mbits"))
    )


def scored_by(gathered: Gathered, model: Scoring) -> pl.DataFrame:
    """`PAIRS` that a model scored, by band of bits; the group is for the caller to name."""
    return _distribution(_pairs(gathered), model)


def band(mbits: pl.Expr) -> pl.Expr:
    """A weight above 0 as its band of bits: `0-1`, `2-3`, …, `20+`."""
    start = mbits // (STEP_BITS * MBITS) * STEP_BITS
    name = pl.concat_str(start.cast(pl.String), pl.lit("-"), (start + 1).cast(pl.String))
    return pl.when(start >= LAST_BITS).then(pl.lit(f"{LAST_BITS}+")).otherwise(name)


def in_force(gathered: Gathered) -> pl.DataFrame:
    """low, high and same of the decision in force of each pair: the latest."""
    return (
        gathered.decisions.drop_nulls(["left", "right"])
        .with_columns(
            low=pl.min_horizontal("left", "right"), high=pl.max_horizontal("left", "right")
        )
        .sort("decided_us", ~pl.col("same"), "digest", descending=[True, True, False])
        .unique(["low", "high"], keep="first", maintain_order=True)
        .select("low", "high", "same")
    )


def _answered(
    gathered: Gathered, decided: pl.DataFrame, pairs: pl.DataFrame, model: Scoring
) -> pl.DataFrame:
    """Both ends, part (same or not) and mbits (null: no weight above 0) of decided pairs that
    the model compares.
    """
    weights = pairs.select(
        "mbits", less=pl.min_horizontal("left", "right"), more=pl.max_horizontal("left", "right")
    )
    named = decided.select("same", less="low", more="high")
    return (
        ends(gathered, named, "less", "more")
        .filter(_of(model) & pl.col("kind_right").cast(pl.String).is_in(sorted(model.kinds)))
        .join(weights, on=["less", "more"], how="left")
        .select(*_BOTH, "mbits", part=_said("same"))
    )


def _said(same: str) -> pl.Expr:
    return pl.when(same).then(pl.lit(SAME)).otherwise(pl.lit(NOT_SAME))


def _calibrated(answered: pl.DataFrame, model: Scoring) -> pl.DataFrame:
    weights = answered["mbits"].drop_nulls().unique().to_list()
    tenths = {mbits: tenth(model.probability(mbits)) for mbits in weights}
    group = pl.col("mbits").replace_strict(tenths, default=None, return_dtype=pl.String)
    named = answered.drop_nulls("mbits").with_columns(
        group=pl.concat_str(pl.lit(model.title + ", "), group)
    )
    return named.select(*PAIRS)


def tenth(probability: float) -> str:
    """A probability as its tenth: `00-10 %`, …, `90-100 %`."""
    place = min(int(probability * _TENTHS), _TENTHS - 1)
    return f"{place * 10:02}-{place * 10 + 10} %"


def _judged(answered: pl.DataFrame, model: Scoring) -> pl.DataFrame:
    is_linked = pl.col("mbits").fill_null(-1) >= model.link_mbits
    verdict = pl.when(is_linked).then(pl.lit("linked")).otherwise(pl.lit("not linked"))
    group = pl.concat_str(pl.lit(model.title + ", "), verdict)
    return answered.select(*_BOTH, group=group, part="part")

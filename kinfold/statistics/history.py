"""Figures over time: what became of people's ids, when people were last seen, what came late."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from identity.model import DAY_US, LineageChange
from kinfold.statistics.figure import Figure, Shape, Spec, counts, sums
from kinfold.statistics.gathered import Gathered

_LATE = ("a minute", "an hour", "a day", "a week", "more")
AGES = ((1, "within a day"), (7, "within 7 days"), (30, "within 30 days"),
         (90, "within 90 days"), (365, "within a year"))  # fmt: skip
CHANGES = Spec(
    "changes_by_week",
    "What became of people, by week",
    "Ids created, merged into another, split off, split off again after a merge, and retired.",
    "Entries of the lineage by the Monday of the resolution's week, UTC. A split counts as "
    "'reversed' when the id it left had others merged into it before, and as 'split' otherwise; "
    "the id a split creates is not among 'created'. A merge is the person's whom it led to. "
    "Retired: nothing was left of them, by expiry, retraction or erasure. Churn is merged and "
    "retired over all people. Which signal caused a change is not kept.",
    Shape.SUMS,
    "ids",
    group="week",
    part="change",
)
FRESHNESS = Spec(
    "last_seen",
    "When people were last seen",
    "People by the age of the latest event that names them.",
    "By the event times of remembered signals, at the moment of the snapshot.",
    Shape.PARTS,
    "people",
    part="age",
    order=tuple(name for _, name in AGES),
)
SIGNALS = Spec(
    "signals_by_source",
    "Signals by source",
    "Signals that count, by source.",
    "Remembered signals that are neither retracted, expired nor outdone. A signal counts with "
    "the person of its highest identifier, and not before it has been resolved to one.",
    Shape.SUMS,
    "signals",
    part="source",
    open=True,
)
LATENESS = Spec(
    "lateness",
    "How late signals come",
    "Signals by source and the time from event to first publication.",
    "As `signals_by_source`. A publication before its event counts as within a minute.",
    Shape.SUMS,
    "signals",
    group="source",
    part="late by",
    open=True,
    closed_groups=False,
    order=_LATE,
)
REPEATED = Spec(
    "repeated",
    "Signals published again",
    "Signals known to have been published more than once, by source.",
    "Those whose latest publication is later than their first. Deliveries of one publication "
    "and how often one came are not kept, so this is the least there were.",
    Shape.SUMS,
    "signals",
    part="source",
    open=True,
)


def figures(gathered: Gathered, as_of_us: int, minimum: int) -> Iterator[Figure]:
    """Every figure of this module."""
    entries = _entries(gathered.lineage)
    yield Figure(CHANGES, sums(entries, minimum, group=pl.col("week"), part=pl.col("change")))
    age_us = as_of_us - pl.col("last_us")
    band = pl.lit("longer ago")
    for days, name in reversed(AGES):
        band = pl.when(age_us < days * DAY_US).then(pl.lit(name)).otherwise(band)
    band = pl.when(pl.col("last_us").is_null()).then(pl.lit("not remembered")).otherwise(band)
    yield Figure(FRESHNESS, counts(gathered.people, part=band))
    arrived = gathered.arrivals.with_columns(pl.col("source").cast(pl.String), n=pl.col("signals"))
    yield Figure(SIGNALS, sums(arrived, minimum, part=pl.col("source")))
    late = (
        pl.col("late").cast(pl.Int64).replace_strict(dict(enumerate(_LATE)), return_dtype=pl.String)
    )
    yield Figure(LATENESS, sums(arrived, minimum, group=pl.col("source"), part=late))
    yield Figure(REPEATED, sums(arrived.filter("repeated"), minimum, part=pl.col("source")))


def _entries(lineage: pl.DataFrame) -> pl.DataFrame:
    """Person, week, change and `n` of 1: a row per change of an id."""
    change = pl.col("change")
    merged = change == int(LineageChange.MERGED)
    joined = lineage.filter(merged).group_by("other").agg(merged_at=pl.col("resolution").min())
    splits = (
        lineage.filter(change == int(LineageChange.SPLIT))
        .join(joined, on="other", how="left")
        .group_by("person", "resolution", "at_us")
        .agg(reversed=(pl.col("merged_at") < pl.col("resolution")).any())
    )
    others = lineage.filter(change != int(LineageChange.SPLIT)).join(
        # An id that a split makes has an entry of its creation, too.
        splits.select("person", "resolution", change=pl.lit(int(LineageChange.CREATED), pl.UInt8)),
        on=["person", "resolution", "change"],
        how="anti",
    )
    words = {int(each): each.name.lower() for each in LineageChange}
    name = change.cast(pl.Int64).replace_strict(words, return_dtype=pl.String)
    split = pl.when(pl.col("reversed").fill_null(value=False)).then(pl.lit("reversed"))
    told = pl.concat(
        [
            others.select(
                # Or one visitor who logs in on twenty cookies were twenty people merged.
                person=pl.when(merged).then("other").otherwise("person"),
                at_us="at_us",
                change=name,
            ),
            splits.select("person", "at_us", change=split.otherwise(pl.lit("split"))),
        ]
    )
    return told.select("person", "change", week=_monday(pl.col("at_us")), n=pl.lit(1, pl.Int64))


def _monday(at_us: pl.Expr) -> pl.Expr:
    """The Monday on or before, as `2026-11-23`; day 4 of 1970 was a Monday."""
    day = ((at_us // DAY_US - 4) // 7) * 7 + 4
    return day.cast(pl.Int32).cast(pl.Date).cast(pl.String)

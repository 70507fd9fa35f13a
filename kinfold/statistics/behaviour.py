"""Figures of what people do: categories and hours."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from identity.model import DAY_US
from kinfold.statistics.figure import Figure, Shape, Spec, counts, with_whole
from kinfold.statistics.gathered import Gathered

LATELY_DAYS = 30
CATEGORIES = Spec(
    "affinities",
    "Affinities by category",
    "People who did something in a category, ever and in the last 30 days.",
    "Each person once per category, by the activity that is kept; `all` is everybody who did "
    "anything in any category, within the same time.",
    Shape.SUBSETS,
    "people",
    group="when",
    part="category",
    open=True,
)
HOURS = Spec(
    "hours",
    "Hours of activity",
    "People who were active in an hour of the day, UTC.",
    "Each person once per hour, over all days kept; `all` is everybody who was active.",
    Shape.SUBSETS,
    "people",
    part="hour",
)


def figures(gathered: Gathered, as_of_us: int) -> Iterator[Figure]:
    """Every figure of this module."""
    cells = gathered.cells.with_columns(
        pl.col("cell").cast(pl.String).str.splitn(":", 2).struct.rename_fields(["kind", "name"])
    ).unnest("cell")
    in_category = cells.filter(pl.col("kind") == "category")
    lately = in_category.filter(pl.col("last_day") > as_of_us // DAY_US - LATELY_DAYS)
    parts = []
    for when, some in (("ever", in_category), ("last 30 days", lately)):
        told = counts(some, group=pl.lit(when), part=pl.col("name"))
        parts.append(with_whole(told, some["person"].n_unique(), group=when))
    yield Figure(CATEGORIES, pl.concat(parts))
    active = cells.filter(pl.col("kind") == "hour")
    hour = pl.col("name").str.zfill(2)
    yield Figure(HOURS, with_whole(counts(active, part=hour), active["person"].n_unique()))

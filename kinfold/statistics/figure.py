"""What a figure is: its definition, and its cells as exact counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import polars as pl

from kinfold.statistics.cells import Held


class Shape(Enum):
    """How the cells of a figure hang together, which decides what must be withheld with what.

    - `PARTS`: the parts of a group exclude each other and make up the group.
    - `SUBSETS`: each part is some of the people of its group; parts may overlap.
    - `SUMS`: each part is a sum over people, who may add more than one each.
    - `SPREAD`: quantiles of a number that each person has.
    - `INDEX`: counts by band, of which nothing but an index over each group is told.
    """

    PARTS = "parts"
    SUBSETS = "subsets"
    SUMS = "sums"
    SPREAD = "spread"
    INDEX = "index"


@dataclass(frozen=True, slots=True)
class Spec:
    """A figure's definition: what `id` means, how it is counted, what is counted, and by what.

    `open`: names of parts come from signals, so a rare one may name somebody;
    `closed_groups`: names of groups do not. `order`: parts in the order in
    which they are told; others follow by number, then name. `shares`: what is
    asked is how parts of a group compare, not how much there is. `marks`: values
    from which on another thing is meant.
    """

    id: str
    title: str
    meaning: str
    counted: str
    shape: Shape
    unit: str
    group: str = ""
    part: str = ""
    open: bool = False
    closed_groups: bool = True
    order: tuple[str, ...] = ()
    shares: bool = False
    marks: tuple[int, ...] = ()


CELLS: dict[str, Any] = {
    "group": pl.String,
    "part": pl.String,
    "people": pl.Int64,
    "value": pl.Int64,
    "capped": pl.Int64,
    "cap": pl.Int64,
}
"""A figure's cells.

- `people`: how many people stand behind the cell (PARTS, SUBSETS, SUMS, INDEX), or are measured
  (SPREAD); of sums over pairs, how many there are at least.
- `value`: the exact count, sum or quantile.
- `cap`: the most that one person adds to `capped`, which is the sum with larger
  contributions taken for `cap`; 1 for counts of people. In a SPREAD, `capped`
  is the quantile or, if fewer people than the minimum have as much, the most
  that so many have.
- group "" of PARTS and SUBSETS: everybody. A SUBSETS group has a part `ALL`: the group itself.
"""
ALL = "all"
GROUP_END = ", "
"""In the name of an INDEX's group, what is before it is told as the group, the rest as the part."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its exact cells: for within the house only, see `release`.

    - `spans`: of a SPREAD, the least and the most that each cell's `capped` may
      have been before, with fewer people than the minimum otherwise than now.
    - `index`: of an INDEX, the group's number from what its bands hold; None: there is none.
    - `within`: what the names of all its groups begin with; earlier groups that
      begin otherwise are of another question, and stay as they are.
    """

    spec: Spec
    cells: pl.DataFrame
    spans: Mapping[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    index: Callable[[str, Mapping[str, Held]], int | None] | None = None
    within: str = ""

    def exact(self) -> dict[tuple[str, str], int]:
        """The exact values by group and part."""
        rows = self.cells.select("group", "part", "value").rows()
        return {(group, part): value for group, part, value in rows}


def weighed(cases: pl.DataFrame) -> pl.DataFrame:
    """Cells of PARTS from rows of group, part and how many people."""
    return (
        cases.group_by("group", "part")
        .agg(pl.col("people").sum())
        .with_columns(value="people", capped="people", cap=pl.lit(1, pl.Int64))
        .select(pl.col(name).cast(kind) for name, kind in CELLS.items())
        .sort("group", "part")
    )


def counts(frame: pl.DataFrame, *, group: pl.Expr | None = None, part: pl.Expr) -> pl.DataFrame:
    """Cells of PARTS or SUBSETS from one row per person, group and part, each once."""
    return (
        frame.select(_text(group).alias("group"), _text(part).alias("part"))
        .group_by("group", "part")
        .agg(people=pl.len().cast(pl.Int64))
        .with_columns(value=pl.col("people"), capped=pl.col("people"), cap=pl.lit(1, pl.Int64))
        .select(pl.col(name).cast(kind) for name, kind in CELLS.items())
        .sort("group", "part")
    )


def _text(part: pl.Expr | None) -> pl.Expr:
    return pl.lit("") if part is None else part.cast(pl.String)


def sums(
    frame: pl.DataFrame, minimum: int, *, group: pl.Expr | None = None, part: pl.Expr
) -> pl.DataFrame:
    """Cells of SUMS from rows with `person` and `n`.

    Larger contributions than that of the person in place `minimum` are taken
    for the next number of 1, 2, 5, 10, 20, … from that on.
    """
    by_person = (
        frame.select(_text(group).alias("group"), _text(part).alias("part"), "person", "n")
        .group_by("group", "part", "person")
        .agg(pl.col("n").sum().cast(pl.Int64))
    )
    tops = by_person.group_by("group", "part").agg(
        people=pl.len().cast(pl.Int64),
        value=pl.col("n").sum(),
        cap=_cap(pl.col("n").top_k(minimum).min()),
    )
    capped = (
        by_person.join(tops.select("group", "part", "cap"), on=["group", "part"])
        .with_columns(held=pl.min_horizontal("n", "cap"))
        .group_by("group", "part")
        .agg(capped=pl.col("held").sum())
    )
    return (
        tops.join(capped, on=["group", "part"])
        .select(pl.col(name).cast(kind) for name, kind in CELLS.items())
        .sort("group", "part")
    )


def _cap(top: pl.Expr) -> pl.Expr:
    return top.map_elements(round_up, return_dtype=pl.Int64)


def round_up(number: int) -> int:
    """The next of 1, 2, 5, 10, 20, 50, … from a number on."""
    scale = 1
    while True:
        for step in (1, 2, 5):
            if number <= step * scale:
                return step * scale
        scale *= 10


QUANTILES = (("p50", 50), ("p99", 99), ("max", 100))


@dataclass(frozen=True, slots=True)
class Spread:
    """Cells of SPREAD, with their spans."""

    cells: pl.DataFrame
    spans: Mapping[tuple[str, str], tuple[int, int]]


def spread(values: pl.Series, minimum: int, group: str = "") -> Spread:
    """p50, p99 and the most, by nearest rank: so many in a hundred have no more.

    One person who comes, goes or changes moves a quantile by one rank at most,
    so its span is what stands fewer than `minimum` ranks to either side.
    """
    people = values.len()
    if not people:
        return Spread(pl.DataFrame(schema=CELLS), {})
    ordered = values.sort()
    top = max(people - minimum, 0)
    rows, spans = [], {}
    for part, percent in QUANTILES:
        place = max(-(-people * percent // 100), 1) - 1
        told = min(place, top)
        rows.append((group, part, people, int(ordered[place]), int(ordered[told]), 1))
        least, most = max(told - minimum + 1, 0), min(told + minimum - 1, people - 1)
        spans[group, part] = (int(ordered[least]), int(ordered[most]))
    return Spread(pl.DataFrame(rows, schema=CELLS, orient="row"), spans)


def with_whole(parts: pl.DataFrame, people: int, group: str = "") -> pl.DataFrame:
    """SUBSETS with the group itself as the part `ALL`."""
    whole = pl.DataFrame([(group, ALL, people, people, people, 1)], schema=CELLS, orient="row")
    return pl.concat([whole, parts])


def banded(value: pl.Expr, ends: Sequence[int]) -> pl.Expr:
    """A number as its band: `0`, `1`, `2-5`, `6+` for the ends 0, 1, 5."""
    names, start = [], 0
    for end in ends:
        names.append(str(start) if start == end else f"{start}-{end}")
        start = end + 1
    band = pl.lit(f"{start}+")
    for name, end in reversed(list(zip(names, ends, strict=True))):
        band = pl.when(value <= end).then(pl.lit(name)).otherwise(band)
    return band

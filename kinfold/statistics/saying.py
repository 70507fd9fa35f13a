"""Figures of what records say: which attributes they hold, and how groups fare in matching."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from identity.model import RECORD_KIND
from kinfold.statistics.figure import ALL, Figure, Shape, Spec, counts, sums
from kinfold.statistics.gathered import Gathered
from kinfold.statistics.insight import RECORDS_READ, Scoring

ATTRIBUTES = Spec(
    "record_attributes",
    "What records hold",
    "Records by the attributes they hold, of those that were looked at.",
    f"Up to {RECORDS_READ:,} records are opened, those whose keyed digests come first, so they are "
    "a fair sample; `all` is all of them. None are opened unless a model for records is in force "
    "or a group is configured. Values are not looked at.",
    Shape.SUMS,
    "records",
    part="attribute",
    open=True,
)
_GROUP = (
    "Groups are those of the attribute in the setting `statistics.group`, which is told with "
    "them, one that at most 30 "
    "values are shared by at least 20 records each; records as in `record_attributes`. Someone "
    "whose records say several counts in each. "
)
MATCHED = Spec(
    "match_by_group",
    "Matched people by group",
    "Of the people whom a record puts in a group, those with more than one record: a check for "
    "bias.",
    _GROUP + "Matched: the person has another record.",
    Shape.PARTS,
    "people",
    group="group",
    part="matched or alone",
    open=True,
    closed_groups=False,
    order=("matched", "alone"),
)
WITHHELD = Spec(
    "withheld_by_group",
    "Links withheld by group",
    "Of the people whom a record puts in a group, those who may have more records than were "
    "linked: a check for bias.",
    _GROUP + "Withheld: a record of theirs is likely enough another person's record's to link or "
    "to review, and the two are not one person.",
    Shape.PARTS,
    "people",
    group="group",
    part="withheld or not",
    open=True,
    closed_groups=False,
    order=("withheld", "not withheld"),
)


def figures(
    gathered: Gathered, models: tuple[Scoring, ...], minimum: int, attribute: str
) -> Iterator[Figure]:
    """Every figure of this module; groups are those of the attribute, "" for none."""
    own = gathered.nodes.select("node", "person")
    records = gathered.said.join(own, on="node")
    held = records.select("person", part=pl.col("attributes")).explode("part").drop_nulls()
    every = records.select("person", part=pl.lit(ALL))
    together = pl.concat([every, held]).with_columns(n=pl.lit(1))
    yield Figure(ATTRIBUTES, sums(together, minimum, part=pl.col("part")))
    members = (
        records.filter(pl.col("group") != "")
        .select("person", "group")
        .unique()
        .join(gathered.people.select("person", "records"), on="person")
    )
    matched = pl.when(pl.col("records") > 1).then(pl.lit("matched")).otherwise(pl.lit("alone"))
    within = f"{attribute}: "
    group = pl.concat_str(pl.lit(within), pl.col("group"))
    yield Figure(MATCHED, counts(members, group=group, part=matched), within=within)
    doubtful = _doubtful(gathered, models)
    is_doubtful = pl.col("person").is_in(doubtful.implode())
    withheld = pl.when(is_doubtful).then(pl.lit("withheld")).otherwise(pl.lit("not withheld"))
    yield Figure(WITHHELD, counts(members, group=group, part=withheld), within=within)


def _doubtful(gathered: Gathered, models: tuple[Scoring, ...]) -> pl.Series:
    """People with a record that may well be another person's."""
    least = min((one.review_mbits for one in models if RECORD_KIND in one.kinds), default=None)
    own = gathered.nodes.filter("record").select("node", "person")
    pairs = (
        gathered.scored.filter(pl.col("mbits") >= (least if least is not None else 2**62))
        .join(own, left_on="left", right_on="node")
        .join(own, left_on="right", right_on="node", suffix="_right")
        .filter(pl.col("person") != pl.col("person_right"))
    )
    return pl.concat([pairs["person"], pairs["person_right"]]).unique()

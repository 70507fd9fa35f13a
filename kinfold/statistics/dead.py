"""Figures of what did not count: dead letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

import polars as pl

from ingest.dead_letters import DeadLetter
from kinfold.statistics.figure import CELLS, Figure, Shape, Spec
from kinfold.statistics.gathered import Gathered

DEAD_LETTERS = Spec(
    "dead_letters",
    "Dead letters by source and reason",
    "Input that is kept aside because it does not count.",
    "Letters there are now, by the source they say and the reason. Who they are about is sealed, "
    "so this is the one figure that counts input and not people: one device may have sent "
    "many. A source whose signals name fewer people than the minimum is one of the `other "
    "sources`. Letters removed or sent again are not among them.",
    Shape.SUMS,
    "letters",
    group="source",
    part="reason",
)


OTHER = "other sources"


def figure(letters: Iterable[DeadLetter], sources: Collection[str]) -> Figure:
    """The figure over all letters; `sources` are those that may be named."""
    counted = Counter(
        (letter.source if letter.source in sources else OTHER, letter.reason) for letter in letters
    )
    rows = [(source, reason, n, n, n, 1) for (source, reason), n in sorted(counted.items())]
    return Figure(DEAD_LETTERS, pl.DataFrame(rows, schema=CELLS, orient="row"))


def nameable(gathered: Gathered, minimum: int) -> frozenset[str]:
    """Sources whose signals name at least `minimum` people."""
    people = gathered.seen_by.group_by("source").agg(pl.col("person").n_unique())
    named = people.filter(pl.col("person") >= minimum)["source"]
    return frozenset(named.cast(pl.String).to_list())

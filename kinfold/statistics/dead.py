"""Figures of what did not count: dead letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import polars as pl

from ingest.dead_letters import DeadLetter
from kinfold.statistics.figure import CELLS, Figure, Shape, Spec

DEAD_LETTERS = Spec(
    "dead_letters",
    "Dead letters by source and reason",
    "Input that is kept aside because it does not count.",
    "Letters there are now, by the source they say and the reason. Who they are about is sealed, "
    "so each counts as another person's. Letters removed or sent again are not among them.",
    Shape.SUMS,
    "letters",
    group="source",
    part="reason",
    open=True,
    closed_groups=False,
)


def figure(letters: Iterable[DeadLetter]) -> Figure:
    """The figure over all letters."""
    counted = Counter((letter.source or "unsaid", letter.reason) for letter in letters)
    rows = [(source, reason, n, n, n, 1) for (source, reason), n in sorted(counted.items())]
    return Figure(DEAD_LETTERS, pl.DataFrame(rows, schema=CELLS, orient="row"))

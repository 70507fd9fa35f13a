"""Figures of who is gone: people who were erased, and those whom nothing may bring back."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from identity.model import DAY_US
from kinfold.statistics.figure import Figure, Shape, Spec, counts
from kinfold.statistics.history import AGES
from profiles.deletions import Erasure

ERASED = Spec(
    "erased",
    "Erased and suppressed people",
    "People who were erased, by how long ago, and whether signals about them are kept out for "
    "good.",
    "Erasures in the deletion ledger by when they began, finished or not; a person erased more "
    "than once counts by the last. Suppressed: nothing that names them is taken in again. They "
    "are in no other figure. The ledger is read after the snapshot, so an erasure that begins "
    "meanwhile may be in it while its person is still in other figures.",
    Shape.PARTS,
    "people",
    group="suppressed or not",
    part="erased",
    order=(*(name for _, name in AGES), "longer ago"),
)


def figure(erasures: Iterable[Erasure], as_of_us: int) -> Figure:
    """The figure over all erasures."""
    last = {one.person: one for one in sorted(erasures, key=lambda one: one.begun_us)}
    rows = [
        ("suppressed" if one.suppressed else "not suppressed", _age(as_of_us - one.begun_us))
        for one in last.values()
    ]
    frame = pl.DataFrame(rows, schema={"group": pl.String, "part": pl.String}, orient="row")
    return Figure(ERASED, counts(frame, group=pl.col("group"), part=pl.col("part")))


def _age(age_us: int) -> str:
    return next((name for days, name in AGES if age_us < days * DAY_US), "longer ago")

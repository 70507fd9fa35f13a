"""Rates that figures add up to: match rates, precision, recall, churn, and how groups differ.

Worked out from what is released, so they give away nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from kinfold.statistics.cells import Cell
from kinfold.statistics.figure import ALL
from kinfold.statistics.release import Released
from kinfold.statistics.scores import NOT_SAME, SAME

RATES = {
    "rate": pl.String,
    "of": pl.String,
    "figure": pl.String,
    "share": pl.Float64,
    "behind": pl.Float64,
}
"""Rates: what, of whom, from which figure, the share, and how far it is behind the highest of its
kind where groups are compared. A rate of which a number is withheld is left out."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What a rate means, in words."""

    name: str
    figure: str
    meaning: str


DEFINITIONS = (
    Definition("match rate", "match_rate", "matched over matched and alone, by source and kind"),
    Definition("precision", "decided_pairs", "of decided pairs that a model links, those alike"),
    Definition("recall", "decided_pairs", "of decided pairs that are the same, those it links"),
    Definition("churn", "changes_by_week", "merged and retired in a week over all people"),
    Definition("matched in group", "match_by_group", "matched over matched and alone, by group"),
    Definition(
        "withheld in group", "withheld_by_group", "withheld over withheld and not, by group"
    ),
)
_Told = Mapping[Cell, int | None]


def rates(figures: Sequence[Released]) -> pl.DataFrame:
    """`RATES` of released figures."""
    told: dict[str, _Told] = {
        each.spec.id: {(group, part): value for group, part, value, *_ in each.cells.rows()}
        for each in figures
    }
    everybody = told.get("people_by_kind", {}).get(("", ALL))
    found = [
        *_of_parts("match rate", "match_rate", told, "matched", "alone"),
        *_of_decided(told.get("decided_pairs", {})),
        *_churn(told.get("changes_by_week", {}), everybody),
        *_compared("matched in group", "match_by_group", told, "matched", "alone"),
        *_compared("withheld in group", "withheld_by_group", told, "withheld", "not withheld"),
    ]
    return pl.DataFrame(found, schema=RATES, orient="row")


_Row = tuple[str, str, str, float, float | None]


def _of_parts(
    rate: str, figure: str, told: Mapping[str, _Told], part: str, other: str
) -> Iterator[_Row]:
    cells = told.get(figure, {})
    for group in sorted({group for group, _ in cells}):
        ones, others = cells.get((group, part)), cells.get((group, other))
        if ones is not None and others is not None and ones + others:
            yield rate, group, figure, ones / (ones + others), None


def _compared(
    rate: str, figure: str, told: Mapping[str, _Told], part: str, other: str
) -> list[_Row]:
    found = list(_of_parts(rate, figure, told, part, other))
    highest = max([row[3] for row in found], default=0.0)
    return [(*row[:4], highest - row[3]) for row in found]


def _of_decided(cells: _Told) -> Iterator[_Row]:
    for model in sorted({group.rpartition(", ")[0] for group, _ in cells}):
        same = cells.get((f"{model}, linked", SAME))
        wrong = cells.get((f"{model}, linked", NOT_SAME))
        missed = cells.get((f"{model}, not linked", SAME))
        for rate, other in (("precision", wrong), ("recall", missed)):
            if same is not None and other is not None and same + other:
                yield rate, model, "decided_pairs", same / (same + other), None


def _churn(cells: _Told, everybody: int | None) -> Iterator[_Row]:
    for week in sorted({group for group, _ in cells}):
        gone = [cells.get((week, part), 0) for part in ("merged", "retired")]
        numbers = [number for number in gone if number is not None]
        if everybody and len(numbers) == len(gone):
            yield "churn", week, "changes_by_week", sum(numbers) / everybody, None

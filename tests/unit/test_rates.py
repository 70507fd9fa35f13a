"""Rates are what released numbers add up to."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from kinfold.statistics.figure import Shape, Spec
from kinfold.statistics.rates import DEFINITIONS, rates
from kinfold.statistics.release import RELEASED, Released


def told(figure: str, cells: dict[tuple[str, str], int | None]) -> Released:
    """A figure of which so much was released; None: withheld."""
    rows = [(*cell, value, "" if value else "withheld", 20) for cell, value in cells.items()]
    spec = Spec(figure, "t", "m", "c", Shape.PARTS, "people")
    return Released(spec, pl.DataFrame(rows, schema=RELEASED, orient="row"), {})


def test_rates_are_shares_of_what_is_told() -> None:
    """Each rate is its numbers' share; one of which a number is withheld is left out."""
    found = rates(
        [
            told("people_by_kind", {("", "all"): 1_000}),
            told(
                "match_rate",
                {
                    ("web cookie", "matched"): 60, ("web cookie", "alone"): 140,
                    ("app device", "matched"): 60, ("app device", "alone"): None,
                },
            ),
            told(
                "decided_pairs",
                {
                    ("records abc, linked", "the same"): 80,
                    ("records abc, linked", "not the same"): 20,
                    ("records abc, not linked", "the same"): 120,
                },
            ),
            told("changes_by_week", {("2026-11-23", "merged"): 20, ("2026-11-23", "retired"): 30}),
            told(
                "match_by_group",
                {
                    ("sex: f", "matched"): 80, ("sex: f", "alone"): 20,
                    ("sex: m", "matched"): 60, ("sex: m", "alone"): 40,
                },
            ),
        ]
    )  # fmt: skip
    assert [(rate, of, round(share, 3), behind and round(behind, 3))
            for rate, of, _, share, behind in found.rows()] == [
        ("match rate", "web cookie", 0.3, None),
        ("precision", "records abc", 0.8, None),
        ("recall", "records abc", 0.4, None),
        ("churn", "2026-11-23", 0.05, None),
        ("matched in group", "sex: f", 0.8, 0.0),
        ("matched in group", "sex: m", 0.6, 0.2),
    ]  # fmt: skip


def test_nothing_told_is_no_rate() -> None:
    """Without figures there are no rates."""
    assert rates([]).is_empty()


def test_the_document_defines_every_rate() -> None:
    """docs/statistics.md says of each rate what it means, word for word."""
    text = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text("utf-8")
    for one in DEFINITIONS:
        assert f"**{one.name}** (`{one.figure}`): {one.meaning}." in text

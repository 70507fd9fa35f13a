"""The review queue: pairs that the model neither links nor leaves, for staff to decide. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from identity.matching.model import MatchModel
from identity.matching.score import Bar
from identity.matching.verdict import Verdict, thresholds
from identity.matching.waterfall import chance, sentence, terminal, waterfall_json

Pair = tuple[str, str]


class Scored(NamedTuple):
    """A scored pair: its ends by name or token, its match weight, and the bars behind it."""

    low: str
    high: str
    mbits: int
    bars: Sequence[Bar]


class Case(NamedTuple):
    """A pair to review."""

    low: str
    high: str
    mbits: int
    probability: float
    bars: Sequence[Bar]


def queue(
    scored: Iterable[tuple[str, str, int, Sequence[Bar]]],
    model: MatchModel,
    *,
    decided: Collection[Pair] = frozenset(),
    limit: int | None = None,
) -> list[Case]:
    """The pairs to review, the likeliest first; ties by their ends.

    Each pair counts once, whichever end comes first. `decided` are pairs (the
    lesser end first) that staff have decided before: they are left out. With a
    limit no more than so many pairs are held at once.
    """
    bounds = thresholds(model)
    cases = (
        Case(*sorted_ends(pair), pair.mbits, model.probability(pair.mbits), pair.bars)
        for pair in map(Scored._make, scored)
        if bounds.verdict(pair.mbits) is Verdict.REVIEW
    )
    found: dict[Pair, Case] = {}
    for case in cases:
        ends = (case.low, case.high)
        if ends in decided or ends in found:
            continue
        found[ends] = case
        if limit is not None and len(found) > 2 * limit + 1_000:
            found = {
                (own.low, own.high): own for own in heapq.nsmallest(limit, found.values(), _at)
            }
    ranked = sorted(found.values(), key=_at)
    return ranked if limit is None else ranked[:limit]


def sorted_ends(pair: Scored) -> Pair:
    """The ends of a pair, the lesser first."""
    return (pair.low, pair.high) if pair.low <= pair.high else (pair.high, pair.low)


def _at(case: Case) -> tuple[int, str, str]:
    return (-case.mbits, case.low, case.high)


def case_json(case: Case) -> dict[str, Any]:
    """A case as data."""
    return {
        "low": case.low,
        "high": case.high,
        "probability": round(case.probability, 6),
        "sentence": sentence(case.bars, case.probability),
        **waterfall_json(case.bars),
    }


def case_lines(case: Case, number: int, width: int = 80) -> list[str]:
    """A case for the terminal: who, how likely, and the waterfall behind it."""
    said = f"{number}. {case.low} and {case.high}: one person with probability"
    return [f"{said} {chance(case.probability)}", *terminal(case.bars, width)]

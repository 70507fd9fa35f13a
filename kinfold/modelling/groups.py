"""How a model's matching differs between groups of records: a check for bias."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from identity.matching.estimates import at_threshold
from identity.matching.model import MatchModel
from kinfold.modelling.resolving import Resolved

LEAST = 20
"""Records that a group must have to be told of by itself."""
MOST = 30
"""Groups in a column; one that holds more names something else than groups."""
OTHERS, UNSAID = "(smaller groups)", "(unsaid)"


class NoGroups(ValueError):
    """The column does not hold groups: its values are hardly shared, so they may be personal."""


def groups_of(values: Sequence[str]) -> list[str]:
    """Each record's group; groups too small to be told by themselves are put together.

    Raises:
        NoGroups: more than 30 groups would be left, or they hold less than half of the records.
    """
    tidy = [value.strip().lower() or UNSAID for value in values]
    counts = Counter(tidy)
    kept = {value for value, count in counts.items() if count >= LEAST}
    told = [value for value in tidy if value != UNSAID]
    held = sum(value in kept for value in told)
    if len(kept) > MOST or 2 * held < len(told) or not held:
        raise NoGroups(
            f"a column of groups has at most {MOST} values, each shared by {LEAST} records or more,"
            " that hold half of the records at least; this one does not"
        )
    return [value if value in kept else OTHERS for value in tidy]


def rates(column: str, groups: Sequence[str], resolved: Resolved, model: MatchModel) -> Any:
    """Match and withholding rates by group, and how far apart they lie.

    - `matched`: share of records that are with another record.
    - `withheld`: share with a pair that the model would link or review, but
      whose other record is another person's.
    - `expected_precision`, `expected_recall`: of the pairs linked with an end
      in the group, by the model's own probabilities.
    - `apart`: the greatest rate of a group less the least one.
    """
    names = sorted(set(groups))
    place = {name: number for number, name in enumerate(names)}
    member = np.array([place[name] for name in groups], dtype=np.int64)
    sizes = np.bincount(resolved.person, minlength=resolved.records)
    company = sizes[resolved.person] > 1
    doubtful = (resolved.probability >= model.review) & ~resolved.together
    withheld = np.zeros(resolved.records, dtype=np.bool_)
    withheld[resolved.left[doubtful]] = True
    withheld[resolved.right[doubtful]] = True
    told = []
    for number, name in enumerate(names):
        own = member == number
        pairs = own[resolved.left] | own[resolved.right]
        expected = at_threshold(model.link, resolved.probability[pairs], model.blocking_recall)
        told.append(
            {
                "group": name,
                "records": int(own.sum()),
                "matched": round(float(company[own].mean()), 4),
                "withheld": round(float(withheld[own].mean()), 4),
                "expected_precision": expected.precision,
                "expected_recall": expected.recall,
            }
        )
    return {"column": column, "groups": told, "apart": _apart(told)}


def _apart(told: Sequence[dict[str, Any]]) -> dict[str, float]:
    named = [own for own in told if own["group"] not in (OTHERS, UNSAID)] or told
    rates_told = ("matched", "withheld", "expected_precision", "expected_recall")
    return {
        rate: round(max(own[rate] for own in named) - min(own[rate] for own in named), 4)
        for rate in rates_told
    }

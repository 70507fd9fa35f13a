"""How a model's matching differs between groups of records: a check for bias."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identity.matching.estimates import at_threshold
from identity.matching.model import MatchModel
from kinfold.modelling.resolving import Resolved

LEAST = 20
"""Records that a group must have to be told of by itself."""
MOST = 30
"""Groups in a column; one that holds more names something else than groups."""
_Z = 1.959964
"""Standard deviations that hold 95 % of a normal distribution."""
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
    - `beyond_chance`: rates of which the 95 % intervals (`matched_interval`,
      `withheld_interval`; Wilson, 1927) of those two groups do not meet.
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
                "matched_interval": _interval(company[own]),
                "withheld_interval": _interval(withheld[own]),
                "expected_precision": expected.precision,
                "expected_recall": expected.recall,
            }
        )
    named = [own for own in told if own["group"] not in (OTHERS, UNSAID)] or told
    return {
        "column": column,
        "groups": told,
        "apart": _apart(named),
        "beyond_chance": [rate for rate in ("matched", "withheld") if _differs(named, rate)],
    }


def _apart(told: Sequence[dict[str, Any]]) -> dict[str, float]:
    rates_told = ("matched", "withheld", "expected_precision", "expected_recall")
    return {
        rate: round(max(own[rate] for own in told) - min(own[rate] for own in told), 4)
        for rate in rates_told
    }


def _differs(told: Sequence[dict[str, Any]], rate: str) -> bool:
    lows, highs = zip(*(own[f"{rate}_interval"] for own in told), strict=True)
    return bool(max(lows) > min(highs))


def _interval(found: NDArray[np.bool_]) -> list[float]:
    """Wilson's 95 % interval of a share."""
    count, share = len(found), float(found.mean())
    spread = _Z * _Z / count
    middle = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / count + spread / 4 / count)
    return [round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)]

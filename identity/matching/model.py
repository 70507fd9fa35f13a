"""The match model: everything that a score depends on beside its two records, frozen.

One readable JSON file without any personal value: term frequencies are kept
by keyed token. Weights are whole thousandths of a bit, so that sums depend on
no order.
"""

from __future__ import annotations

import hashlib
import json
import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from identity.matching.keys import Rule

FORMAT = 1
MBITS = 1_000
APART_MBITS = -1_000_000
"""What a contradiction adds to a match weight."""
HELD_APART_MBITS = APART_MBITS // 2
"""At or below this weight a pair is held apart, whatever speaks for its groups."""


class ModelDamaged(ValueError):
    """A model file that this version cannot read."""


@dataclass(frozen=True, slots=True)
class Weights:
    """One comparison's levels: m and u probability and match weight, by level; level 0 is 0."""

    name: str
    m: tuple[float, ...]
    u: tuple[float, ...]
    mbits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Joint:
    """What two correlated comparisons weigh less or more together than apart.

    `left` and `right` name comparisons, or `same_household` for surname and
    address at once. `mbits[4 * left + right]` by coarse agreement.
    """

    left: str
    right: str
    mbits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Frequencies:
    """Term frequencies of one comparison: how often two random records agree in a value.

    `expected` over all values; `rare` for a value seen fewer than five times;
    `values` by keyed token.
    """

    expected: float
    rare: float
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Blocking:
    """A blocking rule with its bound on block size, and what it brought in training."""

    rule: Rule
    bound: int
    pairs: int
    likely: float


@dataclass(frozen=True, slots=True)
class Clustering:
    """How links become people: weight of a pair without a score, stop, cap, all per pair."""

    missing_mbits: int = -2 * MBITS
    stop_mbits: int = -1_500
    cap_mbits: int = 12 * MBITS
    floor_mbits: int = -40 * MBITS


@dataclass(frozen=True, slots=True)
class MatchModel:
    """A frozen version of the match model.

    `calibration` maps match weight (thousandths of a bit) to probability; `link`
    and `review` are probabilities.
    """

    name: str
    records: int
    seed: int
    day_first: bool
    prior_mbits: int
    weights: tuple[Weights, ...]
    joints: tuple[Joint, ...]
    frequencies: Mapping[str, Frequencies]
    blocking: tuple[Blocking, ...]
    blocking_recall: float
    calibration: tuple[tuple[int, float], ...]
    clustering: Clustering = field(default_factory=Clustering)
    link: float = 0.5
    review: float = 0.1

    def probability(self, mbits: int) -> float:
        """The calibrated probability of a match weight that includes the prior.

        Straight between points in log odds; beyond them a bit is a bit.
        """
        points = self.calibration
        above = bisect_right(points, (mbits, 2.0))
        if above in (0, len(points)):
            end, share = points[min(above, len(points) - 1)]
            return _from_log_odds(_log_odds(share) + (mbits - end) / MBITS)
        (low, low_share), (high, high_share) = points[above - 1], points[above]
        start, stop = _log_odds(low_share), _log_odds(high_share)
        return _from_log_odds(start + (stop - start) * (mbits - low) / (high - low))


def _log_odds(share: float) -> float:
    return math.log2(share / (1 - share))


def _from_log_odds(bits: float) -> float:
    return float(1 / (1 + 2.0 ** -max(-60.0, min(60.0, bits))))


def uncalibrated(mbits: int) -> float:
    """The probability that the match weight itself says, before calibration."""
    return _from_log_odds(mbits / MBITS)


def to_json(model: MatchModel) -> str:
    """The model's file, byte for byte the same for the same model."""
    return json.dumps({"format": FORMAT, **asdict(model)}, indent=1, sort_keys=True) + "\n"


def from_json(text: str) -> MatchModel:
    """Read a model's file.

    Raises:
        ModelDamaged: it is not a model of a format known here.
    """
    try:
        document: dict[str, Any] = json.loads(text)
        if document.pop("format") != FORMAT:
            raise ModelDamaged("the model file has another format; train it again")
        return MatchModel(**_fields(document))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelDamaged(f"not a model file: {type(error).__name__}") from error


def _fields(document: dict[str, Any]) -> dict[str, Any]:
    def tuples(table: Mapping[str, Any]) -> dict[str, Any]:
        return {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}

    return document | {
        "weights": tuple(Weights(**tuples(table)) for table in document["weights"]),
        "joints": tuple(Joint(**tuples(table)) for table in document["joints"]),
        "frequencies": {
            name: Frequencies(**table) for name, table in document["frequencies"].items()
        },
        "blocking": tuple(Blocking(**tuples(table)) for table in document["blocking"]),
        "calibration": tuple((int(at), float(p)) for at, p in document["calibration"]),
        "clustering": Clustering(**document["clustering"]),
    }


def fingerprint(model: MatchModel) -> str:
    """What pins a model in every link it scored: 16 hexadecimal digits of its file's SHA-256."""
    return hashlib.sha256(to_json(model).encode()).hexdigest()[:16]

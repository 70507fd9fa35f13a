"""The device model: per comparison its levels and what each weighs. One readable JSON file.

It holds no network, site or device, only counts and weights. Weights are
whole thousandths of a bit, so that sums depend on no order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

FORMAT = 1
MBITS = 1_000


class DeviceModelDamaged(ValueError):
    """A device model file that this version cannot read."""


@dataclass(frozen=True, slots=True)
class Levels:
    """One comparison's levels: their edges, m and u probability, and match weight.

    A score is at the level of how many edges are below it. There is one more
    level than edges.
    """

    name: str
    edges: tuple[float, ...]
    m: tuple[float, ...]
    u: tuple[float, ...]
    mbits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DeviceModel:
    """What a score depends on beside its two devices and the population, frozen.

    - `prior_mbits`: match weight of a candidate pair before anything is compared.
    - `threshold`: probability from which on a pair is linked.
    - `trained_on`: devices, pairs compared, and pairs expected to match.
    """

    name: str
    seed: int
    prior_mbits: int
    threshold: float
    comparisons: tuple[Levels, ...]
    trained_on: Mapping[str, int]


def to_json(model: DeviceModel) -> str:
    """The model as canonical, indented JSON."""
    return json.dumps({"format": FORMAT, **asdict(model)}, indent=1, sort_keys=True)


def from_json(text: str) -> DeviceModel:
    """Read a model; raises DeviceModelDamaged when it is none."""
    try:
        document: dict[str, Any] = json.loads(text)
        if document.pop("format") != FORMAT:
            raise DeviceModelDamaged(f"not a device model of format {FORMAT}")
        levels = [
            Levels(own["name"], *(tuple(own[part]) for part in ("edges", "m", "u", "mbits")))
            for own in document.pop("comparisons")
        ]
        if any(len(own.mbits) != len(own.edges) + 1 for own in levels):
            raise DeviceModelDamaged("a comparison's weights do not fit its edges")
        return DeviceModel(comparisons=tuple(levels), **document)
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise DeviceModelDamaged("not a device model") from error


def fingerprint(model: DeviceModel) -> str:
    """The hash that pins the model in every link it scores: 32 hexadecimal characters."""
    return hashlib.blake2b(to_json(model).encode(), digest_size=16).hexdigest()

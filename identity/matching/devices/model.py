"""The device model: everything that a weight depends on beside its two devices, frozen.

One readable JSON file without any network, site or device: only counts,
weights, and shares by keyed token. Weights are whole thousandths of a bit, so
that sums depend on no order.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from identity.matching.devices.blocking import DeviceBlocking
from identity.matching.devices.cluster import DeviceClustering
from identity.matching.devices.population import Population, Rarity, Shares

FORMAT = 2
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
    """A frozen version of the device model.

    - `prior_mbits`: match weight of a candidate pair before anything is compared.
    - `blocking`: by number, the rules of `PreparedDevice.keys`.
    - `population`: how common sites, languages and time zones are.
    - `clustering`: how weights become links and people.
    - `against`: what a bit against a match is worth as probability, for what
      speaks against a pair comes together. Measured over several draws of devices.
    - `trained_on`: devices, pairs compared, and pairs expected to match.
    """

    name: str
    seed: int
    prior_mbits: int
    comparisons: tuple[Levels, ...]
    blocking: tuple[DeviceBlocking, ...]
    population: Population
    clustering: DeviceClustering
    trained_on: Mapping[str, int]
    against: float = 0.8

    def probability(self, mbits: int, free: float = 1.0) -> float:
        """The probability of a match weight, before competition.

        `free` is the chance that neither device is another's.
        """
        bits = mbits / MBITS
        odds = free * math.exp2(min(bits if bits > 0 else bits * self.against, 60.0))
        return odds / (1 + odds)


def to_json(model: DeviceModel) -> str:
    """The model's file, byte for byte the same for the same model."""
    return json.dumps({"format": FORMAT, **asdict(model)}, indent=1, sort_keys=True) + "\n"


def from_json(text: str) -> DeviceModel:
    """Read a model's file.

    Raises:
        DeviceModelDamaged: it is not a device model of a format known here.
    """
    try:
        document: dict[str, Any] = json.loads(text)
        if document.pop("format") != FORMAT:
            raise DeviceModelDamaged(f"not a device model of format {FORMAT}; train it again")
        model = DeviceModel(**document | _fields(document))
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise DeviceModelDamaged("not a device model") from error
    if any(len(own.mbits) != len(own.edges) + 1 for own in model.comparisons):
        raise DeviceModelDamaged("a comparison's weights do not fit its edges")
    return model


def _fields(document: Mapping[str, Any]) -> dict[str, Any]:
    def tuples(table: Mapping[str, Any]) -> dict[str, Any]:
        return {name: tuple(v) if isinstance(v, list) else v for name, v in table.items()}

    known = dict(document["population"])
    population = known | {
        "sites": {token: Rarity(**own) for token, own in known["sites"].items()},
        "rare_site": Rarity(**known["rare_site"]),
        "languages": Shares(**known["languages"]),
        "zones": Shares(**known["zones"]),
        "day_shape": tuple(known["day_shape"]),
    }
    return {
        "comparisons": tuple(Levels(**tuples(own)) for own in document["comparisons"]),
        "blocking": tuple(DeviceBlocking(**tuples(own)) for own in document["blocking"]),
        "population": Population(**population),
        "clustering": DeviceClustering(**document["clustering"]),
    }


def fingerprint(model: DeviceModel) -> str:
    """What pins a model in every link it scored: 16 hexadecimal digits of its file's SHA-256."""
    return hashlib.sha256(to_json(model).encode()).hexdigest()[:16]

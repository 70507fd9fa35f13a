"""How common each network, site and language is among devices: what makes one worth a link."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.typing import NDArray

from identity.matching.devices.device import DAY_HOURS, Device

Cell = tuple[str, int]
"""A network, or a site, on a UTC day."""


@dataclass(frozen=True, slots=True)
class Population:
    """Counts of devices, never of people: a set function of the devices given.

    - `networks`, `cells`: devices per network, and per network and day.
    - `rarity`: per site or category that devices of more than one type visit,
      the bits that one more visitor surprises by; `visit_rarity` the same on
      one day.
    - `languages`, `zones`: devices per value.
    - `day_shape`: share of all activity per hour of the UTC day.
    """

    devices: int
    networks: Mapping[str, int]
    cells: Mapping[Cell, int]
    rarity: Mapping[str, float]
    visit_rarity: Mapping[Cell, float]
    languages: Mapping[str, int]
    zones: Mapping[str, int]
    day_shape: NDArray[np.float64]


def population_of(devices: Iterable[Device]) -> Population:
    """Count what is common. Order does not matter."""
    networks: Counter[str] = Counter()
    cells: Counter[Cell] = Counter()
    visits: Counter[Cell] = Counter()
    types: dict[str, Counter[str]] = defaultdict(Counter)
    languages: Counter[str] = Counter()
    zones: Counter[str] = Counter()
    shape = np.zeros(DAY_HOURS)
    total = 0
    for device in devices:
        total += 1
        networks.update(device.network_days.keys())
        cells.update((own, day) for own, days in device.network_days.items() for day in days)
        visits.update((own, day) for own, days in device.visited.items() for day in days)
        for visited in device.visited:
            types[visited][device.type] += 1
        languages.update(device.traits.languages)
        zones.update([device.traits.zone] if device.traits.zone else [])
        shape += hours_of_day(device)
    return Population(
        devices=total,
        networks=networks,
        cells=cells,
        rarity={
            visited: log2((total + 1) / by_type.total())
            for visited, by_type in types.items()
            if len(by_type) > 1
        },
        visit_rarity={
            visit: log2((total + 1) / count)
            for visit, count in visits.items()
            if len(types[visit[0]]) > 1
        },
        languages=languages,
        zones=zones,
        day_shape=shape / max(shape.sum(), 1.0),
    )


def hours_of_day(device: Device) -> NDArray[np.float64]:
    """Active hours per hour of the UTC day."""
    hours = np.fromiter((hour % DAY_HOURS for hour in device.hours), dtype=np.int64)
    return np.bincount(hours, minlength=DAY_HOURS).astype(np.float64)

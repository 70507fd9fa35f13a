"""How common each site, language and time zone is among devices, frozen with the model.

Shares are of devices, never of people. A value is named by its keyed token,
and only if at least five devices have it; rarer ones share one figure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log2

from identity.matching.devices.device import DAY_HOURS, Device
from identity.matching.rarity import term_token

MBITS = 1_000
_NAMED = 5
"""Devices that a value must have to be named in a model."""
_MOST_NAMED = 50_000
SITE, LANGUAGE, ZONE = "site", "language", "zone"
_Values = Callable[[Device], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Rarity:
    """How rare one site is, in thousandths of a bit.

    - `mbits`: the surprise of one more device that visits it.
    - `day_mbits`: the surprise of a visit on a given day.
    - `types`: how many types of devices visit it; 0 when not known.
    """

    mbits: int
    day_mbits: int
    types: int


@dataclass(frozen=True, slots=True)
class Shares:
    """The share of devices per keyed value; `rare` stands for every other value."""

    rare: float
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Population:
    """What a weight knows of other devices: a set function of those trained on.

    `day_shape` is the share of all activity per hour of the UTC day.
    """

    devices: int
    sites: Mapping[str, Rarity]
    rare_site: Rarity
    languages: Shares
    zones: Shares
    day_shape: tuple[float, ...]


def population_of(devices: Sequence[Device], key: bytes) -> Population:
    """Count what is common. Order does not matter. `key` keys the values' tokens."""
    sites: Counter[str] = Counter()
    visits: Counter[str] = Counter()
    types: Counter[str] = Counter()
    for name, kind in {(name, own.type) for own in devices for name in own.visited}:
        types[name] += bool(kind)
    for device in devices:
        sites.update(device.visited.keys())
        visits.update({name: len(days) for name, days in device.visited.items()})
    total = len(devices)
    device_days = sum(len({hour // DAY_HOURS for hour in own.hours}) for own in devices)
    named = [name for name, count in sites.items() if count >= _NAMED]
    named = sorted(named, key=lambda name: (-sites[name], name))[:_MOST_NAMED]
    rare = [name for name, count in sites.items() if 1 < count < _NAMED]
    usual = sum(sites[name] for name in rare) / len(rare) if rare else 2.0
    usual_visits = sum(visits[name] for name in rare) / len(rare) if rare else 2.0
    return Population(
        devices=total,
        sites={
            term_token(key, SITE, name): Rarity(
                _surprise(sites[name], total), _surprise(visits[name], device_days), types[name]
            )
            for name in named
        },
        rare_site=Rarity(_surprise(usual, total), _surprise(usual_visits, device_days), 0),
        languages=_shares(devices, LANGUAGE, lambda own: own.traits.languages, key),
        zones=_shares(devices, ZONE, lambda own: [own.traits.zone] if own.traits.zone else [], key),
        day_shape=_day_shape(devices),
    )


def _surprise(count: float, total: int) -> int:
    return round(MBITS * log2((total + 1) / (min(count, total) + 0.5)))


def _shares(devices: Sequence[Device], name: str, values_of: _Values, key: bytes) -> Shares:
    counts = Counter(value for device in devices for value in values_of(device))
    named = {value: count for value, count in counts.items() if count >= _NAMED}
    others = [count for count in counts.values() if count < _NAMED]
    rare = sum(others) / len(others) if others else 1.0
    total = max(len(devices), 1)
    return Shares(
        rare=round(rare / total, 6),
        values={
            term_token(key, name, value): round(count / total, 6) for value, count in named.items()
        },
    )


def _day_shape(devices: Iterable[Device]) -> tuple[float, ...]:
    counts = [0] * DAY_HOURS
    for device in devices:
        for hour in device.hours:
            counts[hour % DAY_HOURS] += 1
    total = max(sum(counts), 1)
    return tuple(round(count / total, 9) for count in counts)

"""A device made ready once to be compared many times, under one frozen population."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt

from identity.matching.devices.blocking import (
    NETWORK,
    NETWORK_DAY,
    BlockKey,
    DeviceBlocking,
    keys_of,
)
from identity.matching.devices.device import DAY_HOURS, Device
from identity.matching.devices.population import (
    LANGUAGE,
    SITE,
    ZONE,
    Population,
    Rarity,
    Shares,
)
from identity.matching.rarity import term_token

_OLDEST_DAYS = 4_000
_MIDNIGHTS = ((1 << DAY_HOURS * _OLDEST_DAYS) - 1) // ((1 << DAY_HOURS) - 1)
"""A bit for the first hour of each day: 1 + 2^24 + 2^48 + …, by the sum of a geometric series."""
BY_HOUR = tuple(_MIDNIGHTS << hour for hour in range(DAY_HOURS))
"""Per hour of the day, a bit for it on each of 4,000 days."""
_RARE_SHARE = 0.1
_SMOOTHING_HOURS = 30.0
_LEAST_LENGTH = 9e6
"""A visit of three bits: who visits nearly nothing is like nobody."""


@dataclass(frozen=True, slots=True)
class PreparedDevice:
    """A device ready to be compared under one model.

    - `keys`: its blocking keys, as (number of the rule, text); none when it
      may not be linked.
    - `counted`: those of them whose block's size is evidence.
    - `slots`: per slot the number of the network used most in it; numbers are the
      device's own.
    - `rarity`, `length`, `open_sites`: what its sites weigh, the square of their
      length, and how many are known to be visited by several types of devices.
    - `active`: its active hours as bits, from `first_hour` on.
    - `day`: how its day differs from everybody's, per hour.
    """

    device: Device
    keys: tuple[BlockKey, ...] = field(repr=False)
    counted: frozenset[BlockKey] = field(repr=False)
    online_days: int
    slots: Mapping[int, int] = field(repr=False)
    rarity: Mapping[str, Rarity] = field(repr=False)
    length: float
    open_sites: int
    rare_languages: frozenset[str]
    rare_zone: bool
    first_hour: int
    last_hour: int
    active: int = field(repr=False)
    day: tuple[float, ...] = field(repr=False)


def prepare(
    device: Device, population: Population, rules: tuple[DeviceBlocking, ...], key: bytes
) -> PreparedDevice:
    """Ready a device. `key` is the secret that the population's tokens are keyed with."""
    keys = keys_of(device, rules)
    rarity = {
        name: population.sites.get(term_token(key, SITE, name), population.rare_site)
        for name in device.visited
    }
    traits = device.traits
    used = sorted({*device.network_days, *device.slots.values()})
    numbers = {name: number for number, name in enumerate(used)}
    first, last = min(device.hours, default=0), max(device.hours, default=0)
    counts = [0] * DAY_HOURS
    active = bytearray((last - first >> 3) + 1)
    for hour in device.hours:
        counts[hour % DAY_HOURS] += 1
        active[hour - first >> 3] |= 1 << (hour - first & 7)
    return PreparedDevice(
        device=device,
        keys=tuple(keys),
        counted=frozenset(own for own in keys if rules[own[0]].rule in (NETWORK, NETWORK_DAY)),
        online_days=len({day for days in device.network_days.values() for day in days}),
        slots={slot: numbers[name] for slot, name in device.slots.items()},
        rarity=rarity,
        length=_length(device, rarity),
        open_sites=sum(own.types > 1 for own in rarity.values()),
        rare_languages=frozenset(
            name
            for name in traits.languages
            if _share(population.languages, term_token(key, LANGUAGE, name)) <= _RARE_SHARE
        ),
        rare_zone=_share(population.zones, term_token(key, ZONE, traits.zone)) <= _RARE_SHARE,
        first_hour=first,
        last_hour=last,
        active=int.from_bytes(active, "little"),
        day=_day(counts, population),
    )


def _share(shares: Shares, token: str) -> float:
    return shares.values.get(token, shares.rare)


def _length(device: Device, rarity: Mapping[str, Rarity]) -> float:
    """The square of the length of what is visited, without sites of one type of device."""
    return _LEAST_LENGTH + sum(
        own.mbits * (own.mbits + own.day_mbits * len(device.visited[name]))
        for name, own in rarity.items()
        if own.types > 1
    )


def _day(counts: list[int], population: Population) -> tuple[float, ...]:
    usual = population.day_shape
    total = max(sum(counts) + _SMOOTHING_HOURS * sum(usual), 1.0)
    return tuple(
        sqrt((count + _SMOOTHING_HOURS * share) / total) - sqrt(share)
        for count, share in zip(counts, usual, strict=True)
    )

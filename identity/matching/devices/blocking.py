"""Which devices are compared at all: blocks with a bound, so that a public network compares nobody.

A block is a set of devices with something in common. One with more devices
than its bound contributes no pair, so work is bounded by devices times keys
times bound, and whether a pair is compared depends on counts alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from identity.matching.devices.device import Device
from identity.model import DAY_US

BOUNDS = {"cell": 24, "network": 12, "site": 12, "language": 24, "day": 120, "all": 400}
"""Devices at most per block, by what they have in common."""

Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pairs to compare, as places in the devices given, and what blocking left out.

    `skipped` counts the blocks that were over their bound.
    """

    pairs: tuple[tuple[int, int], ...]
    skipped: int


def keys_of(device: Device) -> set[Key]:
    """The blocks of a device: networks by day and at all, sites, languages, its first days."""
    found: set[Key] = {("all", "", 0)}
    for network, days in device.network_days.items():
        found.add(("network", network, 0))
        found.update(("cell", network, day) for day in days)
    found.update(("site", visited, 0) for visited in device.visited)
    found.update(("language", name, 0) for name in device.traits.languages)
    first = device.first_us // DAY_US
    found.update(("day", device.traits.zone, day) for day in (first, first + 1))
    return found


def candidates(devices: Sequence[Device]) -> Candidates:
    """Pairs of linkable devices of different types that meet in some block within its bound.

    Devices that may not be linked are in no block.
    """
    blocks: dict[Key, list[int]] = defaultdict(list)
    for place, device in enumerate(devices):
        if device.may_link:
            for key in keys_of(device):
                blocks[key].append(place)
    found: set[tuple[int, int]] = set()
    skipped = 0
    for key, members in blocks.items():
        if len(members) > BOUNDS[key[0]]:
            skipped += 1
            continue
        found.update(_pairs(members, devices))
    return Candidates(tuple(sorted(found)), skipped)


def _pairs(members: Sequence[int], devices: Sequence[Device]) -> Iterable[tuple[int, int]]:
    for at, left in enumerate(members):
        for right in members[at + 1 :]:
            if devices[left].type != devices[right].type:
                yield left, right

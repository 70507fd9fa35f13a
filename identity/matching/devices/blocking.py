"""Which devices are compared at all: blocks with a bound, so that a public network compares nobody.

A block is a set of devices with something in common. One with more devices
than its bound contributes no pair, so work is bounded by devices times keys
times bound, and whether a pair is compared depends on counts alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

from identity.matching.devices.device import Device
from identity.model import DAY_US

BlockKey = tuple[int, str]
"""(number of the rule in the model, what is shared)."""

NETWORK, NETWORK_DAY, SITE, LANGUAGE, FIRST_DAY, EVERYBODY = (
    "network",
    "network_day",
    "site",
    "language",
    "first_day",
    "everybody",
)
MOST_KEYS = 256
"""Keys of one rule that a device has at most; a canonical sample by digest where it has more."""


@dataclass(frozen=True, slots=True)
class DeviceBlocking:
    """A blocking rule and the sizes that its blocks are told apart by.

    A block has a level: how many of `levels` are below its number of devices.
    The last of `levels` is its bound: a block beyond it contributes no pair.
    Where there is more than one, the level is evidence, too.
    """

    rule: str
    levels: tuple[int, ...]

    @property
    def bound(self) -> int:
        """Devices at most."""
        return self.levels[-1]

    def level(self, size: int) -> int:
        """The level of a block of this many devices; ``len(levels)`` when it is over its bound."""
        return bisect_left(self.levels, size)


RULES = (
    DeviceBlocking(NETWORK, (4, 12)),
    DeviceBlocking(NETWORK_DAY, (2, 24)),
    DeviceBlocking(SITE, (12,)),
    DeviceBlocking(LANGUAGE, (24,)),
    DeviceBlocking(FIRST_DAY, (120,)),
    DeviceBlocking(EVERYBODY, (400,)),
)
"""Every rule there is; a model leaves out those that compared nobody in training."""


def keys_of(device: Device, rules: Iterable[DeviceBlocking]) -> list[BlockKey]:
    """The blocking keys of a device, each once, by rule and text.

    None for a device that may not be linked, or whose type is not known.
    """
    if not device.may_link or not device.type:
        return []
    return [
        (number, text)
        for number, blocking in enumerate(rules)
        for text in _sample(_texts(device, blocking.rule))
    ]


def network_day(network: str, day: int) -> str:
    """The text of a network on a UTC day."""
    return f"{network}@{day}"


def _texts(device: Device, rule: str) -> set[str]:
    if rule == NETWORK:
        return set(device.network_days)
    if rule == NETWORK_DAY:
        used = device.network_days.items()
        return {network_day(network, day) for network, days in used for day in days}
    if rule == SITE:
        return set(device.visited)
    if rule == LANGUAGE:
        return set(device.traits.languages)
    if rule == FIRST_DAY:
        first = device.first_us // DAY_US
        return {f"{device.traits.zone}@{day}" for day in (first, first + 1)}
    assert rule == EVERYBODY, f"unknown blocking rule {rule}"
    return {""}


def _sample(texts: set[str]) -> list[str]:
    if len(texts) > MOST_KEYS:
        return sorted(sorted(texts, key=_digest)[:MOST_KEYS])
    return sorted(texts)


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=8).digest()

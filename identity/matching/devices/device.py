"""A device as it is compared: where and when it was online, what it visited, what it says it is.

Everything here is a plain value made once from evidence; nothing reads a clock.
Hours are whole hours since 1970-01-01 UTC, slots are two hours long.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from identity.model import HOUR_US

SLOT_HOURS = 2
DAY_HOURS = 24


class Sighting(NamedTuple):
    """One event of a device: when, on which network (None: not known), at what.

    `visited` is a site or category, with its dimension before a colon
    (``site:…``, ``category:…``), or None.
    """

    at_us: int
    network: str | None = None
    visited: str | None = None


@dataclass(frozen=True, slots=True)
class Traits:
    """What a device says of itself. Empty where it does not say.

    `languages` are base languages (``en``), the secondary ones included;
    `zone` a time zone or an offset from UTC; `maker` who makes its system;
    `browser` a family.
    """

    languages: frozenset[str] = frozenset()
    zone: str = ""
    place: str = ""
    maker: str = ""
    browser: str = ""


@dataclass(frozen=True, slots=True)
class Device:
    """A device with its habits, folded from its sightings.

    - `type`: ``phone``, ``desktop``, ``television`` …; two devices of one type
      are never linked to one another.
    - `may_link`: what policy, and consent once it exists, say about linking it.
    - `network_days`: per network the UTC days it was used on.
    - `slots`: per slot the network used most in it.
    - `hours`: the hours in which it was active.
    - `visited`: per site or category the UTC days it was visited on.
    """

    key: str
    type: str
    traits: Traits
    may_link: bool
    first_us: int
    last_us: int
    network_days: Mapping[str, frozenset[int]] = field(repr=False)
    slots: Mapping[int, str] = field(repr=False)
    hours: frozenset[int] = field(repr=False)
    visited: Mapping[str, frozenset[int]] = field(repr=False)


def device_of(
    key: str, device_type: str, traits: Traits, sightings: Iterable[Sighting], *, may_link: bool
) -> Device:
    """Fold sightings into a device; their order and repetition of a whole hour do not matter."""
    days: dict[str, set[int]] = defaultdict(set)
    slots: dict[int, Counter[str]] = defaultdict(Counter)
    visited: dict[str, set[int]] = defaultdict(set)
    hours: set[int] = set()
    times = [0, 0]
    for seen in sightings:
        hour = seen.at_us // HOUR_US
        times = [min(times[0] or seen.at_us, seen.at_us), max(times[1], seen.at_us)]
        hours.add(hour)
        if seen.visited is not None:
            visited[seen.visited].add(hour // DAY_HOURS)
        if seen.network is not None:
            days[seen.network].add(hour // DAY_HOURS)
            slots[hour // SLOT_HOURS][seen.network] += 1
    return Device(
        key=key,
        type=device_type,
        traits=traits,
        may_link=may_link,
        first_us=times[0],
        last_us=times[1],
        network_days={network: frozenset(own) for network, own in days.items()},
        slots={slot: most_used(own) for slot, own in slots.items()},
        hours=frozenset(hours),
        visited={name: frozenset(own) for name, own in visited.items()},
    )


def most_used(names: Counter[str]) -> str:
    """The name counted most often; of equals the first."""
    return min(names, key=lambda name: (-names[name], name))

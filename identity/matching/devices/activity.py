"""A device from what the graph keeps of its node: daily activity in cells, as ingest writes them.

Cells read: ``network:TOKEN``, ``slot:TOKEN@NUMBER`` (the network in one of the
day's twelve slots of two hours), ``site:TOKEN``, ``category:NAME``,
``device_type``, ``browser``, ``system``, ``locale``, ``zone`` and ``place``.
Others are left aside.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from identity.matching.devices.device import DAY_HOURS, SLOT_HOURS, Device, most_used
from identity.matching.devices.traits import traits_of
from identity.model import ActivityDay, NodeKey

_SLOTS = DAY_HOURS // SLOT_HOURS
_VISITED = ("site", "category")
_SAID = ("device_type", "browser", "system", "locale", "zone", "place")


def device_of_activity(key: NodeKey, days: Mapping[int, ActivityDay], *, may_link: bool) -> Device:
    """Fold the days of one node into a device: a pure function of that node's own evidence.

    Of what a device says of itself the value seen most often counts, of equals
    the first by name; but every language counts. Without any ``device_type``
    the type is "": such a device is compared with nobody. `may_link` is what
    policy and consent say about linking this device.
    """
    networks: dict[str, set[int]] = defaultdict(set)
    visited: dict[str, set[int]] = defaultdict(set)
    slots: dict[int, Counter[str]] = defaultdict(Counter)
    said: dict[str, Counter[str]] = {name: Counter() for name in _SAID}
    for day, activity in days.items():
        for cell, count in activity.cells.items():
            dimension, _, value = cell.partition(":")
            if dimension == "network":
                networks[value].add(day)
            elif dimension == "slot":
                network, _, number = value.rpartition("@")
                slots[day * _SLOTS + int(number)][network] += count
            elif dimension in _VISITED:
                visited[cell].add(day)
            elif dimension in said:
                said[dimension][value] += count
    usual = {name: most_used(own) if own else "" for name, own in said.items()}
    return Device(
        key=key,
        type=usual["device_type"],
        traits=traits_of(
            system=usual["system"],
            browser=usual["browser"],
            languages=tuple(said["locale"]),
            zone=usual["zone"],
            place=usual["place"],
        ),
        may_link=may_link,
        first_us=min((own.first_us for own in days.values()), default=0),
        last_us=max((own.last_us for own in days.values()), default=0),
        network_days={network: frozenset(own) for network, own in networks.items()},
        slots={slot: most_used(own) for slot, own in slots.items()},
        hours=frozenset(
            day * DAY_HOURS + hour
            for day, own in days.items()
            for hour, count in own.hours.items()
            if count
        ),
        visited={name: frozenset(own) for name, own in visited.items()},
    )

"""Devices of a small made-up city, for tests of matching."""

from __future__ import annotations

import random
from typing import NamedTuple

from identity.matching.devices.device import Device, Sighting, Traits, device_of
from identity.model import DAY_US, HOUR_US

START_US = 17_000 * DAY_US
KEY = b"the key that tokens are keyed with"


class Seen(NamedTuple):
    """A device of the city: its key, its type, and when it was seen on which network."""

    key: str
    type: str
    sightings: list[Sighting]


def city(people_count: int, seed: int) -> list[Device]:
    """The devices of `seen_in`, folded."""
    traits = Traits(languages=frozenset({"en"}), zone="-5")
    return [
        device_of(own.key, own.type, traits, own.sightings, may_link=True)
        for own in seen_in(people_count, seed)
    ]


def seen_in(people_count: int, seed: int) -> list[Seen]:
    """People with a phone and a desktop each, a home, an office of six, and a crowded café."""
    draw = random.Random(seed)
    found = []
    for number in range(people_count):
        home, office = f"home {number}", f"office {number // 6}"
        days = sorted(draw.sample(range(14), 9))
        phone, desktop = [], []
        for day in days:
            morning = START_US + day * DAY_US + draw.randrange(8, 11) * HOUR_US
            evening = START_US + day * DAY_US + draw.randrange(18, 22) * HOUR_US
            phone += [Sighting(morning, office), Sighting(evening, home)]
            phone += [Sighting(morning + 3 * HOUR_US, f"cell {number} {day}")]
            if draw.random() < 0.8:
                desktop.append(Sighting(evening + HOUR_US, home))
            if draw.random() < 0.5:
                desktop.append(Sighting(morning + HOUR_US, office))
            phone.append(Sighting(morning + 5 * HOUR_US, "cafe"))
        desktop.append(Sighting(START_US + days[0] * DAY_US + 20 * HOUR_US, home))
        found.append(Seen(f"device:p{number}", "phone", phone))
        found.append(Seen(f"device:d{number}", "desktop", desktop))
    return found

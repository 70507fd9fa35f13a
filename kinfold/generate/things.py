"""What things report: watches, loudspeakers one talks to, thermostats."""

from __future__ import annotations

from kinfold.generate.people import pick
from kinfold.generate.scribe import Scribe
from kinfold.generate.words import CATEGORIES
from kinfold.generate.world import Device, Household, Person

_WAKING = tuple(range(6, 23))
_QUARTERS = (1, 7, 13, 19)


def things_day(scribe: Scribe, home: Household) -> None:
    """One day of everything in a household that is not a screen."""
    for person in home.people:
        if person.watch is not None:
            _watch(scribe, home, person, person.watch)
    if home.keeper is None:
        return
    if home.speaker is not None:
        _speaker(scribe, home, home.keeper, home.speaker)
    if home.thermostat is not None:
        _thermostat(scribe, home, home.keeper, home.thermostat)


def _pair(scribe: Scribe, home: Household, keeper: Person, device: Device) -> None:
    """A thing tells whose account it was set up with: on the first day, then now and then."""
    if (scribe.day == 0 or scribe.random() < 0.03) and keeper.login is not None:
        at_ms = scribe.moment(home.place.zone, _WAKING)
        tags = [keeper.login, *device.tags]
        scribe.put(device.source, at_ms, tags, "deviceSeen", {}, context=device.contexts[0])


def _watch(scribe: Scribe, home: Household, person: Person, watch: Device) -> None:
    _pair(scribe, home, person, watch)
    body = {
        "type": "BEHAVIOUR_TYPE_SENSOR_READING",
        "category": "health/vitamins",
        "item": "heart_rate",
        "value": 50 + int(scribe.random() * 70),
        "unit": "bpm",
        "channel": "sensor",
    }
    at_ms = scribe.moment(home.place.zone, person.habit)
    scribe.put("iot", at_ms, watch.tags, "behaviour", body, context=watch.contexts[1])


def _speaker(scribe: Scribe, home: Household, keeper: Person, speaker: Device) -> None:
    _pair(scribe, home, keeper, speaker)
    for _ in range(int(scribe.random() * 3.5 * min(scribe.spec.pace, 4))):
        person = pick(scribe.rng, home.people)
        wanted = person.interests if scribe.random() < 0.7 else CATEGORIES
        body = {
            "type": "BEHAVIOUR_TYPE_VOICE_QUERY",
            "category": pick(scribe.rng, wanted),
            "channel": "voice",
        }
        at_ms = scribe.moment(home.place.zone, _WAKING)
        scribe.put("iot", at_ms, speaker.tags, "behaviour", body, context=speaker.contexts[0])


def _thermostat(scribe: Scribe, home: Household, keeper: Person, device: Device) -> None:
    _pair(scribe, home, keeper, device)
    for hour in _QUARTERS:
        body = {
            "type": "BEHAVIOUR_TYPE_SENSOR_READING",
            "item": "temperature",
            "value": 17 + int(scribe.random() * 60) / 10,
            "unit": "Cel",
            "channel": "sensor",
        }
        at_ms = scribe.moment(home.place.zone, (hour,))
        scribe.put("iot", at_ms, device.tags, "behaviour", body, context=device.contexts[0])

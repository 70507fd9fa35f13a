"""Visits to a shop as its web and app send them: the stream that the embedded figures ingest.

A visit is a run of about eight signals by one device with a login; a thousand
visits are under way at once, and each one that ends gives way to another. Four
visits in five are by somebody known, drawn evenly from everybody; the fifth
brings a device and a login never seen. One signal in twenty carries a phone
number or an e-mail address never seen. There are 1,000 user agents, and signals
come at two a second, so that a stream of some ten thousand crosses midnight.

For comparison: in the browsing of 76 real devices a visit, cut where half an
hour passed without an event, had 16 events.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

VISIT_SIGNALS = 8
AT_ONCE = 1_000
KNOWN = 0.8
NEW_CONTACT = 0.05
AGENTS = 1_000
INTERVAL_US = 500_000
SEEDED_US = int(datetime(2026, 3, 1, 8, tzinfo=UTC).timestamp()) * 1_000_000
BEGIN_US = int(datetime(2026, 3, 2, 18, tzinfo=UTC).timestamp()) * 1_000_000
_CATEGORIES = tuple(
    f"{section}/{part}"
    for section in ("sport", "garden", "kitchen", "books", "travel", "music", "shoes", "toys")
    for part in ("new", "sale", "classic", "guides", "gifts")
)
_SYSTEMS = (
    "Windows NT 10.0; Win64; x64",
    "X11; Linux x86_64",
    "Linux; Android 14; Pixel 8",
    "Macintosh; Intel Mac OS X 10_15_7",
)
_TYPES = ("PAGE_VIEW",) * 16 + ("CLICK",) * 2 + ("SEARCH", "PURCHASE")


@dataclass(slots=True)
class _Visit:
    person: int
    is_first: bool
    sent: int = 0


class Visits:
    """A seeded stream over `people` known ones, numbered from 0; new ones count on from there.

    `name` sets streams of one population apart: it is part of signal ids and of
    what is new.
    """

    def __init__(self, people: int, seed: int, name: str) -> None:
        self._people = people
        self._draw = random.Random(seed)
        self._name = name
        self._next_new = 0
        self._sent = 0
        self._open = [self._visit() for _ in range(AT_ONCE)]

    def lines(self, count: int) -> Iterator[bytes]:
        """So many signals in proto JSON."""
        for _ in range(count):
            place = self._draw.randrange(AT_ONCE)
            visit = self._open[place]
            yield self._line(visit)
            visit.sent += 1
            if self._draw.random() < 1 / VISIT_SIGNALS:
                self._open[place] = self._visit()

    def write(self, path: Path, count: int) -> None:
        """Write so many signals to a file, one a line."""
        with path.open("wb") as file:
            file.writelines(line + b"\n" for line in self.lines(count))

    def _visit(self) -> _Visit:
        if self._draw.random() < KNOWN:
            return _Visit(self._draw.randrange(self._people), is_first=False)
        self._next_new += 1
        return _Visit(self._next_new, is_first=True)

    def _line(self, visit: _Visit) -> bytes:
        draw = self._draw
        self._sent += 1
        who = f"{self._name}.{visit.person}" if visit.is_first else str(visit.person)
        signal = _signal(who, f"{self._name}-{self._sent}", BEGIN_US + self._sent * INTERVAL_US)
        if draw.random() < NEW_CONTACT:
            signal["identifiers"].append(self._contact())
        if visit.is_first and visit.sent == 0:
            granted = [{"purpose": "personalisation", "granted": True}]
            signal["consentDecided"] = {"decisions": granted, "textVersion": "3"}
        elif visit.sent == 0:
            signal["loggedIn"] = {"method": "password"}
        else:
            kind = draw.choice(_TYPES)
            # People keep to a few categories of their own.
            category = _CATEGORIES[(visit.person * 7 + draw.randrange(5)) % len(_CATEGORIES)]
            did: dict[str, Any] = {
                "type": f"BEHAVIOUR_TYPE_{kind}",
                "category": category,
                "channel": "web",
            }
            if kind == "PURCHASE":
                did |= {"item": f"article-{draw.randrange(5_000)}", "value": 19.5, "unit": "EUR"}
            signal["behaviour"] = did
        return orjson.dumps(signal)

    def _contact(self) -> dict[str, str]:
        if self._draw.random() < 0.5:
            return {"kind": "phone", "value": f"+4179{self._draw.randrange(2_000_000, 10**7)}"}
        return {"kind": "email", "value": f"{self._name}.{self._sent}@mail.kinfold.io"}


def first_sights(people: int) -> Iterator[bytes]:
    """Everybody known, once: one signal with login and device each."""
    for person in range(people):
        signal = _signal(str(person), f"seed-{person}", SEEDED_US + person % 3_600 * 1_000_000)
        signal["loggedIn"] = {"method": "password"}
        yield orjson.dumps(signal)


def first_consents(people: int) -> Iterator[bytes]:
    """What everybody known said: yes to one purpose, and one in four no to another, later."""
    for person in range(people):
        at_us = SEEDED_US + person % 3_600 * 1_000_000
        signal = _signal(str(person), f"yes-{person}", at_us)
        said = [{"purpose": "personalisation", "granted": True}]
        signal["consentDecided"] = {"decisions": said, "textVersion": "3"}
        yield orjson.dumps(signal)
        if person % 4 == 0:
            signal = _signal(str(person), f"no-{person}", at_us + 60_000_000)
            said = [{"purpose": "personalisation", "granted": False}]
            signal["consentDecided"] = {"decisions": said, "textVersion": "3"}
            if person % 8 == 0:
                # Under their login alone, so that it takes links to tell whose yes it ends.
                del signal["identifiers"][0]
            yield orjson.dumps(signal)


def agent(number: int) -> str:
    """One of the 1,000 user agents."""
    version = f"{90 + number % 40}.0.{4_000 + number}.{number % 200}"
    system = _SYSTEMS[number % len(_SYSTEMS)]
    return (
        f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{version} Safari/537.36"
    )


_AGENTS = tuple(agent(number) for number in range(AGENTS))


def _signal(who: str, signal_id: str, at_us: int) -> dict[str, Any]:
    """A signal by somebody's login and device, still without content."""
    number = zlib.crc32(who.encode())
    at = datetime.fromtimestamp(at_us / 1e6, UTC)
    return {
        "source": "web",
        "signalId": signal_id,
        "eventTime": at.isoformat().replace("+00:00", "Z"),
        "assurance": "ASSURANCE_AUTHENTICATED",
        "identifiers": [
            {"kind": "device", "value": f"d-{who}"},
            {"kind": "login", "value": f"user.{who}@kinfold.io"},
        ],
        "context": {
            "userAgent": _AGENTS[number % AGENTS],
            "networkAddress": f"10.{number % 200}.{number // 200 % 250}.{number % 7}",
            "timeZone": "Europe/Zurich",
            "locale": "de-CH",
        },
    }

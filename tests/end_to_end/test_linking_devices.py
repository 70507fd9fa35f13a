"""Devices that are alike become one person's where their people allow it, on the command line."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.integration.test_model_life_devices import study
from tests.support.command_line import CommandLine

PEOPLE = 25
LOGIN = ("login", "ann")
_numbers = count()


def signal(kind: str, value: str, at: str, **content: Any) -> dict[str, Any]:
    """Something of one identifier."""
    return {
        "source": "web", "signalId": f"s-{next(_numbers)}", "eventTime": at,
        "identifiers": [{"kind": kind, "value": value}], **content,
    }  # fmt: skip


def decided(kind: str, value: str, at: str, **granted: bool) -> dict[str, Any]:
    """A decision on purposes."""
    told = [{"purpose": name, "granted": is_granted} for name, is_granted in granted.items()]
    return signal(kind, value, at, consentDecided={"decisions": told})


def sightings(events: Path) -> list[dict[str, Any]]:
    """The study's events as a web page sends them."""
    found = []
    for event in map(orjson.loads, events.read_bytes().splitlines()):
        context = {"deviceType": event["kind"], "networkAddress": event["ip"], "locale": "de"}
        at = event["at"].replace("+00:00", "Z")
        found.append(signal("device", event["device"], at, context=context, deviceSeen={}))
    return found


def devices() -> list[str]:
    """Everybody's."""
    return [f"{kind}-{number}" for number in range(PEOPLE) for kind in "pd"]


class Linking:
    """A home in which a device model is in force."""

    def __init__(self, line: CommandLine) -> None:
        self.line = line

    def take(self, *signals: dict[str, Any]) -> None:
        """Take signals in."""
        self.line.does("ingest", "-", given=b"\n".join(map(orjson.dumps, signals)) + b"\n")

    def people(self) -> int:
        """How many there are, by what the doctor says."""
        rows = self.line.run("doctor").out.splitlines()
        said = next(row for row in rows if row.startswith("ok       graph"))
        return int(said.rpartition(", ")[2].split()[0].replace(",", ""))

    def are_one(self, number: int) -> bool:
        """Whether the phone and the desktop of one of the study are one person's."""
        ends = (f"device:p-{number}", f"device:d-{number}")
        return bool(self.line.does("explain", *ends, "--json").json["same_person"])

    def a_pair(self) -> int:
        """Somebody whose devices are one person's."""
        return next(number for number in range(PEOPLE) if self.are_one(number))


@pytest.fixture
def linking(tmp_path: Path) -> Linking:
    """Nobody has said anything yet."""
    line = CommandLine(tmp_path)
    events, about = study(tmp_path, people=PEOPLE, seed=3)
    words = ("model", "train", "--devices", events, "--about", about, "--json")
    line.does("model", "activate", line.does(*words).json["model"])
    found = Linking(line)
    found.take(*sightings(events))
    return found


def test_devices_are_linked_only_with_consent(linking: Linking) -> None:
    """Apart until they say yes, joined then, and parted by a no wherever their person says it."""
    assert linking.people() == 2 * PEOPLE
    day = "2026-04-0{}T12:00:00Z".format
    linking.take(*(decided("device", one, day(1), personalisation=True) for one in devices()))
    joined = linking.people()
    assert joined <= 1.2 * PEOPLE
    pair = linking.a_pair()
    login = signal(*LOGIN, day(2), loggedIn={"method": "password"})
    login["identifiers"].append({"kind": "device", "value": f"p-{pair}"})
    linking.take(login)
    assert linking.people() == joined
    for number, (said, is_one) in enumerate([
        (decided(*LOGIN, day(3), personalisation=False), False),
        (decided(*LOGIN, day(4), device_recognition=True), True),
        (decided(*LOGIN, day(5), device_recognition=False, personalisation=True), True),
        (signal(*LOGIN, day(6), recordAsserted={"birthDate": "2015-06-01"}), False),
    ]):  # fmt: skip
        linking.take(said)
        assert linking.are_one(pair) is is_one, number
        assert linking.people() == (joined if is_one else joined + 1)

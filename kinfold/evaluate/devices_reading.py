"""Events, devices and answers of a cross-device study, read from files."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import orjson

from identity.matching.devices.device import Device, Sighting, device_of
from identity.matching.devices.traits import traits_of
from kinfold.evaluate.reading import NotEvaluable

PHONE, DESKTOP = "phone", "desktop"
_TYPES = {
    **dict.fromkeys(("phone", "mobile", "smartphone", "cell"), PHONE),
    **dict.fromkeys(("desktop", "laptop", "pc", "computer"), DESKTOP),
}
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Study:
    """Devices with all their sightings, and who truly owns each (where known)."""

    types: Mapping[str, str]
    sightings: Mapping[str, list[Sighting]]
    about: Mapping[str, Mapping[str, object]]
    owners: Mapping[str, str]

    def devices(self) -> list[Device]:
        """The devices, folded; none of their answers."""
        return [fold(key, self.types[key], own, self.about) for key, own in self.sightings.items()]

    def true_pairs(self) -> frozenset[tuple[str, str]]:
        """Pairs of a phone and a desktop that one person owns, the phone first."""
        owned: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for key, owner in self.owners.items():
            owned[owner][self.types.get(key, "")].append(key)
        return frozenset(
            (phone, desktop)
            for own in owned.values()
            for phone in own[PHONE]
            for desktop in own[DESKTOP]
        )


def fold(
    key: str, device_type: str, own: list[Sighting], about: Mapping[str, Mapping[str, object]]
) -> Device:
    """One device from its sightings and what it says of itself. Files grant all consent."""
    said = {name: str(value) for name, value in about.get(key, {}).items() if value is not None}
    traits = traits_of(
        system=said.get("os", ""),
        browser=said.get("browser", ""),
        user_agent=said.get("user_agent", ""),
        languages=(said.get("language", ""), said.get("accept", "")),
        zone=said.get("time_zone", said.get("utc_offset_hours", "")),
        place=said.get("place", ""),
    )
    return device_of(key, device_type, traits, own, may_link=True)


def read(events: Path, about: Path, truth: Path) -> Study:
    """Read the three files; raises NotEvaluable with the file and line that is wrong.

    Answers about devices without any event are kept: no link can find them,
    so they count as missed.
    """
    study = read_devices(events, about)
    types = dict(study.types)
    owners = _owners(truth, types)
    return replace(study, types=types, owners=owners)


def read_devices(events: Path, about: Path) -> Study:
    """The study without its answers; raises NotEvaluable with the file and line that is wrong."""
    known: dict[str, Mapping[str, object]] = {}
    types: dict[str, str] = {}
    for place, row in _rows(about):
        key = _text(row, "device", place)
        known[key] = row
        types[key] = _type(row)
    sightings: dict[str, list[Sighting]] = defaultdict(list)
    for place, row in _rows(events):
        key = _text(row, "device", place)
        types.setdefault(key, _type(row))
        sightings[key] += _sightings(row, place)
    return Study(types, dict(sorted(sightings.items())), known, {})


def _type(row: Mapping[str, object]) -> str:
    said = str(row.get("kind") or row.get("type") or "").lower()
    return _TYPES.get(said, said)


def _sightings(row: Mapping[str, object], place: str) -> list[Sighting]:
    at_us = _microseconds(_text(row, "at", place), place)
    network = row.get("ip") or row.get("network")
    visited: list[str | None] = [
        f"{name}:{row[name]}" for name in ("site", "category") if row.get(name)
    ]
    known = str(network) if network else None
    return [Sighting(at_us, known, name) for name in visited or [None]]


def _microseconds(text: str, place: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise NotEvaluable(f"{place}: {text!r} is not a time") from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return round(at.timestamp() * 1_000_000)


def _text(row: Mapping[str, object], name: str, place: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise NotEvaluable(f"{place}: no {name}")
    return value


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Each object of a JSON Lines file, gzipped or not, with where it stands."""
    for number, line in enumerate(_bytes(path).splitlines(), 1):
        place = f"{path.name}:{number}"
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            raise NotEvaluable(f"{place}: not JSON") from None
        if not isinstance(row, dict):
            raise NotEvaluable(f"{place}: not an object")
        yield place, row


def _bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(_GZIP) else content
    except (OSError, EOFError) as error:
        raise NotEvaluable(f"{path}: cannot be read ({type(error).__name__})") from None


def _owners(path: Path, types: dict[str, str]) -> dict[str, str]:
    rows = csv.DictReader(_bytes(path).decode("utf-8-sig").splitlines())
    if not {"device", "person"} <= set(rows.fieldnames or ()):
        raise NotEvaluable(f"{path.name}: no columns device and person")
    owners = {}
    for row in rows:
        owners[row["device"]] = row["person"]
        types.setdefault(row["device"], _type(row))
    return owners

"""Small cohorts for tests, and every raw value in them that nothing may leave behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from kinfold.generate.cohort import cohort
from kinfold.generate.scribe import PLACEHOLDERS
from kinfold.generate.spec import CohortSpec
from kinfold.generate.truth import Truth

TINY = CohortSpec(people=25, days=3, seed=5)
"""Some 600 signals: for tests that kill, replay and repeat."""

SMALL = CohortSpec(people=120, days=5, seed=5, bad=0.002, mistaken=0.05)
"""Some 5,000 signals with a kiosk, mistakes and bad lines."""

Signal = dict[str, Any]
Personal = tuple[str, str]
"""What kind of value, and the value."""

_RECORD_FIELDS = (
    "fullName", "givenName", "familyName", "birthDate", "email", "phone", "nationalId",
)  # fmt: skip
_PUBLIC = {(one["kind"], one["value"]) for one in PLACEHOLDERS}


def made(spec: CohortSpec) -> tuple[list[Signal], Truth]:
    """All signals of a cohort in order of arrival, and its whole truth."""
    signals, truth = cohort(spec)
    return list(signals), truth


def lines(signals: Iterable[Signal]) -> list[bytes]:
    """The signals as lines of proto JSON, each with its line's end."""
    return [orjson.dumps(signal, option=orjson.OPT_APPEND_NEWLINE) for signal in signals]


def is_bad(signal: Signal) -> bool:
    """Whether the signal was broken on purpose."""
    return "-bad-" in signal["signalId"]


def personal_values(signals: Iterable[Signal]) -> set[Personal]:
    """Every identifier and personal value, as sent and as normalised.

    Left out are placeholders, which name nobody, and what stays readable on
    purpose: categories, channels, campaigns, locales, time zones, regions,
    device types and the reasons that staff gave.
    """
    found: set[Personal] = set()
    for signal in signals:
        found.update(_of(signal))
    return found


def _of(signal: Mapping[str, Any]) -> Iterator[Personal]:
    for identifier in signal.get("identifiers", ()):
        yield from _identifier(identifier)
    for end in ("left", "right"):
        if "linkDecided" in signal:
            yield from _identifier(signal["linkDecided"][end]["identifier"])
    context = signal.get("context", {})
    for field in ("userAgent", "networkAddress"):
        if field in context:
            yield f"context.{field}", context[field]
    record = signal.get("recordAsserted", {})
    for field in _RECORD_FIELDS:
        if field in record:
            yield f"record.{field}", record[field]
    if "address" in record:
        yield "record.address.street", record["address"]["street"]
    if "item" in signal.get("behaviour", {}) and signal["source"] != "iot":
        yield "behaviour.item", signal["behaviour"]["item"]


def _identifier(identifier: Mapping[str, str]) -> Iterator[Personal]:
    kind, value = identifier["kind"], identifier["value"]
    if (kind, value) in _PUBLIC:
        return
    yield kind, value.strip()
    if kind == "phone":
        digits = "".join(filter(str.isdigit, value))
        if digits:
            yield kind, digits

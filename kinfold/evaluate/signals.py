"""Rows of a file as the signals that a source would send of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from identity.matching import attributes
from identity.normalize import Unusable, identifier

SOURCE = "evaluation"
EVENT = "2026-01-01T00:00:00Z"
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")
_OTHER_NAME = re.compile(r"[^A-Za-z0-9_.-]")
_NAMES = {
    attributes.GIVEN: "givenName", attributes.MIDDLE: "middleName",
    attributes.FAMILY: "familyName", attributes.FULL: "fullName",
    attributes.GENDER: "gender", attributes.OCCUPATION: "occupation",
    attributes.BIRTH_PLACE: "birthPlace", attributes.NATIONAL_ID: "nationalId",
    attributes.PASSPORT: "passport", attributes.LICENCE: "drivingLicence",
}  # fmt: skip
_ADDRESS = {
    attributes.LINE: "line", attributes.NUMBER: "streetNumber", attributes.STREET: "street",
    attributes.UNIT: "unit", attributes.CITY: "city", attributes.STATE: "region",
    attributes.POSTCODE: "postcode",
}  # fmt: skip


def lines(records: Iterable[Mapping[str, str]], first: int = 0) -> Iterator[bytes]:
    """One signal in proto JSON per record, in order; the record's id is its number from `first`."""
    for number, record in enumerate(records, first):
        yield orjson.dumps(_signal(number, record)) + b"\n"


def _signal(number: int, record: Mapping[str, str]) -> dict[str, Any]:
    """What a field of the signal would refuse goes among the other texts, as it stands."""
    said: dict[str, Any] = {}
    address: dict[str, str] = {}
    other: dict[str, str] = {}
    for name, value in record.items():
        if name in _NAMES:
            said[_NAMES[name]] = value
        elif name in _ADDRESS:
            address[_ADDRESS[name]] = value
        elif name == attributes.BIRTH_DATE and _DATE.fullmatch(value):
            said["birthDate"] = value
        elif name in (attributes.EMAIL, attributes.PHONE) and _usable(name, value):
            said[name] = value
        else:
            other[_OTHER_NAME.sub("_", name.removeprefix(attributes.OTHER))] = value
    more = {"address": address, "other": other}
    said |= {name: value for name, value in more.items() if value}
    return {
        "source": SOURCE,
        "signalId": str(number),
        "eventTime": EVENT,
        "assurance": "ASSURANCE_CLAIMED",
        "recordAsserted": said,
    }


def _usable(kind: str, value: str) -> bool:
    return not isinstance(identifier(kind, value), Unusable)

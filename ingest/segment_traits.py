"""Segment traits to a record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ingest.raw import PostalAddress, RecordAsserted
from ingest.validate import MAX_OTHER, MAX_TEXT_CHARS

_RESERVED: Final = {
    "name": "full_name",
    "firstName": "given_name",
    "first_name": "given_name",
    "middleName": "middle_name",
    "lastName": "family_name",
    "last_name": "family_name",
    "gender": "gender",
    "email": "email",
    "phone": "phone",
    "title": "occupation",
}
_ADDRESS: Final = {
    "street": "street",
    "city": "city",
    "state": "region",
    "postalCode": "postcode",
    "postal_code": "postcode",
    "country": "country",
}
_UNREAD: Final = frozenset({"id", "address", "birthday", "avatar", "age", *_RESERVED})
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)([T ].*)?", re.ASCII | re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")


def record_of(traits: Mapping[str, Any]) -> RecordAsserted:
    """The spec's reserved traits by their meaning, plain others by name; empty when none is there.

    What is too long for a record is cut off; lists and objects are left out.
    """
    found: dict[str, Any] = {}
    for name, field in _RESERVED.items():
        if value := _plain(traits.get(name)):
            found.setdefault(field, value)
    birthday = _DATE.fullmatch(_plain(traits.get("birthday")))
    if birthday is not None:
        found["birth_date"] = birthday.group(1)
    address = traits.get("address")
    if isinstance(address, dict):
        parts = {
            field: value for name, field in _ADDRESS.items() if (value := _plain(address.get(name)))
        }
        if parts:
            found["address"] = PostalAddress(**parts)
    elif value := _plain(address):
        found["address"] = PostalAddress(line=value)
    other = sorted(
        (name, value)
        for name, item in traits.items()
        if name not in _UNREAD and _NAME.fullmatch(name) and (value := _plain(item))
    )
    return RecordAsserted(**found, other=tuple(other[:MAX_OTHER]))


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)[:MAX_TEXT_CHARS]
    return ""

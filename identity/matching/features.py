"""A record in the form that is compared: each attribute normalised once, when it comes in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from identity.matching import attributes, dates
from identity.matching.names import name_of
from identity.matching.phones import phone_of
from identity.matching.text import fold, tokens

Features = dict[str, Any]
"""Slot to normalised value; slots without one are left out.

`name` is a `names.Name`, `birth_date` eight digits, `email` (local part,
domain), `phone` (country, national number), `household` (number, street);
every other slot is a text.
"""

_TEXTS = (
    attributes.CITY, attributes.STATE, attributes.ADDRESS_2, attributes.UNIT,
    attributes.OCCUPATION, attributes.BIRTH_PLACE,
)  # fmt: skip
_CODES = (attributes.POSTCODE, attributes.NATIONAL_ID, attributes.PASSPORT, attributes.LICENCE)
_GENERIC_BOXES = frozenset(
    "info information sales office offices contact contacts admin administrator mail email hello"
    " support service services customerservice customer team enquiries enquiry inquiries noreply"
    " no-reply donotreply postmaster webmaster hostmaster abuse help helpdesk none test unknown"
    " orders order bookings booking reservations billing accounts accounting finance hr jobs"
    " careers press media marketing reception secretary general feedback shop store company"
    " familia family kontakt anonymous nobody na".split()
)
_NO_DOTS = frozenset({"gmail.com", "googlemail.com"})
"""Domains that deliver to one box however its name is dotted, and are one domain."""
_LINE = re.compile(r"(?P<number>\d+[a-z]?)\s+(?P<street>.+)")
_LINE_NUMBER_LAST = re.compile(r"(?P<street>.+?)\s+(?P<number>\d+[a-z]?)")


def features_of(record: Mapping[str, str], *, day_first: bool) -> Features:
    """Normalise a record's attributes; what cannot be read is left out."""
    found: Features = {}
    _put(found, "name", name_of(record))
    if text := record.get(attributes.BIRTH_DATE):
        _put(found, "birth_date", dates.digits_of(text, day_first=day_first))
    if text := record.get(attributes.EMAIL):
        _put(found, "email", _email(text))
    if text := record.get(attributes.PHONE):
        _put(found, "phone", phone_of(text))
    if text := record.get(attributes.GENDER):
        _put(found, "gender", fold(text.strip())[:1])
    _put(found, "household", _street(record))
    for attribute in _CODES:
        if text := record.get(attribute):
            _put(found, attribute, "".join(tokens(text)))
    for attribute in _TEXTS:
        if text := record.get(attribute):
            _put(found, attribute, " ".join(tokens(text)))
    for attribute, text in record.items():
        if attribute.startswith(attributes.OTHER) and text:
            _put(found, attribute, " ".join(tokens(text)))
    return found


def _put(found: Features, slot: str, value: object) -> None:
    if value:
        found[slot] = value


def _email(text: str) -> tuple[str, str] | None:
    """Local part without its tag, and domain; None for a box that is nobody's own."""
    local, _, domain = fold(text.strip()).partition("@")
    local = local.partition("+")[0]
    if domain in _NO_DOTS:
        local, domain = local.replace(".", ""), "gmail.com"
    return None if not local or local in _GENERIC_BOXES else (local, domain)


def _street(record: Mapping[str, str]) -> tuple[str, str] | None:
    number = " ".join(tokens(record.get(attributes.NUMBER, "")))
    street = " ".join(tokens(record.get(attributes.STREET, "")))
    if not (number or street) and attributes.LINE in record:
        street = " ".join(tokens(record[attributes.LINE].split(",")[0]))
    if street and not number:
        found = _LINE.fullmatch(street) or _LINE_NUMBER_LAST.fullmatch(street)
        if found is not None:
            number, street = found["number"], found["street"]
    return (number, street) if number or street else None

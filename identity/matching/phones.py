"""Phone numbers as they are compared: the country's code where it is told, and the rest."""

from __future__ import annotations

import re

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

Phone = tuple[str, str]
"""Country code ("" when not told) and the national number without zeros before it."""

_DIGITS = re.compile(r"\D+")
_TRUNK = re.compile(r"\(0\)")
_NANP_DIGITS = 11
_PART_DIGITS = 7
"""What is left of a number without its area must be so long to stand for it."""


def phone_of(text: str) -> Phone | None:
    """Read a number as it was written; None when there is no digit but zeros in it.

    The country is told by + or 00 before the number, and by a 1 before the ten
    digits of North America.
    """
    text = _TRUNK.sub("", text.strip())
    digits = _DIGITS.sub("", text)
    if text.startswith("+") or digits.startswith("00"):
        digits = digits.lstrip("0")
        for length in (1, 2, 3):
            if int(digits[:length] or 0) in COUNTRY_CODE_TO_REGION_CODE:
                return _of(digits[:length], digits[length:])
    if len(digits) == _NANP_DIGITS and digits.startswith("1"):
        return _of("1", digits[1:])
    return _of("", digits)


def _of(country: str, national: str) -> Phone | None:
    national = national.lstrip("0")
    return (country, national) if national else None


def written_alike(left: Phone, right: Phone) -> bool:
    """Whether the two may be one number, the one with and the other without country or area."""
    (country, national), (other_country, other) = left, right
    if national == other:
        return True
    short, long = sorted((national, other), key=len)
    told = country if long is national else other_country
    return len(short) >= _PART_DIGITS and not told and long.endswith(short)


def other_country(left: Phone, right: Phone) -> bool:
    """Whether both tell their country, and not the same."""
    return left[0] != "" != right[0] and left[0] != right[0]

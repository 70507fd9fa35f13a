"""Birth dates as eight digits, `YYYYMMDD`, errors in typing kept; unknown parts are zeros."""

from __future__ import annotations

import re

_YEAR_FIRST = re.compile(r"(\d{4})\W(\d{1,2})\W(\d{1,2})")
_YEAR_LAST = re.compile(r"(\d{1,2})\W(\d{1,2})\W(\d{4})")
_YEAR_MONTH = re.compile(r"(\d{4})\W(\d{1,2})")
_OLDEST, _YOUNGEST = "1500", "2100"


def digits_of(text: str, *, day_first: bool) -> str | None:
    """The eight digits of a date, or None when it has no form known here.

    Known are year, month and day with any separator or none, in that order or
    with the year last, and the year with or without its month. `day_first`
    says how dates with the year last are meant. Days and months that cannot
    be are kept: they are typing errors of a date.
    """
    text = text.strip()
    if len(text) > 10 and text[10] in "T ":
        text = text[:10]
    if found := _YEAR_FIRST.fullmatch(text):
        return found[1] + found[2].zfill(2) + found[3].zfill(2)
    if found := _YEAR_LAST.fullmatch(text):
        return found[3] + _month_day(found[1].zfill(2), found[2].zfill(2), day_first)
    if found := _YEAR_MONTH.fullmatch(text):
        return found[1] + found[2].zfill(2) + "00"
    if not text.isascii() or not text.isdigit():
        return None
    if len(text) == 4:
        return text + "0000"
    if len(text) != 8:
        return None
    if _OLDEST <= text[:4] <= _YOUNGEST:
        return text
    return text[4:] + _month_day(text[:2], text[2:4], day_first)


def _month_day(first: str, second: str, day_first: bool) -> str:
    return second + first if day_first else first + second


def speaks_day_first(text: str) -> int:
    """1 when a date with the year last can only be day first, -1 only month first, else 0."""
    found = _YEAR_LAST.fullmatch(text.strip())
    if found is None:
        return 0
    return int(int(found[1]) > 12) - int(int(found[2]) > 12)


def swapped(digits: str) -> str:
    """The date with its day and month swapped."""
    return digits[:4] + digits[6:] + digits[4:6]

"""RFC 3339 times as integers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def rfc3339_us(text: str) -> int | None:
    """Microseconds since 1970 UTC of an RFC 3339 time of any offset; None when it is none.

    Digits finer than a microsecond are cut off, so the answer is never later
    than the time. Leap seconds (`:60`) are refused, as protobuf's JSON form does.
    """
    if _FORM.fullmatch(text) is None:
        return None
    try:
        return datetime_us(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def datetime_us(moment: datetime) -> int:
    """Microseconds since 1970 UTC; a time without a zone is taken as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND

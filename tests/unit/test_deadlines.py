"""By when requests must be answered: months, business days, what may be extended."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.deadlines import (
    Deadlines,
    Law,
    RequestKind,
    after_business_days,
    after_months,
    deadlines,
)

DAYS = st.dates(date(2018, 5, 25), date(2099, 12, 31))
KINDS = st.sampled_from(list(RequestKind))


@pytest.mark.parametrize(
    ("received", "due", "extended"),
    [
        # EDPB Guidelines 01/2022, paragraph 160: 5 March to 5 April, 31 August to 30 September.
        ("2026-03-05", "2026-04-05", "2026-06-05"),
        ("2026-08-31", "2026-09-30", "2026-11-30"),
        ("2027-01-31", "2027-02-28", "2027-04-30"),
        ("2028-01-31", "2028-02-29", "2028-04-30"),
        ("2026-11-30", "2026-12-30", "2027-02-28"),
        ("2027-12-31", "2028-01-31", "2028-03-31"),
    ],
)
def test_the_month_of_the_gdpr(received: str, due: str, extended: str) -> None:
    """The day of the same number, or the last of a month without it; extended from receipt."""
    found = deadlines(Law.GDPR, RequestKind.ACCESS, date.fromisoformat(received))
    assert found == Deadlines(
        None, date.fromisoformat(due), date.fromisoformat(due), date.fromisoformat(extended)
    )


def test_the_days_of_the_ccpa() -> None:
    """45 days and 45 more, receipt confirmed in 10 business days, an opt-out heeded in 15."""
    friday = date(2026, 7, 3)
    found = deadlines(Law.CCPA, RequestKind.ERASURE, friday)
    assert found == Deadlines(
        date(2026, 7, 17), date(2026, 8, 17), date(2026, 8, 17), date(2026, 10, 1)
    )
    found = deadlines(Law.CCPA, RequestKind.OPT_OUT, friday)
    assert found == Deadlines(None, date(2026, 7, 24), None, None)
    holiday = deadlines(Law.CCPA, RequestKind.OPT_OUT, friday, {date(2026, 7, 6)})
    assert holiday.due == date(2026, 7, 27)


@given(DAYS, st.integers(0, 36))
def test_months_end_where_their_last_month_ends(start: date, months: int) -> None:
    """So many months on, on the same number unless the month is too short; never in another."""
    end = after_months(start, months)
    assert (end.year * 12 + end.month) - (start.year * 12 + start.month) == months
    assert end.day == min(start.day, monthrange(end.year, end.month)[1])


@given(DAYS, DAYS, st.integers(0, 12))
def test_later_receipt_is_never_due_earlier(one: date, other: date, months: int) -> None:
    """Dates keep the order of receipt."""
    first, second = sorted((one, other))
    assert after_months(first, months) <= after_months(second, months)
    assert after_business_days(first, months) <= after_business_days(second, months)


@given(DAYS, st.integers(1, 60), st.sets(st.integers(0, 90), max_size=20))
def test_business_days_are_counted_one_by_one(start: date, days: int, off: set[int]) -> None:
    """Exactly so many working days lie behind the first, and the last is one of them."""
    holidays = {start + timedelta(days=each) for each in off}
    end = after_business_days(start, days, holidays)
    passed = [start + timedelta(days=n) for n in range(1, (end - start).days + 1)]
    working = [day for day in passed if day.weekday() < 5 and day not in holidays]
    assert (len(working), working[-1]) == (days, end)


@given(st.sampled_from(list(Law)), KINDS, DAYS)
def test_extensions_are_told_in_the_first_period(law: Law, kind: RequestKind, day: date) -> None:
    """What may be extended is told no later than it was due, and is due no later than the law's
    longest: three months, or ninety days.
    """
    found = deadlines(law, kind, day)
    assert day < found.due
    assert (found.extend_by is None) == (found.extended is None)
    if found.extended is not None:
        longest = after_months(day, 3) if law is Law.GDPR else day + timedelta(days=90)
        assert found.extend_by == found.due < found.extended == longest

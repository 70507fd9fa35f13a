"""The day that a receipt names for the topic of signals is never too early, and none where none is.

Retention counts from when the ledger is closed, which may be hours after the erasure.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kinfold.privacy_places import forgets
from profiles.pulsar_cluster import Forgetting

SENT_US = int(datetime(2026, 3, 1, 18, 0, tzinfo=UTC).timestamp()) * 1_000_000
DAY_MIN = 24 * 60
GOES = "the topic of signals forgets what was sent until now"
LATER = ", or when every subscription has acknowledged it, if that is later"


def topic(
    keeps_min: int, keeps_mb: int = 0, open_min: int | None = 240, *, is_told: bool = True
) -> Forgetting:
    """A topic whose broker looks for what is due every two minutes."""
    return Forgetting(keeps_min, keeps_mb, open_min, 120, is_told)


@pytest.mark.parametrize(
    ("kept", "day"),
    [
        (topic(DAY_MIN, -1), "2026-03-02"),
        # Four hours of retention end two hours before midnight, but for four until it begins.
        (topic(DAY_MIN + 240, 500), "2026-03-03"),
        (topic(30, open_min=300), "2026-03-01"),
        # A ledger may be closed a twentieth later than told, here a quarter past midnight.
        (topic(1, open_min=357), "2026-03-02"),
    ],
)
def test_retention_begins_when_the_ledger_is_closed(kept: Forgetting, day: str) -> None:
    """The day is that of sending, and until the ledger is closed, and the retention."""
    assert forgets(kept, SENT_US) == f"{GOES} by {day}{LATER}"


def test_no_retention_is_until_the_ledger_is_closed() -> None:
    """What is acknowledged stays as long as the ledger it is in is written to."""
    closed = f"{GOES} when its ledger is closed"
    assert forgets(topic(0), SENT_US) == f"{closed}, by 2026-03-01{LATER}"
    assert forgets(topic(0, open_min=360), SENT_US) == f"{closed}, by 2026-03-02{LATER}"


def test_a_default_is_told_as_such() -> None:
    """Where the broker does not tell when it closes ledgers, the day rests on Pulsar's default."""
    reckoned = " (if ledgers are closed within 240 minutes, as is Pulsar's default)"
    told = forgets(topic(60, is_told=False), SENT_US)
    assert told == f"{GOES} by 2026-03-01{reckoned}{LATER}"


def test_no_day_is_made_up() -> None:
    """Kept for good, by size, or in ledgers that no time closes: the receipt says so instead."""
    assert forgets(topic(-1, -1), SENT_US) == (
        "the topic of signals keeps everything for good: give it a retention"
    )
    assert forgets(topic(-1, 500), SENT_US) == (
        "the topic of signals keeps the last 500 MB of what was acknowledged, however old it is:"
        " give it a retention in time"
    )
    assert forgets(topic(60, open_min=None), SENT_US) == (
        "nobody can say when the topic of signals forgets:"
        " its ledgers are closed when they are full, at no time"
    )

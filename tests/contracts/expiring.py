"""Retention: what is due expires, people split where nothing newer holds them, holds are heeded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from identity.model import DAY_US, EvidenceKind
from identity.retention import Retention
from kinfold.retention import Expired, expire, expire_due
from tests.support.served import Make, Served, decided, signal, viewed

ANN, PHONE, BOB = ("login", "ann"), ("phone", "+41 79 123 45 01"), ("login", "bob")
COOKIE = ("cookie", "c-1")
OLD, RECENT, LATE = "2026-01-10T12:00:00Z", "2026-08-01T12:00:00Z", "2026-08-20T12:00:00Z"
MONTHS = Retention({EvidenceKind.LINK: 90, EvidenceKind.ACTIVITY: 90})


def day_of(text: str) -> int:
    """Days since 1970 UTC."""
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1e6) // DAY_US


def at(when: str, *identifiers: tuple[str, str], **content: Any) -> dict[str, Any]:
    """A signal of a day."""
    return {**signal(*identifiers, **content), "event_time": when}


def hold(when: str, identifier: tuple[str, str], *, lifted: bool = False) -> dict[str, Any]:
    """What staff says to put a legal hold in force, or to lift it."""
    return {**at(when, identifier, **decided(legal_hold=lifted)), "source": "staff"}


class Expiring:
    """Every engine keeps it; a test class says what is made by its fixture `make`."""

    @pytest.fixture
    def served(self, make: Make) -> Served:
        """Ann and a phone were seen together long ago and never since; so were Bob and a cookie."""
        made = make()
        made.take(
            at(OLD, ANN, PHONE),
            at(OLD, BOB, COOKIE),
            at(RECENT, ANN, **viewed("sport")),
            at(RECENT, PHONE, **viewed("sport")),
            at(RECENT, BOB, **viewed("sport")),
            at(RECENT, COOKIE, **viewed("sport")),
        )
        assert made.person(*ANN) == made.person(*PHONE)
        return made

    def test_people_split_when_what_joined_them_has_expired(self, served: Served) -> None:
        """What is due goes, late ones of its age are refused, and lookups show two."""
        outcome = _due(served)
        before = served.now_us // DAY_US - 90
        assert outcome == Expired(dict.fromkeys(MONTHS.days, before), {})
        assert served.person(*ANN) != served.person(*PHONE)
        assert served.person(*BOB) != served.person(*COOKIE)
        for one in (ANN, PHONE):
            assert served.view.stored(served.person(*one)) is not None
        served.take(at(OLD, ANN, PHONE))
        assert served.person(*ANN) != served.person(*PHONE)
        served.take(at(LATE, ANN, PHONE))
        assert served.person(*ANN) == served.person(*PHONE)

    def test_what_is_due_is_due_once(self, served: Served) -> None:
        """Again on the same day there is nothing to do; a day later there is."""
        _due(served)
        assert _due(served) == Expired({}, {})
        served.now_us += DAY_US
        assert set(_due(served).moved) == set(MONTHS.days)

    def test_nothing_of_who_is_under_a_legal_hold_expires(self, served: Served) -> None:
        """A horizon stops at their earliest evidence, for everybody, until the hold is lifted."""
        served.take(hold(RECENT, ANN))
        outcome = _due(served)
        assert outcome.held == outcome.moved == dict.fromkeys(MONTHS.days, day_of(OLD))
        assert served.person(*ANN) == served.person(*PHONE)
        assert served.person(*BOB) == served.person(*COOKIE)
        asked = {EvidenceKind.CONSENT: day_of(LATE)}
        assert expire(served.store, served.policy, asked).held == {
            EvidenceKind.CONSENT: day_of(RECENT)
        }
        served.take(hold(LATE, ANN, lifted=True))
        assert _due(served).held == {}
        assert served.person(*ANN) != served.person(*PHONE)

    def test_a_hold_on_one_end_keeps_what_joins_the_person(self, served: Served) -> None:
        """Whoever is one person with somebody under a hold keeps the links that make them one."""
        served.take(hold(RECENT, PHONE))
        _due(served)
        assert served.person(*ANN) == served.person(*PHONE)


def _due(served: Served) -> Expired:
    outcome = expire_due(served.store, served.policy, MONTHS, served.now_us)
    served.settle()
    return outcome

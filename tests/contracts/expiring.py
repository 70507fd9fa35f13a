"""Retention: what is due expires, people split where nothing newer holds them, holds are heeded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from identity.model import DAY_US, EvidenceKind
from identity.retention import Retention
from ingest.payloads import read_record
from kinfold.retention import Due, Expired, Trims, expire
from profiles import contexts
from profiles.v1.profile_pb2 import Profile
from profiles.v1.profile_service_pb2 import (
    GetProfileRequest,
    GetProfileResponse,
    Subject,
    SubjectIdentifier,
)
from tests.support.rights import EVERYTHING
from tests.support.served import Make, Served, decided, signal, viewed
from tests.support.tcf_encoding import DAY_DS, Said

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


def string(when: str, identifier: tuple[str, str], updated: str) -> dict[str, Any]:
    """A consent string that was updated on a day and sent on another."""
    updated_ds = day_of(updated) * DAY_DS
    said = Said(publisher=(5, 6), created_ds=updated_ds, updated_ds=updated_ds)
    return at(when, identifier, consent_decided={"tcf_string": said.text()})


CONSENTS = Retention({EvidenceKind.CONSENT: 90})
COOKIE_2 = ("cookie", "c-2")
UNDONE = "2026-09-01T12:00:00Z"


def decision(when: str, identifier: tuple[str, str], **granted: bool) -> dict[str, Any]:
    """A decision of a day, by staff."""
    return {**at(when, identifier, **decided(**granted)), "source": "staff"}


REFUSALS: dict[str, tuple[str, str, list[dict[str, Any]]]] = {
    "restricted": ("service", "restriction", [decision(OLD, ANN, restriction=False)]),
    "objected": ("analytics", "analytics", [decision(OLD, ANN, analytics=False)]),
    "opted out of sale": (
        "sale",
        "sale",
        [
            at(RECENT, ANN, record_asserted={"address": {"country": "US"}}),
            at(OLD, ANN, consent_decided={"global_privacy_control": True}),
        ],
    ),
    "outlasted by who was not known to be the same": (
        "marketing",
        "marketing",
        [
            decision(OLD, ANN, marketing=False),
            decision(RECENT, COOKIE_2, marketing=True),
            at(LATE, ANN, COOKIE_2),
        ],
    ),
    "outlasted by an old consent string": (
        "personalisation",
        "personalisation",
        [
            decision(OLD, ANN, personalisation=False),
            string(RECENT, ANN, "2025-12-01T00:00:00Z"),
        ],
    ),
}
"""What is refused, by which purpose, and what was said."""


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
        asked = Due({EvidenceKind.CONSENT: day_of(LATE)})
        outcome = expire(served.store, served.policies, asked, Trims(served.sealer))
        assert outcome.held == {EvidenceKind.CONSENT: day_of(RECENT)}
        served.take(hold(LATE, ANN, lifted=True))
        assert _due(served).held == {}
        assert served.person(*ANN) != served.person(*PHONE)

    def test_a_hold_on_one_end_keeps_what_joins_the_person(self, served: Served) -> None:
        """Whoever is one person with somebody under a hold keeps the links that make them one."""
        served.take(hold(RECENT, PHONE))
        _due(served)
        assert served.person(*ANN) == served.person(*PHONE)

    @pytest.mark.parametrize("case", REFUSALS)
    def test_no_refusal_is_forgotten_into_a_grant(self, served: Served, case: str) -> None:
        """The horizon of decisions stops at it, for everybody, until it does not hold any more."""
        purpose, refused, said = REFUSALS[case]
        served.take(decision(OLD, BOB, marketing=True), *said)
        assert not shown(served, ANN, purpose)
        served.keep(CONSENTS)
        outcome = served.expire_due()
        assert outcome.held == outcome.moved == {EvidenceKind.CONSENT: day_of(OLD)}
        assert not shown(served, ANN, purpose)
        assert shown(served, BOB, "marketing")
        served.take(decision(UNDONE, ANN, **{refused: True}))
        assert served.expire_due().held == {}
        assert shown(served, ANN, purpose)
        assert not shown(served, BOB, "marketing")

    def test_a_refusal_that_nobody_needs_expires(self, served: Served) -> None:
        """Where nothing is granted without a yes, and no yes would outlast it."""
        served.take(
            at(OLD, ANN, **decided(marketing=False)),
            at(OLD, BOB, **decided(marketing=True)),
            at(RECENT, BOB, **decided(marketing=False)),
        )
        served.keep(CONSENTS)
        assert served.expire_due().held == {}
        assert not shown(served, ANN, "marketing")
        assert not shown(served, BOB, "marketing")

    def test_no_string_from_before_comes_back(self, served: Served) -> None:
        """What it grants was given when decisions are forgotten already; a younger one grants."""
        served.take(at(OLD, ANN, **decided(personalisation=False)))
        served.keep(CONSENTS)
        assert served.expire_due().held == {}
        served.take(string(LATE, ANN, OLD))
        assert not shown(served, ANN, "personalisation")
        served.take(string(LATE, ANN, RECENT))
        assert shown(served, ANN, "personalisation")

    def test_identifiers_of_a_kind_expire(self, served: Served) -> None:
        """What cookies did and joined goes, what they consented to stays; others keep theirs."""
        served.take(at(OLD, COOKIE, **decided(personalisation=False)), at(OLD, BOB, PHONE_2))
        served.keep(Retention({"cookie": 90}))
        before = served.now_us // DAY_US - 90
        assert served.expire_due() == Expired({"cookie": before}, {})
        assert served.person(*BOB) != served.person(*COOKIE)
        assert served.person(*BOB) == served.person(*PHONE_2)
        assert served.person(*ANN) == served.person(*PHONE)
        held = served.store.evidence([served.person(*COOKIE)])[served.person(*COOKIE)]
        assert [kept.fact.kind for kept in held.facts] == [EvidenceKind.CONSENT]
        assert all(min(days) >= before for days in held.activity.values())
        served.take(at(OLD, BOB, COOKIE))
        assert served.person(*BOB) != served.person(*COOKIE)
        assert served.expire_due() == Expired({}, {})

    def test_attributes_expire_where_they_rest(self, served: Served) -> None:
        """Lookups and what rests lose the attribute and nothing else; late ones come without it."""
        served.take(said(OLD, ANN), said(RECENT, BOB))
        assert told(served, ANN) == told(served, BOB) == {"given_name", "birth_place"}
        served.keep(Retention({}, {"birth_place": 90}))
        before = served.now_us // DAY_US - 90
        assert served.expire_due() == Expired({}, {}, {"attribute.birth_place": before})
        assert told(served, ANN) == {"given_name"}
        assert told(served, BOB) == {"given_name", "birth_place"}
        for record in records_of(served, ANN):
            assert "birth_place" not in read_record(record)
        served.take(said(OLD, PHONE))
        assert told(served, PHONE) == {"given_name"}
        assert served.expire_due() == Expired({}, {})

    def test_a_hold_keeps_attributes(self, served: Served) -> None:
        """Of whoever is under one no attribute goes, until it is lifted."""
        served.take(said(OLD, ANN), hold(RECENT, ANN))
        served.keep(Retention({}, {"birth_place": 90}))
        name = "attribute.birth_place"
        assert served.expire_due().held_cutoffs == {name: day_of(OLD)}
        assert all("birth_place" in read_record(record) for record in records_of(served, ANN))
        served.take(hold(LATE, ANN, lifted=True))
        assert served.expire_due().held_cutoffs == {}
        assert told(served, ANN) == {"given_name"}

    def test_a_purpose_uses_what_is_young_enough(self, served: Served) -> None:
        """What is older is used for others all the same, and told once to who asks for both."""
        served.take(at(OLD, ANN, **viewed("opera")), at(RECENT, ANN, **decided(**ALLOWED)))
        everything = [("opera", 1), ("sport", 2)]
        assert interests(served, "personalisation") == everything
        served.keep(Retention({}, {}, {"personalisation": 90}))
        before = served.now_us // DAY_US - 90
        assert served.expire_due() == Expired({}, {}, {"purpose.personalisation": before})
        assert interests(served, "personalisation") == [("sport", 2)]
        assert interests(served, "marketing") == everything
        assert interests(served, "marketing", "personalisation") == everything
        served.take(at(OLD, ANN, **viewed("opera")))
        assert interests(served, "personalisation") == [("sport", 2)]
        assert interests(served, "marketing") == [("opera", 2), ("sport", 2)]
        served.take(at(LATE, ANN, **decided(marketing=False)))
        assert interests(served, "marketing") == []
        assert interests(served, "marketing", "personalisation") == [("sport", 2)]


PHONE_2 = ("phone", "+41 79 123 45 02")
ALLOWED = {"personalisation": True, "marketing": True}


def said(when: str, identifier: tuple[str, str]) -> dict[str, Any]:
    """A record with two attributes."""
    content = {"given_name": "Ada", "birth_place": "Chur"}
    return at(when, identifier, record_asserted=content)


def looked_up(served: Served, identifier: tuple[str, str], *purposes: str) -> Profile:
    """What a lookup shows."""
    named = SubjectIdentifier(kind=identifier[0], value=identifier[1])
    request = GetProfileRequest(subject=Subject(identifier=named), purposes=purposes)
    found = served.lookup.get(request, served.now_us, EVERYTHING)
    assert isinstance(found, bytes), found
    return GetProfileResponse.FromString(found).profile


def shown(served: Served, identifier: tuple[str, str], purpose: str) -> bool:
    """Whether somebody is served for a purpose."""
    bits = served.purposes.bits([purpose])
    assert bits is not None
    stored = served.view.stored(served.person(*identifier))
    return stored is not None and bool(stored.granted & bits)


def told(served: Served, identifier: tuple[str, str]) -> set[str]:
    """The attributes that are served."""
    return {one.name for one in looked_up(served, identifier, "service").attributes}


def interests(served: Served, *purposes: str) -> list[tuple[str, int]]:
    """What Ann is told to be interested in, and how often she looked."""
    shown = looked_up(served, ANN, *purposes).affinities
    return sorted((one.category, one.count) for one in shown)


def records_of(served: Served, identifier: tuple[str, str]) -> list[bytes]:
    """The records of a person as they rest, opened."""
    person = served.person(*identifier)
    facts = served.store.evidence([person])[person].facts
    return [
        served.sealer.open(kept.fact.payload, contexts.of_record(kept.fact.subjects[0]))
        for kept in facts
        if kept.fact.kind is EvidenceKind.RECORD
    ]


def _due(served: Served) -> Expired:
    served.keep(MONTHS)
    return served.expire_due()

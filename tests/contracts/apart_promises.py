"""Who is served to no one: people under restriction or legal hold, and people who are being erased.

From signals in to lookups, identity and consent out.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from identity.model import NodeKey
from identity.refused import Refused
from identity.serve import IdentityAnswers
from identity.v1.identity_service_pb2 import (
    ExplainLinkRequest,
    GetLineageRequest,
    IdentifierRef,
    ResolveIdentityRequest,
)
from ingest.rejected import Rejected
from profiles.consent import is_apart
from profiles.v1.consent_service_pb2 import GetConsentRequest, ListConsentDecisionsRequest
from profiles.v1.profile_service_pb2 import (
    GetProfileRequest,
    Subject,
    SubjectIdentifier,
)
from tests.support.consent_desk import answers_of
from tests.support.rights import EVERYTHING
from tests.support.served import NOW_US, Make, Served, decided, signal, viewed

LOGIN, EMAIL, COOKIE = ("login", "ann"), ("email", "ann@posteo.net"), ("cookie", "c-1")
BOB, CYD, NOBODY = ("login", "bob"), ("login", "cyd"), ("login", "nobody")
TABLET = ("device", "tablet")
ENGINE = EVERYTHING._replace(sees_apart=False)
"""A caller that may read all, and may hold nobody."""
AFTER_US = 1_772_400_000_000_000
"""After everything that Ann did, before what comes later."""


def apart(identifier: tuple[str, str], second: int, **granted: bool) -> dict[str, Any]:
    """Staff's decision on a reserved purpose at a second of the second of March 2026."""
    at = f"2026-03-02T12:00:{second:02}Z"
    return {**signal(identifier, **decided(**granted)), "source": "staff", "event_time": at}


def found(served: Served, *identifiers: tuple[str, str]) -> list[bool]:
    """Whether a lookup by each identifier finds a profile."""
    return [
        not isinstance(served.lookup.get(asked(one), served.now_us, EVERYTHING), Refused)
        for one in identifiers
    ]


def asked(identifier: tuple[str, str]) -> GetProfileRequest:
    """A lookup for running the service."""
    return GetProfileRequest(subject=subject(identifier), purposes=["service"])


def subject(identifier: tuple[str, str]) -> Subject:
    """Whom an identifier stands for."""
    named = SubjectIdentifier(kind=identifier[0], value=identifier[1])
    return Subject(identifier=named)


class Told:
    """What a decision engine is told over the graph; None where it is as of nobody at all."""

    def __init__(self, served: Served) -> None:
        self._store = served.store
        self._identity = IdentityAnswers(served.policy, served.naming, is_apart)
        self._consent = answers_of(served)

    def by(self, identifier: tuple[str, str]) -> set[str]:
        """The names of the methods that tell anything of whoever this stands for."""
        return {name for name, answer in self._answers(identifier) if self._tells(name, answer)}

    def lineage(self, person: str) -> str | None:
        """Whom an id stands for now, "" for nobody; None when it is as if never given out."""
        told = self._identity.lineage(self._store, GetLineageRequest(person_id=person))
        if isinstance(told, Refused):
            never = GetLineageRequest(person_id="z" * 26)
            assert told == self._identity.lineage(self._store, never)
            return None
        return told.current_person_id

    def holders(self, identifier: tuple[str, str]) -> list[str]:
        """The reserved purposes that who may hold people is told of; [] when of nobody."""
        asks = GetConsentRequest(subject=subject(identifier))
        told = self._consent.get(self._store, asks, EVERYTHING)
        return [] if isinstance(told, Refused) else [one.purpose for one in told.set_apart]

    def _answers(self, identifier: tuple[str, str]) -> list[tuple[str, object]]:
        store, who, ref = self._store, subject(identifier), _ref(identifier)
        consent, identity = self._consent, self._identity
        history = ListConsentDecisionsRequest(subject=who)
        return [
            ("consent", consent.get(store, GetConsentRequest(subject=who), ENGINE)),
            ("history", consent.history(store, history, ENGINE)),
            ("resolve", identity.resolve(store, ResolveIdentityRequest(identifier=ref))),
            ("left", identity.explain(store, ExplainLinkRequest(left=ref, right=_ref(CYD)))),
            ("right", identity.explain(store, ExplainLinkRequest(left=_ref(CYD), right=ref))),
            ("twice", identity.explain(store, ExplainLinkRequest(left=ref, right=ref))),
        ]

    def _tells(self, name: str, answer: object) -> bool:
        """An answer that tells nothing is the one that an identifier of nobody's gets."""
        if isinstance(answer, Refused):
            assert answer == _OF_NOBODY[name]
            return False
        return True


_OF_NOBODY = {
    "consent": Refused(5, "PROFILE_NOT_FOUND"),
    "history": Refused(5, "PROFILE_NOT_FOUND"),
    "resolve": Refused(5, "UNKNOWN_IDENTIFIER", "identifier"),
    "left": Refused(5, "UNKNOWN_IDENTIFIER", "left"),
    "right": Refused(5, "UNKNOWN_IDENTIFIER", "right"),
    "twice": Refused(5, "UNKNOWN_IDENTIFIER", "left"),
}
EVERY = set(_OF_NOBODY)


def _ref(identifier: tuple[str, str]) -> IdentifierRef:
    return IdentifierRef(kind=identifier[0], value=identifier[1])


class ApartPromises:
    """Every engine and feed keeps them; a test class says what is made by its fixture `make`."""

    @pytest.fixture
    def served(self, make: Make) -> Served:
        """Ann is known by login, e-mail and cookie, Bob and Cyd by a login alone."""
        made = make()
        made.now_us = AFTER_US
        made.take(
            signal(LOGIN, EMAIL, **viewed("sport")),
            signal(LOGIN, COOKIE),
            signal(BOB, **viewed("music")),
            signal(CYD),
        )
        made.now_us = NOW_US
        return made

    @pytest.mark.parametrize("reserved", ["restriction", "legal_hold"])
    def test_restriction_serves_to_no_one(self, served: Served, reserved: str) -> None:
        """While one is in force no lookup finds the person, by whatever identifier; everybody else
        is served; what came meanwhile is there once it is lifted.
        """
        everything = (LOGIN, EMAIL, COOKIE, BOB)
        assert found(served, *everything) == [True, True, True, True]
        served.take(apart(EMAIL, 1, **{reserved: False}))
        assert found(served, *everything) == [False, False, False, True]
        later = signal(LOGIN, ("device", "d-1"))
        served.take(later)
        assert found(served, LOGIN, ("device", "d-1")) == [False, False]
        served.take(apart(LOGIN, 2, **{reserved: True}))
        assert found(served, *everything, ("device", "d-1")) == [True] * 5

    @pytest.mark.parametrize("reserved", ["restriction", "legal_hold"])
    def test_restricted_people_are_told_of_nowhere(self, served: Served, reserved: str) -> None:
        """Identity and consent answer as of nobody, and who may hold people sees what holds."""
        told = Told(served)
        ann = served.person(*LOGIN)
        assert told.by(LOGIN) == told.by(COOKIE) == told.by(BOB) == EVERY
        assert told.by(NOBODY) == set()
        assert (told.lineage(ann), told.holders(LOGIN)) == (ann, [])
        served.take(apart(EMAIL, 1, **{reserved: False}))
        assert told.by(LOGIN) == told.by(EMAIL) == told.by(COOKIE) == set()
        assert told.by(BOB) == EVERY
        assert (told.lineage(ann), told.holders(COOKIE)) == (None, [reserved])
        served.take(apart(LOGIN, 2, **{reserved: True}))
        assert told.by(LOGIN) == told.by(EMAIL) == told.by(COOKIE) == EVERY
        assert (told.lineage(ann), told.holders(COOKIE)) == (ann, [])

    def test_restricted_people_still_decide(self, served: Served) -> None:
        """What they grant meanwhile is kept, and holds once nothing sets them apart."""
        served.take(apart(EMAIL, 1, restriction=False))
        yes = {**signal(LOGIN, **decided(marketing=True)), "event_time": "2026-03-02T12:00:01Z"}
        served.take(yes)
        assert Told(served).by(LOGIN) == set()
        served.take(apart(EMAIL, 2, restriction=True))
        stored = served.view.stored(served.person(*LOGIN))
        marketing = served.purposes.bits(["marketing"])
        assert stored is not None
        assert marketing
        assert stored.granted & marketing

    def test_people_being_erased_are_told_of_nowhere(self, served: Served) -> None:
        """From the fence on, through the sweep, until ids have ended: not of them, and not of what
        they share with others under their id. Nobody sees more.
        """
        served.take(signal(LOGIN, TABLET))
        told = Told(served)
        ann = served.person(*LOGIN)
        alone = [self.key(served, one) for one in (LOGIN, EMAIL, COOKIE)]
        served.store.fence(dict.fromkeys(alone[:1], AFTER_US))
        self.assert_untold(told, ann)
        served.store.fence(dict.fromkeys(alone, AFTER_US))
        self.assert_untold(told, ann)
        served.store.sweep(alone)
        self.assert_untold(told, ann)
        assert told.by(TABLET) == set()
        served.settle()
        self.assert_untold(told, None)
        assert told.lineage(ann) == ""
        later = {**signal(LOGIN, COOKIE), "event_time": "2026-03-02T12:00:00Z"}
        served.take(later)
        assert told.by(LOGIN) == told.by(COOKIE) == EVERY
        assert served.person(*LOGIN) != ann

    @pytest.mark.parametrize("with_all", [False, True], ids=["by a login", "by all they had"])
    @pytest.mark.parametrize("swept", [False, True], ids=["before the sweep", "after it"])
    def test_who_returns_while_being_erased_is_somebody_new(
        self, served: Served, *, swept: bool, with_all: bool
    ) -> None:
        """Nothing leads from before to after, whenever they come back and by whatever they had."""
        ann = served.person(*LOGIN)
        everything = (LOGIN, EMAIL, COOKIE)
        alone = [self.key(served, one) for one in everything]
        served.store.fence(dict.fromkeys(alone, AFTER_US))
        if swept:
            served.store.sweep(alone)
        back = signal(*(everything if with_all else (LOGIN, TABLET)))
        served.take({**back, "event_time": "2026-03-02T12:00:00Z"})
        served.store.sweep(alone)
        served.settle()
        assert served.store.current(ann) is None
        after = served.person(*LOGIN)
        assert ann not in {entry.person for entry in served.store.lineage(after)}
        assert found(served, LOGIN, BOB) == [True, True]
        assert Told(served).by(LOGIN) == EVERY
        gone = {"source": "crm", "signal_id": "back", "event_time": "2026-03-03T00:00:00Z"}
        more = signal(LOGIN, ("device", "phone"))
        served.take({**more, "event_time": "2026-03-02T13:00:00Z"})
        served.take({**gone, "retracted": {"signal_id": more["signal_id"]}})
        assert served.person(*LOGIN) == after

    def assert_untold(self, told: Told, ann: str | None) -> None:
        """Nothing is told of Ann, and all of Bob."""
        assert told.by(LOGIN) == told.by(EMAIL) == told.by(COOKIE) == set()
        assert told.holders(LOGIN) == []
        assert told.by(BOB) == EVERY
        if ann is not None:
            assert told.lineage(ann) is None

    def key(self, served: Served, identifier: tuple[str, str]) -> NodeKey:
        """An identifier's node."""
        key = served.naming(*identifier)
        assert key is not None
        return key

    def test_a_merge_does_not_get_around_a_restriction(self, served: Served) -> None:
        """Who joins somebody restricted is not served either; apart again, only the one is not."""
        served.take(apart(EMAIL, 1, restriction=False))
        bridge = signal(LOGIN, BOB)
        served.take(bridge)
        assert found(served, LOGIN, BOB) == [False, False]
        assert Told(served).by(LOGIN) == set()
        gone = {"source": "crm", "signal_id": "back", "event_time": "2026-03-03T00:00:00Z"}
        served.take({**gone, "retracted": {"signal_id": bridge["signal_id"]}})
        assert found(served, LOGIN, BOB) == [False, True]
        assert Told(served).by(BOB) == EVERY

    def test_nobody_but_staff_restricts(self, served: Served) -> None:
        """A source without may_decide neither hides anybody nor brings anybody back."""
        forged = {**apart(EMAIL, 3, restriction=False), "source": "web"}
        taken = served.new_intake().from_json(orjson.dumps(forged), served.now_us)
        assert isinstance(taken, Rejected)
        assert taken.rule == "may_decide"

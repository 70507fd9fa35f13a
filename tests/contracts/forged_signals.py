"""A thousand forged signals that try to bridge two known people join none.

Only an authenticated login or staff may join two people that each have a
customer id. Whoever forges knows every identifier, every record and every
signal of both, and publishes under any source but those that may decide; under
those that may authenticate all but logins, for who logs in there has shown who
they are.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from identity.matching.model import MatchModel
from identity.matching.training import train
from identity.model import NodeKey, PersonId, kind_of
from tests.support.match_models import town
from tests.support.served import Make, Served, signal, viewed

Identifier = tuple[str, str]
FORGED, BATCH = 1_000, 125
SOURCES = ("crm", "shop", "call_centre", "iot", "social", "somebody")
"""None may authenticate; `somebody` is a source that the policy does not name."""
AUTHENTICATING = ("web", "app")
"""May authenticate whoever logs in."""
ASSURANCES = ("ASSURANCE_AUTHENTICATED", "ASSURANCE_CLAIMED", "ASSURANCE_NONE")
_COMMON = {"birthDate": "1990-05-17", "address": {"city": "chur"}, "gender": "f"}
RECORDS = (
    {"givenName": "greta", "familyName": "gruber", **_COMMON},
    {"givenName": "greta", "familyName": "grube", **_COMMON},
)
"""The two look so much alike that, were they not customers, the model would take them for one."""


def known(number: int) -> dict[str, str]:
    """Somebody's identifiers by kind."""
    return {
        "customer_id": f"KD-{number}0{number}",
        "login": f"greta{number}",
        "loyalty_card": f"2900026434{number}5",
        "email": f"greta.{number}@alpenpost.ch",
        "phone": f"+41 79 123 45 0{number}",
        "external:partner": f"ext-{number}{number}{number}",
        "device": f"device-{number}b7c1",
        "cookie": f"cookie-{number}a9f2",
    }


PEOPLE = (known(1), known(2))
_NUMBERS = itertools.count(1)


@cache
def model(key: bytes) -> MatchModel:
    """A model for records, learnt in a town of people alike."""
    records, _ = town(250, seed=1)
    return train(records, name="town", seed=1, key=key)


def known_signals() -> Iterator[dict[str, Any]]:
    """What is known of both before: a login each, their record, a purchase, their devices.

    Each has the same id every time.
    """
    for number, one in enumerate(_known()):
        yield {**one, "signal_id": f"known-{number}"}


def _known() -> Iterator[dict[str, Any]]:
    for person, record in zip(PEOPLE, RECORDS, strict=True):
        own = list(person.items())
        yield {**signal(*own[:2], own[6], own[7]), "source": "web"}
        yield {**signal(*own[:2]), "source": "web"}
        yield _sent("crm", own[:1] + own[2:5], "ASSURANCE_CLAIMED", record_asserted=record)
        yield _sent("shop", own[2:4], "ASSURANCE_CLAIMED", **_bought())
        yield _sent("call_centre", [own[4], own[0]], "ASSURANCE_CLAIMED", **viewed("help"))
        yield _sent("app", [own[5], own[1]], "ASSURANCE_CLAIMED", **viewed("sport"))
    for number in (1, 2):
        alike = {"givenName": "hugo", "familyName": "thaler", "birthDate": "1951-11-30"}
        record = {**alike, "address": {"city": "egg"}}
        yield _sent(
            "crm",
            [("external:partner", f"hugo-{number}")],
            "ASSURANCE_NONE",
            record_asserted=record,
        )


def forged(seed: int) -> list[dict[str, Any]]:
    """Signals of every kind of forging, as many of each as fit, in any order."""
    drawn = random.Random(seed)
    made = [FORGERIES[number % len(FORGERIES)](drawn) for number in range(FORGED)]
    drawn.shuffle(made)
    return made


def both_in_one(drawn: random.Random) -> dict[str, Any]:
    """A login, a page view, whatever: identifiers of both side by side, assurance as one likes."""
    content = drawn.choice(
        [{"logged_in": {"method": "password"}}, viewed("x"), {"device_seen": {}}]
    )
    return _sent_by_any(drawn, [*_some(drawn, 0), *_some(drawn, 1)], **content)


def shared_between(drawn: random.Random) -> dict[str, Any]:
    """One's customer id or login beside what is the other's: an e-mail, a phone, a device."""
    one = drawn.randrange(2)
    account = drawn.choice(["customer_id", "login"])
    other = drawn.choice(["loyalty_card", "email", "phone", "external:partner", "device", "cookie"])
    ends = [(account, PEOPLE[one][account]), (other, PEOPLE[1 - one][other])]
    return _sent_by_any(drawn, ends, **viewed("x"))


def chained(drawn: random.Random) -> dict[str, Any]:
    """A piece of a chain from one to the other over identifiers that nobody ever had."""
    kind = drawn.choice(["login", "email", "phone", "cookie", "external:partner"])
    number = drawn.randrange(6)
    link = {"phone": f"+41 78 555 44 0{number}", "email": f"link{number}@alpenpost.ch"}
    ends = [(kind, link.get(kind, f"link-{number}")), *_some(drawn, drawn.randrange(2))]
    return _sent_by_any(drawn, ends, **viewed("x"))


def record_of_both(drawn: random.Random) -> dict[str, Any]:
    """A record with identifiers of both, or with one's customer id and all the other's words."""
    one = drawn.randrange(2)
    record = dict(RECORDS[one])
    if drawn.random() < 0.5:
        record |= {"email": PEOPLE[1 - one]["email"], "phone": PEOPLE[one]["phone"]}
    ends = [*_some(drawn, 0), *_some(drawn, 1)][: drawn.randrange(1, 4)]
    return _sent_by_any(drawn, ends, record_asserted=record)


def alike(drawn: random.Random) -> dict[str, Any]:
    """A record that the model takes for either, without an identifier or with a new one."""
    record = dict(drawn.choice(RECORDS))
    if drawn.random() < 0.5:
        record["givenName"] = drawn.choice(["greta", "gretl", "grete"])
    ends = [("external:partner", f"new-{drawn.randrange(40)}")] if drawn.random() < 0.6 else []
    return _sent_by_any(drawn, ends, record_asserted=record)


def consent_of_both(drawn: random.Random) -> dict[str, Any]:
    """A decision on purposes under identifiers of both."""
    return _sent_by_any(drawn, [*_some(drawn, 0), *_some(drawn, 1)], **_decided())


def purchase_of_both(drawn: random.Random) -> dict[str, Any]:
    """A purchase under identifiers of both."""
    return _sent_by_any(drawn, [*_some(drawn, 0), *_some(drawn, 1)], **_bought())


def decision_of_nobody(drawn: random.Random) -> dict[str, Any]:
    """A decision of staff through a source that may not decide."""
    kind = drawn.choice(["customer_id", "login", "email"])
    left, right = ({"identifier": {"kind": kind, "value": one[kind]}} for one in PEOPLE)
    decided = {"left": left, "right": right, "verdict": "LINK_VERDICT_SAME", "reason": "me"}
    return _sent_by_any(drawn, [], link_decided=decided)


def login_of_a_stranger(drawn: random.Random) -> dict[str, Any]:
    """Somebody who may well log in, as themselves, and claims what is others' beside it."""
    stranger = ("login", f"eve{drawn.randrange(4)}")
    weak = ["loyalty_card", "email", "phone", "external:partner", "device", "cookie"]
    ends = [(kind, drawn.choice(PEOPLE)[kind]) for kind in drawn.sample(weak, 3)]
    sent = _sent("web", [stranger, *ends], "ASSURANCE_AUTHENTICATED", logged_in={})
    return {**sent, "signal_id": f"eve-{next(_NUMBERS)}"}


def no_login(drawn: random.Random) -> dict[str, Any]:
    """Whatever else a source that may authenticate sees, with accounts of both side by side."""
    ends = [*_some(drawn, 0), *_some(drawn, 1)]
    content = drawn.choice(CONTENTS[1:])(drawn)
    return _sent(drawn.choice(AUTHENTICATING), ends, ASSURANCES[0], **content)


def sent_anew(drawn: random.Random) -> dict[str, Any]:
    """Another content under the id of a signal that is known, of any source that sent one."""
    source, signal_id = drawn.choice([(one["source"], one["signal_id"]) for one in known_signals()])
    contents = CONTENTS[1:] if source in AUTHENTICATING else CONTENTS
    ends = [*_some(drawn, 0), *_some(drawn, 1)]
    sent = _sent(source, ends, ASSURANCES[0], **drawn.choice(contents)(drawn))
    return {**sent, "signal_id": signal_id}


CONTENTS: tuple[Callable[[random.Random], dict[str, Any]], ...] = (
    lambda _: {"logged_in": {"method": "password"}},
    lambda _: {"device_seen": {}},
    lambda _: viewed("x"),
    lambda _: _bought(),
    lambda drawn: {"record_asserted": dict(drawn.choice(RECORDS))},
    lambda _: _decided(),
)
"""Whatever a signal may hold that names people: first a login, then all else."""
FORGERIES: tuple[Callable[[random.Random], dict[str, Any]], ...] = (
    both_in_one,
    shared_between,
    chained,
    record_of_both,
    alike,
    consent_of_both,
    purchase_of_both,
    decision_of_nobody,
    login_of_a_stranger,
    no_login,
)


class NoForgedBridges:
    """Every engine keeps it; a test class says what is made by its fixture `make`, with `model`."""

    @pytest.fixture
    def served(self, make: Make) -> Served:
        """Both are known, each with a customer id; the model in force joins who look alike."""
        made = make()
        made.take(*known_signals())
        assert made.person("external:partner", "hugo-1") == made.person(
            "external:partner", "hugo-2"
        )
        assert_two(made)
        return made

    def test_forged_signals_join_none(self, served: Served) -> None:
        """After any of a thousand the two are two, and nobody at all has two customer ids."""
        refused = 0
        sent = forged(7)
        for at in range(0, FORGED, BATCH):
            refused += len(served.take_some(*sent[at : at + BATCH]))
            assert_two(served)
        # Those that decide, and no other, are refused on the way in.
        assert refused == sum("link_decided" in one for one in sent) >= FORGED // len(FORGERIES)

    def test_signals_sent_anew_join_none(self, served: Served) -> None:
        """Of two contents under one id one counts, and it joins nobody, whichever it is."""
        drawn = random.Random(11)
        sent = [sent_anew(drawn) for _ in range(3 * BATCH)]
        for at in range(0, len(sent), BATCH):
            served.take(*sent[at : at + BATCH])
            assert_apart(served)

    @pytest.mark.parametrize("content", CONTENTS[1:])
    def test_only_a_login_joins_accounts(
        self, served: Served, content: Callable[[random.Random], dict[str, Any]]
    ) -> None:
        """What is no login joins them under no source, however sure it says it is."""
        both = [("customer_id", one["customer_id"]) for one in PEOPLE]
        for source in (*AUTHENTICATING, "staff"):
            sent = content(random.Random(1))
            served.take(_sent(source, both, "ASSURANCE_AUTHENTICATED", **sent))
            assert_two(served)

    def test_an_authenticated_login_joins_them(self, served: Served) -> None:
        """What no forged signal does, one login with both accounts does."""
        served.take_some(*forged(8)[:BATCH])
        both = [("customer_id", one["customer_id"]) for one in PEOPLE]
        served.take({**signal(*both), "source": "web"})
        assert len({served.person(*one) for one in both}) == 1

    def test_staff_joins_them(self, served: Served) -> None:
        """And so does a decision through a source that may decide."""
        served.take_some(*forged(9)[:BATCH])
        decided = decision_of_nobody(random.Random(1))["link_decided"]
        served.take(_sent("staff", [], "ASSURANCE_AUTHENTICATED", link_decided=decided))
        assert len({served.person("customer_id", one["customer_id"]) for one in PEOPLE}) == 1


def assert_two(served: Served) -> None:
    """Each of both has their own customer id with their own login, and nobody has two."""
    found = assert_apart(served)
    assert [served.person("login", one["login"]) for one in PEOPLE] == found
    # Lookups show what the graph holds.
    for person in found:
        stored = served.view.stored(person)
        assert stored is not None


def assert_apart(served: Served) -> list[PersonId]:
    """Nobody has two customer ids; gives the two whose these are."""
    found = [served.person("customer_id", one["customer_id"]) for one in PEOPLE]
    assert len(set(found)) == 2
    members: dict[PersonId, frozenset[NodeKey]] = served.store.members(served.store.all_people())
    for keys in members.values():
        assert sum(kind_of(key) == "customer_id" for key in keys) <= 1
    return found


def _some(drawn: random.Random, number: int) -> list[Identifier]:
    person = PEOPLE[number]
    strong = drawn.choice(["customer_id", "login"])
    rest = drawn.sample([kind for kind in person if kind != strong], drawn.randrange(3))
    return [(kind, person[kind]) for kind in (strong, *rest)]


def _sent_by_any(drawn: random.Random, ends: list[Identifier], **content: Any) -> dict[str, Any]:
    return _sent(drawn.choice(SOURCES), ends, drawn.choice(ASSURANCES), **content)


def _sent(source: str, ends: list[Identifier], assurance: str, **content: Any) -> dict[str, Any]:
    return {**signal(*dict.fromkeys(ends), **content), "source": source, "assurance": assurance}


def _decided() -> dict[str, Any]:
    decided = {"decisions": [{"purpose": "marketing", "granted": True}], "text_version": "1"}
    return {"consent_decided": decided}


def _bought() -> dict[str, Any]:
    return {"behaviour": {"type": "BEHAVIOUR_TYPE_PURCHASE", "item": "shoes", "category": "sport"}}

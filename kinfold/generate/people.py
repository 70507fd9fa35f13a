"""Making up households one after the other, each from the spec's seed and its own number."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import TypeVar

from kinfold.generate.agents import AGENTS
from kinfold.generate.spec import CohortSpec
from kinfold.generate.words import (
    CATEGORIES,
    FAMILY,
    GIVEN_FEMALE,
    GIVEN_MALE,
    HABITS,
    MAIL_DOMAINS,
    OCCUPATIONS,
    PLACE_WEIGHTS,
    PLACES,
    STREETS,
    Place,
)
from kinfold.generate.world import EVERYBODY, Device, Household, Kiosk, Person, Tag, Wire

T = TypeVar("T")

_SIZES = (1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5)
_PLACES = tuple(
    place for place, weight in zip(PLACES, PLACE_WEIGHTS, strict=True) for _ in range(weight)
)
_SPREAD = 7_368_787
"""A prime: n * _SPREAD mod 10**k meets every number once, in no order that shows."""

PEOPLE_PER_KIOSK = 400


def seed_of(spec: CohortSpec, number: int, day: int) -> int:
    """What a household's (or kiosk's) day is drawn from; `day` -1 is its making."""
    return (spec.seed << 64) ^ (number << 16) ^ (day + 1)


def pick(rng: Random, items: tuple[T, ...] | list[T]) -> T:
    """One of the items, each as likely. (Random.choice takes five times as long.)"""
    return items[int(rng.random() * len(items))]


def households(spec: CohortSpec) -> Iterator[Household]:
    """All households, until there are as many people as asked for."""
    rng = Random()  # noqa: S311 - the same seed must give the same people
    made = number = 0
    while made < spec.people:
        rng.seed(seed_of(spec, number, -1))
        size = min(pick(rng, _SIZES), spec.people - made)
        yield _household(rng, number, made, size)
        made += size
        number += 1


def kiosks(spec: CohortSpec, everybody: list[Household]) -> list[Kiosk]:
    """One kiosk for every few hundred people; everybody with an account there may use it."""
    made = []
    rng = Random()  # noqa: S311 - as above
    per_kiosk = max(1, len(everybody) * PEOPLE_PER_KIOSK // spec.people)
    for number, first in enumerate(range(0, len(everybody), per_kiosk)):
        near = everybody[first : first + per_kiosk]
        visitors = [p for home in near for p in home.people if p.login is not None]
        if len(visitors) < 3:
            continue
        rng.seed(seed_of(spec, number, -1) ^ (1 << 63))
        tags = [Tag("device", _uuid(rng), EVERYBODY)]
        context = _contexts(rng, near[0].place, _network(rng), "desktop", "desktop")
        made.append(Kiosk(Device(tags, context, "web", "web"), visitors))
    return made


def _household(rng: Random, number: int, first: int, size: int) -> Household:
    place = pick(rng, _PLACES)
    family = pick(rng, FAMILY)
    home = Household(number, [], place, pick(rng, STREETS), str(1 + int(rng.random() * 120)))
    network = _network(rng)
    for index in range(size):
        name = family if index == 0 or rng.random() < 0.8 else pick(rng, FAMILY)
        person = _person(rng, first + index, name, child=index >= 2)
        _identifiers(rng, person, place)
        _devices(rng, person, place, network, child=index >= 2)
        home.people.append(person)
    accounts = [person for person in home.people if person.login is not None]
    home.keeper = accounts[0] if accounts else None
    _shared(rng, home, network)
    return home


def _person(rng: Random, number: int, family: str, *, child: bool) -> Person:
    female = rng.random() < 0.5
    year = 2008 - int(rng.random() * 8) if child else 1996 - int(rng.random() ** 1.2 * 58)
    return Person(
        number=number,
        given_name=pick(rng, GIVEN_FEMALE if female else GIVEN_MALE),
        family_name=family,
        female=female,
        birth_date=f"{year}-{1 + int(rng.random() * 12):02d}-{1 + int(rng.random() * 28):02d}",
        national_id=f"756.{_digits(number, 4, 11)}.{_digits(number, 6, 17)}",
        occupation=pick(rng, OCCUPATIONS),
        habit=pick(rng, HABITS),
        interests=tuple(pick(rng, CATEGORIES) for _ in range(3 + int(rng.random() * 4))),
        lively=0.4 + rng.random() * 1.2,
    )


def _identifiers(rng: Random, person: Person, place: Place) -> None:
    number = person.number
    name = f"{person.given_name}.{person.family_name}".lower()
    if rng.random() < 0.9:
        address = f"{name}.{_base36(number)}@{pick(rng, MAIL_DOMAINS)}"
        person.email = Tag("email", address, number)
        if rng.random() < 0.12:
            other = f"{person.given_name.lower()}-{_base36(number)}@{pick(rng, MAIL_DOMAINS)}"
            person.second_email = Tag("email", other, number)
    if rng.random() < 0.85:
        person.phone = Tag("phone", place.phone[0] + _digits(number, place.phone[1], 1), number)
    if rng.random() < 0.82:
        person.login = Tag("login", f"{person.given_name.lower()}{_digits(number, 7, 3)}", number)
    if person.email and rng.random() < 0.65:
        person.customer = Tag("customer_id", f"KD-{_digits(number, 8, 5)}", number)
        if rng.random() < 0.03:
            person.old_customer = Tag("customer_id", f"ALT-{_digits(number, 8, 7)}", number)
    if rng.random() < 0.5:
        person.card = Tag("loyalty_card", f"2900{_digits(number, 9, 9)}", number)
    if rng.random() < 0.3:
        person.social = Tag("external:chirper", f"1000{_digits(number, 11, 13)}", number)


def _devices(rng: Random, person: Person, place: Place, network: str, *, child: bool) -> None:
    number, chance = person.number, rng.random
    carrier = f"2a02:ab8:{1 + int(chance() * 40):x}::{1 + int(chance() * 60):x}"
    if chance() < 0.95:
        app = [Tag("device", _uuid(rng), number)]
        if chance() < 0.6:
            app.append(Tag("advertising_id", _uuid(rng).upper(), number))
        contexts = _contexts(rng, place, network, "phone", "phone_app", carrier)
        person.devices.append(Device(app, contexts, "app", "app"))
        web = _contexts(rng, place, network, "phone", "phone", carrier)
        person.devices.append(Device([new_cookie(rng, number)], web, "web", "web", 0.04))
    if chance() < (0.2 if child else 0.55):
        office = f"203.{int(chance() * 64)}.{int(chance() * 16)}.{1 + int(chance() * 30)}"
        web = _contexts(rng, place, network, "desktop", "desktop", office)
        person.devices.append(Device([new_cookie(rng, number)], web, "web", "web", 0.03))
    if chance() < 0.15 or not person.devices:
        web = _contexts(rng, place, network, "tablet", "tablet")
        person.devices.append(Device([new_cookie(rng, number)], web, "web", "web", 0.02))
    if person.login is not None and chance() < 0.12:
        worn = _contexts(rng, place, network, "watch", "watch", carrier)
        person.watch = Device([Tag("device", _uuid(rng), number)], worn, "iot", "sensor")


def _shared(rng: Random, home: Household, network: str) -> None:
    """What several people at one address use: things, an e-mail address, a card, a landline."""
    chance, place = rng.random, home.place
    several = len(home.people) > 1
    owner = EVERYBODY if several else home.people[0].number
    if several and chance() < 0.5:
        tags = [Tag("device", _uuid(rng), owner)]
        context = _contexts(rng, place, network, "tablet", "tablet")
        home.tablet = Device(tags, context, "app", "app")
    for name, kind, channel, source, share in (
        ("tv", "tv", "app", "app", 0.6),
        ("speaker", "speaker", "voice", "iot", 0.3),
        ("thermostat", "sensor", "sensor", "iot", 0.2),
    ):
        if home.keeper is not None and chance() < share:
            context = _contexts(rng, place, network, kind, kind)
            tags = [Tag("device", _uuid(rng), owner)]
            setattr(home, name, Device(tags, context, source, channel))
    if several and chance() < 0.04:
        local = f"familie.{home.people[0].family_name.lower()}.{_base36(home.number)}"
        home.family_email = Tag("email", f"{local}@{pick(rng, MAIL_DOMAINS)}", EVERYBODY)
    if several and chance() < 0.06:
        card = Tag("loyalty_card", f"2901{_digits(home.number, 9, 9)}", EVERYBODY)
        for person in home.people:
            person.card = card
    if several and place.line and chance() < 0.3:
        prefix, digits = place.line
        home.landline = Tag("phone", prefix + _digits(home.number, digits, 1), EVERYBODY)


def new_cookie(rng: Random, owner: int) -> Tag:
    """A cookie as a browser has it after the last one was cleared."""
    return Tag("cookie", f"{rng.getrandbits(128):032x}", owner)


def _contexts(
    rng: Random, place: Place, network: str, device: str, agent: str, away: str = ""
) -> tuple[Wire, Wire]:
    agents = AGENTS[agent]
    home = {
        "userAgent": agents[int(rng.random() ** 1.7 * len(agents))],
        "networkAddress": network,
        "timeZone": place.zone,
        "locale": pick(rng, place.locales),
        "deviceType": device,
        "coarsePlace": place.region,
    }
    return (home, home | {"networkAddress": away}) if away else (home, home)


def _network(rng: Random) -> str:
    """A household's address, IPv4 or IPv6."""
    a, b, c = rng.getrandbits(16), rng.getrandbits(16), rng.getrandbits(16)
    if rng.random() < 0.3:
        return f"2001:1715:{a:x}:{b:x}::{1 + c % 9}"
    return f"{85 + a % 10}.{b % 256}.{c % 256}.{1 + (a >> 8) % 254}"


def _uuid(rng: Random) -> str:
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def _digits(number: int, count: int, salt: int) -> str:
    """`count` digits, different for every number below 10**count."""
    space: int = 10**count
    return f"{(number * _SPREAD + salt * 1_299_709) % space:0{count}d}"


def _base36(number: int) -> str:
    """A short suffix that no other number has."""
    text = ""
    number += 36
    while number:
        number, digit = divmod(number, 36)
        text = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + text
    return text

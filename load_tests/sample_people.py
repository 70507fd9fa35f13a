"""People as the graph hands them out, of a size that a good customer has."""

from __future__ import annotations

import random
from base64 import b32encode, urlsafe_b64encode

import msgpack

from identity.model import (
    DAY_US,
    HOUR_US,
    ActivityDay,
    Assurance,
    EvidenceKind,
    Fact,
    KeptFact,
    LinkDay,
    Node,
    PersonEvidence,
    kind_of,
)
from profiles import contexts
from profiles.sealing import Sealer

FIRST_DAY = 20_000
_TOPICS = ("sport/running", "garden/roses", "kitchen/knives", "books/crime", "music/jazz")
_CHANNELS = ("web", "app", "email")
_PURPOSES = ("personalisation", "marketing", "analytics")


def sample_person(seed: int, sealer: Sealer, days: int = 30, categories: int = 5) -> PersonEvidence:
    """One person: an e-mail address, a login, a device, and `days` days over some categories.

    Every day has two of the categories, one channel and one network.
    """
    drawn = random.Random(seed)
    email, login, device = (
        f"{kind}:{urlsafe_b64encode(drawn.randbytes(16))[:22].decode()}"
        for kind in ("email", "login", "device")
    )
    value = f"person.{seed}@mail.example.org".encode()
    orders = [drawn.getrandbits(63) for _ in range(3)]
    kept = {"email": value, "login": f"user{seed}".encode()}
    nodes = tuple(
        Node(key, order, sealer.seal(kept[kind], contexts.of_identifier(kind, order)))
        if (kind := kind_of(key)) in kept
        else Node(key, order)
        for key, order in zip((email, login, device), orders, strict=True)
    )
    topics = [f"{_TOPICS[n % 5]}/{n // 5}" for n in range(categories)]
    did = {FIRST_DAY + day: _did(drawn, FIRST_DAY + day, topics) for day in range(days)}
    where = {FIRST_DAY + day: _where(drawn, FIRST_DAY + day) for day in range(days)}
    at_us = FIRST_DAY * DAY_US
    sightings = tuple(
        LinkDay(
            FIRST_DAY + day,
            "web",
            Assurance.AUTHENTICATED,
            3,
            at_us + day * DAY_US,
            at_us + day * DAY_US + HOUR_US,
        )
        for day in range(0, days, 5)
    )
    return PersonEvidence(
        person=b32encode(drawn.randbytes(17))[:26].decode().lower(),
        nodes=nodes,
        links=((device, login, sightings), (email, login, sightings[:1])),
        activity={login: did, device: where},
        facts=(_consent(drawn, (login,), at_us),),
    )


def _did(drawn: random.Random, day: int, topics: list[str]) -> ActivityDay:
    cells = {f"category:{topic}": drawn.randint(1, 5) for topic in drawn.sample(topics, 2)}
    signals = sum(cells.values())
    cells |= {"type:page_view": signals, f"channel:{drawn.choice(_CHANNELS)}": signals}
    return _day(day, signals, cells)


def _where(drawn: random.Random, day: int) -> ActivityDay:
    network = f"network:{drawn.choice('abc') * 22}"
    said = (network, "browser:Firefox", "system:Linux", "device_type:desktop", "locale:de-CH")
    return _day(day, 10, dict.fromkeys(said, 10))


def _day(day: int, signals: int, cells: dict[str, int]) -> ActivityDay:
    first_us = day * DAY_US + 8 * HOUR_US
    hours = {8: signals - 2, 12: 1, 20: 1}
    return ActivityDay(signals, first_us, first_us + 12 * HOUR_US, hours, cells)


def _consent(drawn: random.Random, subjects: tuple[str, ...], at_us: int) -> KeptFact:
    decided = dict.fromkeys(_PURPOSES, True)
    payload = msgpack.packb({"decisions": decided, "text_version": "1", "place": "web"})
    fact = Fact(EvidenceKind.CONSENT, subjects, payload)
    signal, digest = drawn.getrandbits(63), drawn.randbytes(8)
    return KeptFact(signal, digest, at_us, at_us, "web", Assurance.AUTHENTICATED, fact)

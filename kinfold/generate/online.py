"""What people do online: sessions in browsers and apps, on their own devices and on shared ones."""

from __future__ import annotations

from kinfold.generate.people import new_cookie, pick
from kinfold.generate.scribe import AUTHENTICATED, CLAIMED, Scribe
from kinfold.generate.words import CAMPAIGNS, CATEGORIES
from kinfold.generate.world import Device, Household, Kiosk, Person, Tag, Wire

_TYPES = (
    ("BEHAVIOUR_TYPE_PAGE_VIEW",) * 62
    + ("BEHAVIOUR_TYPE_CLICK",) * 20
    + ("BEHAVIOUR_TYPE_SEARCH",) * 13
    + ("BEHAVIOUR_TYPE_OTHER",) * 5
)
_METHODS = ("password", "password", "passkey", "social")
_EVENING = (17, 18, 19, 20, 20, 21, 21, 22)


def person_day(scribe: Scribe, home: Household, person: Person) -> None:
    """One person's sessions on own devices, and what falls out of them."""
    random = scribe.random
    sessions = int(person.lively * 1.5 * scribe.spec.pace + random())
    logs_in = person.login is not None and random() < 0.45
    for _ in range(sessions):
        device = pick(scribe.rng, person.devices)
        if device.churn and random() < device.churn:
            device.tags[0] = new_cookie(scribe.rng, person.number)
        at_ms = scribe.moment(home.place.zone, person.habit)
        login = person.login if logs_in and random() < 0.7 else None
        session(scribe, person, device, login, at_ms)
    if person.email is not None and random() < 0.2:
        _newsletter(scribe, home, person)
    if person.social is not None and random() < 0.25:
        _social(scribe, home, person)


def session(scribe: Scribe, person: Person, device: Device, login: Tag | None, at_ms: int) -> None:
    """A run of behaviour on one device, logged in or not, about what the person cares for."""
    random, rng = scribe.random, scribe.rng
    context = device.contexts[random() < 0.3]
    tags, assurance = device.tags, None
    if login is not None:
        tags, assurance = [login, *device.tags], AUTHENTICATED
        body: Wire = {"method": pick(rng, _METHODS)}
        if body["method"] == "social" and person.social is not None:
            tags = [login, person.social, *device.tags]
        scribe.put(
            device.source, at_ms, tags, "loggedIn", body, assurance=assurance, context=context
        )
    category = pick(rng, person.interests)
    for _ in range(1 + int(random() ** 2 * 9)):
        at_ms += 2_000 + int(random() ** 2 * 180_000)
        if random() < 0.15:
            category = pick(rng, person.interests if random() < 0.8 else CATEGORIES)
        body = {"type": pick(rng, _TYPES), "category": category, "channel": device.channel}
        scribe.put(
            device.source, at_ms, tags, "behaviour", body, assurance=assurance, context=context
        )
    if random() < 0.06:
        _checkout(scribe, person, device, login, at_ms + 60_000, category)
    elif login is not None and random() < 0.08:
        _account_page(scribe, person, login, device, at_ms + 20_000)


def _checkout(
    scribe: Scribe, person: Person, device: Device, login: Tag | None, at_ms: int, category: str
) -> None:
    """An online purchase: with the account, or as a guest who types in an e-mail address."""
    tags = [tag for tag in (login, person.customer if login else None, person.email) if tag]
    level = AUTHENTICATED if login else CLAIMED
    scribe.put(
        device.source,
        at_ms,
        [*tags, *device.tags],
        "behaviour",
        purchase(scribe, category, device.channel),
        assurance=level,
        context=device.contexts[0],
    )


def purchase(scribe: Scribe, category: str, channel: str) -> Wire:
    """What was bought, for how much."""
    return {
        "type": "BEHAVIOUR_TYPE_PURCHASE",
        "category": category,
        "item": f"artikel-{int(scribe.random() * 90_000) + 10_000}",
        "value": 5 + int(scribe.random() ** 3 * 40_000) / 100,
        "unit": "EUR",
        "channel": channel,
    }


def _account_page(scribe: Scribe, person: Person, login: Tag, device: Device, at_ms: int) -> None:
    """Somebody logged in saves their details."""
    tags = [tag for tag in (login, person.customer, person.email, person.phone) if tag]
    body: Wire = {"givenName": person.given_name, "familyName": person.family_name}
    if person.email:
        body["email"] = person.email.value
    if person.phone:
        body["phone"] = person.phone.value
    scribe.put(
        device.source,
        at_ms,
        [*tags, *device.tags],
        "recordAsserted",
        body,
        assurance=AUTHENTICATED,
        context=device.contexts[0],
    )


def _newsletter(scribe: Scribe, home: Household, person: Person) -> None:
    """A newsletter is opened; now and then a link in it is followed, rarely by somebody else."""
    random, rng = scribe.random, scribe.rng
    email = person.second_email if person.second_email and random() < 0.3 else person.email
    assert email is not None, "who has no address gets no letter"
    at_ms = scribe.moment(home.place.zone, person.habit)
    campaign = pick(rng, CAMPAIGNS)
    opened = {"type": "BEHAVIOUR_TYPE_EMAIL_OPENED", "channel": "email", "campaign": campaign}
    scribe.put("mail", at_ms, [email], "behaviour", opened)
    if random() > 0.3:
        return
    reader = pick(rng, home.people) if random() < 0.02 else person
    device = pick(rng, reader.devices)
    clicked = {
        "type": "BEHAVIOUR_TYPE_CLICK",
        "category": pick(rng, person.interests),
        "channel": "email",
        "campaign": campaign,
    }
    scribe.put(
        "web",
        at_ms + 40_000,
        [email, *device.tags],
        "behaviour",
        clicked,
        assurance=CLAIMED,
        context=device.contexts[0],
    )


def _social(scribe: Scribe, home: Household, person: Person) -> None:
    """A like or a share, on a network that knows only its own account."""
    assert person.social is not None, "asked for people with an account only"
    body = {
        "type": "BEHAVIOUR_TYPE_SOCIAL_INTERACTION",
        "category": pick(scribe.rng, person.interests),
        "channel": "social",
    }
    at_ms = scribe.moment(home.place.zone, person.habit)
    scribe.put("social", at_ms, [person.social], "behaviour", body)


def shared_screens(scribe: Scribe, home: Household) -> None:
    """The family tablet, passed around, and the television, signed in by whoever keeps it."""
    random, rng = scribe.random, scribe.rng
    if home.tablet is not None and random() < 0.6 * scribe.spec.pace:
        person = pick(rng, home.people)
        login = person.login if person.login and random() < 0.35 else None
        session(scribe, person, home.tablet, login, scribe.moment(home.place.zone, _EVENING))
    if home.tv is not None and home.keeper is not None and random() < 0.5 * scribe.spec.pace:
        person = pick(rng, home.people) if random() < 0.1 else home.keeper
        login = person.login if person.login and random() < 0.25 else None
        session(scribe, person, home.tv, login, scribe.moment(home.place.zone, _EVENING))


def kiosk_day(scribe: Scribe, kiosk: Kiosk) -> None:
    """Some visitors, one after the other, each logging in on the same machine."""
    for _ in range(2 + int(scribe.random() * 8)):
        person = pick(scribe.rng, kiosk.visitors)
        at_ms = scribe.moment("", (10, 11, 13, 14, 15, 16, 17))
        session(scribe, person, kiosk.device, person.login, at_ms)

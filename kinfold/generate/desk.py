"""What is written down about people at desks and tills: records, purchases, consents, decisions."""

from __future__ import annotations

from kinfold.generate.online import purchase
from kinfold.generate.people import pick
from kinfold.generate.scribe import AUTHENTICATED, CLAIMED, DAY_MS, HOUR_MS, PLACEHOLDERS, Scribe
from kinfold.generate.world import Household, Person, Tag, Wire

_OFFICE_HOURS = (8, 9, 10, 11, 13, 14, 15, 16)
_SHOP_HOURS = (9, 10, 11, 12, 14, 15, 16, 17, 18, 18)
_FIRST_LOAD = 0.75
_SECOND_LOOK = 0.015


def desk_day(scribe: Scribe, home: Household, stranger: Person | None) -> None:
    """One household's day at all desks; `stranger` is whom a clerk may mix somebody up with."""
    random = scribe.random
    due = _FIRST_LOAD if scribe.day == 0 else _SECOND_LOOK
    for person in home.people:
        if person.customer is not None and random() < due:
            _customer_record(scribe, home, person)
            if stranger is not None and random() < scribe.spec.mistaken:
                _mistake(scribe, home, person, stranger)
        elif person.card is not None and random() < due:
            _card_form(scribe, home, person)
        if person.old_customer is not None and not person.decided:
            _old_customer(scribe, home, person, person.old_customer)
        if person.card is not None and random() < 0.1:
            _till(scribe, home, person, person.card)
        if random() < 0.008:
            _call(scribe, home, person)
        _consent(scribe, home, person)
    if home.family_email is not None and not home.decided:
        _family_decision(scribe, home)


def _customer_record(scribe: Scribe, home: Household, person: Person) -> None:
    """The CRM says what it holds of a customer."""
    email = person.email
    if home.family_email is not None and scribe.random() < 0.5:
        email = home.family_email
    tags = [tag for tag in (person.customer, email, person.phone) if tag]
    if person.card is not None and scribe.random() < 0.5:
        tags.append(person.card)
    at_ms = scribe.moment(home.place.zone, _OFFICE_HOURS)
    body = _record(scribe, home, person, email)
    _claim(scribe, "crm", at_ms, tags, "recordAsserted", body)


def _card_form(scribe: Scribe, home: Household, person: Person) -> None:
    """A form filled in at the till, for a card."""
    tags = [tag for tag in (person.card, person.email, person.phone) if tag]
    body: Wire = {"fullName": person.full_name, "address": home.address()}
    at_ms = scribe.moment(home.place.zone, _SHOP_HOURS)
    _claim(scribe, "shop", at_ms, tags, "recordAsserted", body)


def _claim(
    scribe: Scribe, source: str, at_ms: int, tags: list[Tag], content: str, body: Wire
) -> None:
    """Written by hand: spelled in one's own way, at times with a placeholder."""
    wires = [spelled(scribe, tag) for tag in tags]
    if scribe.random() < scribe.spec.placeholder:
        wires.append(pick(scribe.rng, PLACEHOLDERS))
        scribe.truth.counts["placeholders"] += 1
    scribe.put(source, at_ms, tags, content, body, assurance=CLAIMED, wires=wires)


def spelled(scribe: Scribe, tag: Tag) -> Wire:
    """An identifier as somebody may write it: the same to whoever normalises it."""
    if scribe.random() > 0.4:
        return tag.wire
    if tag.kind == "email":
        return {"kind": "email", "value": f" {tag.value.title()}"}
    if tag.kind == "phone":
        rest = tag.value[3:]
        gap = "-" if scribe.random() < 0.3 else " "
        groups = [rest[:2], rest[2:5], rest[5:]]
        return {"kind": "phone", "value": tag.value[:3] + gap + gap.join(g for g in groups if g)}
    return tag.wire


def _record(scribe: Scribe, home: Household, person: Person, email: Tag | None) -> Wire:
    """What a CRM holds, with the gaps that it has.

    What it says of e-mail and phone joins as an identifier does, so it is the signal's own.
    """
    random = scribe.random
    body: Wire = {"givenName": person.given_name, "familyName": person.family_name}
    if random() < 0.1:
        body = {"fullName": person.full_name.upper()}
    if random() < 0.8:
        body["birthDate"] = person.birth_date if random() < 0.95 else person.birth_date[:4]
    if random() < 0.6:
        body["gender"] = "female" if person.female else "male"
    if email is not None:
        body["email"] = email.value
    if person.phone is not None and random() < 0.9:
        body["phone"] = person.phone.value
    if random() < 0.9:
        body["address"] = home.address()
    if random() < 0.2:
        body["occupation"] = person.occupation
    if home.place.country == "CH" and random() < 0.05:
        body["nationalId"] = person.national_id
    if random() < 0.3:
        body["other"] = {"preferred_language": home.place.locales[0][:2]}
    return body


def _mistake(scribe: Scribe, home: Household, person: Person, stranger: Person) -> None:
    """A clerk enters a stranger's contact under a customer; it is taken back days later."""
    wrong = stranger.email or stranger.phone
    if person.customer is None or wrong is None:
        return
    at_ms = scribe.moment(home.place.zone, _OFFICE_HOURS)
    body: Wire = {"givenName": person.given_name, "familyName": person.family_name}
    signal = scribe.put_once("call_centre", at_ms, "recordAsserted", body, [person.customer, wrong])
    scribe.truth.counts["mistaken"] += 1
    later = at_ms + HOUR_MS + int(scribe.random() * 3 * DAY_MS)
    scribe.retract(signal, later, "entered under the wrong customer")


def _old_customer(scribe: Scribe, home: Household, person: Person, old: Tag) -> None:
    """An account from a system that was given up, known by name only, until staff decide."""
    at_ms = scribe.moment(home.place.zone, _OFFICE_HOURS)
    if scribe.day == 0:
        body: Wire = {"fullName": person.full_name, "birthDate": person.birth_date}
        _claim(scribe, "crm", at_ms, [old], "recordAsserted", body)
    elif person.customer is not None and person.customer.seen and scribe.random() < 0.2:
        person.decided = True
        _decide(
            scribe, at_ms, old, person.customer, "SAME", "same name and birth date, asked by phone"
        )
        scribe.truth.saw((old, person.customer))


def _family_decision(scribe: Scribe, home: Household) -> None:
    """Staff keep two customers apart who have one e-mail address between them."""
    known = [p.customer for p in home.people if p.customer is not None and p.customer.seen]
    if scribe.day > 0 and len(known) > 1 and scribe.random() < 0.3:
        home.decided = True
        at_ms = scribe.moment(home.place.zone, _OFFICE_HOURS)
        _decide(scribe, at_ms, known[0], known[1], "NOT_SAME", "a family with one address")


def _decide(scribe: Scribe, at_ms: int, left: Tag, right: Tag, verdict: str, reason: str) -> None:
    body = {
        "left": {"identifier": left.wire},
        "right": {"identifier": right.wire},
        "verdict": f"LINK_VERDICT_{verdict}",
        "reason": reason,
    }
    scribe.put_once("staff", at_ms, "linkDecided", body, ())
    scribe.truth.counts["decisions"] += 1


def _till(scribe: Scribe, home: Household, person: Person, card: Tag) -> None:
    """A purchase at the till with a loyalty card; a few are brought back."""
    at_ms = scribe.moment(home.place.zone, _SHOP_HOURS)
    body = purchase(scribe, pick(scribe.rng, person.interests), "store")
    if scribe.random() < 0.02:
        bought = scribe.put_once("shop", at_ms, "behaviour", body, [card])
        scribe.retract(bought, at_ms + HOUR_MS + int(scribe.random() * 2 * DAY_MS), "brought back")
    elif person.email is not None and scribe.random() < 0.15:
        _claim(scribe, "shop", at_ms, [card, person.email], "behaviour", body)
    else:
        scribe.put("shop", at_ms, [card], "behaviour", body, assurance=CLAIMED)


def _call(scribe: Scribe, home: Household, person: Person) -> None:
    """Somebody calls, from their own phone or from the household's."""
    phone = home.landline if home.landline and scribe.random() < 0.4 else person.phone
    tags = [tag for tag in (person.customer, phone) if tag]
    if tags:
        at_ms = scribe.moment(home.place.zone, _OFFICE_HOURS)
        body = {"type": "BEHAVIOUR_TYPE_OTHER", "channel": "call"}
        _claim(scribe, "call_centre", at_ms, tags, "behaviour", body)


def _consent(scribe: Scribe, home: Household, person: Person) -> None:
    """Most people decide once, in their first days; a few withdraw later."""
    random = scribe.random
    if person.consented:
        if random() > 0.004:
            return
        decisions = [{"purpose": purpose, "granted": False} for purpose in scribe.spec.purposes]
        scribe.truth.counts["withdrawals"] += 1
    else:
        if random() > (0.5 if scribe.day == 0 else 0.12):
            return
        person.consented = True
        decisions = [
            {"purpose": purpose, "granted": random() < 0.85} for purpose in scribe.spec.purposes
        ]
    device = person.devices[0]
    body = {"decisions": decisions, "textVersion": "2026-01", "place": f"{device.channel}/privacy"}
    at_ms = scribe.moment(home.place.zone, person.habit)
    if person.login is not None:
        tags, level = [person.login, *device.tags], AUTHENTICATED
    else:
        tags, level = list(device.tags), None
    scribe.put(device.source, at_ms, tags, "consentDecided", body, assurance=level)

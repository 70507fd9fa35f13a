"""Who is one person and who is not: the adversarial cases, each with its near-miss."""

import random

import pytest

from identity.matching.matcher import Matcher
from tests.support.town import Record, scorer


def people(*records: Record) -> list[set[int]]:
    """The people that the records turn out to be, by place; given in three orders, all agreeing."""
    found = []
    for seed in range(3):
        places = list(range(len(records)))
        random.Random(seed).shuffle(places)
        matcher = Matcher(scorer(), order=lambda record: hash(("order", int(record))))
        for place in places:
            matcher.update({str(place): records[place]})
        found.append(sorted({int(r) for r in p} for p in matcher.people()))
    assert all(sorted(map(sorted, one)) == sorted(map(sorted, found[0])) for one in found)
    return sorted(found[0], key=min)


ANN: Record = {
    "given_name": "Elizabeth", "middle_name": "R", "family_name": "Thornbury",
    "birth_date": "1974-03-19", "email": "e.thornbury@post.example", "phone": "07700123456",
    "street_number": "14", "street": "Mill Lane", "city": "York", "postcode": "yo8 3ab",
    "gender": "f",
}  # fmt: skip


def but(**changes: str) -> Record:
    """Ann's record with changes; "" leaves an attribute out."""
    return {name: text for name, text in (ANN | changes).items() if text}


def bare(*attributes: str, **changes: str) -> Record:
    """Of Ann's record only these attributes, with changes."""
    return {name: ANN[name] for name in attributes} | changes


ONE_PERSON = {
    "nickname": (but(), but(given_name="Betty", email="", phone="")),
    "swapped names": (but(), but(given_name="Thornbury", family_name="Elizabeth", email="")),
    "initial only": (but(), but(given_name="E", email="")),
    "married name": (but(), but(family_name="Okafor", email="")),
    "mistyped date": (but(), but(birth_date="1974-03-91", email="")),
    "day and month swapped": (
        but(birth_date="1974-03-09"),
        but(birth_date="1974-09-03", email=""),
    ),
    "diacritics": (but(family_name="Thörnbury"), but(email="")),
    "another script": (
        but(given_name="Ольга", family_name="Иванова", email=""),
        but(given_name="Olga", family_name="Ivanova", email="", phone=""),
    ),
    "moved house": (but(), but(street_number="99", street="London Road", city="Hull", postcode="")),
    "full name in one piece": (
        but(),
        but(given_name="", family_name="", middle_name="", full_name="Elizabeth R. Thornbury"),
    ),
}

TWO_PEOPLE = {
    "brother and sister": (
        but(email="", phone=""),
        but(given_name="Robert", middle_name="T", birth_date="1971-11-02", gender="m",
            email="", phone=""),
    ),
    "twins": (
        but(email="", phone=""),
        but(given_name="Robert", middle_name="T", gender="m", email="", phone=""),
    ),
    "father and son of one name": (
        but(given_name="William", gender="m", birth_date="1948-05-30", email="", phone=""),
        but(given_name="William", gender="m", birth_date="1979-10-12", middle_name="K",
            email="", phone=""),
    ),
    "Jr and Sr": (
        but(given_name="William", family_name="Thornbury Sr", birth_date="", email="", phone=""),
        but(given_name="William", family_name="Thornbury Jr", birth_date="", email="", phone=""),
    ),
    "one phone for a family": (
        but(email=""),
        but(given_name="Robert", middle_name="T", birth_date="1971-11-02", gender="m", email=""),
    ),
    "generic e-mail": (
        bare("city", given_name="Agnes", family_name="Bell", email="info@shop.example"),
        bare("city", given_name="Hugo", family_name="Parker", email="info@shop.example"),
    ),
    "nickname of another": (
        but(email="", phone="", street="", street_number="", postcode=""),
        but(given_name="Bill", birth_date="1981-01-30", gender="m", email="", phone="", street="",
            street_number="", postcode=""),
    ),
    "initial of another": (
        but(given_name="E", birth_date="", email="", phone="", street="", street_number="",
            postcode="", middle_name=""),
        but(given_name="Edward", birth_date="", email="", phone="", street="", street_number="",
            postcode="", gender="m", middle_name="", city="Bath"),
    ),
    "namesakes": (
        bare("city", "gender", given_name="Mary", family_name="Smith", birth_date="1950-01-20"),
        bare("gender", given_name="Mary", family_name="Smith", birth_date="1993-08-07",
             city="Bath"),
    ),
    "swapped names of another": (
        bare("gender", given_name="Thomas", family_name="James", birth_date="1950-01-20",
             city="Leeds"),
        bare(given_name="James", family_name="Thomas", birth_date="1993-08-07", city="Bath",
             gender="m"),
    ),
    "two of another script": (
        but(given_name="Ольга", family_name="Иванова", email="", phone=""),
        but(given_name="Igor", family_name="Ivanov", birth_date="1970-12-01", gender="m",
            middle_name="", email="", phone=""),
    ),
    "married name of another": (
        but(email="", phone=""),
        but(given_name="Ruth", middle_name="K", family_name="Okafor", birth_date="1988-07-07",
            email="", phone=""),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ONE_PERSON)
def test_what_one_person_is_known_by(case: str) -> None:
    """Two records of one person are one person, however the second is written."""
    assert people(*ONE_PERSON[case]) == [{0, 1}]


@pytest.mark.parametrize("case", TWO_PEOPLE)
def test_near_miss_stays_apart(case: str) -> None:
    """Two people who share much are two people."""
    assert people(*TWO_PEOPLE[case]) == [{0}, {1}]


def test_evidence_only_through_a_chain() -> None:
    """Two records with nothing in common are one person through a third that knows both."""
    first = bare("given_name", "family_name", "birth_date", "city")
    second = bare("email", "phone")
    assert people(first, second) == [{0}, {1}]
    assert people(first, second, but()) == [{0, 1, 2}]


def test_chain_through_another_stays_apart() -> None:
    """A third record that only resembles both brings nobody together."""
    first = bare("given_name", "family_name", "birth_date", "city")
    second = bare("email", "phone", birth_date="2001-12-30")
    third = bare("family_name", "city", given_name="Hugo", birth_date="1966-06-06")
    assert people(first, second, third) == [{0}, {1}, {2}]

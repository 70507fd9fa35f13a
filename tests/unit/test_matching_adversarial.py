"""Known ways to mistake one person for two and two for one, under models of two made-up towns."""

import random
from collections.abc import Callable
from itertools import permutations

import pytest

from identity.matching.matcher import Matcher
from identity.matching.model import HELD_APART_MBITS
from identity.matching.score import Scorer
from tests.support.town import Record, careless_scorer, scorer

MODELS: dict[str, Callable[[], Scorer]] = {"town": scorer, "careless town": careless_scorer}

ADDRESS = {"street_number": "14", "street": "Mill Lane", "city": "York", "postcode": "yo8 3ab"}
KATE: Record = ADDRESS | {
    "given_name": "Katherine", "family_name": "Ashdown", "birth_date": "1974-03-19",
    "email": "k.ashdown@post.example", "phone": "07700 900123", "gender": "f",
}  # fmt: skip
MARK: Record = ADDRESS | {
    "given_name": "Mark", "family_name": "Ashdown", "birth_date": "1971-11-02",
    "email": "mark.ashdown@home.example", "phone": "07700 900999", "gender": "m",
}  # fmt: skip
WEAK = ("street_number", "street", "postcode", "email", "phone")
"""What many records do not have."""


def like(base: Record, *without: str, **changes: str) -> Record:
    """A record with some attributes left out and others changed."""
    return {name: text for name, text in base.items() if name not in without} | changes


def people(own: Scorer, *records: Record) -> list[set[int]]:
    """Who the records are, by place; the same in every order (of up to six)."""
    found: list[list[set[int]]] = []
    orders = list(permutations(range(len(records))))
    for places in random.Random(1).sample(orders, min(6, len(orders))):
        matcher = Matcher(own, order=lambda record: int(record) * 7919 % 1009)
        for place in places:
            matcher.update({str(place): records[place]})
        found.append(sorted(({int(r) for r in p} for p in matcher.people()), key=min))
    assert all(one == found[0] for one in found)
    return found[0]


SAME = {
    "nickname": (KATE, like(KATE, *WEAK, given_name="Kate")),
    "nickname with a new e-mail": (
        KATE,
        like(KATE, "phone", given_name="Kitty", email="kk@b.example"),
    ),
    "swapped names": (KATE, like(KATE, *WEAK, given_name="Ashdown", family_name="Katherine")),
    "initial only": (KATE, like(KATE, "email", "phone", given_name="K")),
    "initial and middle name": (
        like(KATE, "email", "phone", middle_name="Rose"),
        like(KATE, "email", "phone", given_name="K", middle_name="R"),
    ),
    "twin seen twice": (
        like(KATE, "email"),
        like(KATE, "email", given_name="Katherin"),
    ),
    "Jr and II": (
        like(MARK, "email", "phone", family_name="Ashdown Jr"),
        like(MARK, "email", "phone", family_name="Ashdown", name_suffix="II"),
    ),
    "Jr left out": (MARK, like(MARK, "email", family_name="Ashdown Jr.")),
    "married name": (KATE, like(KATE, "email", family_name="Okafor")),
    "double name after marriage": (KATE, like(KATE, *WEAK, family_name="Okafor-Ashdown")),
    "mistyped date": (KATE, like(KATE, *WEAK, birth_date="1974-08-19")),
    "two digits of a date swapped": (KATE, like(KATE, *WEAK, birth_date="1947-03-19")),
    "day and month swapped": (
        like(KATE, birth_date="1974-03-09"),
        like(KATE, *WEAK, birth_date="1974-09-03"),
    ),
    "one's own phone": (
        like(KATE, "email", *ADDRESS),
        like(KATE, "email", *ADDRESS, phone="+44 7700 900123"),
    ),
    "phone with its country": (
        like(KATE, "email", "birth_date", *ADDRESS, phone="0044 (0)7700 900-123"),
        like(KATE, "email", "birth_date", *ADDRESS),
    ),
    "box with a tag": (
        like(KATE, "phone", "birth_date", *ADDRESS),
        like(KATE, "phone", "birth_date", *ADDRESS, email="K.Ashdown+shop@post.example"),
    ),
    "Cyrillic and Latin": (
        like(KATE, *WEAK, given_name="Екатерина", family_name="Щербакова"),
        like(KATE, *WEAK, given_name="Yekaterina", family_name="Scherbakova"),
    ),
    "Arabic and Latin": (
        like(MARK, *WEAK, given_name="محمد", family_name="حسن"),
        like(MARK, *WEAK, given_name="Mohammed", family_name="Hassan"),
    ),
    "ideographs and Latin": (
        {"full_name": "王小明", "birth_date": "1971-11-02", "city": "York"},
        {"full_name": "Xiaoming Wang", "birth_date": "1971-11-02", "city": "York"},
    ),
    "accents and umlauts": (
        like(KATE, *WEAK, given_name="Zoë", family_name="Müller"),
        like(KATE, *WEAK, given_name="Zoe", family_name="Mueller"),
    ),
    "particles": (
        like(MARK, *WEAK, given_name="Pieter", family_name="van den Berg"),
        like(MARK, *WEAK, given_name="Pieter", family_name="Vandenberg"),
    ),
    "particle left out": (
        like(MARK, *WEAK, given_name="Luis", family_name="de la Cruz"),
        like(MARK, *WEAK, given_name="Luis", family_name="Cruz"),
    ),
    "prefix apart": (
        like(MARK, *WEAK, family_name="O'Brien"),
        like(MARK, *WEAK, family_name="O Brien"),
    ),
    "hyphens": (
        like(KATE, *WEAK, given_name="Anne-Marie", family_name="Smith-Jones"),
        like(KATE, *WEAK, given_name="Anne Marie", family_name="Smith Jones"),
    ),
    "one national id, mistyped": (
        like(KATE, *WEAK, national_id="481 516 234"),
        like(KATE, *WEAK, national_id="481-516-243", family_name="Ashdon"),
    ),
    "one national id by its end": (
        like(KATE, *WEAK, national_id="481516234"),
        like(KATE, *WEAK, national_id="6234"),
    ),
    "renewed passport": (
        like(KATE, passport="P10002000"),
        like(KATE, "street", "street_number", passport="P77331942"),
    ),
}  # fmt: skip

APART = {
    "nickname of another": (
        like(KATE, *WEAK, given_name="Kate"),
        like(KATE, *WEAK, given_name="Kate", birth_date="1990-10-07", city="Hull"),
    ),
    "swapped names of another": (
        like(MARK, *WEAK, given_name="Martin", family_name="Thomas"),
        like(MARK, *WEAK, given_name="Thomas", family_name="Martin", birth_date="1950-06-30",
             city="Truro"),
    ),
    "initial of a sister": (
        like(KATE, "email", "phone", given_name="K"),
        like(KATE, "email", "phone", given_name="Karen", birth_date="1979-12-04"),
    ),
    "twins at one address": (
        like(KATE, "email"),
        like(KATE, "email", given_name="Rebecca"),
    ),
    "twins who share phone and e-mail": (
        like(KATE, middle_name="Rose"),
        like(KATE, given_name="Rebecca", middle_name="Jane"),
    ),
    "twins, brother and sister": (
        KATE | {"middle_name": "Rose"},
        like(KATE, "email", given_name="Daniel", gender="m", middle_name="Paul"),
    ),
    "father and son of one name": (
        like(MARK, "email", "phone", birth_date="1943-05-30"),
        like(MARK, "email", "phone"),
    ),
    "father and son on one phone": (
        like(MARK, "email", birth_date="1943-05-30", family_name="Ashdown Sr"),
        like(MARK, "email", family_name="Ashdown Jr"),
    ),
    "Jr and Sr without dates": (
        like(MARK, "birth_date", name_suffix="Jr"),
        like(MARK, "birth_date", name_suffix="Sr"),
    ),
    "married into the family": (
        like(KATE, "email", "phone"),
        like(KATE, "email", "phone", given_name="Susan", birth_date="1988-07-07"),
    ),
    "another date, not mistyped": (
        like(KATE, *WEAK),
        like(KATE, *WEAK, birth_date="1958-10-27"),
    ),
    "day and month of another year": (
        like(MARK, *WEAK, birth_date="1974-03-09", given_name="John", family_name="Smith"),
        like(MARK, *WEAK, birth_date="1991-09-03", given_name="John", family_name="Smith"),
    ),
    "one phone for a family": (
        like(KATE, "email"),
        like(MARK, "email", phone=KATE["phone"]),
    ),
    "one number in two countries": (
        like(KATE, "email", "birth_date", *ADDRESS, phone="+44 7700 900123", given_name="Mary"),
        like(MARK, "email", "birth_date", *ADDRESS, phone="+61 7700 900123", given_name="Mary"),
    ),
    "generic e-mail box": (
        {"given_name": "Agnes", "family_name": "Bell", "email": "sales@shop.example"},
        {"given_name": "Hugo", "family_name": "Parker", "email": "sales@shop.example"},
    ),
    "e-mail box of a couple": (
        like(KATE, "phone", email="ashdowns@post.example"),
        like(MARK, "phone", email="ashdowns@post.example"),
    ),
    "two of another script": (
        like(KATE, *WEAK, given_name="Екатерина", family_name="Щербакова"),
        like(MARK, *WEAK, given_name="Yevgeny", family_name="Scherbakov"),
    ),
    "two of one ideograph": (
        {"full_name": "王小明", "birth_date": "1971-11-02", "city": "York"},
        {"full_name": "Wei Wang", "birth_date": "1988-01-23", "city": "York"},
    ),
    "two with one particle": (
        like(MARK, *WEAK, given_name="Pieter", family_name="van den Berg"),
        like(MARK, *WEAK, given_name="Pieter", family_name="van den Heuvel",
             birth_date="1962-01-25"),
    ),
    "two national ids": (
        like(KATE, *WEAK, national_id="481516234"),
        like(KATE, *WEAK, national_id="902771358"),
    ),
    "two passports and two dates": (
        like(KATE, *WEAK, passport="P10002000"),
        like(KATE, *WEAK, passport="P77331942", birth_date="1960-12-01"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", SAME)
def test_one_person_however_written(case: str, model: str) -> None:
    """Two records of one person are one person."""
    assert people(MODELS[model](), *SAME[case]) == [{0, 1}]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", APART)
def test_near_miss_stays_apart(case: str, model: str) -> None:
    """Two people who share what one person would share are two."""
    assert people(MODELS[model](), *APART[case]) == [{0}, {1}]


@pytest.mark.parametrize("model", MODELS)
def test_evidence_only_through_a_chain(model: str) -> None:
    """Records with nothing in common are one person through others that each know two of them."""
    first = like(KATE, *WEAK, "gender")
    last = {"phone": KATE["phone"], "email": "kate74@other.example"}
    between = like(KATE, *ADDRESS), like(KATE, "birth_date", email="kate74@other.example")
    assert people(MODELS[model](), first, last) == [{0}, {1}]
    assert people(MODELS[model](), first, *between, last) == [{0, 1, 2, 3}]


@pytest.mark.parametrize("model", MODELS)
def test_chain_through_a_household_stays_apart(model: str) -> None:
    """Records that share a household with both bring nobody together."""
    child = like(KATE, "email", "phone", given_name="Lucy", birth_date="2004-08-15")
    assert people(MODELS[model](), KATE, child, MARK) == [{0}, {1}, {2}]


@pytest.mark.parametrize("model", MODELS)
def test_chain_never_joins_what_is_held_apart(model: str) -> None:
    """A record without a suffix that fits father and son joins one of them, never both."""
    own = MODELS[model]()
    father = like(MARK, "birth_date", name_suffix="Sr")
    son = like(MARK, "birth_date", name_suffix="Jr")
    assert own.weigh(own.prepare(father), own.prepare(son)) <= HELD_APART_MBITS
    assert len(people(own, father, son, like(MARK, "birth_date"))) == 2

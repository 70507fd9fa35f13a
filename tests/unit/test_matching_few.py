"""A model learnt from few records, or from attributes that say little each, still joins people."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest

from identity.matching.matcher import Matcher
from identity.matching.score import Scorer
from identity.matching.training import train

KEY = b"a key of a test!"
GIVEN = "ann bob carol dan eva finn gina hugo ida jon karl lena".split()
FAMILY = "lee gray hill hall stone marsh brook field wood rivers".split()
TOWNS = "leeds york hull bath deal".split()


def told(number: int) -> list[dict[str, str]]:
    """Two records of one person; the second lacks the town and may hold an error."""
    drawn = random.Random(number)
    born = date(1940, 1, 1) + timedelta(days=drawn.randrange(24_000))
    one = {
        "given_name": drawn.choice(GIVEN),
        "family_name": drawn.choice(FAMILY) + drawn.choice(["", "son", "er", "ley"]),
        "birth_date": born.isoformat(),
        "city": drawn.choice(TOWNS),
    }
    again = {name: value for name, value in one.items() if name != "city"}
    if number % 4 == 0:
        again["family_name"] = one["family_name"][:-1] + "x"
    elif number % 4 == 1:
        again["given_name"] = one["given_name"][:1]
    return [one, again]


@pytest.mark.parametrize("people", [15, 120, 600])
def test_three_common_attributes_are_enough(people: int) -> None:
    """Twelve given names, forty family names and birth dates tell people apart, and join them."""
    records = [record for number in range(people) for record in told(number)]
    model = train(records, name="few", seed=1, key=KEY)
    matcher = Matcher(Scorer(model, KEY), order=lambda record: int(record) * 7_919 % 100_003)
    matcher.update({str(place): record for place, record in enumerate(records)})
    right = [{str(2 * number), str(2 * number + 1)} for number in range(people)]
    found = [set(person) for person in matcher.people()]
    assert sum(person in found for person in right) >= 0.95 * people

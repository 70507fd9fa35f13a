"""A made-up town whose people's records have errors and gaps, and match models learnt from it."""

from __future__ import annotations

import random
from functools import cache

from identity.matching.score import Scorer
from identity.matching.training import train

KEY = b"a key of a test!"
GIVEN = (
    "william robert james john george thomas henry charles edward walter margaret elizabeth mary"
    " susan helen dorothy ruth alice clara edith oliver samuel victor hugo simon martin agnes"
).split()
FAMILY = (
    "smith jones taylor brown davies evans thomas roberts johnson walker wright robinson thompson"
    " hughes edwards green wood harris martin clarke jackson turner hill moore cooper ward morris"
    " king watson baker morgan patel young allen mitchell anderson phillips lee bell parker"
).split()
STREETS = (
    "mill lane;high street;church road;station road;park avenue;victoria street;green lane;manor"
    " road;kings road;queens road;new street;grange road;school lane;main street;london road"
).split(";")
CITIES = "leeds york bath derby ely ripon wells truro hull durham".split()

Record = dict[str, str]


def misspelt(word: str, chance: random.Random) -> str:
    """The word with one letter left out, doubled or swapped."""
    at = chance.randrange(1, max(2, len(word) - 1))
    return chance.choice([word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:]])


def household(chance: random.Random) -> list[Record]:
    """One to four people of one surname and address; some share an e-mail's domain only."""
    family, city = chance.choice(FAMILY), chance.choice(CITIES)
    number, street = str(chance.randrange(1, 200)), chance.choice(STREETS)
    members = []
    for given in chance.sample(GIVEN, chance.choice([1, 1, 2, 3, 4])):
        year = chance.randrange(1930, 2015)
        members.append({
            "given_name": given,
            "middle_name": chance.choice("abcdefghjklmnprst"),
            "family_name": family,
            "birth_date": f"{year}-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}",
            "email": f"{given}.{family}{chance.randrange(100)}@{chance.choice(CITIES)}.example",
            "phone": f"07{chance.randrange(10**8, 10**9)}",
            "street_number": number,
            "street": street,
            "city": city,
            "postcode": f"{city[:2]}{len(street)} {chance.randrange(1, 9)}ab",
            "gender": "f" if GIVEN.index(given) in range(10, 20) else "m",
        })  # fmt: skip
    return members


def sightings(
    person: Record, chance: random.Random, errors: float = 0.08, gaps: float = 0.12
) -> list[Record]:
    """One to four records of a person, with errors and gaps as shares of the values."""
    found = []
    for _ in range(chance.choice([1, 2, 2, 3, 4])):
        record = dict(person)
        for attribute in ("given_name", "family_name", "city", "street"):
            if chance.random() < errors:
                record[attribute] = misspelt(record[attribute], chance)
        for attribute in list(record):
            if attribute != "family_name" and chance.random() < gaps:
                del record[attribute]
        found.append(record)
    return found


@cache
def scorer() -> Scorer:
    """A model of a small town, learnt without labels."""
    chance = random.Random(4)
    records = [
        record
        for _ in range(350)
        for person in household(chance)
        for record in sightings(person, chance)
    ]
    return Scorer(train(records, name="town", seed=1, key=KEY), KEY)


@cache
def careless_scorer() -> Scorer:
    """A model of a town with documents, where every sixth value is wrong and every fifth absent."""
    chance = random.Random(8)
    records = []
    for _ in range(300):
        for person in household(chance):
            person["national_id"] = f"{chance.randrange(10**8, 10**9)}"
            person["passport"] = f"p{chance.randrange(10**7, 10**8)}"
            for record in sightings(person, chance, errors=0.16, gaps=0.2):
                if chance.random() < 0.1 and "birth_date" in record:
                    year, month, day = record["birth_date"].split("-")
                    record["birth_date"] = f"{year}-{day}-{month}"
                records.append(record)
    return Scorer(train(records, name="careless town", seed=2, key=KEY), KEY)

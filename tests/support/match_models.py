"""Small towns of made-up people, for tests of match models."""

from __future__ import annotations

import csv
import random
from functools import cache
from pathlib import Path

from identity.matching.model import MatchModel
from identity.matching.training import train

KEY = b"a key of a test, thirty-two byte"
GIVEN = "anna bert cora dario edda falk greta hugo ines jonas klara leon mina nils olga".split()
FAMILY = (
    "abend berger czerny dorn ehrlich falkner gruber huber imhof jaeger kaiser lang maurer"
    " neumann ott pichler ritter sommer thaler unger vogt wagner zeller"
).split()
CITIES = "arbon brig chur davos egg flims".split()
Record = dict[str, str]


def town(people: int, seed: int) -> tuple[list[Record], list[str]]:
    """Records of so many people, one to three each, with errors; and who each record is."""
    chance = random.Random(seed)
    records, labels = [], []
    for person in range(people):
        given, family = chance.choice(GIVEN), chance.choice(FAMILY)
        day = f"{chance.randrange(1940, 2005)}-{chance.randrange(1, 13):02}"
        whole = {
            "given_name": given,
            "family_name": family,
            "birth_date": f"{day}-{chance.randrange(1, 29):02}",
            "email": f"{given}.{family}{chance.randrange(1000)}@post.example",
            "city": chance.choice(CITIES),
            "gender": "f" if GIVEN.index(given) % 2 == 0 else "m",
        }
        for _ in range(chance.choice([1, 2, 2, 3])):
            record = {name: value for name, value in whole.items() if chance.random() > 0.1}
            if "family_name" in record and chance.random() < 0.15:
                record["family_name"] = family[:-1]
            records.append(record)
            labels.append(f"p{person}")
    order = list(range(len(records)))
    chance.shuffle(order)
    return [records[at] for at in order], [labels[at] for at in order]


@cache
def town_model(seed: int = 1, people: int = 250) -> MatchModel:
    """A model of a town, learnt without its labels."""
    records, _ = town(people, seed)
    return train(records, name="town", seed=seed, key=KEY)


def town_file(path: Path, people: int, seed: int) -> Path:
    """A town as a CSV file: its attributes, who each record is, and which canton it came from."""
    records, labels = town(people, seed)
    columns = ["given_name", "family_name", "birth_date", "email", "city", "gender"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*columns, "who", "canton"], restval="")
        writer.writeheader()
        for row, (record, label) in enumerate(zip(records, labels, strict=True)):
            writer.writerow({**record, "who": label, "canton": ["GR", "TG", "VS"][row % 3]})
    return path

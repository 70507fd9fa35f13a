"""A few people-like records and a match model of them, with blocks that are soon too full."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import orjson

from identity.matching.model import MatchModel
from identity.matching.records import RecordComparer
from identity.matching.score import Scorer
from identity.matching.training import train
from identity.model import NodeKey

KEY = b"a key of a test!"
NAMES = "ann ana anne bob rob robert carol karol dan don".split()
FAMILIES = "lee leigh gray grey hill hall".split()

RECORDS: tuple[Mapping[str, str], ...] = (
    {"given_name": "ann", "family_name": "lee", "birth_date": "1990-01-02", "city": "leeds"},
    {"given_name": "ana", "family_name": "lee", "birth_date": "1990-01-02", "city": "leeds"},
    {"given_name": "anne", "family_name": "leigh", "birth_date": "1990-01-03"},
    {"given_name": "ann", "family_name": "lee", "email": "a@b.example"},
    {"full_name": "ann lee jr", "birth_date": "1990-01-02", "email": "a@b.example"},
    {"full_name": "ann lee sr", "birth_date": "1990-01-02", "email": "a@b.example"},
    {"given_name": "bob", "family_name": "hill", "birth_date": "1971-11-30", "city": "leeds"},
    {"given_name": "robert", "family_name": "hill", "birth_date": "1971-11-30", "city": "york"},
    {"given_name": "rob", "family_name": "hall", "city": "york", "email": "c@d.example"},
    {"given_name": "dan", "family_name": "gray"},
)


@cache
def _model() -> MatchModel:
    """Learnt from made-up people, half of whom are there twice, told a little differently."""
    drawn = random.Random(7)
    records = []
    for _ in range(400):
        person = {
            "given_name": drawn.choice(NAMES),
            "family_name": drawn.choice(FAMILIES)
            + drawn.choice(["", "", "son", "man", "er", "ton"]),
            "birth_date": f"{drawn.randrange(1940, 2005)}-{drawn.randrange(1, 13):02d}-1"
            f"{drawn.randrange(10)}",
            "city": drawn.choice(["leeds", "york", "hull", "bath", "deal"]),
            "email": f"x{drawn.randrange(5_000)}@b.example",
        }
        records.append(person)
        if drawn.random() < 0.5:
            again = dict(person)
            again.pop(drawn.choice(["city", "email", "birth_date"]))
            if drawn.random() < 0.3:
                again["given_name"] = again["given_name"][:1]
            records.append(again)
    return train(records, name="made up", seed=3, key=KEY)


@cache
def scorer(bound: int) -> Scorer:
    """The model with blocks that are full beyond `bound` records."""
    model = _model()
    blocking = tuple(replace(own, bound=bound) for own in model.blocking)
    return Scorer(replace(model, blocking=blocking), KEY)


def payload(record: Mapping[str, Any]) -> bytes:
    """A record as these tests keep it: unsealed."""
    return orjson.dumps(record)


def opened(_: NodeKey, payload: bytes) -> dict[str, str]:
    """The reverse of `payload`."""
    attributes: dict[str, str] = orjson.loads(payload)
    return attributes


def comparer(bound: int) -> RecordComparer:
    """Compares records of these tests."""
    return RecordComparer(scorer(bound), KEY, opened)

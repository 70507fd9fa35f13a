"""A set of records resolved under a model: every pair that was scored, and who is one person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from identity.matching.bulk import Floats, Ints
from identity.matching.matcher import Matcher
from identity.matching.model import HELD_APART_MBITS, MatchModel
from identity.matching.score import Scorer

_BATCH = 250


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a model makes of records, by their place.

    `left`, `right`, `mbits` and `probability` are of every scored pair, the
    lesser place left; `person` is each record's person, by its least record.
    """

    records: int
    left: Ints
    right: Ints
    mbits: Ints
    probability: Floats
    person: Ints

    @property
    def people(self) -> list[frozenset[int]]:
        """Every person's records, by the least one."""
        found: dict[int, set[int]] = {}
        for place, least in enumerate(self.person.tolist()):
            found.setdefault(least, set()).add(place)
        return [frozenset(found[least]) for least in sorted(found)]

    @property
    def together(self) -> np.ndarray:
        """Which scored pairs are of one person."""
        same: np.ndarray = self.person[self.left] == self.person[self.right]
        return same

    @property
    def held_apart(self) -> np.ndarray:
        """Which scored pairs contradict one another."""
        apart: np.ndarray = self.mbits <= HELD_APART_MBITS
        return apart


def resolve(
    records: Sequence[Mapping[str, str]],
    model: MatchModel,
    key: bytes,
    advance: Callable[[int], None] = lambda _: None,
) -> Resolved:
    """Resolve records; the same for any order of them but for the places.

    `key` is what the model's term tokens are keyed with. `advance` is told how
    many records are done.
    """
    matcher = Matcher(Scorer(model, key), order=lambda name: order_of(key, name))
    for start in range(0, len(records), _BATCH):
        batch = enumerate(records[start : start + _BATCH], start)
        matcher.update({str(place): record for place, record in batch})
        advance(min(start + _BATCH, len(records)))
    scored = [
        (int(other), place, mbits)
        for place in range(len(records))
        for other, mbits in matcher.links(str(place)).items()
        if int(other) < place
    ]
    table = np.array(scored, dtype=np.int64).reshape(-1, 3)
    return Resolved(
        records=len(records),
        left=table[:, 0],
        right=table[:, 1],
        mbits=table[:, 2],
        probability=_probabilities(model, table[:, 2]),
        person=_people(matcher, len(records)),
    )


def order_of(key: bytes, record: str) -> int:
    """The record's 63-bit order digest."""
    return int.from_bytes(blake2b(record.encode(), key=key, digest_size=8).digest()) >> 1


def _probabilities(model: MatchModel, mbits: Ints) -> Floats:
    distinct, back = np.unique(mbits, return_inverse=True)
    found = np.array([model.probability(int(one)) for one in distinct], dtype=np.float64)
    return found[back] if len(found) else found


def _people(matcher: Matcher, records: int) -> Ints:
    person = np.arange(records, dtype=np.int64)
    for names in matcher.people():
        places = [int(name) for name in names]
        person[places] = min(places)
    return person

"""Judging the people that were found against the truth."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

from identity.model import NodeKey, NodeView, PersonId
from kinfold.generate.truth import TruthRow

_KEYS_A_READ = 2_000


class People(Protocol):
    """The two reads of a `GraphStore` that a score needs."""

    def person_of(self, keys: Iterable[NodeKey]) -> dict[NodeKey, PersonId]:
        """The person each node is assigned to."""

    def views(self, keys: Iterable[NodeKey]) -> dict[NodeKey, NodeView]:
        """The nodes, with whether they are shared."""


@dataclass(frozen=True, slots=True)
class Score:
    """How well people were found. Only identifiers of one person each count, shared ones aside.

    - `true_people`: people of whom at least one own identifier was in the signals.
    - `parts`: how many people one would find who joined all that signals tie
      together and nothing else; more than `true_people`, as nothing ties a
      cookie to anybody until they log in.
    - `found_people`: how many were found.
    - `exact_people`: true people whose identifiers are all in one found person, with
      nobody else's. `exact_parts`: the same for parts.
    - `precision`: of the pairs of identifiers found together, how many are one
      person's. `recall`: of the pairs that are one person's, how many were found
      together. `recall_tied`: of the pairs of one part, how many. 1.0 of no pairs.
    - `unassigned`: identifiers that belong to no found person.
    - `shared`, `shared_found`: identifiers that more than one person left a trace
      beside, and how many of them were found to be shared. `wrongly_shared`: own
      identifiers that were.
    """

    true_people: int
    parts: int
    found_people: int
    exact_people: int
    exact_parts: int
    precision: float
    recall: float
    recall_tied: float
    unassigned: int
    shared: int
    shared_found: int
    wrongly_shared: int


def score(
    rows: Iterable[TruthRow], key_of: Callable[[str, str], NodeKey | None], people: People
) -> Score:
    """Compare what a store found with the truth.

    `key_of` turns a kind and a raw value into the node's key, None when policy
    lets it name nobody. Memory grows with identifiers; the store is read in
    pieces of 2,000 keys. Raises what the store raises.
    """
    tally = _Tally()
    for batch in _batches(rows):
        keyed = [(row, key_of(row.kind, row.value)) for row in batch]
        keys = sorted({key for _, key in keyed if key is not None})
        found, views = people.person_of(keys), people.views(keys)
        for row, key in keyed:
            if key is None:
                continue
            flagged = key in views and views[key].shared
            if row.shared:
                tally.add_shared(row, key, flagged)
            else:
                tally.add(row, key, found.get(key), flagged)
    return tally.score()


def _batches(rows: Iterable[TruthRow]) -> Iterator[list[TruthRow]]:
    rest = iter(rows)
    while batch := list(islice(rest, _KEYS_A_READ)):
        yield batch


T = TypeVar("T")
Part = tuple[int, int]
Found = str
"""A person's id, or the key of an identifier that belongs to nobody: then it stands alone."""


class _Tally:
    """Own identifiers counted by (part, found person), shared ones by key."""

    def __init__(self) -> None:
        self.cells: Counter[tuple[Part, Found]] = Counter()
        self.alone: set[Found] = set()
        self.wrongly_shared = 0
        self.beside: Counter[NodeKey] = Counter()
        self.flagged: set[NodeKey] = set()

    def add(self, row: TruthRow, key: NodeKey, person: PersonId | None, flagged: bool) -> None:
        assert row.person is not None, "an own identifier has its person"
        assert row.part is not None, "an own identifier has its part"
        self.cells[(row.person, row.part), person or key] += 1
        if person is None:
            self.alone.add(key)
        self.wrongly_shared += flagged

    def add_shared(self, row: TruthRow, key: NodeKey, flagged: bool) -> None:
        if row.person is not None:
            self.beside[key] += 1
        if flagged:
            self.flagged.add(key)

    def score(self) -> Score:
        by_person: Counter[tuple[int, Found]] = Counter()
        for ((person, _), found), count in self.cells.items():
            by_person[person, found] += count
        found_sizes = _by_found(by_person)
        person_sizes, part_sizes = _by_true(by_person), _by_true(self.cells)
        joined = _pairs(by_person.values())
        shared = {key for key, count in self.beside.items() if count > 1}
        return Score(
            true_people=len(person_sizes),
            parts=len(part_sizes),
            found_people=len(set(found_sizes) - self.alone),
            exact_people=_exact(by_person, person_sizes, found_sizes),
            exact_parts=_exact(self.cells, part_sizes, found_sizes),
            precision=_ratio(joined, _pairs(found_sizes.values())),
            recall=_ratio(joined, _pairs(person_sizes.values())),
            recall_tied=_ratio(_pairs(self.cells.values()), _pairs(part_sizes.values())),
            unassigned=len(self.alone),
            shared=len(shared),
            shared_found=len(shared & self.flagged),
            wrongly_shared=self.wrongly_shared,
        )


def _by_true(cells: Mapping[tuple[T, Found], int]) -> dict[T, int]:
    sums: defaultdict[T, int] = defaultdict(int)
    for (true, _), count in cells.items():
        sums[true] += count
    return sums


def _by_found(cells: Mapping[tuple[T, Found], int]) -> dict[Found, int]:
    sums: defaultdict[Found, int] = defaultdict(int)
    for (_, found), count in cells.items():
        sums[found] += count
    return sums


def _exact(
    cells: Mapping[tuple[T, Found], int],
    true_sizes: Mapping[T, int],
    found_sizes: Mapping[Found, int],
) -> int:
    """Cells that are all of their row and all of their column."""
    return sum(
        count == true_sizes[true] == found_sizes[found] for (true, found), count in cells.items()
    )


def _pairs(sizes: Iterable[int]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 1.0

"""Two ways of putting the same records together, compared: what became of the people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

People = Sequence[frozenset[int]]


@dataclass(frozen=True, slots=True)
class Change:
    """Some people before, and who the same records are after."""

    before: tuple[tuple[int, ...], ...]
    after: tuple[tuple[int, ...], ...]

    @property
    def records(self) -> int:
        """How many records it is about."""
        return sum(map(len, self.before))


@dataclass(frozen=True, slots=True)
class Compared:
    """What became of the people, in the order of their least records.

    `merged`: several became one. `split`: one became several. `regrouped`:
    several became several others. `churn`: records whose company changed.
    """

    records: int
    unchanged: int
    merged: tuple[Change, ...]
    split: tuple[Change, ...]
    regrouped: tuple[Change, ...]
    churn: int


def compare(before: People, after: People) -> Compared:
    """Compare two partitions of the same records, given by place."""
    was, becomes = _homes(before), _homes(after)
    assert was.keys() == becomes.keys(), "both put the same records together"
    changes: list[Change] = []
    unchanged = churn = 0
    seen: set[int] = set()
    for record in sorted(was):
        if record in seen:
            continue
        old, new = _closure(record, was, becomes)
        for person in old:
            seen |= person
        if old == new:
            unchanged += 1
            continue
        changes.append(Change(_listed(old), _listed(new)))
        churn += sum(was[each] != becomes[each] for person in old for each in person)
    return Compared(
        records=len(was),
        unchanged=unchanged,
        merged=tuple(own for own in changes if len(own.after) == 1),
        split=tuple(own for own in changes if len(own.before) == 1),
        regrouped=tuple(own for own in changes if len(own.before) > 1 and len(own.after) > 1),
        churn=churn,
    )


def _homes(people: Iterable[frozenset[int]]) -> dict[int, frozenset[int]]:
    return {record: person for person in people for record in person}


def _closure(
    record: int, was: dict[int, frozenset[int]], becomes: dict[int, frozenset[int]]
) -> tuple[set[frozenset[int]], set[frozenset[int]]]:
    """The least sets of people, before and after, that hold the record and the same records."""
    old, new = {was[record]}, {becomes[record]}
    frontier = set(was[record] | becomes[record])
    while frontier:
        one = frontier.pop()
        for homes, people in ((was, old), (becomes, new)):
            if homes[one] not in people:
                people.add(homes[one])
                frontier |= homes[one]
    return old, new


def _listed(people: Iterable[frozenset[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(sorted(tuple(sorted(person)) for person in people))

"""A person's id lasts: who keeps the id when people merge and split.

The partition is pure; ids are history. Given who had which id, each new block
keeps one and every other id it absorbs resolves to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from identity.model import (
    LineageChange,
    LineageEntry,
    NodeKey,
    OutboxEntry,
    PersonId,
    kind_of,
)
from identity.policy import IdentityPolicy
from identity.store import FOREVER_US

Block = frozenset[NodeKey]


@dataclass(slots=True)
class Assignment:
    """What a set of new blocks means for ids; `people` and `outbox` name only what changed."""

    people: dict[NodeKey, PersonId | None] = field(default_factory=dict)
    entries: list[LineageEntry] = field(default_factory=list)
    outbox: list[OutboxEntry] = field(default_factory=list)


def known_as(entries: Iterable[LineageEntry], person: PersonId) -> dict[PersonId, int]:
    """Every id under which somebody was known, wholly or with others, and up to when, microseconds.

    Their own id and what was merged into it stand for them for good (`FOREVER_US`);
    the id that they were split from did so up to the split, with all that had
    been merged into it by then. `entries` are those of `GraphStore.lineage`.
    """
    until_us = {person: FOREVER_US}
    changes = list(entries)
    while True:
        before = dict(until_us)
        for entry in changes:
            if entry.other is None:
                continue
            if entry.change is LineageChange.MERGED:
                into_us = until_us.get(entry.other, -1)
                if entry.at_us <= into_us:
                    until_us[entry.person] = max(into_us, until_us.get(entry.person, -1))
            elif entry.change is LineageChange.SPLIT and entry.person in until_us:
                at_us = min(entry.at_us, until_us[entry.person])
                until_us[entry.other] = max(at_us, until_us.get(entry.other, -1))
        if until_us == before:
            return until_us


def assign(
    blocks: Sequence[Block],
    held: Mapping[PersonId, Block],
    policy: IdentityPolicy,
    new_id: Callable[[], PersonId],
    at_us: int,
    erased: AbstractSet[PersonId] = frozenset(),
) -> Assignment:
    """Give every block an id, and every id in `held` something to stand for.

    `held` has all ids with a member in any block, with all their members. An id
    in `erased` stands for nobody from now on, and nothing says of what is left
    of it that it came from there.

    1. *Split*: an id goes to the block that holds its heaviest member by kind
       priority, then the most of its members, then the least key; the id's
       other blocks get new ids, split from it.
    2. *Merge*: of the ids that come to a block the one with the most members
       stays, the least id among equals; the others are merged into it.
    3. An id none of whose members is in any block is retired.
    """
    assignment = Assignment()
    before, held = held, {one: members for one, members in held.items() if one not in erased}
    keeper = _heirs(blocks, held, policy)
    coming: dict[int, list[PersonId]] = {}
    for person, index in keeper.items():
        coming.setdefault(index, []).append(person)
    owner = {key: person for person, members in held.items() for key in members}
    for index, block in enumerate(blocks):
        ids = sorted(coming.get(index, ()), key=lambda person: (-len(held[person]), person))
        person = ids[0] if ids else _born(assignment, block, owner, new_id, at_us)
        for merged in ids[1:]:
            entry = LineageEntry(LineageChange.MERGED, merged, person, 0, at_us)
            assignment.entries.append(entry)
            assignment.outbox.append(OutboxEntry(merged, 0, merged_into=person))
        if block != held.get(person):
            _move(assignment, block, person, owner)
    _retire(assignment, blocks, before, keeper, at_us)
    return assignment


def _heirs(
    blocks: Sequence[Block], held: Mapping[PersonId, Block], policy: IdentityPolicy
) -> dict[PersonId, int]:
    place = {key: index for index, block in enumerate(blocks) for key in block}
    heirs = {}
    for person, members in held.items():
        parts: dict[int, list[NodeKey]] = {}
        for key in members:
            if key in place:
                parts.setdefault(place[key], []).append(key)
        if parts:
            heirs[person] = min(parts, key=lambda index: _claim(parts[index], policy))
    return heirs


def _claim(keys: Iterable[NodeKey], policy: IdentityPolicy) -> tuple[int, int, NodeKey]:
    """Smaller claims stronger."""
    ordered = sorted(keys)
    priorities = [kind.priority for key in ordered if (kind := policy.kind(kind_of(key)))]
    return (-max(priorities, default=0), -len(ordered), ordered[0])


def _born(
    assignment: Assignment,
    block: Block,
    owner: Mapping[NodeKey, PersonId],
    new_id: Callable[[], PersonId],
    at_us: int,
) -> PersonId:
    person = new_id()
    assignment.entries.append(LineageEntry(LineageChange.CREATED, person, None, 0, at_us))
    for parent in sorted({owner[key] for key in block if key in owner}):
        assignment.entries.append(LineageEntry(LineageChange.SPLIT, person, parent, 0, at_us))
    return person


def _move(
    assignment: Assignment, block: Block, person: PersonId, owner: Mapping[NodeKey, PersonId]
) -> None:
    for key in block:
        if owner.get(key) != person:
            assignment.people[key] = person
    assignment.outbox.append(OutboxEntry(person, 0))


def _retire(
    assignment: Assignment,
    blocks: Sequence[Block],
    held: Mapping[PersonId, Block],
    keeper: Mapping[PersonId, int],
    at_us: int,
) -> None:
    placed = {key for block in blocks for key in block}
    for person, members in sorted(held.items()):
        for key in members - placed:
            assignment.people[key] = None
        if person not in keeper:
            assignment.entries.append(LineageEntry(LineageChange.RETIRED, person, None, 0, at_us))
            assignment.outbox.append(OutboxEntry(person, 0, gone=True))

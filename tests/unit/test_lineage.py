"""A person's id lasts through merges and splits."""

from __future__ import annotations

from itertools import count

from identity.lineage import Assignment, assign, known_as
from identity.model import LineageChange, LineageEntry, NodeKey, PersonId
from identity.store import FOREVER_US
from tests.support import histories

Block = frozenset[NodeKey]


def _assign(blocks: list[set[NodeKey]], held: dict[PersonId, set[NodeKey]]) -> Assignment:
    ids = count(1)
    return assign(
        [frozenset(block) for block in blocks],
        {person: frozenset(members) for person, members in held.items()},
        histories.policy(),
        lambda: f"new{next(ids)}",
        at_us=5,
    )


def _changes(assignment: Assignment) -> list[tuple[LineageChange, PersonId, PersonId | None]]:
    return [(entry.change, entry.person, entry.other) for entry in assignment.entries]


def test_a_new_person_is_created() -> None:
    """Nodes that nobody held get a new id."""
    made = _assign([{"login:a", "device:d"}], {})
    assert made.people == {"login:a": "new1", "device:d": "new1"}
    assert _changes(made) == [(LineageChange.CREATED, "new1", None)]


def test_the_larger_person_keeps_its_id_in_a_merge() -> None:
    """The id with more members stays; the other is merged into it and published so."""
    made = _assign(
        [{"login:a", "device:d", "cookie:c"}], {"p1": {"cookie:c"}, "p2": {"login:a", "device:d"}}
    )
    assert made.people == {"cookie:c": "p2"}
    assert _changes(made) == [(LineageChange.MERGED, "p1", "p2")]
    assert {(entry.person, entry.merged_into) for entry in made.outbox} == {
        ("p1", "p2"),
        ("p2", None),
    }


def test_the_account_keeps_the_id_in_a_split() -> None:
    """The part with the highest kind keeps the id, however many cookies the other has."""
    made = _assign(
        [{"cookie:a", "cookie:b", "device:d"}, {"login:l"}],
        {"p1": {"cookie:a", "cookie:b", "device:d", "login:l"}},
    )
    assert made.people == dict.fromkeys(["cookie:a", "cookie:b", "device:d"], "new1")
    assert _changes(made) == [
        (LineageChange.CREATED, "new1", None),
        (LineageChange.SPLIT, "new1", "p1"),
    ]


def test_an_id_without_members_is_retired() -> None:
    """Who has no evidence left stands for nobody, and every replica hears of it."""
    made = _assign([], {"p1": {"cookie:a"}})
    assert made.people == {"cookie:a": None}
    assert _changes(made) == [(LineageChange.RETIRED, "p1", None)]
    assert [entry.gone for entry in made.outbox] == [True]


def test_what_did_not_change_is_not_written() -> None:
    """A block that is just what its id held leaves no trace."""
    made = _assign([{"login:a", "device:d"}], {"p1": {"login:a", "device:d"}})
    assert not made.people
    assert not made.entries
    assert not made.outbox


def test_two_ids_that_trade_members_keep_their_best_part() -> None:
    """Members move between ids; both ids go on."""
    made = _assign(
        [{"login:a", "device:d"}, {"login:b"}],
        {"p1": {"login:a"}, "p2": {"login:b", "device:d"}},
    )
    assert made.people == {"device:d": "p1"}
    assert {entry.person for entry in made.outbox} == {"p1", "p2"}
    assert not made.entries


def test_somebody_is_known_by_what_was_merged_into_them_and_what_they_were_split_from() -> None:
    """For good by the former; by the latter, and by what it was merged of, up to the split, by
    whichever way it lasted longest, whatever the order of the entries.
    """
    merged, split = LineageChange.MERGED, LineageChange.SPLIT
    entries = [
        LineageEntry(LineageChange.CREATED, "me", None, 3, 20),
        LineageEntry(split, "me", "whole", 3, 20),
        LineageEntry(merged, "mine", "me", 4, 25),
        LineageEntry(merged, "early", "whole", 1, 10),
        LineageEntry(merged, "late", "whole", 5, 30),
        LineageEntry(split, "whole", "older", 2, 15),
        LineageEntry(merged, "of mine", "mine", 2, 12),
        LineageEntry(split, "mine", "whole", 1, 22),
        LineageEntry(split, "other", "whole", 1, 23),
    ]
    known = {"me": FOREVER_US, "mine": FOREVER_US, "of mine": FOREVER_US}
    known |= {"whole": 22, "early": 22, "older": 15}
    assert known_as(entries, "me") == known
    assert known_as(reversed(entries), "me") == known
    assert known_as([], "me") == {"me": FOREVER_US}

"""What became of people between two ways of putting the same records together."""

from hypothesis import given
from hypothesis import strategies as st

from identity.matching.partitions import compare

BEFORE = [frozenset({0, 1}), frozenset({2}), frozenset({3, 4, 5}), frozenset({6, 7}),
          frozenset({8, 9}), frozenset({10})]  # fmt: skip
AFTER = [frozenset({0, 1, 2}), frozenset({3, 4}), frozenset({5}), frozenset({6, 8}),
         frozenset({7, 9}), frozenset({10})]  # fmt: skip


def people(labels: list[int]) -> list[frozenset[int]]:
    """The records of each label."""
    return [frozenset(at for at, own in enumerate(labels) if own == label) for label in set(labels)]


def test_every_kind_of_change_is_told() -> None:
    """Merged, split, regrouped and unchanged people are told apart, by their records."""
    found = compare(BEFORE, AFTER)
    assert found.unchanged == 1
    (merged,), (split,), (regrouped,) = found.merged, found.split, found.regrouped
    assert (merged.before, merged.after) == (((0, 1), (2,)), ((0, 1, 2),))
    assert (split.before, split.after) == (((3, 4, 5),), ((3, 4), (5,)))
    assert (regrouped.before, regrouped.after) == (((6, 7), (8, 9)), ((6, 8), (7, 9)))
    assert found.churn == 3 + 3 + 4
    assert found.records == 11


@given(pairs=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=40))
def test_changes_add_up(pairs: list[tuple[int, int]]) -> None:
    """Unchanged people and changes hold every record once; the other way round is the mirror."""
    before, after = (people(list(labels)) for labels in zip(*pairs, strict=True))
    found, mirror = compare(before, after), compare(after, before)
    changes = (*found.merged, *found.split, *found.regrouped)
    assert found.unchanged + sum(len(own.before) for own in changes) == len(before)
    assert found.unchanged + sum(len(own.after) for own in changes) == len(after)
    for own in changes:
        held = sorted(record for person in own.before for record in person)
        assert held == sorted(record for person in own.after for record in person)
    assert [own.before for own in found.merged] == [own.after for own in mirror.split]
    assert found.churn == mirror.churn
    homes = {record: person for person in after for record in person}
    assert found.churn == sum(homes[record] != person for person in before for record in person)

"""Shared identifiers: counted from the evidence directly beside them."""

from __future__ import annotations

from collections.abc import Sequence

from identity.limits import beside_counts, is_shared, most_in_window
from identity.model import NodeKey, NodeView, Tie
from tests.support import histories

POLICY = histories.policy()


def _tie(other: NodeKey, days: Sequence[int]) -> Tie:
    return Tie(other, 1, False, tuple(days), len(days), 0, 0, False)


def _view(key: NodeKey, *ties: Tie) -> NodeView:
    return NodeView(key, 1, False, None, ties)


def test_more_values_than_allowed_make_it_shared() -> None:
    """A device beside two logins within its window is shared; beside one it is not."""
    one = _view("device:d", _tie("login:a", [1, 2, 3]))
    two = _view("device:d", _tie("login:a", [1]), _tie("login:b", [3]))
    assert not is_shared(one, POLICY)
    assert is_shared(two, POLICY)
    assert beside_counts(two, POLICY) == {"login": 2}


def test_values_must_fall_in_one_window() -> None:
    """Two logins further apart than the window are two owners in turn, not sharing."""
    apart = _view("device:d", _tie("login:a", [1]), _tie("login:b", [4]))
    assert not is_shared(apart, POLICY)


def test_many_signals_do_not_make_it_shared() -> None:
    """A good customer has many days and records; only distinct values count."""
    busy = _view(
        "email:e", _tie("login:a", range(400)), _tie("record:r", [1]), _tie("record:s", [2])
    )
    assert not is_shared(busy, POLICY)


def test_lower_kinds_do_not_count() -> None:
    """A login beside a hundred cookies is a person with a hundred cookies."""
    ties = [_tie(f"cookie:{n}", [1]) for n in range(100)]
    assert not is_shared(_view("login:a", *ties), POLICY)


def test_each_higher_kind_has_its_own_number() -> None:
    """A device may sit beside two e-mails (two allowed) but not three."""
    two = [_tie(f"email:{n}", [1]) for n in range(2)]
    assert not is_shared(_view("device:d", *two), POLICY)
    assert is_shared(_view("device:d", *two, _tie("email:9", [1])), POLICY)


def test_window_counts_distinct_values() -> None:
    """The largest number of distinct values within any span of days."""
    ties = [_tie("a", [1, 2, 9]), _tie("b", [2, 3]), _tie("c", [10])]
    assert most_in_window(ties, 1) == 2
    assert most_in_window(ties, 2) == 2
    assert most_in_window(ties, 8) == 3
    assert most_in_window([], 5) == 0

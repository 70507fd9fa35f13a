"""The contract of people on the embedded engine, a fresh file for every example."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from identity.engines.sqlite import SqliteGraphStore
from identity.model import Contribution
from identity.store import GraphStore
from tests.contracts import matching, matching_consent, matching_devices, people
from tests.support import histories
from tests.support.histories import Fence, Horizon, Step

Fresh = Callable[[], GraphStore]
SOME = settings(
    max_examples=40,
    deadline=None,
    # A fixture that makes a new store at each call may serve many examples.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
FEW = settings(SOME, max_examples=12)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Fresh]:
    """Gives an empty store at each call; the one before is closed and removed."""
    numbers, opened = count(), []

    def made() -> GraphStore:
        clear()
        opened.append(SqliteGraphStore(tmp_path / f"graph-{next(numbers)}"))
        return opened[-1]

    def clear() -> None:
        while opened:
            opened.pop().close()
        for left in tmp_path.glob("graph-*"):
            left.unlink()

    yield made
    clear()


@SOME
@given(steps=histories.histories())
def test_people_are_those_of_a_rebuild(fresh: Fresh, steps: list[Step]) -> None:
    """Batches and drains in any order end in the oracle's people."""
    people.check_rebuild(people.World(fresh()), steps)


@SOME
@given(steps=histories.histories())
def test_every_local_step_is_a_rebuild(fresh: Fresh, steps: list[Step]) -> None:
    """Resolving only what a commit marked gives the oracle's people after each commit."""
    people.check_every_step(people.World(fresh()), steps)


@SOME
@given(steps=histories.histories(), horizon=histories.horizons(), place=st.integers(0, 8))
def test_horizon_at_any_point(
    fresh: Fresh, steps: list[Step], horizon: Horizon, place: int
) -> None:
    """A horizon that moves at any point ends in the people of a rebuild with it."""
    arranged = [*steps[:place], horizon, *steps[place:]]
    people.check_rebuild(people.World(fresh()), arranged)


@SOME
@given(steps=histories.histories(), fence=histories.fences(), place=st.integers(0, 8))
def test_people_erased_at_any_point(
    fresh: Fresh, steps: list[Step], fence: Fence, place: int
) -> None:
    """Erased at any point and replayed: everybody else is as if their signals had never come."""
    people.check_erasing(people.World(fresh()), steps, fence, place)


def test_what_goes_while_others_wait(fresh: Fresh) -> None:
    """A record is taken back while marks wait: the rest are those of a rebuild."""
    people.check_goes_while_others_wait(fresh)


@SOME
@given(steps=histories.histories(max_steps=12))
def test_every_id_resolves(fresh: Fresh, steps: list[Step]) -> None:
    """Ids survive merges and splits; each one ever given out still leads somewhere."""
    people.check_ids_resolve(people.World(fresh()), steps)


@FEW
@given(contributions=st.lists(histories.contributions(), min_size=1, max_size=14))
def test_order_does_not_matter(fresh: Fresh, contributions: list[Contribution]) -> None:
    """Six orders and batchings give the same people."""
    people.check_orders_agree(fresh, contributions, orders=6)


def test_ten_orders_of_records_give_the_same_people(fresh: Fresh) -> None:
    """Records one at a time, in batches, all at once."""
    matching.check_orders(fresh, records=120, orders=10)


def test_models_come_and_go(fresh: Fresh) -> None:
    """People under a model do not depend on when it was put in force."""
    matching.check_models_follow(fresh, records=120)


def test_devices_are_linked_in_any_order(fresh: Fresh) -> None:
    """Sightings in batches of several sizes and orders."""
    matching_devices.check_orders(fresh, orders=6, limit=40)


def test_devices_are_joined_as_their_people_allow_in_any_order(fresh: Fresh) -> None:
    """Consent, ages and restrictions of whole groups, before and after they are joined."""
    matching_consent.check_orders(fresh, orders=4, limit=20)


def test_a_no_parts_two_devices(fresh: Fresh) -> None:
    """Wherever it is said in the group, and no longer than it holds."""
    matching_consent.check_a_no_parts_them(fresh, limit=20)


def test_devices_end_as_at_once_whatever_happens(fresh: Fresh) -> None:
    """Marks that wait, resolvers that die, erasures and horizons change nothing in the end."""
    matching_consent.check_histories(fresh, number=8)


def test_records_end_as_at_once_whatever_happens(fresh: Fresh) -> None:
    """The same of records, while models come and go as well."""
    matching.check_histories(fresh, number=30)


def test_a_no_taken_back_before_its_turn(fresh: Fresh) -> None:
    """It parts nobody for good, though its node is as it was when its turn comes."""
    matching_consent.check_a_no_taken_back_before_its_turn(fresh, limit=20)

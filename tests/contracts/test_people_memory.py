"""The contract of people on the reference engine, with many examples."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from identity.engines.memory import MemoryGraphStore
from identity.model import Contribution
from tests.contracts import people
from tests.support import histories
from tests.support.histories import Fence, Horizon, Step


@settings(max_examples=300, deadline=None)
@given(histories.histories())
def test_people_are_those_of_a_rebuild(steps: list[Step]) -> None:
    """Batches and drains in any order end in the oracle's people."""
    people.check_rebuild(people.World(MemoryGraphStore()), steps)


@settings(max_examples=200, deadline=None)
@given(histories.histories())
def test_every_local_step_is_a_rebuild(steps: list[Step]) -> None:
    """Resolving only what a commit marked gives the oracle's people after each commit."""
    people.check_every_step(people.World(MemoryGraphStore()), steps)


@settings(max_examples=200, deadline=None)
@given(histories.histories(), histories.horizons(), st.integers(0, 8))
def test_horizon_at_any_point(steps: list[Step], horizon: Horizon, place: int) -> None:
    """A horizon that moves at any point ends in the people of a rebuild with it."""
    arranged = [*steps[:place], horizon, *steps[place:]]
    people.check_rebuild(people.World(MemoryGraphStore()), arranged)


@settings(max_examples=200, deadline=None)
@given(histories.histories(), histories.fences(), st.integers(0, 8))
def test_people_erased_at_any_point(steps: list[Step], fence: Fence, place: int) -> None:
    """Erased at any point and replayed: everybody else is as if their signals had never come."""
    people.check_erasing(people.World(MemoryGraphStore()), steps, fence, place)


def test_what_goes_while_others_wait() -> None:
    """A record is taken back while marks wait: the rest are those of a rebuild."""
    people.check_goes_while_others_wait(MemoryGraphStore)


@settings(max_examples=100, deadline=None)
@given(histories.histories(max_steps=12))
def test_every_id_resolves(steps: list[Step]) -> None:
    """Ids survive merges and splits; each one ever given out still leads somewhere."""
    people.check_ids_resolve(people.World(MemoryGraphStore()), steps)


@settings(max_examples=60, deadline=None)
@given(st.lists(histories.contributions(), min_size=1, max_size=14))
def test_order_does_not_matter(contributions: list[Contribution]) -> None:
    """Ten orders and batchings give the same people."""
    people.check_orders_agree(MemoryGraphStore, contributions, orders=10)

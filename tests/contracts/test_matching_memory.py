"""The contract of matching on the reference engine."""

from __future__ import annotations

from identity.engines.memory import MemoryGraphStore
from tests.contracts import matching


def test_ten_orders_give_the_same_people() -> None:
    """One at a time, in batches, all at once."""
    matching.check_orders(MemoryGraphStore, records=40, orders=10)


def test_models_come_and_go() -> None:
    """People under a model do not depend on when it was put in force."""
    matching.check_models_follow(MemoryGraphStore, records=40)

"""The contract of matching on the reference engine."""

from __future__ import annotations

from identity.engines.memory import MemoryGraphStore
from tests.contracts import matching, matching_consent, matching_devices


def test_ten_orders_give_the_same_people() -> None:
    """One at a time, in batches, all at once."""
    matching.check_orders(MemoryGraphStore, records=40, orders=10)


def test_models_come_and_go() -> None:
    """People under a model do not depend on when it was put in force."""
    matching.check_models_follow(MemoryGraphStore, records=40)


def test_devices_are_linked_in_any_order() -> None:
    """Sightings in batches of several sizes and orders."""
    matching_devices.check_orders(MemoryGraphStore, orders=3, limit=20)


def test_devices_are_linked_only_where_allowed() -> None:
    """Who may not be linked stays alone."""
    matching_devices.check_only_where_allowed(MemoryGraphStore, limit=20)


def test_devices_are_joined_as_their_people_allow_in_any_order() -> None:
    """Consent, ages and restrictions of whole groups, before and after they are joined."""
    matching_consent.check_orders(MemoryGraphStore, orders=6, limit=20)


def test_a_no_parts_two_devices() -> None:
    """Wherever it is said in the group, and no longer than it holds."""
    matching_consent.check_a_no_parts_them(MemoryGraphStore, limit=20)


def test_devices_end_as_at_once_whatever_happens() -> None:
    """Marks that wait, resolvers that die, erasures and horizons change nothing in the end."""
    matching_consent.check_histories(MemoryGraphStore, number=12)


def test_records_end_as_at_once_whatever_happens() -> None:
    """The same of records, while models come and go as well."""
    matching.check_histories(MemoryGraphStore, number=40)


def test_a_no_taken_back_before_its_turn() -> None:
    """It parts nobody for good, though its node is as it was when its turn comes."""
    matching_consent.check_a_no_taken_back_before_its_turn(MemoryGraphStore, limit=20)

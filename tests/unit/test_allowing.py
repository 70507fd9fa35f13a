"""Groups are asked before they are joined: each of the two, and both as one."""

from __future__ import annotations

import pytest

from identity.allowing import Groups
from identity.engines.memory import MemoryGraphStore
from identity.matching.comparing import Group, MayJoin
from identity.model import Decision, EvidenceKind, Fact, NodeKey
from tests.contracts.matching_consent import decision, login, seen_together
from tests.support.store_driver import Consumer

ANN, ANNS, BOB = login(1), login(2), login(3)
ONE, OTHER = [ANN.key, ANNS.key], [BOB.key]


def groups(store: MemoryGraphStore, may_join: MayJoin) -> Groups:
    """What is asked about Ann's two logins and Bob's."""
    views = store.views([ANN.key, ANNS.key, BOB.key])
    same = Decision(BOB.key, ANN.key, True, 7, b"")
    apart = Decision(BOB.key, ANNS.key, False, 8, b"")
    return Groups(store, views, [same, apart], may_join, lambda *_: None)


@pytest.fixture
def store() -> MemoryGraphStore:
    """Ann was seen under two logins, and decided under both at once; Bob said no."""
    made = MemoryGraphStore()
    both = decision(50, ANN, True)
    assert both.fact is not None
    fact = Fact(EvidenceKind.CONSENT, (ANN.key, ANNS.key), both.fact.payload)
    Consumer(made).take(
        seen_together(40, ANN, ANNS),
        seen_together(30, ANN, ANNS, fact=fact),
        decision(60, BOB, False),
    )
    return made


@pytest.mark.parametrize("refused", [{*ONE}, {*OTHER}, {*ONE, *OTHER}, {"nobody"}])
def test_one_no_is_enough(store: MemoryGraphStore, refused: set[NodeKey]) -> None:
    """Of either group, or of both together."""
    asked = groups(store, lambda group: group.members != refused)
    assert asked.may_join(ONE, OTHER) is (refused == {"nobody"})
    assert asked.may_join(OTHER, ONE) is (refused == {"nobody"})


def test_a_group_has_all_that_is_known_of_it_once(store: MemoryGraphStore) -> None:
    """Its facts, and when each two were first seen together or said to be one."""
    told: list[Group] = []

    def may_join(group: Group) -> bool:
        told.append(group)
        return True

    asked = groups(store, may_join)
    assert asked.may_join(ONE, OTHER)
    assert asked.may_join(ONE, OTHER)
    mine, others, all_of_us = told
    assert mine.joined == ((30, *sorted(ONE)),)
    assert [kept.event_us for kept in mine.facts] == [30]
    assert (others.joined, [kept.event_us for kept in others.facts]) == ((), [60])
    assert set(all_of_us.joined) == {(7, BOB.key, ANN.key), *mine.joined}
    assert {kept.event_us for kept in all_of_us.facts} == {30, 60}

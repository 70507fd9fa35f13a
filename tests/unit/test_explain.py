"""Explanations: the chain of evidence, or what stands between."""

from __future__ import annotations

from identity.engines.memory import MemoryGraphStore
from identity.explain import Explanation, explain
from identity.model import DAY_US, Assurance, Contribution, EvidenceKind, Fact, NodeKey
from identity.resolve import Basis
from tests.contracts.people import POLICY, World
from tests.support.histories import node


def _seen(
    signal: int,
    *named: tuple[str, int],
    day: int = 1,
    assurance: Assurance = Assurance.NONE,
) -> Contribution:
    nodes = tuple(node(kind, value) for kind, value in named)
    activity = ((nodes[0].key, ("channel:web",)),)
    at_us = day * DAY_US
    digest = signal.to_bytes(8, "big")
    return Contribution(signal, digest, at_us, at_us, "web", assurance, nodes, activity)


def _decided(signal: int, left: NodeKey, right: NodeKey, same: bool) -> Contribution:
    fact = Fact(EvidenceKind.DECISION, (left, right), same=same)
    digest = signal.to_bytes(8, "big")
    return Contribution(signal, digest, DAY_US, DAY_US, "staff", Assurance.NONE, fact=fact)


def _explained(left: NodeKey, right: NodeKey, *signals: Contribution) -> Explanation | None:
    world = World(MemoryGraphStore())
    world.commit(signals)
    world.settle()
    return explain(world.store, POLICY, left, right)


LOGIN, DEVICE, COOKIE = node("login", 0).key, node("device", 0).key, node("cookie", 0).key


def test_chain_of_evidence() -> None:
    """A cookie leads to a login over the device that was seen with both."""
    found = _explained(
        COOKIE,
        LOGIN,
        _seen(1, ("device", 0), ("cookie", 0)),
        _seen(2, ("login", 0), ("device", 0), day=2),
        _seen(3, ("login", 0), ("device", 0), day=4),
    )
    assert found is not None
    assert found.same_person
    assert [(step.left, step.right, step.signals) for step in found.steps] == [
        (COOKIE, DEVICE, 1),
        (DEVICE, LOGIN, 2),
    ]
    assert "2 times by web from 1970-01-03 to 1970-01-05" in found.sentence


def test_shared_identifier_is_named_as_obstacle() -> None:
    """Two logins beside one device are two people, and the device is why."""
    found = _explained(
        LOGIN,
        node("login", 1).key,
        _seen(1, ("login", 0), ("device", 0)),
        _seen(2, ("login", 1), ("device", 0)),
    )
    assert found is not None
    assert not found.same_person
    assert any("is shared: beside 2 values of login" in text for text in found.obstacles)


def test_decision_of_staff_is_named_as_obstacle() -> None:
    """What staff holds apart says so, with its date."""
    found = _explained(
        LOGIN,
        DEVICE,
        _seen(1, ("login", 0), ("device", 0)),
        _decided(2, LOGIN, DEVICE, same=False),
    )
    assert found is not None
    assert any("staff decided on 1970-01-02" in text for text in found.obstacles)


def test_limit_is_named_as_obstacle() -> None:
    """Two customer ids with one login: one too many for a person."""
    found = _explained(
        node("customer_id", 0).key,
        node("customer_id", 1).key,
        _seen(1, ("customer_id", 0), ("cookie", 0)),
        _seen(2, ("customer_id", 1), ("cookie", 1)),
    )
    assert found is not None
    assert "together they would have 2 values of customer_id, 1 allowed a person" in found.obstacles


def test_decision_is_a_step() -> None:
    """What staff joined is explained by the decision."""
    found = _explained(
        LOGIN,
        DEVICE,
        _seen(1, ("login", 0)),
        _seen(2, ("device", 0)),
        _decided(3, LOGIN, DEVICE, same=True),
    )
    assert found is not None
    assert [step.basis for step in found.steps] == [Basis.DECIDED]
    assert "staff decided" in found.sentence


def test_unknown_identifier_has_no_explanation() -> None:
    """Nothing is said of an identifier that never was seen."""
    assert _explained(LOGIN, DEVICE, _seen(1, ("login", 0))) is None


def test_one_identifier_twice() -> None:
    """Asked about itself, the chain is empty."""
    found = _explained(LOGIN, LOGIN, _seen(1, ("login", 0)))
    assert found is not None
    assert found.same_person
    assert found.steps == ()

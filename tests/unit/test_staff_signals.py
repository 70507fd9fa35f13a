"""What staff decides is a signal, the same on its way through a topic as straight into a graph."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from identity.model import Contribution, EvidenceKind
from identity.store import Outcome
from ingest.recording import IntoTopic
from ingest.staff_signals import StaffSignals
from ingest.v1.signal_pb2 import Identifier, LinkEnd, Signal, SignalName
from kinfold.auditing import desk_ids
from profiles.vault_memory import MemoryVault
from tests.support.intaking import NOW_US, counted, intake

LOGIN = LinkEnd(identifier=Identifier(kind="login", value="anna"))
RECORD = LinkEnd(record=SignalName(source="crm", signal_id="7"))
TOKEN, SHORT = (LinkEnd(record_token=text) for text in ("abcdefghij-klmnopqrs_t", "short"))


def keyed(key: bytes) -> Callable[[str], str]:
    """Ids of the desk's signals under an audit key."""
    vault = MemoryVault(lambda size: key * size)
    return desk_ids(vault)


def sent(
    left: LinkEnd, right: LinkEnd, *, same: bool, name: str = "case-1", key: bytes = b"k"
) -> Signal:
    """The signal that reaches the topic."""
    topic: list[Signal] = []
    desk = StaffSignals("staff", intake(), IntoTopic(topic.append), keyed(key), lambda: NOW_US)
    assert desk.decide(left, right, name, NOW_US, same=same) is None
    (signal,) = topic
    return signal


def understood(signal: Signal) -> Contribution:
    """What a consumer makes of it."""
    return counted(intake().from_protobuf(signal.SerializeToString(), NOW_US))


@pytest.mark.parametrize("right", [RECORD, TOKEN])
def test_a_decision_on_two_ends_is_a_signal(right: LinkEnd) -> None:
    """It names both ends, whoever is left; the same is the same signal, another verdict is not."""
    one = understood(sent(LOGIN, right, same=True))
    assert one.fact is not None
    assert one.fact.kind is EvidenceKind.DECISION
    assert (one.fact.same, one.nodes, one.source, one.event_us) == (True, (), "staff", NOW_US)
    assert understood(sent(LOGIN, right, same=True)).digest == one.digest
    turned = understood(sent(right, LOGIN, same=True))
    assert turned.fact is not None
    assert turned.fact.subjects == one.fact.subjects
    other = understood(sent(LOGIN, right, same=False))
    assert (other.signal, other.digest != one.digest) == (one.signal, True)
    assert understood(sent(LOGIN, right, same=True, name="case-2")).signal != one.signal


def test_what_cannot_be_decided_is_not_sent() -> None:
    """Two ends that are one, and a token that is none, are refused before the topic has them."""
    topic: list[Signal] = []
    desk = StaffSignals("staff", intake(), IntoTopic(topic.append), keyed(b"k"), lambda: NOW_US)
    for right in (LOGIN, SHORT, LinkEnd()):
        assert desk.decide(LOGIN, right, "case-1", NOW_US, same=True) is not None
    assert topic == []


def test_a_decision_that_a_fence_keeps_out_is_told() -> None:
    """Nobody is told that it counts."""

    def put(signal: Signal, understood: Contribution) -> Outcome:
        """As a store does where an erasure fenced the identifier."""
        del signal, understood
        return Outcome.ERASED

    desk = StaffSignals("staff", intake(), put, keyed(b"k"), lambda: NOW_US)
    refused = desk.choose(("login", "anna"), {"legal_hold": False}, "hold-1", NOW_US)
    assert refused is not None
    assert refused.reason == "KEPT_OUT"


def test_nobody_tells_the_id_of_a_decision_beforehand() -> None:
    """It is made of what the decision is called under the audit key: always the same one, and
    another in every home.
    """
    one = sent(LOGIN, RECORD, same=True).signal_id
    assert one == sent(LOGIN, TOKEN, same=False).signal_id
    assert "case-1" not in one
    assert one != sent(LOGIN, RECORD, same=True, key=b"l").signal_id
    assert len(one) == len("desk-") + 32

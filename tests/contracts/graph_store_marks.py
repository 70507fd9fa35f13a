"""Promise: no mark is lost; and what is marked, and why."""

from __future__ import annotations

from hypothesis import given

from identity.engines.memory import MemoryGraphStore
from identity.model import Assurance, Changed, EvidenceKind, Fact, Mark, NodeKey
from identity.store import GraphStore, Resolution
from tests.contracts.engine import Engine
from tests.support.evidence_strategies import (
    FIRST_DAY,
    KEYS,
    Commit,
    MoveHorizon,
    Resolve,
    Step,
    contribution,
    decision,
    histories,
    node,
    retraction,
)
from tests.support.store_driver import Consumer, lease_of, settle_everybody

ANN, PHONE = node("login:a").key, node("device:a").key
IDENTITY = Changed.ADDED | Changed.REMOVED | Changed.DECIDED


def changed(store: GraphStore) -> dict[NodeKey, Changed]:
    """The reasons of all marks, which are cleared."""
    marks = store.marks(1_000)
    clear(store, marks)
    return {mark.key: mark.changed for mark in marks}


def clear(store: GraphStore, marks: list[Mark]) -> None:
    """Clear marks as they were read."""
    store.commit_resolution(lease_of(store), Resolution({}, {}, [], [], marks))


class MarksContract:
    """Whatever changed is marked until it was resolved as it is now."""

    def test_no_mark_is_lost(self, engine: Engine) -> None:
        """A node marked again after its mark was read stays marked; the others are cleared."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(contribution(1, "login:a"), contribution(2, "device:a"))
            read = store.marks(10)
            consumer.take(contribution(3, "login:a"))
            clear(store, read)
            (left,) = store.marks(10)
            assert left.key == ANN
            assert left.count > next(mark.count for mark in read if mark.key == ANN)
            clear(store, [left])
            assert store.marks(10) == []

    def test_a_mark_outlives_its_evidence(self, engine: Engine) -> None:
        """A node with nothing left keeps its mark, whoever is resolved first; then it goes."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(contribution(1, "login:a", "device:a"))
            settle_everybody(store)
            consumer.take(retraction(9, 1, at_us=9))
            first = [mark for mark in store.marks(10) if mark.key == PHONE]
            gone = Resolution({ANN: None, PHONE: None}, {}, [], [], first)
            store.commit_resolution(lease_of(store), gone)
            (left,) = store.marks(10)
            assert left.key == ANN
            assert left.changed & Changed.REMOVED
            clear(store, [left])
            assert store.marks(10) == []
            assert sum(store.totals().nodes.values()) == 0

    def test_whatever_changed_is_marked(self, engine: Engine) -> None:
        """In any history the marks hold every node that the reference marks, and its reasons."""

        @engine.examples
        @given(histories())
        def holds(steps: list[Step]) -> None:
            with engine.fresh() as store:
                reference = MemoryGraphStore()
                consumers = [Consumer(store), Consumer(reference)]
                for step in steps:
                    for consumer in consumers:
                        match step:
                            case Commit():
                                consumer.take(*step.contributions)
                            case MoveHorizon():
                                consumer.store.move_horizon(step.kind, step.before_day)
                            case Resolve():
                                settle_everybody(consumer.store)
                    wanted = {mark.key: mark.changed for mark in reference.marks(1_000)}
                    marked = {mark.key: mark.changed for mark in store.marks(1_000)}
                    for key, reasons in wanted.items():
                        assert key in marked
                        # A node that came back may still be marked for what it lost.
                        assert not reasons & IDENTITY or marked[key] & IDENTITY
                        missing = reasons & (Changed.REMOVED | Changed.DECIDED) & ~marked[key]
                        # A node that is new is resolved for that, whatever was decided of it.
                        assert not missing or (
                            missing == Changed.DECIDED and marked[key] & Changed.ADDED
                        )

        holds()

    def test_a_new_node_needs_a_person(self, engine: Engine) -> None:
        """A node never seen before is added, also when it is alone."""
        with engine.fresh() as store:
            Consumer(store).take(contribution(1, "login:a"), contribution(2, "login:b", cells=()))
            assert changed(store).keys() == {ANN, node("login:b").key}
            Consumer(store, "other").take(contribution(3, "device:a", "device:b"))
            assert all(reason & Changed.ADDED for reason in changed(store).values())

    def test_seen_again_on_a_day_is_activity(self, engine: Engine) -> None:
        """What says nothing new about identity marks activity alone, so it need not be resolved."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(contribution(1, "login:a", "device:a"))
            assert changed(store) == dict.fromkeys([ANN, PHONE], changed_by(Changed.ADDED))
            consumer.take(contribution(2, "login:a", "device:a", at_us=5))
            again = changed(store)
            assert again.keys() == {ANN, PHONE}
            assert set(again.values()) == {Changed.ACTIVITY}
            consumer.take(contribution(3, "login:a", "device:a", source="crm"))
            assert set(changed(store).values()) == {Changed.ACTIVITY}

    def test_a_new_day_of_a_link_is_added(self, engine: Engine) -> None:
        """A link's first sighting on a day marks both ends as added."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(contribution(1, "login:a", "device:a"))
            changed(store)
            consumer.take(contribution(2, "login:a", "device:a", day=FIRST_DAY + 1))
            assert all(reason & Changed.ADDED for reason in changed(store).values())

    def test_a_first_authenticated_sighting_is_added(self, engine: Engine) -> None:
        """A link that becomes authenticated on a known day concerns identity."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(contribution(1, "login:a", "device:a"))
            changed(store)
            sure = contribution(2, "login:a", "device:a", assurance=Assurance.AUTHENTICATED)
            consumer.take(sure)
            reasons = changed(store)
            assert reasons.keys() == {ANN, PHONE}
            assert all(reason & Changed.ADDED for reason in reasons.values())

    def test_the_last_authenticated_sighting_is_removed(self, engine: Engine) -> None:
        """A link that is authenticated no more concerns identity, though its days stay."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(
                contribution(1, "login:a", "device:a"),
                contribution(2, "login:a", "device:a", assurance=Assurance.AUTHENTICATED),
            )
            changed(store)
            consumer.take(retraction(9, 2, at_us=9))
            reasons = changed(store)
            assert reasons.keys() == {ANN, PHONE}
            assert all(reason & Changed.REMOVED for reason in reasons.values())

    def test_what_is_retracted_is_removed(self, engine: Engine) -> None:
        """A link's last sighting on a day marks both ends as removed when it goes."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(
                contribution(1, "login:a", "device:a"),
                contribution(2, "login:a", "device:a", at_us=5),
                contribution(3, "login:a", "device:a", day=FIRST_DAY + 1),
            )
            changed(store)
            consumer.take(retraction(8, 2, at_us=9))
            assert not any(reason & IDENTITY for reason in changed(store).values())
            consumer.take(retraction(9, 1, at_us=9))
            reasons = changed(store)
            assert reasons.keys() == {ANN, PHONE}
            assert all(reason & Changed.REMOVED for reason in reasons.values())

    def test_what_expires_is_removed(self, engine: Engine) -> None:
        """Moving a horizon marks every node that lost something."""
        with engine.fresh() as store:
            Consumer(store).take(
                contribution(1, "login:a", "device:a"),
                contribution(2, "login:b", "device:b", day=FIRST_DAY + 1),
            )
            changed(store)
            store.move_horizon(EvidenceKind.LINK, FIRST_DAY + 1)
            reasons = changed(store)
            assert reasons.keys() == {ANN, PHONE}
            assert all(reason & Changed.REMOVED for reason in reasons.values())
            store.move_horizon(EvidenceKind.ACTIVITY, FIRST_DAY + 2)
            assert changed(store).keys() == {ANN, node("login:b").key}

    def test_facts_mark_their_subjects(self, engine: Engine) -> None:
        """Records, purchases and consents are activity of each subject, also when they go."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(contribution(1, "login:a", "device:a"))
            changed(store)
            agreed = Fact(EvidenceKind.CONSENT, (ANN, PHONE), b"payload")
            consumer.take(contribution(2, "login:a", "device:a", fact=agreed))
            assert changed(store).keys() == {ANN, PHONE}
            store.move_horizon(EvidenceKind.CONSENT, FIRST_DAY + 1)
            assert changed(store).keys() == {ANN, PHONE}

    def test_decisions_mark_both_ends(self, engine: Engine) -> None:
        """A decision concerns the identity of both its ends, also when it is retracted."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(contribution(1, "login:a"), contribution(2, "device:a"))
            changed(store)
            consumer.take(decision(3, "login:a", "device:a", True))
            assert all(reason & Changed.DECIDED for reason in changed(store).values())
            consumer.take(decision(4, "login:a", "login:b", True))
            assert changed(store).keys() == {ANN}
            consumer.take(retraction(9, 3, at_us=9))
            reasons = changed(store)
            assert reasons.keys() == {ANN, PHONE}
            assert all(reason & Changed.DECIDED for reason in reasons.values())

    def test_duplicates_mark_nothing(self, engine: Engine) -> None:
        """What was known changes nothing and needs no resolving."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(contribution(1, "login:a", "device:a"))
            changed(store)
            consumer.take(contribution(1, "login:a", "device:a"))
            assert store.marks(10) == []

    def test_marks_are_limited(self, engine: Engine) -> None:
        """At most as many marks come as were asked for, each with the last known shared flag."""
        with engine.fresh() as store:
            Consumer(store).take(*(contribution(n, name) for n, name in enumerate(NAMES)))
            lease = lease_of(store)
            store.commit_resolution(lease, Resolution({}, {ANN: True}, [], [], []))
            assert len(store.marks(2)) == 2
            marks = store.marks(100)
            assert len(marks) == len(NAMES)
            assert {mark.key for mark in marks if mark.shared} == {ANN}
            assert {mark.key for mark in marks} <= set(KEYS)


NAMES = ("login:a", "login:b", "email:a", "device:a")


def changed_by(reason: Changed) -> Changed:
    """How a first sighting is marked: something new that is also activity."""
    return reason | Changed.ACTIVITY

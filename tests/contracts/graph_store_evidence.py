"""Promises: evidence is a set; durable; and what the readers of evidence give."""

from __future__ import annotations

import pytest
from hypothesis import given

from identity.engines.memory import MemoryGraphStore
from identity.model import DAY_US, HOUR_US, Assurance, EvidenceKind, Fact, LinkDay
from tests.contracts.engine import Engine
from tests.support.evidence_strategies import (
    FIRST_DAY,
    Commit,
    Step,
    canonical,
    contribution,
    decision,
    digested,
    histories,
    node,
    retraction,
)
from tests.support.store_driver import Consumer, assign, run, snapshot

ANN, PHONE, TABLET = (node(name).key for name in ("login:a", "device:a", "device:b"))
START_US = FIRST_DAY * DAY_US


class EvidenceContract:
    """The state depends on the set of contributions and horizons alone."""

    def test_evidence_is_a_set(self, engine: Engine) -> None:
        """Any order, batching, repetition, retraction and horizon end like the reference."""

        @engine.examples
        @given(histories())
        def holds(steps: list[Step]) -> None:
            reference = MemoryGraphStore()
            run(reference, canonical(steps))
            with engine.fresh() as store:
                run(store, steps)
                assert snapshot(store) == snapshot(reference)

        holds()

    def test_no_trace_is_left_of_what_was_retracted(self, engine: Engine) -> None:
        """Adding and retracting everything leaves no node, link or mark once resolved."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(
                contribution(1, "login:a", "device:a", "device:b"),
                contribution(2, "login:a", fact=Fact(EvidenceKind.PURCHASE, (ANN,), b"one")),
            )
            snapshot(store)
            consumer.take(retraction(8, 1, at_us=9), retraction(9, 2, at_us=9))
            assert store.views([ANN, PHONE, TABLET]) == {}
            snapshot(store)
            totals = store.totals()
            assert (dict(totals.nodes), totals.links, totals.people, totals.marks) == ({}, 0, 0, 0)

    def test_durable(self, engine: Engine) -> None:
        """What was committed is there for a store object opened afterwards."""
        if not engine.durable:
            pytest.skip("this engine lives in memory and promises no durability")
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(
                contribution(1, "login:a", "device:a"), decision(2, "login:a", "login:b", True)
            )
            store.move_horizon(EvidenceKind.LINK, FIRST_DAY - 1)
            before = snapshot(store)
        with engine.store() as store:
            assert snapshot(store) == before
            assert store.claim(consumer.partition).position == consumer.at.position

    def test_link_days_keep_the_pair_as_given(self, engine: Engine) -> None:
        """Days of a link come by day, source and assurance, whichever end is named first."""
        with engine.fresh() as store:
            Consumer(store).take(
                contribution(1, "login:a", "device:a", day=FIRST_DAY + 1),
                contribution(2, "login:a", "device:a", source="crm", at_us=7),
                contribution(3, "login:a", "device:a", source="crm", at_us=5),
                contribution(4, "login:a", "device:a", assurance=Assurance.AUTHENTICATED),
                contribution(5, "login:a", "device:a"),
            )
            expected = (
                LinkDay(FIRST_DAY, "crm", Assurance.CLAIMED, 2, START_US + 5, START_US + 7),
                LinkDay(FIRST_DAY, "web", Assurance.CLAIMED, 1, START_US, START_US),
                LinkDay(FIRST_DAY, "web", Assurance.AUTHENTICATED, 1, START_US, START_US),
                LinkDay(
                    FIRST_DAY + 1, "web", Assurance.CLAIMED, 1, START_US + DAY_US, START_US + DAY_US
                ),
            )
            asked = [(ANN, PHONE), (PHONE, ANN), (ANN, TABLET)]
            assert store.link_days(asked) == {(ANN, PHONE): expected, (PHONE, ANN): expected}

    def test_a_tie_sums_up_all_sources(self, engine: Engine) -> None:
        """Each end sees distinct days in order, all sightings, and if any was authenticated."""
        with engine.fresh() as store:
            Consumer(store).take(
                contribution(1, "login:a", "device:a", day=FIRST_DAY + 1),
                contribution(2, "login:a", "device:a", source="crm"),
                contribution(3, "login:a", "device:a", at_us=5),
                contribution(
                    4, "login:a", "device:b", day=FIRST_DAY, assurance=Assurance.AUTHENTICATED
                ),
            )
            views = store.views([ANN, PHONE, TABLET, node("login:b").key])
            assert set(views) == {ANN, PHONE, TABLET}
            (tie,) = views[PHONE].ties
            assert (tie.other, tie.other_order) == (ANN, node("login:a").order)
            assert (tie.days, tie.count) == ((FIRST_DAY, FIRST_DAY + 1), 3)
            assert (tie.first_us, tie.last_us) == (START_US, START_US + DAY_US)
            assert not tie.authenticated
            ties = {tie.other: tie.authenticated for tie in views[ANN].ties}
            assert ties == {PHONE: False, TABLET: True}

    def test_activity_counts_signals_hours_and_cells(self, engine: Engine) -> None:
        """A holder's day has its signals, first, last, signals per hour and each cell's count."""
        with engine.fresh() as store:
            cells = ("channel:web", "network:" + "n" * 22)
            Consumer(store).take(
                contribution(1, "login:a", cells=cells, at_us=HOUR_US),
                contribution(2, "login:a", cells=cells[:1], at_us=HOUR_US + 1),
                contribution(3, "login:a", cells=(), at_us=5 * HOUR_US),
            )
            assign(store, {ANN: "p" * 26})
            day = store.evidence(["p" * 26])["p" * 26].activity[ANN][FIRST_DAY]
            assert (day.count, day.first_us - START_US) == (3, HOUR_US)
            assert day.last_us - START_US == 5 * HOUR_US
            assert dict(day.hours) == {1: 2, 5: 1}
            assert dict(day.cells) == {cells[0]: 2, cells[1]: 1}

    def test_evidence_is_of_one_person(self, engine: Engine) -> None:
        """Links to other people's nodes are left out; a fact comes once however many subjects."""
        with engine.fresh() as store:
            agreed = Fact(EvidenceKind.CONSENT, (ANN, PHONE, TABLET), b"payload")
            Consumer(store).take(
                contribution(1, "login:a", "device:a", "device:b", fact=agreed),
                decision(2, "login:a", "device:b", False),
            )
            assign(store, {ANN: "p" * 26, PHONE: "p" * 26, TABLET: "q" * 26})
            found = store.evidence(["p" * 26, "q" * 26, "r" * 26])
            assert set(found) == {"p" * 26, "q" * 26}
            first, second = found["p" * 26], found["q" * 26]
            assert {each.key: each for each in first.nodes} == {
                ANN: node("login:a"),
                PHONE: node("device:a"),
            }
            assert [(low, high) for low, high, _ in first.links] == [(PHONE, ANN)]
            assert (second.links, set(second.activity)) == ((), set())
            for one in (first, second):
                assert [kept.fact for kept in one.facts] == [agreed]

    def test_signals_that_count_tell_whom_they_name(self, engine: Engine) -> None:
        """What a signal links, holds or decides on, once; what was retracted or expired, or never
        came, names nobody.
        """
        with engine.fresh() as store:
            consumer = Consumer(store)
            bought = Fact(EvidenceKind.PURCHASE, (PHONE,), b"payload")
            consumer.take(
                contribution(1, "login:a", "device:a"),
                contribution(2, "device:a", fact=bought, day=FIRST_DAY + 2),
                decision(3, "login:a", "device:b", True, day=FIRST_DAY + 2),
                contribution(4, "login:a", "device:b", day=FIRST_DAY + 2),
                retraction(5, 4, day=FIRST_DAY + 3),
            )
            asked = [1, 2, 3, 4, 5, 6, 1]
            assert store.named_by(asked) == {
                1: frozenset({ANN, PHONE}),
                2: frozenset({PHONE}),
                3: frozenset({ANN, TABLET}),
            }
            assert store.named_by([]) == {}
            for kind in EvidenceKind:
                store.move_horizon(kind, FIRST_DAY + 1)
            assert store.named_by(asked).keys() == {2, 3}

    def test_decisions_wait_for_their_nodes(self, engine: Engine) -> None:
        """A decision makes no node, comes once for both its ends, and goes with its signal."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(decision(1, "login:a", "device:a", True, at_us=3))
            assert store.views([ANN, PHONE]) == {}
            assert store.totals().nodes == {}
            (found,) = store.decisions([ANN, PHONE])
            assert (found.left, found.right, found.same) == (ANN, PHONE, True)
            assert found.decided_us == START_US + 3
            assert store.decisions([PHONE]) == [found]
            assert store.decisions([TABLET]) == []
            consumer.take(retraction(2, 1, at_us=9))
            assert store.decisions([ANN, PHONE]) == []

    def test_records_expire_with_records(self, engine: Engine) -> None:
        """A link with a record outlives the links' horizon, and goes at the records'."""
        with engine.fresh() as store:
            record = node("record:a").key
            fact = Fact(EvidenceKind.RECORD, (record,), b"sealed")
            Consumer(store).take(contribution(1, "login:a", "device:a", "record:a", fact=fact))
            store.move_horizon(EvidenceKind.LINK, FIRST_DAY + 1)
            kept = {(ANN, PHONE), (ANN, record), (PHONE, record)} & set(
                store.link_days([(ANN, PHONE), (ANN, record), (PHONE, record)])
            )
            assert kept == {(ANN, record), (PHONE, record)}
            store.move_horizon(EvidenceKind.RECORD, FIRST_DAY + 1)
            assert set(store.views([ANN, PHONE, record])) == {ANN}

    def test_horizons_only_move_forward(self, engine: Engine) -> None:
        """An earlier horizon is a no-op, and kinds without one are left out."""
        with engine.fresh() as store:
            store.move_horizon(EvidenceKind.LINK, FIRST_DAY)
            store.move_horizon(EvidenceKind.LINK, FIRST_DAY - 5)
            assert store.horizons() == {EvidenceKind.LINK: FIRST_DAY}

    def test_the_next_content_counts_when_the_first_expires(self, engine: Engine) -> None:
        """Of two contents under one id the one still kept counts, whichever came first."""
        with engine.fresh() as store:
            later = contribution(1, "login:a", "device:a", day=FIRST_DAY + 3)
            older = next(
                content
                for at_us in range(100)
                if (content := contribution(1, "login:a", "device:b", at_us=at_us)).digest
                < later.digest
            )
            run(store, [Commit((digested(later), older))])
            assert set(store.views([ANN, PHONE, TABLET])) == {ANN, TABLET}
            for kind in EvidenceKind:
                store.move_horizon(kind, FIRST_DAY + 1)
            assert set(store.views([ANN, PHONE, TABLET])) == {ANN, PHONE}

"""Promise: each signal counts once; and what becomes of it when it does not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from identity.model import DAY_US, Assurance, Contribution, EvidenceKind, Fact
from identity.store import GraphStore, Outcome
from tests.contracts.engine import Engine
from tests.support.evidence_strategies import (
    FIRST_DAY,
    contribution,
    node,
    repeated,
    retraction,
)
from tests.support.store_driver import Consumer, snapshot

ANN, PHONE = node("login:a").key, node("device:a").key


def sightings_of(store: GraphStore) -> int:
    """How often Ann and her phone were seen together."""
    days = store.link_days([(ANN, PHONE)]).get((ANN, PHONE), ())
    return sum(day.count for day in days)


def two_contents() -> tuple[Contribution, Contribution]:
    """Two contents under one id, the smaller digest first."""
    one = contribution(1, "login:a", "device:a")
    two = contribution(1, "login:a", "device:b")
    return (one, two) if one.digest < two.digest else (two, one)


class CountingContract:
    """Each signal counts once, whatever is redelivered, replayed or published twice."""

    def test_each_signal_counts_once(self, engine: Engine) -> None:
        """Replaying everything in any other batches changes no evidence."""

        @engine.examples
        @given(repeated(), st.integers(1, 5))
        def holds(arrivals: list[Contribution], size: int) -> None:
            with engine.fresh() as store:
                consumer = Consumer(store)
                consumer.take(*arrivals)
                once = snapshot(store)
                for start in range(0, len(arrivals), size):
                    outcomes = consumer.take(*arrivals[start : start + size])
                    assert Outcome.WITHHELD not in outcomes
                    assert Outcome.REPLACED not in outcomes
                assert snapshot(store) == once

        holds()

    def test_a_new_signal_is_counted(self, engine: Engine) -> None:
        """The outcomes come in the order of the contributions."""
        with engine.fresh() as store:
            seen = contribution(1, "login:a", "device:a")
            assert Consumer(store).take(seen, seen, contribution(2, "login:a")) == [
                Outcome.COUNTED,
                Outcome.DUPLICATE,
                Outcome.COUNTED,
            ]
            assert sightings_of(store) == 1

    def test_a_replay_is_a_duplicate(self, engine: Engine) -> None:
        """The same content in a later batch, published later, changes nothing."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(contribution(1, "login:a", "device:a"))
            again = contribution(1, "login:a", "device:a", published_us=(FIRST_DAY + 9) * DAY_US)
            assert consumer.take(again) == [Outcome.DUPLICATE]
            assert sightings_of(store) == 1

    def test_the_smaller_digest_counts_when_first(self, engine: Engine) -> None:
        """A second content under an id is outdone by one with a smaller digest."""
        with engine.fresh() as store:
            smaller, larger = two_contents()
            consumer = Consumer(store)
            assert consumer.take(smaller) == [Outcome.COUNTED]
            assert consumer.take(larger) == [Outcome.OUTDONE]
            assert set(store.views([smaller.nodes[1].key])) == {smaller.nodes[1].key}
            assert store.views([larger.nodes[1].key]) == {}

    def test_the_smaller_digest_counts_when_last(self, engine: Engine) -> None:
        """A content with a smaller digest replaces what was counted under its id."""
        with engine.fresh() as store:
            smaller, larger = two_contents()
            consumer = Consumer(store)
            assert consumer.take(larger) == [Outcome.COUNTED]
            assert consumer.take(smaller) == [Outcome.REPLACED]
            assert set(store.views([smaller.nodes[1].key])) == {smaller.nodes[1].key}
            assert store.views([larger.nodes[1].key]) == {}

    def test_a_content_of_another_day_replaces(self, engine: Engine) -> None:
        """An id is remembered once, also when its contents are of several days."""
        with engine.fresh() as store:
            first, second = (
                contribution(1, "login:a", "device:a", day=FIRST_DAY + day) for day in (0, 3)
            )
            arrivals = sorted([first, second], key=lambda one: one.digest, reverse=True)
            consumer = Consumer(store)
            outcomes = [consumer.take(one)[0] for one in arrivals]
            assert outcomes == [Outcome.COUNTED, Outcome.REPLACED]
            assert consumer.take(retraction(9, 2, day=FIRST_DAY + 9)) == [Outcome.RETRACTION]
            assert consumer.take(contribution(2, "device:b")) == [Outcome.WITHHELD]
            assert store.totals().signals == 2
            (day,) = store.link_days([(ANN, PHONE)])[ANN, PHONE]
            assert (day.day, day.count) == (arrivals[1].day, 1)
            for one in arrivals:
                assert consumer.take(one)[0] in (Outcome.OUTDONE, Outcome.DUPLICATE)
            assert sightings_of(store) == 1

    def test_a_retraction_takes_what_counted(self, engine: Engine) -> None:
        """A retracted signal counts no more, and its extremes are gone with it."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(
                contribution(1, "login:a", "device:a", at_us=10),
                contribution(2, "login:a", "device:a", at_us=20),
                contribution(3, "login:a", "device:a", at_us=30),
            )
            assert consumer.take(retraction(9, 3, at_us=40)) == [Outcome.RETRACTION]
            (day,) = store.link_days([(ANN, PHONE)])[ANN, PHONE]
            start_us = FIRST_DAY * DAY_US
            assert (day.count, day.first_us - start_us, day.last_us - start_us) == (2, 10, 20)

    def test_a_retracted_signal_is_withheld(self, engine: Engine) -> None:
        """A retraction that comes first keeps its signal from ever counting."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            assert consumer.take(retraction(9, 1, at_us=10)) == [Outcome.RETRACTION]
            assert consumer.take(contribution(1, "login:a", "device:a")) == [Outcome.WITHHELD]
            assert store.views([ANN, PHONE]) == {}

    def test_published_again_after_its_retraction_it_counts(self, engine: Engine) -> None:
        """Removal is dated: the same signal published later than its retraction counts again."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(contribution(1, "login:a", "device:a"), retraction(9, 1, at_us=10))
            assert sightings_of(store) == 0
            later = contribution(1, "login:a", "device:a", published_us=FIRST_DAY * DAY_US + 11)
            assert consumer.take(later) == [Outcome.COUNTED]
            assert sightings_of(store) == 1

    def test_expired_evidence_is_refused(self, engine: Engine) -> None:
        """What is older than every horizon it falls under is a dead letter."""
        with engine.fresh() as store:
            for kind in (EvidenceKind.LINK, EvidenceKind.ACTIVITY):
                store.move_horizon(kind, FIRST_DAY + 1)
            old = contribution(1, "login:a", "device:a")
            new = contribution(2, "login:a", "device:a", day=FIRST_DAY + 1)
            assert Consumer(store).take(old, new) == [Outcome.EXPIRED, Outcome.COUNTED]
            assert sightings_of(store) == 1

    def test_a_part_within_its_horizon_still_counts(self, engine: Engine) -> None:
        """Links that expired are left out, the purchase that came with them is not."""
        with engine.fresh() as store:
            store.move_horizon(EvidenceKind.LINK, FIRST_DAY + 1)
            bought = Fact(EvidenceKind.PURCHASE, (ANN,), b"sealed")
            old = contribution(1, "login:a", "device:a", fact=bought)
            assert Consumer(store).take(old) == [Outcome.COUNTED]
            assert store.link_days([(ANN, PHONE)]) == {}
            assert set(store.views([ANN, PHONE])) == {ANN}

    def test_a_fact_keeps_its_first_publication(self, engine: Engine) -> None:
        """A consent takes effect by its earliest publication, whichever arrives first."""
        with engine.fresh() as store:
            agreed = Fact(EvidenceKind.CONSENT, (ANN,), b"payload")
            start_us = FIRST_DAY * DAY_US
            consumer = Consumer(store)
            for later_us in (7, 5, 9):
                consumer.take(
                    contribution(1, "login:a", fact=agreed, published_us=start_us + later_us)
                )
            (kept,) = snapshot(store)["facts"]
            assert kept.published_us == start_us + 5
            assert kept.fact == agreed
            assert kept.assurance is Assurance.CLAIMED

    def test_counts_add_up_in_one_batch(self, engine: Engine) -> None:
        """A batch larger than any statement's parameters counts each of its signals."""
        with engine.fresh() as store:
            many = [
                contribution(
                    number, "login:a", "device:a", at_us=number, day=FIRST_DAY + number % 3
                )
                for number in range(1, 1_501)
            ]
            outcomes = Consumer(store).take(*many)
            assert outcomes == [Outcome.COUNTED] * len(many)
            assert sightings_of(store) == len(many)
            assert store.totals().signals == len(many)

"""Cutoffs: who has evidence of days left behind is made anew, records lose what they must."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.model import Changed, Contribution, EvidenceKind, Fact, NodeKey
from identity.store import GraphStore
from tests.contracts.engine import Engine
from tests.contracts.graph_store_marks import changed
from tests.support.evidence_strategies import (
    FIRST_DAY,
    contribution,
    decision,
    node,
    repeated,
    retraction,
)
from tests.support.store_driver import Consumer, snapshot

ANN, PHONE, TABLET = node("login:a").key, node("device:a").key, node("device:b").key
RECORD, OTHER = node("record:a").key, node("record:b").key


def said(name: str, payload: bytes) -> Fact:
    """What a record says."""
    return Fact(EvidenceKind.RECORD, (node(name).key,), payload)


def shorter(_: NodeKey, payload: bytes) -> bytes:
    """What is left of a record: no more than three bytes."""
    return payload[:3]


class CutoffsContract:
    """What is left behind is made anew."""

    def test_cutoffs_only_move_forward(self, engine: Engine) -> None:
        """An earlier day is a no-op; uses without a cutoff are left out; horizons are others."""
        with engine.fresh() as store:
            assert store.cutoffs() == {}
            store.move_cutoff("purpose.marketing", FIRST_DAY)
            store.move_cutoff("purpose.marketing", FIRST_DAY - 1)
            store.move_cutoff("attribute.phone", FIRST_DAY + 1, shorter)
            assert store.cutoffs() == {
                "purpose.marketing": FIRST_DAY,
                "attribute.phone": FIRST_DAY + 1,
            }
            assert store.horizons() == {}

    def test_whoever_has_evidence_of_the_days_left_behind_is_marked(self, engine: Engine) -> None:
        """Each day once, whatever it is evidence of; nothing else is, and nothing is taken."""
        with engine.fresh() as store:
            Consumer(store).take(
                contribution(1, "login:a", "device:a"),
                contribution(2, "login:b", day=FIRST_DAY + 1),
                contribution(3, "device:b", day=FIRST_DAY + 2),
                contribution(4, "email:a"),
                retraction(5, 4, at_us=9),
                decision(6, "device:b", "login:b", True, day=FIRST_DAY + 1),
            )
            changed(store)
            before = snapshot(store)
            store.move_cutoff("purpose.marketing", FIRST_DAY + 1)
            assert changed(store) == dict.fromkeys((ANN, PHONE), Changed.ACTIVITY)
            store.move_cutoff("purpose.marketing", FIRST_DAY + 2)
            assert changed(store).keys() == {node("login:b").key, TABLET}
            store.move_cutoff("purpose.marketing", FIRST_DAY + 2)
            assert changed(store) == {}
            assert snapshot(store) == before

    def test_records_are_trimmed_where_they_rest(self, engine: Engine) -> None:
        """Those of the days left behind, contents that count later too; only they are marked."""
        with engine.fresh() as store:
            Consumer(store).take(
                contribution(1, "login:a", "record:a", fact=said("record:a", b"ann, 1")),
                contribution(2, "record:b", day=FIRST_DAY + 1, fact=said("record:b", b"bob, 2")),
                contribution(3, "device:a", fact=Fact(EvidenceKind.PURCHASE, (PHONE,), b"bought")),
                contribution(4, "device:b", fact=said("record:a", b"ann")),
            )
            changed(store)
            store.move_cutoff("attribute.phone", FIRST_DAY + 1, shorter)
            assert changed(store) == dict.fromkeys((ANN, RECORD), Changed.ACTIVITY)
            assert payloads(store, RECORD) == {b"ann"}
            assert payloads(store, OTHER) == {b"bob, 2"}
            assert payloads(store, PHONE) == {b"bought"}

    def test_a_trimmed_record_sent_again_stays_trimmed(self, engine: Engine) -> None:
        """The same content once more is a duplicate, whatever rests of it."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            full = contribution(1, "login:a", "record:a", fact=said("record:a", b"ann, 1"))
            consumer.take(full)
            store.move_cutoff("attribute.phone", FIRST_DAY + 1, shorter)
            consumer.take(full)
            assert payloads(store, RECORD) == {b"ann"}

    def test_a_cutoff_that_was_cut_short_is_done_again(self, engine: Engine) -> None:
        """Called once more it reaches every record, whatever the first call had done."""
        left = 2

        def fails(record: NodeKey, payload: bytes) -> bytes:
            nonlocal left
            left -= 1
            if left < 0:
                raise RuntimeError("the power went")
            return shorter(record, payload)

        with engine.fresh() as store:
            facts = (said("record:a", b"ann, 1"), said("record:b", b"bob, 2"))
            Consumer(store).take(
                contribution(1, "record:a", fact=facts[0]),
                contribution(2, "record:b", fact=facts[1]),
                contribution(3, "record:b", fact=facts[1]),
            )
            changed(store)
            with pytest.raises(RuntimeError):
                store.move_cutoff("attribute.phone", FIRST_DAY + 1, fails)
            store.move_cutoff("attribute.phone", FIRST_DAY + 1, shorter)
            assert payloads(store, RECORD) | payloads(store, OTHER) == {b"ann", b"bob"}
            assert changed(store).keys() == {RECORD, OTHER}

    def test_what_counts_next_is_trimmed_too(self, engine: Engine) -> None:
        """A content that waits behind another has lost what it must when its turn comes."""
        with engine.fresh() as store:
            contents = [
                contribution(
                    1, "record:a", day=day, at_us=at_us, fact=said("record:a", b"ann, %d" % day)
                )
                for at_us in range(60)
                for day in (FIRST_DAY, FIRST_DAY + 3)
            ]
            first, behind = next(
                (old, new)
                for old in contents
                for new in contents
                if old.digest < new.digest and old.day < new.day
            )
            Consumer(store).take(first, behind)
            store.move_cutoff("attribute.phone", FIRST_DAY + 4, shorter)
            assert payloads(store, RECORD) == {b"ann"}
            for kind in (EvidenceKind.RECORD, EvidenceKind.ACTIVITY):
                store.move_horizon(kind, FIRST_DAY + 2)
            assert payloads(store, RECORD) == {b"ann"}

    def test_cutoffs_take_no_evidence(self, engine: Engine) -> None:
        """Whatever arrived: without a trim nothing but marks changes."""

        @engine.examples
        @given(repeated(), st.integers(FIRST_DAY, FIRST_DAY + 6))
        def check(arrivals: list[Contribution], day: int) -> None:
            with engine.fresh() as store:
                Consumer(store).take(*arrivals)
                before = snapshot(store)
                store.move_cutoff("purpose.marketing", day)
                assert snapshot(store) == before

        check()


def payloads(store: GraphStore, key: NodeKey) -> set[bytes]:
    """What the facts of a node hold."""
    held = store.evidence_at([key], activity=False)
    return {kept.fact.payload for kept in held[key].facts} if key in held else set()

"""Promise: erased stays out, and what is left is as if it had never come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.engines.memory import MemoryGraphStore
from identity.evidence import is_fenced
from identity.model import DAY_US, Contribution, EvidenceKind, Fact, NodeKey, OutboxEntry
from identity.store import FOREVER_US, Outcome, Swept
from tests.contracts.engine import Engine
from tests.support.evidence_strategies import (
    DAYS,
    EXPIRING,
    FIRST_DAY,
    KEYS,
    Commit,
    MoveHorizon,
    Resolve,
    Step,
    canonical,
    contribution,
    contributions,
    decision,
    node,
    retraction,
)
from tests.support.store_driver import Consumer, assign, lease_of, run, settle_everybody, snapshot

ANN, BEN, PHONE, TABLET = (
    node(name).key for name in ("login:a", "login:b", "device:a", "device:b")
)
START_US = FIRST_DAY * DAY_US
Fences = dict[NodeKey, int]


@st.composite
def erasures(draw: st.DrawFn) -> tuple[list[Step], Fences]:
    """A history in which each content is published once, and fences for some of its nodes."""
    waiting = draw(st.lists(contributions(), min_size=1, max_size=14))
    once = {(one.signal, one.digest): one for one in waiting}
    waiting = draw(st.permutations([*once.values(), *draw(st.permutations(waiting))[:4]]))
    waiting = [once[one.signal, one.digest] for one in waiting]
    steps: list[Step] = []
    while waiting:
        size = draw(st.integers(1, 6))
        steps.append(Commit(tuple(waiting[:size])))
        waiting = waiting[size:]
    # A node without evidence is dropped when it is resolved, and then nobody can be asked for it.
    for _ in range(draw(st.integers(0, 2))):
        steps.insert(draw(st.integers(0, len(steps))), Resolve())
    resolved = max((at for at, step in enumerate(steps) if isinstance(step, Resolve)), default=0)
    for _ in range(draw(st.integers(0, 1))):
        kind, day = draw(st.sampled_from(EXPIRING)), FIRST_DAY + draw(st.integers(0, 3))
        steps.insert(draw(st.integers(resolved, len(steps))), MoveHorizon(kind, day))
    moments = st.sampled_from([FOREVER_US, *((day + 1) * DAY_US - 1 for day in DAYS)])
    fenced = draw(st.dictionaries(st.sampled_from(KEYS), moments, min_size=1, max_size=3))
    return steps, fenced


def without(steps: Sequence[Step], fences: Mapping[NodeKey, int]) -> list[Step]:
    """The history as if what the fences keep out had never come."""
    left: list[Step] = []
    for step in steps:
        if isinstance(step, Commit):
            kept = tuple(one for one in step.contributions if not is_fenced(one, fences))
            left.append(Commit(kept))
        else:
            left.append(step)
    return left


def seen(signal: int, *names: str, day: int = FIRST_DAY, **more: object) -> Contribution:
    """A sighting of named nodes on a day."""
    return contribution(signal, *names, day=day, **more)  # type: ignore[arg-type]


class ErasingContract:
    """A fence keeps out, a sweep leaves nothing behind, whatever the order."""

    def test_erasing_is_never_having_ingested(self, engine: Engine) -> None:
        """Fences raised at any moment of a history, then swept, leave what never naming them had.

        A third of the time everything is replayed afterwards.
        """

        @engine.examples
        @given(erasures(), st.data())
        def holds(drawn: tuple[list[Step], Fences], data: st.DataObject) -> None:
            steps, fences = drawn
            reference = MemoryGraphStore()
            run(reference, canonical(without(steps, fences)))
            raised = data.draw(st.integers(0, len(steps)))
            with engine.fresh() as store:
                run(store, steps[:raised])
                store.fence(fences)
                run(store, steps[raised:])
                store.sweep(fences)
                if data.draw(st.integers(0, 2)) == 0:
                    run(store, steps)
                assert snapshot(store) == snapshot(reference)
                assert store.sweep(fences) == Swept(0)

        holds()

    def test_erased_stays_out(self, engine: Engine) -> None:
        """Late, replayed or published again: what happened up to the fence is told as erased."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            old, shared = seen(1, "login:a", "device:a"), seen(2, "login:b", "device:a")
            consumer.take(old, shared)
            store.fence({ANN: START_US + DAY_US})
            assert store.sweep([ANN]) == Swept(1)
            late = seen(3, "login:a", "device:b", at_us=5)
            ahead = seen(4, "login:a", day=FIRST_DAY + 3, published_us=START_US + 7)
            anew = seen(5, "login:a", "device:b", day=FIRST_DAY + 2)
            outcomes = consumer.take(old, late, ahead, anew, shared)
            erased = [Outcome.ERASED] * 3
            assert outcomes == [*erased, Outcome.COUNTED, Outcome.DUPLICATE]
            assert set(store.views([ANN, BEN, PHONE, TABLET])) == {ANN, BEN, PHONE, TABLET}
            assert {tie.other for tie in store.views([ANN])[ANN].ties} == {TABLET}
            assert {tie.other for tie in store.views([PHONE])[PHONE].ties} == {BEN}
            assert store.totals().signals == 2

    def test_a_shared_device_keeps_the_others_links(self, engine: Engine) -> None:
        """What one of two said of a device goes, with its days and counts; the other's stays."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            mine = [seen(n, "login:a", "device:a", at_us=n, cells=("type:click",)) for n in (1, 9)]
            theirs = seen(5, "login:b", "device:a", at_us=5)
            together = seen(6, "login:b", "device:a", "device:b", at_us=6)
            consumer.take(*mine, theirs, together)
            settle_everybody(store)
            store.fence({ANN: FOREVER_US})
            store.sweep([ANN])
            with_them = MemoryGraphStore()
            Consumer(with_them).take(theirs, together)
            assert snapshot(store) == snapshot(with_them)

    def test_facts_and_decisions_go_with_their_subjects(self, engine: Engine) -> None:
        """A consent, a purchase, a record and a decision that name somebody erased are gone."""
        with engine.fresh() as store:
            record = node("record:a").key
            agreed = Fact(EvidenceKind.CONSENT, (ANN, PHONE), b"said")
            bought = Fact(EvidenceKind.PURCHASE, (ANN,), b"sealed")
            known = Fact(EvidenceKind.RECORD, (record,), b"sealed, too")
            Consumer(store).take(
                seen(1, "login:a", "device:a", fact=agreed),
                seen(2, "login:a", fact=bought),
                seen(3, "login:a", "record:a", fact=known),
                decision(4, "login:a", "login:b", True),
                seen(5, "login:b", "device:a"),
            )
            settle_everybody(store)
            store.fence({ANN: FOREVER_US, record: FOREVER_US})
            assert store.sweep([ANN, record]) == Swept(4)
            assert store.decisions([ANN, BEN]) == []
            assert store.evidence_at([ANN, record]) == {}
            left = snapshot(store)
            assert left["facts"] == []
            assert set(left["views"]) == {BEN, PHONE}

    def test_a_retraction_outlives_an_erasure(self, engine: Engine) -> None:
        """A retracted signal that comes after its erasure still does not count."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(seen(1, "login:a", "device:a"), retraction(9, 1, day=FIRST_DAY + 4))
            store.fence({ANN: START_US + 9})
            store.sweep([ANN])
            assert consumer.take(seen(1, "login:a", "device:a")) == [Outcome.ERASED]
            other = seen(1, "login:b", "device:a", at_us=10)
            assert consumer.take(other) == [Outcome.WITHHELD]

    def test_another_content_takes_the_place_of_an_erased_one(self, engine: Engine) -> None:
        """Of two contents under one id the one that names nobody erased counts, were it larger."""
        with engine.fresh() as store:
            named = seen(1, "login:a", "device:a", at_us=7)
            other = next(
                content
                for at_us in range(100)
                if (content := seen(1, "login:b", "device:a", at_us=at_us)).digest > named.digest
            )
            Consumer(store).take(named, other)
            store.fence({ANN: FOREVER_US})
            assert store.sweep([ANN]) == Swept(1)
            assert set(store.views([ANN, BEN, PHONE])) == {BEN, PHONE}

    def test_a_fence_only_rises_and_is_lifted_by_name(self, engine: Engine) -> None:
        """Of two moments the later stands; lifting lowers, to nothing at 0."""
        with engine.fresh() as store:
            store.fence({ANN: 50, BEN: 10})
            store.fence({ANN: 20, BEN: FOREVER_US})
            assert store.fences([ANN, BEN, PHONE]) == {ANN: 50, BEN: FOREVER_US}
            store.lift({ANN: 0, BEN: 30, PHONE: 70})
            assert store.fences([ANN, BEN, PHONE]) == {BEN: 30}
            store.lift({BEN: 90})
            assert store.fences([BEN]) == {BEN: 30}

    def test_whoever_is_fenced_enters_the_outbox_at_once(self, engine: Engine) -> None:
        """With a resolution of its own, later than all before it; nobody else does."""
        with engine.fresh() as store:
            Consumer(store).take(seen(1, "login:a", "device:a"), seen(2, "login:b", "device:b"))
            last = assign(store, {ANN: "p" * 26, PHONE: "p" * 26, BEN: "q" * 26, TABLET: "q" * 26})
            store.fence({ANN: FOREVER_US, PHONE: FOREVER_US, node("email:a").key: FOREVER_US})
            assert store.outbox(10) == [OutboxEntry("p" * 26, last + 1)]
            store.clear_outbox(lease_of(store), store.outbox(10))
            assert assign(store, {}) == last + 2
            store.fence({node("email:a").key: FOREVER_US})
            assert store.outbox(10) == []

    def test_fences_are_durable(self, engine: Engine) -> None:
        """A fence is there for a store object opened afterwards, and for one open already."""
        if not engine.durable:
            pytest.skip("this engine lives in memory and promises no durability")
        with engine.fresh() as store, engine.store() as other:
            other_consumer = Consumer(other, "partition-1")
            store.fence({ANN: FOREVER_US})
            assert other_consumer.take(seen(1, "login:a")) == [Outcome.ERASED]
        with engine.store() as store:
            assert store.fences([ANN]) == {ANN: FOREVER_US}
            assert Consumer(store).take(seen(2, "login:a")) == [Outcome.ERASED]

    def test_nodes_of_what_was_swept_are_marked(self, engine: Engine) -> None:
        """Every node of an erased content is marked, those that lost all as removed."""
        with engine.fresh() as store:
            Consumer(store).take(seen(1, "login:a", "device:a"), seen(2, "login:b", "device:a"))
            settle_everybody(store)
            assert store.marks(10) == []
            store.fence({ANN: FOREVER_US})
            store.sweep([ANN])
            marked = {mark.key: mark.changed for mark in store.marks(10)}
            assert set(marked) == {ANN, PHONE}

"""Promise: fenced. Who lost a partition or the lease writes nothing; several may write at once."""

from __future__ import annotations

import threading

import pytest

from identity.model import Contribution, OutboxEntry
from identity.store import Batch, Checkpoint, Fenced, GraphStore, Resolution
from tests.contracts.engine import Engine
from tests.support.evidence_strategies import Commit, contribution, node, retraction
from tests.support.store_driver import Consumer, Snapshot, assign, run, snapshot

ANN, PHONE = node("login:a").key, node("device:a").key
PERSON = "p" * 26
NOTHING = Resolution({}, {}, [], [], [])


class OwnersContract:
    """A commit succeeds only for the owner, from where the owner stands."""

    def test_a_claim_raises_the_epoch(self, engine: Engine) -> None:
        """A partition starts at an empty position; each claim keeps the position."""
        with engine.fresh() as store:
            assert store.claim("a") == Checkpoint("a", b"", 1)
            consumer = Consumer(store, "a")
            consumer.take(contribution(1, "login:a"))
            assert store.claim("a") == Checkpoint("a", b"1", 3)
            assert store.claim("b") == Checkpoint("b", b"", 1)

    def test_fenced_consumer(self, engine: Engine) -> None:
        """A consumer that lost its partition commits nothing."""
        with engine.fresh() as store, engine.store() as other:
            first = Consumer(store)
            first.take(contribution(1, "login:a"))
            second = Consumer(other)
            with pytest.raises(Fenced):
                first.take(contribution(2, "device:a"))
            assert store.views([PHONE]) == {}
            assert store.totals().signals == 1
            second.take(contribution(2, "device:a"))
            assert set(store.views([PHONE])) == {PHONE}

    def test_fenced_at_another_position(self, engine: Engine) -> None:
        """A commit from a position that is not the stored one writes nothing."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(contribution(1, "login:a"))
            stale = Checkpoint(consumer.partition, b"", consumer.at.epoch)
            with pytest.raises(Fenced):
                store.commit(Batch([contribution(2, "device:a")], stale, b"9"))
            with pytest.raises(Fenced):
                store.commit(Batch([], Checkpoint("never claimed", b"", 1), b"9"))
            assert store.views([PHONE]) == {}
            assert store.claim(consumer.partition).position == b"1"

    def test_a_lease_has_one_holder(self, engine: Engine) -> None:
        """Another owner waits until it runs out; renewing keeps the epoch, taking raises it."""
        with engine.fresh() as store, engine.store() as other:
            first = store.acquire_lease("one", now_ms=1_000, lease_ms=100)
            assert first is not None
            assert other.acquire_lease("two", now_ms=1_099, lease_ms=100) is None
            renewed = store.acquire_lease("one", now_ms=1_099, lease_ms=100)
            assert renewed == first
            assert other.acquire_lease("two", now_ms=1_198, lease_ms=100) is None
            second = other.acquire_lease("two", now_ms=1_199, lease_ms=100)
            assert second is not None
            assert (second.owner, second.epoch > first.epoch) == ("two", True)

    def test_fenced_resolver(self, engine: Engine) -> None:
        """A resolver whose lease was taken over changes nothing and clears nothing."""
        with engine.fresh() as store, engine.store() as other:
            Consumer(store).take(contribution(1, "login:a"))
            lost = store.acquire_lease("one", now_ms=0, lease_ms=1)
            assert lost is not None
            held = other.acquire_lease("two", now_ms=5, lease_ms=1)
            assert held is not None
            marks = store.marks(10)
            late = Resolution({ANN: PERSON}, {}, [], [OutboxEntry(PERSON, 0)], marks)
            with pytest.raises(Fenced):
                store.commit_resolution(lost, late)
            assert store.person_of([ANN]) == {}
            assert store.outbox(10) == []
            assert store.marks(10) == marks
            other.commit_resolution(held, late)
            waiting = store.outbox(10)
            with pytest.raises(Fenced):
                store.clear_outbox(lost, waiting)
            assert store.outbox(10) == waiting

    def test_consumers_write_at_once(self, engine: Engine) -> None:
        """Consumers of several partitions on overlapping people lose nothing and count once."""
        shares = [
            [
                contribution(
                    100 * share + number,
                    "login:a",
                    "device:a" if number % 2 else "device:b",
                    at_us=100 * share + number,
                )
                for number in range(1, 25)
            ]
            for share in range(3)
        ]
        shares[1].append(retraction(900, 1, at_us=10_000))
        with engine.fresh() as store:
            _commit_at_once(engine, shares)
            found = snapshot(store)
        assert found == _one_after_another(engine, shares)

    def test_a_resolver_writes_beside_consumers(self, engine: Engine) -> None:
        """Clearing marks while consumers commit leaves every later change marked."""
        with engine.fresh() as store:
            Consumer(store).take(contribution(1, "login:a", "device:a"))
            done = threading.Event()
            failures: list[BaseException] = []
            thread = threading.Thread(target=_resolve_until, args=(engine, done, failures))
            thread.start()
            try:
                consumer = Consumer(store)
                for number in range(2, 40):
                    consumer.take(contribution(number, "login:a", "device:a", at_us=number))
            finally:
                done.set()
                thread.join(60)
            assert failures == []
            last = store.marks(10)
            consumer.take(contribution(50, "login:a", "device:a"))
            assert {mark.key for mark in store.marks(10)} == {ANN, PHONE}
            assert all(mark.key in {ANN, PHONE} for mark in last)
            (day,) = store.link_days([(ANN, PHONE)])[ANN, PHONE]
            assert day.count == 40


def _commit_at_once(engine: Engine, shares: list[list[Contribution]]) -> None:
    failures: list[BaseException] = []
    threads = [
        threading.Thread(target=_consume, args=(engine, f"share-{index}", share, failures))
        for index, share in enumerate(shares)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def _consume(
    engine: Engine, partition: str, share: list[Contribution], failures: list[BaseException]
) -> None:
    try:
        with engine.store() as store:
            consumer = Consumer(store, partition)
            for start in range(0, len(share), 3):
                consumer.take(*share[start : start + 3])
    except BaseException as failure:  # noqa: BLE001 - the main thread asserts on it
        failures.append(failure)


def _one_after_another(engine: Engine, shares: list[list[Contribution]]) -> Snapshot:
    with engine.fresh() as store:
        run(store, [Commit(tuple(share)) for share in shares])
        return snapshot(store)


def _resolve_until(engine: Engine, done: threading.Event, failures: list[BaseException]) -> None:
    try:
        with engine.store() as store:
            while not done.is_set():
                _resolve_once(store)
    except BaseException as failure:  # noqa: BLE001 - the main thread asserts on it
        failures.append(failure)


def _resolve_once(store: GraphStore) -> None:
    views = store.views([ANN, PHONE])
    assign(store, dict.fromkeys(views, PERSON), clear=10)

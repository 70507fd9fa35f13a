"""Upkeep holds one lease, loses it without harm, comes to rest, and works when it is due."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from identity.engines.memory import MemoryGraph, MemoryGraphStore
from identity.model import DAY_US, Assurance, Contribution, PersonId
from identity.resolver import Resolver
from identity.store import GraphStore, StoreUnavailable
from kinfold.upkeep import BEAT_MS, EVERY_S, EVERY_SIGNALS, RETRY_S, Upkeep
from profiles import feeder
from profiles.feed import FeedUnavailable, ProfileFeed
from profiles.feed_local import LocalFeed
from profiles.feeder import Feeder
from profiles.read_view import ReadView
from profiles.v1.feed_pb2 import FeedRecord
from tests.support.profile_parts import DAY, new_builder, new_sealer, node, profile_policy
from tests.support.profile_works import shown
from tests.support.store_driver import Consumer

LEASE_MS = 9_000
SEALER = new_sealer()


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, at_s: float = 0.0) -> None:
        self.at_us = int(at_s * 1_000_000)

    def __call__(self) -> int:
        """Microseconds since 1970 UTC."""
        return self.at_us

    def move(self, by_s: float) -> None:
        """Move it on."""
        self.at_us += int(by_s * 1_000_000)


class Bench:
    """One graph and one view; processes of upkeep over them, each with a clock of its own."""

    def __init__(self, view: ReadView) -> None:
        self.graph = MemoryGraph()
        self.view = view
        self.store: GraphStore = MemoryGraphStore(self.graph)
        self._consumer = Consumer(self.store)
        self._ids, self._numbers, self._owners = count(), count(1), count()

    def process(
        self,
        clock: Clock,
        feed: ProfileFeed | None = None,
        view: ReadView | None = None,
        *,
        store: GraphStore | None = None,
        half_life_days: int = 30,
    ) -> Upkeep:
        """Another process of upkeep, under a policy with this half-life."""
        policy = replace(profile_policy(), half_life_days=half_life_days)
        store = store or MemoryGraphStore(self.graph)
        end = feed or LocalFeed(self.view, lambda: clock() // 1_000)
        return Upkeep(
            store,
            Resolver(store, profile_policy().identity, self._new_id),
            Feeder(store, new_builder(SEALER, policy), end),
            owner=f"process-{next(self._owners)}",
            lease_ms=LEASE_MS,
            now_us=clock,
            view=view,
        )

    def arrive(self, *logins: str) -> None:
        """A signal under each login arrives."""
        for login in logins:
            number = next(self._numbers)
            at_us, seen = DAY * DAY_US + number, node(SEALER, "login", login)
            digest, done = number.to_bytes(8), ((seen.key, ("type:click",)),)
            self._consumer.take(
                Contribution(number, digest, at_us, at_us, "web", Assurance.NONE, (seen,), done)
            )

    def logins(self) -> set[str]:
        """Whoever has a profile."""
        return {alias.partition(":")[2].rstrip("0") for alias in shown(self.view, SEALER)}

    def _new_id(self) -> str:
        letters = "".join(chr(97 + int(digit)) for digit in f"{next(self._ids):08d}")
        return letters.ljust(26, "2")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An empty bench."""
    view = ReadView(tmp_path / "view")
    yield Bench(view)
    view.close()


def test_whoever_changed_is_published_once(bench: Bench) -> None:
    """One round resolves what is marked and publishes it; the next one has nothing to do."""
    upkeep = bench.process(Clock(1))
    bench.arrive("ada", "bob")
    assert upkeep.once()
    assert not upkeep.once()
    assert bench.logins() == {"ada", "bob"}
    kept = upkeep.kept
    assert (kept.created, kept.published, kept.lost_leases) == (2, 2, 0)
    assert kept.marks >= 2


def test_only_one_process_works(bench: Bench) -> None:
    """While one holds the lease another does nothing, and goes on when it has run out."""
    late = Clock(1)
    holder, other = bench.process(Clock(1)), bench.process(late)
    assert not holder.once()
    bench.arrive("ada")
    assert not other.once()
    assert bench.logins() == set()
    late.move(LEASE_MS / 1_000)
    assert other.once()
    assert bench.logins() == {"ada"}


def test_a_lost_lease_is_noticed_and_taken_again(bench: Bench) -> None:
    """Whoever was taken over writes nothing, says so, and works again once the lease is free."""
    slow, fast = Clock(1), Clock(60)
    one, two = bench.process(slow), bench.process(fast)
    assert not one.once()
    assert not two.once(), "its clock is ahead: it takes over"
    bench.arrive("ada")
    assert not one.once()
    assert one.kept.lost_leases == 1
    assert (one.kept.created, one.kept.published) == (0, 0)
    assert bench.store.marks(10)
    assert not one.once(), "the lease is another's now"
    assert one.kept.lost_leases == 1
    slow.move(70)
    assert one.once()
    assert bench.logins() == {"ada"}


def test_the_lease_is_renewed_while_there_is_work(bench: Bench) -> None:
    """A third of its time renews the lease: nobody takes it over between two rounds."""
    clock = Clock(1)
    holder, other = bench.process(clock), bench.process(clock)
    for name in "abcdef":
        clock.move(LEASE_MS / 3_000)
        bench.arrive(name)
        assert holder.once()
        assert not other.once()
    assert holder.kept.lost_leases == other.kept.lost_leases == 0


def test_a_released_lease_is_free_at_once(bench: Bench) -> None:
    """Who lets go need not be waited for, and who never held it takes nothing by letting go."""
    clock = Clock(1)
    holder, other = bench.process(clock), bench.process(clock)
    assert not holder.once()
    other.release()
    bench.arrive("ada")
    assert not other.once()
    holder.release()
    assert other.once()
    assert bench.logins() == {"ada"}
    assert not holder.once()
    assert holder.kept.lost_leases == 0


def test_settle_ends_when_all_is_done(bench: Bench) -> None:
    """Settling does all there is and ends; with nothing to do it ends at once."""
    upkeep = bench.process(Clock(1))
    upkeep.settle()
    bench.arrive(*"abcdefgh")
    upkeep.settle()
    assert bench.logins() == set("abcdefgh")
    assert not bench.store.marks(1)
    assert not bench.store.outbox(1)


def test_settle_waits_for_whoever_holds_the_lease(bench: Bench) -> None:
    """Settling ends after another process, which has the lease, has done the work."""
    clock = Clock(1)
    holder, waiting = bench.process(clock), bench.process(clock)
    assert not holder.once()
    bench.arrive("ada")
    waiter = threading.Thread(target=waiting.settle)
    waiter.start()
    waiter.join(0.1)
    assert waiter.is_alive()
    while holder.once():
        pass
    waiter.join(60)
    assert not waiter.is_alive()
    assert bench.logins() == {"ada"}
    assert waiting.kept.published == 0


def test_after_settles_by_count_and_by_time(bench: Bench) -> None:
    """Between batches it works at first, then when enough has come or enough time has passed."""
    clock = Clock(1)
    upkeep = bench.process(clock)

    def shows(login: str, signals: int) -> bool:
        bench.arrive(login)
        upkeep.after(signals)
        return login in bench.logins()

    assert shows("first", 1)
    assert not shows("soon", 1)
    assert not shows("few", EVERY_SIGNALS - 2)
    assert shows("many", 1)
    assert not shows("again", EVERY_SIGNALS - 1)
    clock.move(EVERY_S)
    assert shows("late", 0)
    assert bench.logins() == {"first", "soon", "few", "many", "again", "late"}


class Unsteady(MemoryGraphStore):
    """Says of nobody who they are while it is out of reach."""

    reachable = True

    def current(self, person: PersonId) -> PersonId | None:
        """The id that an id stands for now, or out of reach."""
        if not self.reachable:
            raise StoreUnavailable("out of reach")
        return super().current(person)


class Flaky(LocalFeed):
    """Out of reach until told otherwise."""

    reachable = False

    def publish(self, records: Sequence[FeedRecord]) -> None:
        """Take the records, or be out of reach."""
        if not self.reachable:
            raise FeedUnavailable("out of reach")
        super().publish(records)


def test_running_goes_on_when_the_feed_is_out_of_reach(bench: Bench) -> None:
    """What could not be published is published when the feed answers again; stopping stops."""
    clock, stop = Clock(1), threading.Event()
    feed = Flaky(bench.view, lambda: clock() // 1_000)
    upkeep = bench.process(clock, feed)
    bench.arrive("ada")
    thread = threading.Thread(target=upkeep.run, args=(stop,))
    thread.start()
    try:
        assert _soon(lambda: bool(bench.store.outbox(1)))
        assert bench.logins() == set()
        feed.reachable = True
        assert _soon(lambda: bench.logins() == {"ada"}, RETRY_S)
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()
    assert upkeep.kept.created == upkeep.kept.published == 1


def test_followers_hear_while_nothing_happens(bench: Bench) -> None:
    """A feeder with nothing to publish says now and then that it lives, but not at every round."""
    clock = Clock(1)
    upkeep = bench.process(clock)
    upkeep.once()
    first_ms = bench.view.heard_ms()
    assert first_ms == 1_000
    clock.move(BEAT_MS / 2_000)
    upkeep.once()
    assert bench.view.heard_ms() == first_ms
    clock.move(BEAT_MS / 2_000)
    upkeep.once()
    assert bench.view.heard_ms() == first_ms + BEAT_MS


def test_a_view_that_was_lost_is_filled_again(bench: Bench, tmp_path: Path) -> None:
    """A process over an empty view publishes everybody anew; over a whole one nobody."""
    first = bench.process(Clock(1), view=bench.view)
    bench.arrive("ada", "bob")
    first.settle()
    first.release()
    bench.view.close()
    bench.view = ReadView(tmp_path / "another")
    second = bench.process(Clock(2), view=bench.view)
    second.settle()
    assert bench.logins() == {"ada", "bob"}
    assert second.kept.published == 2
    second.release()
    third = bench.process(Clock(3), view=bench.view)
    third.settle()
    assert third.kept.published == 0


def test_a_policy_that_changed_reaches_everybody_once(bench: Bench) -> None:
    """Who takes the lease under another policy publishes everybody anew, the next one nobody."""
    first = bench.process(Clock(1))
    bench.arrive("ada", "bob", "cat")
    first.settle()
    assert first.kept.published == 3
    first.release()
    second = bench.process(Clock(2), half_life_days=7)
    second.settle()
    assert second.kept.published == 3
    second.release()
    third = bench.process(Clock(3), half_life_days=7)
    third.settle()
    assert third.kept.published == 0


def test_a_policy_that_changed_is_heeded_whenever_the_lease_is_taken(bench: Bench) -> None:
    """Who waited for the lease while another published under its policy does all anew in turn."""
    clock = Clock(1)
    one, other = bench.process(clock, half_life_days=7), bench.process(clock)
    bench.arrive("ada", "bob")
    one.settle()
    assert not other.once()
    one.release()
    other.settle()
    assert other.kept.published == 2
    other.release()
    one.settle()
    assert one.kept.published == 4


def test_whoever_changes_need_not_wait_for_everybody(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While everybody is published anew, a change goes out in the round in which it is seen."""
    monkeypatch.setattr(feeder, "_PEOPLE_AT_ONCE", 2)
    first = bench.process(Clock(1))
    bench.arrive(*"abcdefgh")
    first.settle()
    first.release()
    second = bench.process(Clock(2), half_life_days=7)
    assert second.once()
    bench.arrive("new")
    assert second.once()
    assert "new" in bench.logins()
    assert second.kept.published == 5
    second.settle()
    assert second.kept.published == 9


def test_publishing_everybody_goes_on_after_a_failure(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of reach half way, it is all done again: the policy counts as heeded only at its end."""
    monkeypatch.setattr(feeder, "_PEOPLE_AT_ONCE", 2)
    first = bench.process(Clock(1))
    bench.arrive(*"abcdefgh")
    first.settle()
    first.release()
    folding = bench.store.folding()
    store = Unsteady(bench.graph)
    second = bench.process(Clock(2), store=store, half_life_days=7)
    assert second.once()
    store.reachable = False
    with pytest.raises(StoreUnavailable):
        second.once()
    store.reachable = True
    assert bench.store.folding() == folding
    second.settle()
    assert second.kept.published == 2 + 8
    assert bench.store.folding() != folding


def _soon(holds: Callable[[], bool], more_s: float = 0.0) -> bool:
    pause = threading.Event()
    for _ in range(int((60 + more_s) * 100)):
        if holds():
            return True
        pause.wait(0.01)
    return False

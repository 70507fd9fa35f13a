"""Erasing on Neo4j while others write, cut short, and in graphs older than it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from neo4j import Driver, Transaction
from neo4j.exceptions import ServiceUnavailable

from identity.engines.memory import MemoryGraphStore
from identity.engines.neo4j import erasing
from identity.engines.neo4j.store import Neo4jGraphStore
from identity.evidence import is_fenced
from identity.model import DAY_US, Contribution, EvidenceKind, NodeKey
from identity.store import FOREVER_US, Outcome, Resolution, Swept
from tests.support.deployment import PATIENCE_S
from tests.support.evidence_strategies import FIRST_DAY, contribution, node, retraction
from tests.support.evidence_stream import stream
from tests.support.neo4j_graph import empty
from tests.support.servers import Neo4jServer
from tests.support.store_driver import Consumer, lease_of, settle_everybody, snapshot

ANN, PHONE, RECORD = (node(name).key for name in ("login:a", "device:a", "record:a"))
BATCH = 4
SIGNALS = 240
Open = Callable[[], Neo4jGraphStore]


@pytest.fixture
def driver(neo4j_server: Neo4jServer) -> Iterator[Driver]:
    """A driver of the test's own, on an empty graph."""
    with neo4j_server.driver() as driver:
        empty(driver)
        yield driver


@pytest.fixture
def opened(driver: Driver, neo4j_server: Neo4jServer) -> Open:
    """Opens store objects, each with a driver of its own."""
    assert driver is not None
    auth = (neo4j_server.user, neo4j_server.password)
    return lambda: Neo4jGraphStore(neo4j_server.bolt_url, auth, neo4j_server.database)


@pytest.fixture
def store(opened: Open) -> Iterator[Neo4jGraphStore]:
    """One of them."""
    with closing(opened()) as store:
        yield store


def reference(contents: Sequence[Contribution], fences: Mapping[NodeKey, int]) -> MemoryGraphStore:
    """The reference engine with those contents alone that no fence keeps out."""
    store = MemoryGraphStore()
    Consumer(store).take(*(one for one in contents if not is_fenced(one, fences)))
    return store


# ---- at once -------------------------------------------------------------


class Progress:
    """How many signals all writers have committed, and from how many on they are held."""

    def __init__(self, held_at: int) -> None:
        self._condition = threading.Condition()
        self._done = 0
        self._held_at = held_at

    def add(self, more: int) -> None:
        """So many more are committed."""
        with self._condition:
            self._done += more
            self._condition.notify_all()

    def hold_at(self, done: int) -> None:
        """Let writers go on until about so many are."""
        with self._condition:
            self._held_at = done
            self._condition.notify_all()

    def reach(self, done: int) -> None:
        """Wait until so many are."""
        self._wait(lambda: self._done >= done)

    def wait_while_held(self) -> None:
        """Wait until one may go on."""
        self._wait(lambda: self._done < self._held_at)

    def _wait(self, holds: Callable[[], bool]) -> None:
        with self._condition:
            assert self._condition.wait_for(holds, PATIENCE_S)


def write(opened: Open, name: str, share: Sequence[Contribution], progress: Progress) -> int:
    """Commit a share in small batches; how many of it were told to be erased."""
    erased = 0
    with closing(opened()) as store:
        consumer = Consumer(store, name)
        for start in range(0, len(share), BATCH):
            progress.wait_while_held()
            outcomes = consumer.take(*share[start : start + BATCH])
            erased += outcomes.count(Outcome.ERASED)
            progress.add(len(outcomes))
    return erased


def settle_until(opened: Open, ended: threading.Event) -> None:
    """Resolve again and again while others write."""
    with closing(opened()) as store:
        while not ended.is_set():
            settle_everybody(store)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_erasing_beside_two_writers_is_never_having_ingested(opened: Open, seed: int) -> None:
    """Fences raised and swept once each, amid commits and resolutions, miss nothing before or after
    them; nothing of anybody else is lost.
    """
    contents = stream(seed, SIGNALS)
    fences = {
        ANN: FOREVER_US,
        PHONE: (FIRST_DAY + 2) * DAY_US,
        RECORD: FOREVER_US,
    }
    # A fifth after it is due no writer goes on until a fence stands, however fast they are.
    fifth = SIGNALS // 5
    progress, ended = Progress(2 * fifth), threading.Event()
    swept = 0
    with closing(opened()) as store, ThreadPoolExecutor(3) as threads:
        settling = threads.submit(settle_until, opened, ended)
        writing = [threads.submit(write, opened, f"p{n}", contents[n::2], progress) for n in (0, 1)]
        try:
            for turn, (key, until_us) in enumerate(fences.items(), 1):
                progress.reach(turn * fifth)
                store.fence({key: until_us})
                progress.hold_at((turn + 2) * fifth)
                swept += store.sweep([key]).contents
            told = sum(one.result(PATIENCE_S) for one in writing)
        finally:
            progress.hold_at(len(contents) + 1)
            ended.set()
        settling.result(PATIENCE_S)
    assert swept > 0
    assert told > 0
    with closing(opened()) as store:
        assert snapshot(store) == snapshot(reference(contents, fences))
        assert store.sweep(fences) == Swept(0)
        assert store.totals().marks == 0


# ---- older graphs, and horizons ------------------------------------------


def test_signals_of_an_earlier_version_are_swept(store: Neo4jGraphStore, driver: Driver) -> None:
    """Signals without names in brief are looked into, plain ones and others."""
    contents = stream(5, 80)
    Consumer(store).take(*contents)
    driver.execute_query("MATCH (s:Signal) SET s.names = null")
    store.fence({ANN: FOREVER_US})
    assert store.sweep([ANN]).contents > 0
    assert snapshot(store) == snapshot(reference(contents, {ANN: FOREVER_US}))


def test_signals_that_outlast_their_links_are_swept(store: Neo4jGraphStore) -> None:
    """A signal still names a node that has lost its evidence to a horizon, and was dropped."""
    contents = [
        contribution(1, "device:a", "login:a"),
        contribution(2, "device:a", "login:a", at_us=7),
        contribution(3, "device:a", "login:b", day=FIRST_DAY + 1),
    ]
    Consumer(store).take(*contents)
    store.move_horizon(EvidenceKind.LINK, FIRST_DAY + 1)
    settle_everybody(store)
    assert ANN not in store.person_of([ANN])
    store.fence({ANN: FOREVER_US})
    assert store.sweep([ANN]) == Swept(2)
    assert store.totals().signals == 1


def test_one_retracted_by_day_is_still_swept(store: Neo4jGraphStore, driver: Driver) -> None:
    """Contents that a retraction holds back name nobody erased afterwards."""
    Consumer(store).take(
        contribution(1, "login:a", "device:a"), retraction(9, 1, day=FIRST_DAY + 4)
    )
    store.fence({ANN: FOREVER_US})
    assert store.sweep([ANN]) == Swept(1)
    records, _, _ = driver.execute_query("MATCH (s:Signal) RETURN s.names, s.seen, s.body")
    ((names, seen, body),) = (record.values() for record in records)
    assert (names, seen) == ("", None)
    assert ANN.encode() not in bytes(body)


# ---- cut short -----------------------------------------------------------


def test_a_sweep_cut_short_is_finished(
    store: Neo4jGraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever step it was cut after, the same call removes the rest."""
    contents = stream(7, 80)
    fences = {ANN: FOREVER_US, PHONE: FOREVER_US}
    Consumer(store).take(*contents)
    store.fence(fences)
    monkeypatch.setattr(erasing, "STEP", 5)
    erase, taken, cuts = erasing._erase, [0], 0

    def until_cut(*step: object) -> int:
        if taken[0] == 2:
            raise KeyboardInterrupt
        taken[0] += 1
        return erase(*step)  # type: ignore[arg-type]

    monkeypatch.setattr(erasing, "_erase", until_cut)
    while True:
        taken[0] = 0
        try:
            store.sweep(fences)
            break
        except KeyboardInterrupt:
            cuts += 1
    assert cuts > 2
    assert snapshot(store) == snapshot(reference(contents, fences))


def test_a_resolution_and_a_fence_whose_answers_got_lost(
    store: Neo4jGraphStore, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolution asked for again after somebody raised a fence is still written once."""
    Consumer(store).take(contribution(1, "login:a", "device:a"))
    settle_everybody(store)
    before = store.lineage("e" * 26)
    lease = lease_of(store)
    commit, lost = Transaction.commit, [False]

    def lose(transaction: Transaction) -> None:
        commit(transaction)
        if not lost[0]:
            lost[0] = True
            with closing(opened()) as other:
                other.fence({ANN: FOREVER_US})
            raise ServiceUnavailable("connection 10.1.2.3 reset")

    monkeypatch.setattr(Transaction, "commit", lose)
    number = store.commit_resolution(lease, Resolution({}, {}, [], [], []))
    (waiting,) = store.outbox(10)
    assert lost[0]
    assert waiting.resolution == number + 1
    assert store.commit_resolution(lease, Resolution({}, {}, [], [], [])) == number + 2
    assert store.lineage("e" * 26) == before

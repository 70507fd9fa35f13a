"""What Neo4j's engine does when the server, the answer or the work is lost on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from neo4j import Driver, Transaction
from neo4j.exceptions import ServiceUnavailable

from identity.engines.neo4j.migrations import PATIENCE_S
from identity.engines.neo4j.store import Neo4jGraphStore
from identity.model import EvidenceKind
from identity.store import Outcome, Resolution, StoreDamaged, StoreUnavailable
from tests.support.evidence_strategies import FIRST_DAY, contribution, node
from tests.support.neo4j_graph import empty
from tests.support.ports import free_ports
from tests.support.servers import Neo4jServer
from tests.support.store_driver import Consumer, lease_of

ANN, PHONE = node("login:a").key, node("device:a").key


@pytest.fixture
def driver(neo4j_server: Neo4jServer) -> Iterator[Driver]:
    """A driver of the test's own."""
    with neo4j_server.driver() as driver:
        yield driver


@pytest.fixture
def store(driver: Driver, neo4j_server: Neo4jServer) -> Iterator[Neo4jGraphStore]:
    """A store on an empty graph."""
    empty(driver)
    auth = (neo4j_server.user, neo4j_server.password)
    with closing(Neo4jGraphStore(neo4j_server.bolt_url, auth)) as store:
        yield store


@pytest.fixture
def lost_answer(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The next commit happens, but its answer gets lost; holds the number of commits tried."""
    tried: list[int] = []
    commit = Transaction.commit

    def lose(transaction: Transaction) -> None:
        commit(transaction)
        tried.append(len(tried))
        if len(tried) == 1:
            raise ServiceUnavailable("connection 10.1.2.3 reset")

    monkeypatch.setattr(Transaction, "commit", lose)
    return tried


def test_an_unreachable_server_is_told_in_our_words() -> None:
    """After its patience the engine gives up, without a word of the driver's."""
    (port,) = free_ports(1)
    with pytest.raises(StoreUnavailable) as raised:
        Neo4jGraphStore(f"bolt://127.0.0.1:{port}", ("neo4j", "secret"), patience_s=0.2)
    assert "out of reach" in str(raised.value)
    assert raised.value.__cause__ is None
    assert str(port) not in str(raised.value)


@pytest.mark.timeout(900)
def test_several_programs_make_the_schema_at_once(empty_neo4j: Neo4jServer) -> None:
    """Started together on an empty database, none holds up another, and all of it is there."""
    auth = (empty_neo4j.user, empty_neo4j.password)

    def opens(_: int) -> int:
        with closing(Neo4jGraphStore(empty_neo4j.bolt_url, auth)) as store:
            return store.totals().signals

    for _ in range(3):
        empty_neo4j.wipe()
        began_s = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(opens, range(4))) == [0, 0, 0, 0]
        # Two that hold each other up part when one has waited for its index for PATIENCE_S.
        assert time.monotonic() - began_s < PATIENCE_S * 0.8


def test_wrong_credentials_are_not_tried_again(neo4j_server: Neo4jServer) -> None:
    """A refused password is told at once and not repeated in the message."""
    with pytest.raises(StoreUnavailable) as raised:
        Neo4jGraphStore(neo4j_server.bolt_url, ("neo4j", "wrong-secret"))
    assert "credentials" in str(raised.value)
    assert "wrong-secret" not in str(raised.value)


def test_a_commit_whose_answer_got_lost_counts_once(
    store: Neo4jGraphStore, lost_answer: list[int]
) -> None:
    """The engine finds its own commit when it tries again: counted once, not fenced."""
    consumer = Consumer(store)
    lost_answer.clear()
    assert consumer.take(contribution(1, "login:a", "device:a")) == [Outcome.COUNTED]
    assert len(lost_answer) == 2
    (day,) = store.link_days([(ANN, PHONE)])[ANN, PHONE]
    assert day.count == 1
    assert store.totals().signals == 1


def test_a_resolution_whose_answer_got_lost_is_written_once(
    store: Neo4jGraphStore, lost_answer: list[int]
) -> None:
    """The number of a resolution is given out once, also when it must be asked for again."""
    lease = lease_of(store)
    lost_answer.clear()
    nothing = Resolution({}, {}, [], [], [])
    assert store.commit_resolution(lease, nothing) == 1
    assert len(lost_answer) == 2
    assert store.commit_resolution(lease, nothing) == 2


def test_a_horizon_cut_short_is_finished(store: Neo4jGraphStore, driver: Driver) -> None:
    """When only the first step of a move was done, the same call does the rest."""
    Consumer(store).take(contribution(1, "login:a", "device:a"))
    driver.execute_query(
        "CREATE (:Horizon {kind: 'link', before_day: $day})", {"day": FIRST_DAY + 1}
    )
    assert store.horizons() == {EvidenceKind.LINK: FIRST_DAY + 1}
    assert store.link_days([(ANN, PHONE)])
    store.move_horizon(EvidenceKind.LINK, FIRST_DAY + 1)
    assert store.link_days([(ANN, PHONE)]) == {}


def test_a_graph_of_a_later_version_is_not_touched(
    store: Neo4jGraphStore, driver: Driver, neo4j_server: Neo4jServer
) -> None:
    """A migration that this version does not know stops it before anything is written."""
    assert store.horizons() == {}
    driver.execute_query("CREATE (:Migration {number: 999})")
    try:
        with pytest.raises(StoreDamaged):
            Neo4jGraphStore(neo4j_server.bolt_url, (neo4j_server.user, neo4j_server.password))
    finally:
        driver.execute_query("MATCH (m:Migration {number: 999}) DELETE m")

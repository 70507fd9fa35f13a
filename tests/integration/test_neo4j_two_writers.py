"""Two consumers and a resolver at once on Neo4j, on people that overlap, lose nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count

import pytest

from identity.engines.memory import MemoryGraphStore
from identity.engines.neo4j.store import Neo4jGraphStore
from identity.model import DAY_US, Assurance, Contribution, Node
from identity.resolver import Resolver
from identity.store import GraphStore, Lease
from tests.contracts.people import World
from tests.support import histories
from tests.support.evidence_strategies import digested
from tests.support.neo4j_graph import empty
from tests.support.servers import Neo4jServer
from tests.support.store_driver import ENDLESS_MS, Consumer, snapshot

TRIES = 50
BATCH = 4
Open = Callable[[], GraphStore]


@pytest.fixture
def opened(neo4j_server: Neo4jServer) -> Open:
    """Opens store objects, each with a driver of its own, on an empty graph."""
    with neo4j_server.driver() as driver:
        empty(driver)
    auth = (neo4j_server.user, neo4j_server.password)
    return lambda: Neo4jGraphStore(neo4j_server.bolt_url, auth, neo4j_server.database)


def seen_together(signal: int, *nodes: Node) -> Contribution:
    """A login on a device, authenticated; the first node holds the activity."""
    at_us = 5 * DAY_US + signal
    return digested(
        Contribution(
            signal=signal,
            digest=b"",
            event_us=at_us,
            published_us=at_us,
            source="web",
            assurance=Assurance.AUTHENTICATED,
            nodes=nodes,
            activity=((nodes[0].key, (f"category:c{signal % 3}", "channel:web")),),
        )
    )


def consume(opened: Open, partition: str, share: Sequence[Contribution]) -> None:
    """Commit a share in small batches as the owner of a partition."""
    with closing(opened()) as store:
        consumer = Consumer(store, partition)
        for start in range(0, len(share), BATCH):
            consumer.take(*share[start : start + BATCH])


def resolve_until(opened: Open, ended: threading.Event) -> None:
    """Drain marks while others commit, and all that is left once they have ended."""
    ids = count()
    with closing(opened()) as store:
        lease = lease_of(store)
        resolver = Resolver(store, histories.policy(), lambda: f"{next(ids):026d}")
        while True:
            last = ended.is_set()
            if resolver.drain(lease, 0, 20) is None and last:
                return


def lease_of(store: GraphStore) -> Lease:
    """The lease, which is free."""
    lease = store.acquire_lease("two-writers", 0, ENDLESS_MS)
    assert lease is not None
    return lease


def at_once(opened: Open, shares: Sequence[Sequence[Contribution]]) -> None:
    """Commit each share from a thread of its own while a resolver runs beside them."""
    ended = threading.Event()
    with ThreadPoolExecutor(len(shares) + 1) as threads:
        resolving = threads.submit(resolve_until, opened, ended)
        consuming = [
            threads.submit(consume, opened, f"partition-{number}", share)
            for number, share in enumerate(shares)
        ]
        try:
            for one in consuming:
                one.result(90)
        finally:
            ended.set()
        resolving.result(90)


def overlapping_shares() -> list[list[Contribution]]:
    """Two shares of sightings over the same few logins and devices."""
    numbers = count(1)
    shares: list[list[Contribution]] = [[], []]
    for turn in range(60):
        for side, share in enumerate(shares):
            login = histories.node("login", (turn + side) % 6)
            device = histories.node("device", (turn * 7 + side * 3) % 8)
            share.append(seen_together(next(numbers), login, device))
    return shares


def one_after_another(shares: Sequence[Sequence[Contribution]]) -> World:
    """The reference engine with the same signals, resolved once at the end."""
    world = World(MemoryGraphStore())
    for share in shares:
        world.commit(share)
    world.settle()
    return world


def test_evidence_of_two_writers_is_that_of_one(opened: Open) -> None:
    """Counts, firsts, lasts and activity are those of the same signals one after another."""
    shares = overlapping_shares()
    nodes = sorted({node.key for share in shares for one in share for node in one.nodes})
    pairs = [(low, high) for low in nodes for high in nodes if low < high]
    at_once(opened, shares)
    reference = one_after_another(shares)
    with closing(opened()) as store:
        found = store.link_days(pairs)
        assert sum(day.count for days in found.values() for day in days) == 120
        for each in (store, reference.store):
            assert each.acquire_lease("driver", 2 * ENDLESS_MS, ENDLESS_MS) is not None
        assert snapshot(store, nodes, pairs) == snapshot(reference.store, nodes, pairs)


def test_people_of_two_writers_are_those_of_a_rebuild(opened: Open) -> None:
    """A resolver that ran all the time ends with the people that all evidence gives at once."""
    shares = overlapping_shares()
    at_once(opened, shares)
    reference = one_after_another(shares)
    with closing(opened()) as store:
        assert store.marks(10) == []
        assert set(store.members(store.all_people()).values()) == reference.people()


def test_two_matching_links_never_miss_each_other(opened: Open) -> None:
    """Each of two writers adds one of two links that make three identifiers one person."""
    together = threading.Barrier(2)

    def write(side: int) -> None:
        with closing(opened()) as store:
            consumer = Consumer(store, f"side-{side}")
            for number in range(TRIES):
                login = histories.node("login", 1_000 + number)
                device = histories.node("device", 1_000 + 2 * number + side)
                link = seen_together(2 * number + side + 1, login, device)
                together.wait(60)
                consumer.take(link)

    ended = threading.Event()
    with ThreadPoolExecutor(3) as threads:
        resolving = threads.submit(resolve_until, opened, ended)
        writing = [threads.submit(write, side) for side in (0, 1)]
        try:
            for one in writing:
                one.result(100)
        finally:
            ended.set()
        resolving.result(60)
    with closing(opened()) as store:
        expected = {
            frozenset(
                {
                    histories.node("login", 1_000 + number).key,
                    histories.node("device", 1_000 + 2 * number).key,
                    histories.node("device", 1_001 + 2 * number).key,
                }
            )
            for number in range(TRIES)
        }
        assert set(store.members(store.all_people()).values()) == expected

"""Naming nodes anew on Neo4j goes in steps: cut short, nothing counts until the rest is done."""

from __future__ import annotations

import pytest

from identity.engines.memory import MemoryGraphStore
from identity.engines.neo4j.store import Neo4jGraphStore
from identity.model import NodeKey
from identity.rotating import rekeyed_content
from identity.store import Batch, Resolution, StoreUnavailable
from tests.contracts.graph_store_rotating import NEW_KEYS, NEW_PAIRS, REKEY, SECOND
from tests.support.evidence_strategies import contribution, decision
from tests.support.servers import Neo4jServer
from tests.support.store_driver import Consumer, lease_of, snapshot

SIGNALS = (
    contribution(1, "login:a", "device:a"),
    contribution(2, "login:b", "email:a"),
    decision(3, "login:a", "login:b", True),
    contribution(4, "device:a"),
)


class Killed(Exception):
    """The process ends here."""


@pytest.mark.slow
def test_cut_short_it_goes_on(empty_neo4j: Neo4jServer) -> None:
    """Killed within any step: consumers and the resolver wait, and the next try ends it once."""
    auth = (empty_neo4j.user, empty_neo4j.password)
    reference = MemoryGraphStore()
    Consumer(reference).take(*(rekeyed_content(one, REKEY) for one in SIGNALS))
    wanted = snapshot(reference, NEW_KEYS, NEW_PAIRS)
    for deaths in (1, 3, 6, 8, 12):
        empty_neo4j.wipe()
        store = Neo4jGraphStore(empty_neo4j.bolt_url, auth, empty_neo4j.database)
        calls = 0

        def dying(key: NodeKey, last: int = deaths) -> NodeKey:
            nonlocal calls
            calls += 1
            if calls == last:
                raise Killed
            return REKEY(key)

        consumer = Consumer(store)
        consumer.take(*SIGNALS)
        with pytest.raises(Killed):
            store.rekey(lease_of(store), dying, SECOND)
        for keys in (SECOND, consumer.keys):
            with pytest.raises(StoreUnavailable):
                store.commit(Batch([contribution(5, "login:a")], consumer.at, b"9", keys))
        with pytest.raises(StoreUnavailable):
            store.commit_resolution(lease_of(store), Resolution({}, {}, [], [], []))
        assert store.rekey(lease_of(store), REKEY, SECOND)
        assert not store.rekey(lease_of(store), REKEY, SECOND)
        assert snapshot(store, NEW_KEYS, NEW_PAIRS) == wanted
        store.close()

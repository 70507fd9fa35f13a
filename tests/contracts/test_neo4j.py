"""The Neo4j engine, on a real server, under the contract of `GraphStore`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from identity.engines.neo4j.store import Neo4jGraphStore
from identity.store import GraphStore
from tests.contracts.graph_store import Engine, GraphStoreContract
from tests.support.neo4j_graph import empty
from tests.support.servers import Neo4jServer


@pytest.mark.slow
class TestNeo4j(GraphStoreContract):
    """Every promise."""

    @pytest.fixture
    def engine(self, neo4j_server: Neo4jServer) -> Iterator[Engine]:
        """Store objects with a driver each, on the session's server."""

        def opened() -> GraphStore:
            return Neo4jGraphStore(
                neo4j_server.bolt_url,
                (neo4j_server.user, neo4j_server.password),
                neo4j_server.database,
            )

        with neo4j_server.driver() as driver:
            yield Engine(open=opened, wipe=lambda: empty(driver), durable=True, max_examples=15)

"""Whoever is served to no one, on a real Neo4j with a feed through a real Pulsar."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.apart_promises import ApartPromises
from tests.support.on_servers import on_servers
from tests.support.served import Make
from tests.support.servers import Neo4jServer, PulsarServer


class TestOnServers(ApartPromises):
    """The engines of production."""

    @pytest.fixture
    def make(
        self, tmp_path: Path, neo4j_server: Neo4jServer, pulsar_server: PulsarServer
    ) -> Iterator[Make]:
        """The session's servers."""
        with on_servers(tmp_path, neo4j_server, pulsar_server) as make:
            yield make

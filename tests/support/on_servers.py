"""A kinfold of one process over a real Neo4j, which publishes to and follows a real Pulsar."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from identity.engines.neo4j.store import Neo4jGraphStore
from identity.store import GraphStore
from profiles.feed import ProfileFeed
from profiles.feed_pulsar import PulsarFeed, PulsarFeedReader
from profiles.follower import Follower
from profiles.pulsar_cluster import PulsarCluster
from profiles.read_view import ReadView
from tests.support.neo4j_graph import empty
from tests.support.served import Make, Model, Served, one_at_a_time
from tests.support.servers import Neo4jServer, PulsarServer

PATIENCE_S = 100.0


class OnServers:
    """`tests.support.served.Made` of an emptied Neo4j and a feed topic of its own."""

    def __init__(self, graph: Neo4jServer, pulsar: PulsarServer) -> None:
        self.store: GraphStore = Neo4jGraphStore(
            graph.bolt_url, (graph.user, graph.password), graph.database
        )
        self._cluster = PulsarCluster(pulsar.service_url, pulsar.admin_url)
        self._topic = f"persistent://public/default/served-{uuid4().hex}"
        self._reader: PulsarFeedReader | None = None
        self._follower: Follower | None = None

    def feed(self, view: ReadView, now_ms: Callable[[], int]) -> ProfileFeed:
        """Into the topic, which `caught_up` follows; the broker dates it by its own clock."""
        feed = PulsarFeed(self._cluster, self._topic)
        self._reader = PulsarFeedReader(self._cluster, self._topic, view.position())
        self._follower = Follower(self._reader, view, now_ms)
        return feed

    def caught_up(self, view: ReadView) -> None:
        """Apply what the topic has."""
        del view
        assert self._follower is not None, "the feed comes first"
        deadline_s = time.monotonic() + PATIENCE_S
        while self._follower.step(timeout_ms=50) or self._follower.backlog():
            assert time.monotonic() < deadline_s, "the view never caught up"

    def close(self) -> None:
        """Let go of the servers."""
        if self._reader is not None:
            self._reader.close()
        self.store.close()


@contextmanager
def on_servers(
    folder: Path, graph: Neo4jServer, pulsar: PulsarServer, model: Model | None = None
) -> Iterator[Make]:
    """Kinfolds on the session's Neo4j, emptied each time, and a topic of their own."""
    with graph.driver() as driver:

        def made(number: int) -> Served:
            empty(driver)
            return Served(folder / f"{number}", OnServers(graph, pulsar), model)

        with one_at_a_time(made) as make:
            yield make

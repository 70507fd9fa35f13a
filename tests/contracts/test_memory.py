"""The reference engine under the contract of `GraphStore`."""

import pytest

from identity.engines.memory import MemoryGraph, MemoryGraphStore
from identity.store import GraphStore
from tests.contracts.graph_store import Engine, GraphStoreContract


class TestMemory(GraphStoreContract):
    """Every promise but durability."""

    @pytest.fixture
    def engine(self) -> Engine:
        """Store objects that share one graph."""
        graphs = [MemoryGraph()]

        def opened() -> GraphStore:
            return MemoryGraphStore(graphs[-1])

        return Engine(open=opened, wipe=lambda: graphs.append(MemoryGraph()), durable=False)

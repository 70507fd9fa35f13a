"""The engines under the contract of `Snapshots`; frames are a few rows long."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from identity.engines.memory import MemoryGraph, MemoryGraphStore
from identity.engines.memory_snapshot import MemorySnapshots
from identity.engines.neo4j import snapshot as neo4j_snapshot
from identity.engines.neo4j.store import Neo4jGraphStore
from identity.engines.sqlite import SqliteGraphStore
from identity.engines.sqlite import snapshot as sqlite_snapshot
from tests.contracts.engine import Engine
from tests.contracts.snapshots import OpenSnapshots, SnapshotsContract
from tests.contracts.snapshots_meanwhile import MeanwhileContract
from tests.support.neo4j_graph import empty
from tests.support.servers import Neo4jServer


class TestMemory(SnapshotsContract, MeanwhileContract):
    """The reference engine."""

    @pytest.fixture
    def graphs(self) -> list[MemoryGraph]:
        """The graph of each example, the present one last."""
        return [MemoryGraph()]

    @pytest.fixture
    def engine(self, graphs: list[MemoryGraph]) -> Engine:
        """Store objects that share one graph."""
        return Engine(
            open=lambda: MemoryGraphStore(graphs[-1]),
            wipe=lambda: graphs.append(MemoryGraph()),
            durable=False,
        )

    @pytest.fixture
    def open_snapshots(self, graphs: list[MemoryGraph]) -> OpenSnapshots:
        """Snapshots of the present graph."""
        return lambda: MemorySnapshots(graphs[-1])


class TestSqlite(SnapshotsContract, MeanwhileContract):
    """The embedded engine."""

    @pytest.fixture
    def paths(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
        """The file of each example, the present one last."""
        monkeypatch.setattr(sqlite_snapshot, "ROWS", 2)
        return [tmp_path / "graph-0.db"]

    @pytest.fixture
    def engine(self, paths: list[Path]) -> Engine:
        """Store objects on one file."""

        def wipe() -> None:
            for left in paths[0].parent.glob("graph-*"):
                left.unlink()
            paths.append(paths[0].with_name(f"graph-{len(paths)}.db"))

        return Engine(
            open=lambda: SqliteGraphStore(paths[-1]), wipe=wipe, durable=True, max_examples=60
        )

    @pytest.fixture
    def open_snapshots(self, paths: list[Path]) -> OpenSnapshots:
        """Snapshots of the present file."""
        return lambda: sqlite_snapshot.SqliteSnapshots(paths[-1])


@pytest.mark.slow
class TestNeo4j(SnapshotsContract, MeanwhileContract):
    """Neo4j, on a real server."""

    @pytest.fixture
    def engine(
        self, neo4j_server: Neo4jServer, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Engine]:
        """Store objects with a driver each, on the session's server."""
        monkeypatch.setattr(neo4j_snapshot, "ROWS", 2)
        where = _where(neo4j_server)
        with neo4j_server.driver() as driver:
            yield Engine(
                open=lambda: Neo4jGraphStore(*where),
                wipe=lambda: empty(driver),
                durable=True,
                max_examples=15,
            )

    @pytest.fixture
    def open_snapshots(self, neo4j_server: Neo4jServer) -> OpenSnapshots:
        """Snapshots of the session's server."""
        where = _where(neo4j_server)
        return lambda: neo4j_snapshot.Neo4jSnapshots(*where)


def _where(server: Neo4jServer) -> tuple[str, tuple[str, str], str]:
    return server.bolt_url, (server.user, server.password), server.database

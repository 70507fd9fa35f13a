"""The embedded engine under the contract of `GraphStore`, and what it promises beyond."""

from __future__ import annotations

from pathlib import Path

import pytest

from identity.engines.sqlite import SqliteGraphStore
from tests.contracts.graph_store import Engine, GraphStoreContract


class TestSqlite(GraphStoreContract):
    """Every promise, durability included."""

    @pytest.fixture
    def engine(self, tmp_path: Path) -> Engine:
        """Store objects on one file; each example gets its own."""
        numbers = [0]

        def path() -> Path:
            return tmp_path / f"graph-{numbers[-1]}.db"

        def wipe() -> None:
            for left in tmp_path.glob("graph-*"):
                left.unlink()
            numbers.append(numbers[-1] + 1)

        return Engine(
            open=lambda: SqliteGraphStore(path()), wipe=wipe, durable=True, max_examples=80
        )

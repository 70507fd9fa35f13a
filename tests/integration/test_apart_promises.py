"""What is promised of whoever is served to no one, on the memory engine and on the embedded one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.apart_promises import ApartPromises
from tests.support.served import Make, embedded, in_memory


class TestMemory(ApartPromises):
    """The reference."""

    @pytest.fixture
    def make(self, tmp_path: Path) -> Iterator[Make]:
        """All of it in this process."""
        with in_memory(tmp_path) as make:
            yield make


class TestEmbedded(ApartPromises):
    """A graph in a file."""

    @pytest.fixture
    def make(self, tmp_path: Path) -> Iterator[Make]:
        """A fresh file each time."""
        with embedded(tmp_path) as make:
            yield make

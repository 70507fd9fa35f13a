"""How the contract suite gets at an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hypothesis import HealthCheck, settings

from identity.store import GraphStore


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine under test and how much of it a run can afford.

    - `open`: another store object on the same data.
    - `wipe`: make the data empty; called between examples with no store open.
    - `durable`: whether data outlives the last store object.
    - `max_examples`: how many examples a property tries.
    """

    open: Callable[[], GraphStore]
    wipe: Callable[[], None]
    durable: bool
    max_examples: int = 100

    @contextmanager
    def store(self) -> Iterator[GraphStore]:
        """A store object that is closed afterwards."""
        opened = self.open()
        try:
            yield opened
        finally:
            opened.close()

    @contextmanager
    def fresh(self) -> Iterator[GraphStore]:
        """A store object on empty data."""
        self.wipe()
        with self.store() as opened:
            yield opened

    @property
    def examples(self) -> settings:
        """Settings of a property that asks this engine."""
        return settings(
            max_examples=self.max_examples,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )

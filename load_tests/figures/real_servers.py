"""Pulsar and Neo4j for the load tests: started when first asked for, ended with the run."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.servers import Neo4jServer, PulsarServer, running_neo4j, running_pulsar


class RealServers:
    """Real servers, one of each kind. Use it in a `with` block."""

    def __init__(self) -> None:
        self._held = ExitStack()
        self._neo4j: Neo4jServer | None = None
        self._pulsar: PulsarServer | None = None

    def __enter__(self) -> Self:
        """Nothing is started yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """End whatever was started."""
        self._held.close()

    def empty_neo4j(self) -> Neo4jServer:
        """The Neo4j, with nothing in it.

        Raises:
            ServersUnavailable, ServerFailed: see `tests.support.servers`.
        """
        if self._neo4j is None:
            self._neo4j = self._held.enter_context(running_neo4j(self._folder()))
        else:
            self._neo4j.wipe()
        return self._neo4j

    def pulsar(self) -> PulsarServer:
        """The Pulsar, with whatever was sent to it before.

        Raises:
            ServersUnavailable, ServerFailed: see `tests.support.servers`.
        """
        if self._pulsar is None:
            self._pulsar = self._held.enter_context(running_pulsar(self._folder()))
        return self._pulsar

    def _folder(self) -> Path:
        return Path(self._held.enter_context(tempfile.TemporaryDirectory(prefix="kinfold-load-")))

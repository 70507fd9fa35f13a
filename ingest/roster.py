"""Who consumes a Pulsar topic, so that processes share its partitions evenly.

Every process subscribes to a topic beside the signals' own that carries no
messages; whoever is subscribed there is alive, as the broker sees it. Sorted by
name, the members take partitions in turn, and each comes to the same result. A
share is a wish only: the exclusive subscriptions and the store see to it that
nobody ever works where another one does.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from contextlib import suppress

import pulsar
from pulsar import exceptions

from profiles.pulsar_cluster import PulsarCluster, PulsarRefused

REFRESH_S = 1.0


class Roster:
    """One process's place among the members; it joins when first asked.

    Threads may share it. Where the members cannot be read, the share stays what
    it was; where they never could, everything is wanted.
    """

    def __init__(
        self, cluster: PulsarCluster, client: pulsar.Client, topic: str, subscription: str
    ) -> None:
        name = topic.partition("://")[2]
        self._cluster = cluster
        self._client = client
        self._topic = f"non-persistent://{name}-consumers"
        self._subscription = subscription
        self._me = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._members: list[str] = []
        self._consumer: pulsar.Consumer | None = None
        self._joining = threading.Lock()
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def wants(self, number: int) -> bool:
        """Whether the partition of this number is this member's to take."""
        if self._thread is None:
            self._join()
        members = self._members
        if self._me not in members:
            return True
        return members[number % len(members)] == self._me

    def close(self) -> None:
        """Leave; the others take over this member's share."""
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _join(self) -> None:
        with self._joining:
            if self._thread is None:
                self._refresh()
                self._thread = threading.Thread(target=self._keep_up, name="roster", daemon=True)
                self._thread.start()

    def _keep_up(self) -> None:
        while not self._done.wait(REFRESH_S):
            self._refresh()

    def _refresh(self) -> None:
        with suppress(PulsarRefused, exceptions.PulsarException):
            if self._consumer is None:
                self._consumer = self._client.subscribe(
                    self._topic,
                    self._subscription,
                    consumer_type=pulsar.ConsumerType.Shared,
                    consumer_name=self._me,
                )
            self._members = self._cluster.consumers(self._topic, self._subscription)

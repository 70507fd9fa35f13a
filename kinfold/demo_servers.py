"""The demo on real servers: signals and profiles both travel over Pulsar."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from ingest.pipeline import Step
from ingest.source import Form
from kinfold.clusters import cluster_of
from kinfold.consuming import consume_topic
from kinfold.counting import Count
from kinfold.demo import Parts
from kinfold.feeds import following, kept_up, open_feed
from kinfold.settings import Settings
from kinfold.wiring import now_us

WAIT_S = 0.05
LINES_AT_ONCE = 5_000


class OnServers(Parts):
    """Producer, consumers, upkeep and replica of one demo, on topics of its own."""

    def __init__(self, settings: Settings, stack: ExitStack) -> None:
        super().__init__(_with_own_topics(settings), stack)

    def stream_in(self, path: Path, after: Callable[[Step], None]) -> Count:
        """Publish the signals, consume them, and wait until the replica shows their profiles."""
        count, stop = Count(), threading.Event()
        total = self._publish(path)

        def heard(step: Step) -> None:
            count.add(step)
            after(step)
            if count.read >= total:
                stop.set()

        settings = self.settings
        with (
            kept_up(settings, self.policies, self.vault, lambda: open_feed(settings)) as upkeep,
            following(settings, self.vault, self.view),
        ):
            self.kept = upkeep.kept
            consume_topic(settings, self.policies, self.vault, stop, heard)
            self._caught_up()
        return count

    def settle(self) -> None:
        """Bring people and profiles up to date, and wait until the replica shows it."""
        settings = self.settings
        with (
            kept_up(settings, self.policies, self.vault, lambda: open_feed(settings)),
            following(settings, self.vault, self.view),
        ):
            self._caught_up()

    def _publish(self, path: Path) -> int:
        # Here, not above: a driver that is not asked for need not be loaded.
        from ingest.publish import SignalPublisher  # noqa: PLC0415

        cluster = cluster_of(self.settings)
        assert cluster is not None
        pulsar = self.settings.pulsar
        cluster.create_partitioned(pulsar.topic, pulsar.partitions)
        lines = path.read_bytes().splitlines()
        with closing(SignalPublisher(cluster, pulsar.topic)) as publisher:
            for at in range(0, len(lines), LINES_AT_ONCE):
                batch = lines[at : at + LINES_AT_ONCE]
                publisher.publish_as_is((line, Form.JSON) for line in batch)
        return len(lines)

    def _caught_up(self) -> None:
        """Wait until nothing is marked or waits to be published, and the view has heard so."""
        pause = threading.Event()
        while self.store.marks(1) or self.store.outbox(1):
            pause.wait(WAIT_S)
        now_ms = now_us() // 1_000
        while self.view.heard_ms() < now_ms:
            pause.wait(WAIT_S)


def _with_own_topics(settings: Settings) -> Settings:
    name = f"persistent://public/default/kinfold-demo-{secrets.token_hex(4)}"
    pulsar = replace(
        settings.pulsar,
        topic=f"{name}-signals",
        feed_topic=f"{name}-profiles",
        dead_letters_topic=f"{name}-dead-letters",
    )
    return replace(settings, pulsar=pulsar)

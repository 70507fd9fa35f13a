"""A replica follows the profile feed, and goes over to a fresh topic and file when keys rotated."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

from kinfold.clusters import cluster_of
from kinfold.settings import Settings
from kinfold.wiring import now_us, view_root
from profiles.feed import FeedUnavailable
from profiles.feed_pulsar import PulsarFeedReader
from profiles.follower import Follower
from profiles.pulsar_cluster import PulsarCluster
from profiles.read_view import ReadView
from profiles.turning import ViewTurning
from profiles.turning_pulsar import FEED, topic_of
from profiles.vault import KeyVault, VaultError

POLL_MS = 200
LOOK_S = 1.0
Came = tuple[int, int | None]
"""How many records came, and about how many lie ahead."""


class Following:
    """Keeps a view up with the feed's present topic. For one thread, which writes the view.

    Going over: the fresh topic is read into a fresh file while the former one
    is followed still, so that lookups show what is newest all the while.
    """

    def __init__(self, settings: Settings, vault: KeyVault, view: ReadView) -> None:
        cluster = cluster_of(settings)
        assert cluster is not None, "only made where Pulsar is set"
        self._cluster: PulsarCluster = cluster
        self._topic = settings.pulsar.feed_topic
        self._vault = vault
        self._view = view
        self._files = ViewTurning(view_root(settings), view, time.monotonic)
        self._look_s = 0.0
        if not view.position():
            view.set_feed(vault.agreed(FEED))

    def run(self, stop: threading.Event) -> Iterator[Came]:
        """Follow until told to stop; yields after every step.

        Raises:
            FeedError, ViewError: nothing was half applied; run it again.
        """
        while not stop.is_set():
            if self._view.feed() != self._wanted():
                # A topic that the rotation has left may be gone: it is not asked for again.
                yield from self._go_over(None, stop)
            with closing(self._reader(self._view.feed(), self._view)) as reader:
                follower = Follower(reader, self._view, _now_ms)
                yield from self._follow(follower, stop)

    def _follow(self, follower: Follower, stop: threading.Event) -> Iterator[Came]:
        """Follow the view's topic until the feed has gone over to another."""
        ahead = follower.backlog()
        yield 0, ahead
        while not stop.is_set():
            came = follower.step(POLL_MS)
            if ahead:
                ahead = follower.backlog()
            yield came, ahead
            if self._is_time() and self._view.feed() != self._wanted():
                yield from self._go_over(follower, stop)
                return

    def _go_over(self, former: Follower | None, stop: threading.Event) -> Iterator[Came]:
        number = self._wanted()
        staged = self._files.stage()
        staged.set_feed(number)
        with closing(self._reader(number, staged)) as reader:
            follower = Follower(reader, staged, _now_ms)
            while not stop.is_set():
                came = follower.step(POLL_MS)
                if former is not None:
                    with suppress(FeedUnavailable):
                        former.step(0)
                ahead = follower.backlog()
                if ahead == 0:
                    self._files.turn()
                    return
                yield came, ahead

    def _reader(self, number: int, view: ReadView) -> PulsarFeedReader:
        return PulsarFeedReader(self._cluster, topic_of(self._topic, number), view.position())

    def _wanted(self) -> int:
        """The feed's present topic; as before while the vault cannot be read."""
        with suppress(VaultError):
            return self._vault.agreed(FEED)
        return self._view.feed()

    def _is_time(self) -> bool:
        """Once a second: time to look, and to delete the files that nobody reads any more."""
        now_s = time.monotonic()
        if now_s < self._look_s:
            return False
        self._look_s = now_s + LOOK_S
        self._files.is_left()
        return True


def _now_ms() -> int:
    return now_us() // 1_000

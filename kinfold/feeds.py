"""The profile feed that the settings name, from both ends, and who keeps it going."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

from identity.store import GraphStore
from kinfold.clusters import cluster_of
from kinfold.keys import KeyWatch
from kinfold.requests import expire_packages
from kinfold.retention import Expiry, Trims
from kinfold.settings import Settings
from kinfold.upkeep import Upkeep
from kinfold.upkeeping import open_upkeep
from kinfold.wiring import Policies, now_us, open_sealer, open_store, open_view
from profiles.feed import FeedUnavailable, ProfileFeed
from profiles.feed_local import LocalFeed
from profiles.read_view import ReadView
from profiles.vault import KeyVault

RETRY_S = 0.5
_LOG = logging.getLogger(__name__)
Tell = Callable[[int, int | None], None]
"""Told how many records came and about how many lie ahead."""


def local_feed(view: ReadView) -> LocalFeed:
    """A feed straight into a view of this process."""
    return LocalFeed(view, lambda: now_us() // 1_000)


@contextmanager
def open_feed(settings: Settings) -> Iterator[ProfileFeed]:
    """The publishing end: Pulsar's topic where Pulsar is set, else this home's read view.

    Raises:
        ViewError, FeedError: it cannot be opened or reached.
    """
    cluster = cluster_of(settings)
    if cluster is None:
        with closing(open_view(settings)) as view:
            yield local_feed(view)
        return
    # Here, not above: a driver that is not asked for need not be loaded.
    from profiles.feed_pulsar import PulsarFeed  # noqa: PLC0415

    with closing(PulsarFeed(cluster, settings.pulsar.feed_topic)) as feed:
        yield feed


@contextmanager
def keep_fresh(
    settings: Settings,
    policies: Policies,
    vault: KeyVault,
    view: ReadView,
    tell: Tell | None = None,
    watch: KeyWatch | None = None,
    ended: threading.Event | None = None,
) -> Iterator[None]:
    """Within the block, the view keeps up with whoever changes; it begins when the view is whole.

    Where Pulsar is set it follows the topic; else this process does the upkeep
    itself unless another one has the lease. `watch` is looked at all the while.
    `ended` is set when it cannot go on: leave the block then, which raises why.

    Raises:
        StoreError, FeedError, ViewError: it cannot be brought up to date.
    """
    if settings.pulsar.url:
        with following(settings, vault, view, tell, watch, ended):
            yield
        return

    @contextmanager
    def into_view() -> Iterator[ProfileFeed]:
        yield local_feed(view)

    with kept_up(settings, policies, vault, into_view, watch, ended):
        yield


@contextmanager
def kept_up(
    settings: Settings,
    policies: Policies,
    vault: KeyVault,
    open_end: Callable[[], AbstractContextManager[ProfileFeed]],
    watch: KeyWatch | None = None,
    ended: threading.Event | None = None,
) -> Iterator[Upkeep]:
    """Within the block, a thread with a store of its own keeps people and profiles up.

    The block begins when the backlog is done, or another process has the lease.
    `ended`: as in `keep_fresh`.

    Raises:
        StoreError, FeedError: the first round failed.
    """
    stop = threading.Event()
    found: list[Upkeep] = []

    def work(ready: Callable[[], None]) -> None:
        with closing(open_store(settings)) as store, open_end() as end:
            upkeep = open_upkeep(settings, policies, vault, store, end)
            if watch is not None:
                upkeep.also(watch.look)
            try:
                while upkeep.once():
                    pass
                upkeep.beat()
                found.append(upkeep)
                ready()
                upkeep.run(stop)
            finally:
                upkeep.release()

    def expire(ready: Callable[[], None]) -> None:
        ready()
        expiry = Expiry(
            lambda: open_store(settings),
            policies,
            policies.retention,
            now_us,
            Trims(open_sealer(vault)),
            lambda now_us: expire_packages(settings, vault, now_us),
        )
        expiry.run(stop)

    with _beside("upkeep", work, stop, ended), _beside("expiry", expire, stop, ended):
        yield found[0]


def settle(settings: Settings, policies: Policies, vault: KeyVault, store: GraphStore) -> None:
    """Bring people and profiles up to date, here or in the process that has the lease.

    Raises:
        StoreError, FeedError: it is not done; whoever comes next does it.
    """
    with open_feed(settings) as feed:
        settle_into(settings, policies, vault, store, feed)


def settle_into(
    settings: Settings, policies: Policies, vault: KeyVault, store: GraphStore, feed: ProfileFeed
) -> None:
    """As `settle`, into a feed that is open already."""
    upkeep = open_upkeep(settings, policies, vault, store, feed)
    try:
        upkeep.settle()
    finally:
        upkeep.release()


@contextmanager
def following(
    settings: Settings,
    vault: KeyVault,
    view: ReadView,
    tell: Tell | None = None,
    watch: KeyWatch | None = None,
    ended: threading.Event | None = None,
) -> Iterator[None]:
    """Within the block, a thread follows the feed into the view; begins when it has caught up.

    `ended`: as in `keep_fresh`.

    Raises:
        FeedError, ViewError: the topic cannot be followed at all.
    """
    # Here, not above: a driver that is not asked for need not be loaded.
    from kinfold.following import Following  # noqa: PLC0415

    stop = threading.Event()

    def work(ready: Callable[[], None]) -> None:
        read = 0
        caught_up = False
        follow = Following(settings, vault, view)
        while not stop.is_set():
            try:
                for came, ahead in follow.run(stop):
                    read += came
                    if watch is not None:
                        watch.look()
                    if tell is not None and not caught_up:
                        tell(read, ahead)
                    if ahead == 0 and not caught_up:
                        caught_up = True
                        ready()
            except FeedUnavailable:
                if not caught_up:
                    raise
                stop.wait(RETRY_S)

    with _beside("follow", work, stop, ended):
        yield


@contextmanager
def _beside(
    name: str,
    work: Callable[[Callable[[], None]], None],
    stop: threading.Event,
    ended: threading.Event | None,
) -> Iterator[None]:
    """Run work in a thread; the block begins when it says ready, and ends it by `stop`.

    A failure before that is raised here; a later one, before `stop`, is logged at once,
    sets `ended`, and is raised at the end of the block: nobody goes on without noticing.
    """
    ready = threading.Event()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work(ready.set)
        except BaseException as failure:  # noqa: BLE001 - raised again in the caller's thread
            if stop.is_set() and ready.is_set():
                return
            failed.append(failure)
            if ready.is_set():
                _LOG.critical("%s failed and cannot go on: %s", name, type(failure).__name__)
                if ended is not None:
                    ended.set()
            ready.set()

    thread = threading.Thread(target=run, name=name)
    thread.start()
    try:
        ready.wait()
        if failed:
            raise failed[0]
        yield
    finally:
        stop.set()
        thread.join()
    if failed:
        raise failed[0]

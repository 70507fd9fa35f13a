"""The profile feed that the settings name, from both ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from kinfold.settings import Settings
from kinfold.upkeep import Upkeep
from kinfold.wiring import Policies, now_us, open_store, open_upkeep, open_view
from profiles.feed import ProfileFeed
from profiles.feed_local import LocalFeed
from profiles.read_view import ReadView
from profiles.vault import KeyVault


def local_feed(view: ReadView) -> LocalFeed:
    """A feed straight into a view of this process."""
    return LocalFeed(view, lambda: now_us() // 1_000)


@contextmanager
def open_feed(settings: Settings) -> Iterator[ProfileFeed]:
    """The publishing end: Pulsar's topic where Pulsar is set, else this home's read view.

    Raises:
        ViewError, FeedError: it cannot be opened or reached.
    """
    with closing(open_view(settings)) as view:
        yield local_feed(view)


@contextmanager
def keep_fresh(
    settings: Settings, policies: Policies, vault: KeyVault, view: ReadView
) -> Iterator[None]:
    """Within the block, the view keeps up with whoever changes; it begins when the view is whole.

    Embedded, this process does the upkeep itself unless another one has the lease.

    Raises:
        StoreError, FeedError, ViewError: it cannot be brought up to date.
    """
    with kept_up(settings, policies, vault, lambda: local_feed(view)):
        yield


@contextmanager
def kept_up(
    settings: Settings, policies: Policies, vault: KeyVault, open_end: Callable[[], ProfileFeed]
) -> Iterator[Upkeep]:
    """Within the block, a thread with a store of its own keeps people and profiles up.

    The block begins when the backlog is done, or another process has the lease.

    Raises:
        StoreError, FeedError: the first round failed.
    """
    stop, ready = threading.Event(), threading.Event()
    found: list[Upkeep] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with closing(open_store(settings)) as store:
                upkeep = open_upkeep(settings, policies, vault, store, open_end())
                while upkeep.once():
                    pass
                upkeep.beat()
                found.append(upkeep)
                ready.set()
                upkeep.run(stop)
        except BaseException as failure:  # noqa: BLE001 - raised again in the caller's thread
            failed.append(failure)
            ready.set()

    thread = threading.Thread(target=work, name="upkeep")
    thread.start()
    try:
        ready.wait()
        if failed:
            raise failed[0]
        yield found[0]
    finally:
        stop.set()
        thread.join()

"""The profile feed that the settings name, from both ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from kinfold.settings import Settings
from kinfold.wiring import now_us, open_view
from profiles.feed import ProfileFeed
from profiles.feed_local import LocalFeed


@contextmanager
def open_feed(settings: Settings) -> Iterator[ProfileFeed]:
    """The publishing end: Pulsar's topic where Pulsar is set, else this home's read view.

    Raises:
        ViewError, FeedError: it cannot be opened or reached.
    """
    with closing(open_view(settings)) as view:
        yield LocalFeed(view, lambda: now_us() // 1_000)

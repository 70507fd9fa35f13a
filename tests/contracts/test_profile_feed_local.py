"""The embedded ProfileFeed under the contract."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from profiles.feed import FeedUnavailable, ProfileFeed
from profiles.feed_local import LocalFeed
from profiles.read_view import ReadView
from tests.contracts.profile_feed import A, FeedCase, ProfileFeedContract
from tests.support.profile_parts import feed_records, lists


class LocalCase:
    """A feed straight into a view; its clock ticks with every look at it."""

    keeps_a_log = False

    def __init__(self, folder: Path) -> None:
        self.view = ReadView(folder)
        ticks = count(1_000)
        self.feed: ProfileFeed = LocalFeed(self.view, lambda: next(ticks))

    def followed(self) -> ReadView:
        """Nothing to wait for."""
        return self.view

    def from_nothing(self) -> ReadView:
        """There is no log."""
        raise NotImplementedError


class TestLocalFeed(ProfileFeedContract):
    """The embedded engine."""

    @pytest.fixture
    def case(self, tmp_path: Path) -> Iterator[FeedCase]:
        """A feed and its view."""
        made = LocalCase(tmp_path)
        yield made
        made.feed.close()
        made.view.close()


def test_a_view_that_is_full_is_told_as_an_unavailable_feed(tmp_path: Path) -> None:
    """Whoever publishes hears of it in the feed's own words, and nothing was applied."""
    view = ReadView(tmp_path, map_bytes=1 << 18)
    with pytest.raises(FeedUnavailable, match="full"):
        LocalFeed(view, lambda: 1).publish(feed_records(1, lists("p", A, sealed=bytes(1 << 18))))
    assert view.people_count() == 0
    view.close()

"""The embedded ProfileFeed: feeder and read view in one process, nothing between them.

What is published is applied to the view before `publish` returns, in one
durable transaction. There is no log: a view that was lost is filled again by
`profiles.feeder.Feeder.refill`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from profiles.feed import Delivered, FeedUnavailable, Groups
from profiles.read_view import ReadView, ViewError
from profiles.v1.feed_pb2 import FeedRecord


class LocalFeed:
    """A ProfileFeed straight into one read view. `now_ms` is the clock, milliseconds since 1970."""

    def __init__(self, view: ReadView, now_ms: Callable[[], int]) -> None:
        self.view = view
        self._now_ms = now_ms

    def publish(self, records: Sequence[FeedRecord]) -> None:
        """See `ProfileFeed`."""
        now_ms = self._now_ms()
        groups = Groups().take([Delivered(record, b"", now_ms) for record in records])
        try:
            self.view.apply(groups, now_ms)
        except ViewError as error:
            raise FeedUnavailable(f"cannot publish to the read view: {error}") from None

    def beat(self) -> None:
        """See `ProfileFeed`."""
        self.publish([FeedRecord(last_of_sequence=True)])

    def close(self) -> None:
        """See `ProfileFeed`. The view stays open: it belongs to whoever opened it."""

"""Keeps a replica's read view up with the feed, in whole sequences."""

from __future__ import annotations

from collections.abc import Callable

from profiles.feed import FeedReader, Groups
from profiles.read_view import ReadView


class Follower:
    """Applies what a reader, opened at the view's position, brings to a view. One per view.

    `now_ms` is this replica's clock, milliseconds since 1970 UTC. After kill -9 at
    any moment, a new follower goes on from where the view is: position and
    records are written together.
    """

    def __init__(self, reader: FeedReader, view: ReadView, now_ms: Callable[[], int]) -> None:
        self._reader = reader
        self._view = view
        self._now_ms = now_ms
        self._groups = Groups()

    def step(self, timeout_ms: int) -> int:
        """Wait for news at most so long, apply all sequences that are whole; how many records came.

        Raises:
            FeedError, ViewError: nothing was half applied; go on with a new follower.
        """
        delivered = self._reader.poll(timeout_ms)
        groups = list(self._groups.take(delivered))
        if groups:
            self._view.apply(groups, self._now_ms())
        return len(delivered)

    def backlog(self) -> int | None:
        """About how many records lie ahead, for a progress bar; None when nobody can tell."""
        return self._reader.backlog()

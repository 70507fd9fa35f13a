"""Publishing everybody anew into a fresh place, while lookups go on; then the former one goes.

What was sealed under an older epoch lies in pages and logs that nothing writes
over. So a rotation of keys ends in another file and another topic.

Promises
--------
- *No gap.* From `begin` until the former place is left, it is given all that is
  published, so whoever has not gone over yet shows what is newest.
- *Left is gone.* When `is_left` is true nobody reads the former place, and it is deleted.
- *Resumable.* Killed at any moment, `begin` starts over and `resume` goes on.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from profiles.feed import ProfileFeed
from profiles.feed_local import LocalFeed
from profiles.read_view import ReadView
from profiles.v1.feed_pb2 import FeedRecord

CURRENT = "current"
LINGER_S = 5.0
"""Longer than any lookup takes that began in a file before it was left."""


class Turning(Protocol):
    """A place that profiles are published to, and the fresh one that takes over."""

    def begin(self) -> ProfileFeed:
        """Make a fresh place, empty; what is published from now on goes to both."""

    def switch(self) -> None:
        """Everybody is in the fresh place: whoever follows goes over to it."""

    def resume(self) -> ProfileFeed:
        """After `switch`, perhaps in another process: the feed to all that is still read."""

    def is_left(self) -> bool:
        """Whether nobody reads the former place any more; then it is deleted."""

    def present(self) -> ProfileFeed:
        """The feed to the present place alone, also where another process made it so."""

    def close(self) -> None:
        """Close what was opened here."""


class BothFeeds:
    """A ProfileFeed to the present place and to the fresh one."""

    def __init__(self, present: ProfileFeed, fresh: ProfileFeed) -> None:
        self.present = present
        self.fresh = fresh

    def publish(self, records: Sequence[FeedRecord]) -> None:
        """See `ProfileFeed`."""
        self.fresh.publish(records)
        self.present.publish(records)

    def beat(self) -> None:
        """See `ProfileFeed`."""
        self.fresh.beat()
        self.present.beat()

    def close(self) -> None:
        """See `ProfileFeed`. Only the fresh one: the present one belongs to whoever opened it."""
        self.fresh.close()


# ---- the read view -------------------------------------------------------


def generation(root: Path) -> int:
    """Which file of a view's folder is the present one."""
    try:
        return int((root / CURRENT).read_text("ascii"))
    except (OSError, ValueError):
        return 0


def file_of(root: Path, number: int) -> Path:
    """The folder of a generation; the first lies in the view's folder itself."""
    return root / str(number) if number else root


def open_current(root: Path, *, read_only: bool = False) -> ReadView:
    """The present file of a view.

    Raises:
        ViewError: as `ReadView`.
    """
    return ReadView(file_of(root, generation(root)), read_only=read_only)


class ViewTurning:
    """Gives a view a fresh file. One object per view, used by the thread that writes the view.

    `now_s` is a clock that never goes back.
    """

    def __init__(self, root: Path, view: ReadView, now_s: Callable[[], float]) -> None:
        self._root = root
        self._view = view
        self._now_s = now_s
        self._number = generation(root)
        self._staged: ReadView | None = None
        self._former: list[tuple[Any, float]] = []

    def stage(self) -> ReadView:
        """The fresh file, empty."""
        if self._staged is not None:
            self._staged.close()
        fresh = file_of(self._root, self._number + 1)
        shutil.rmtree(fresh, ignore_errors=True)
        self._staged = ReadView(fresh)
        return self._staged

    def turn(self) -> None:
        """Read from the fresh file; other processes notice by `catch_up`."""
        assert self._staged is not None, "stage first"
        self._point(self._number + 1)
        self._go_over(self._staged)
        self._staged = None

    def catch_up(self) -> bool:
        """Go over to the present file, if another process made it so; whether that was needed."""
        if generation(self._root) == self._number:
            return False
        self._go_over(open_current(self._root))
        return True

    def is_left(self) -> bool:
        """Whether no file but the present is read by anybody; then the others are deleted."""
        now_s = self._now_s()
        while self._former and self._former[0][1] <= now_s:
            self._former.pop(0)[0].close()
        if self._former:
            return False
        for older in range(self._number):
            folder = file_of(self._root, older)
            if (folder / "data.mdb").exists():
                if _readers(folder):
                    return False
                _delete(self._root, older)
        return True

    def close(self) -> None:
        """Close the files that are not the view's own."""
        if self._staged is not None:
            self._staged.close()
            self._staged = None
        while self._former:
            self._former.pop()[0].close()

    def _go_over(self, fresh: ReadView) -> None:
        self._former.append((self._view.become(fresh), self._now_s() + LINGER_S))
        self._number = generation(self._root)

    def _point(self, number: int) -> None:
        draft = self._root / f".{CURRENT}.{os.getpid()}"
        with draft.open("w", encoding="ascii") as file:
            file.write(str(number))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._root / CURRENT)
        folder = os.open(self._root, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _readers(folder: Path) -> bool:
    """Whether another process has the file open for reading."""
    with suppress(Exception):
        view = ReadView(folder)
        try:
            view.env.reader_check()
            table = str(view.env.readers())
        finally:
            view.close()
        own = str(os.getpid())
        rows = [line.split() for line in table.splitlines()[1:]]
        return any(row and row[0].isdigit() and row[0] != own for row in rows)
    return False


def _delete(root: Path, number: int) -> None:
    if number:
        shutil.rmtree(file_of(root, number), ignore_errors=True)
        return
    for name in ("data.mdb", "lock.mdb"):
        (root / name).unlink(missing_ok=True)


class LocalTurning:
    """`Turning` where feeder and view are in one process."""

    def __init__(self, feed: LocalFeed, files: ViewTurning, now_ms: Callable[[], int]) -> None:
        self._feed = feed
        self._files = files
        self._now_ms = now_ms

    def begin(self) -> ProfileFeed:
        """See `Turning`."""
        return BothFeeds(self._feed, LocalFeed(self._files.stage(), self._now_ms))

    def switch(self) -> None:
        """See `Turning`."""
        self._files.turn()
        self._feed.view.mark_whole()

    def resume(self) -> ProfileFeed:
        """See `Turning`: who reads the former file goes over within a second."""
        return self._feed

    def present(self) -> ProfileFeed:
        """See `Turning`."""
        self._files.catch_up()
        return self._feed

    def close(self) -> None:
        """See `Turning`. The view stays open: it belongs to whoever opened it."""
        self._files.close()

    def is_left(self) -> bool:
        """See `Turning`."""
        return self._files.is_left()

"""How much each caller may ask of one replica: so many lookups or calls a second, in the long run.

A bucket per caller (token bucket): it holds a second's worth, fills evenly, and
what finds it empty is refused. Counted per replica: N replicas let N times as
much through. And how many streams each may hold open at once.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from profiles.access import Access


class _Bucket:
    """What one caller has left: as of a moment, it fills with `most` a second up to `most`."""

    __slots__ = ("at_s", "left", "lock", "most")

    def __init__(self, most: int, at_s: float) -> None:
        self.most = self.left = float(most)
        self.at_s = at_s
        self.lock = Lock()


class Quotas:
    """The buckets of all callers who have a quota. Threads share it; `clock_s` never goes back."""

    def __init__(self, access: Access, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        begun_s = clock_s()
        self._buckets = {
            one.name: _Bucket(one.per_second, begun_s) for one in access.callers if one.per_second
        }

    def take(self, caller: str) -> bool:
        """Whether a caller may ask once more now; if so it is counted."""
        bucket = self._buckets.get(caller)
        if bucket is None:
            return True
        now_s = self._clock_s()
        with bucket.lock:
            left = bucket.left + (now_s - bucket.at_s) * bucket.most
            left = min(left, bucket.most)
            bucket.at_s = now_s
            bucket.left = left - 1 if left >= 1 else left
        return left >= 1

    def owe(self, caller: str, lookups: int) -> None:
        """Count more lookups of a call that was let through; those after it wait for them."""
        bucket = self._buckets.get(caller)
        if bucket is not None:
            with bucket.lock:
                bucket.left -= lookups


class Slots:
    """Places for open streams: so many in all, and so many of each caller. Threads share it.

    A caller whose `streams` the policy does not say may hold half of all, so
    that none keeps all others out.
    """

    def __init__(self, access: Access, most: int) -> None:
        half = max(most // 2, 1)
        self._left = {one.name: one.streams or half for one in access.callers}
        self._left_of_all = most
        self._lock = Lock()

    def take(self, caller: str) -> bool:
        """Whether a caller may open one more; if so it holds a place until it gives it back."""
        with self._lock:
            if not self._left_of_all or not self._left[caller]:
                return False
            self._left_of_all -= 1
            self._left[caller] -= 1
            return True

    def give_back(self, caller: str) -> None:
        """A stream has ended."""
        with self._lock:
            self._left_of_all += 1
            self._left[caller] += 1

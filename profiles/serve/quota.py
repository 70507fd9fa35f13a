"""How much each caller may ask of one replica: so many lookups or calls a second, in the long run.

A bucket per caller (token bucket): it holds a second's worth, fills evenly, and
what finds it empty is refused. Counted per replica: N replicas let N times as
much through.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from profiles.access import Access


class Quotas:
    """The buckets of all callers who have a quota. Threads share it; `clock_s` never goes back."""

    def __init__(self, access: Access, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._lock = Lock()
        self._per_second = {one.name: one.per_second for one in access.callers if one.per_second}
        self._left = {name: (float(most), clock_s()) for name, most in self._per_second.items()}

    def take(self, caller: str) -> bool:
        """Whether a caller may ask once more now; if so it is counted."""
        most = self._per_second.get(caller)
        if most is None:
            return True
        now_s = self._clock_s()
        with self._lock:
            left, at_s = self._left[caller]
            left = min(left + (now_s - at_s) * most, most)
            allowed = left >= 1
            self._left[caller] = (left - allowed, now_s)
        return allowed

    def owe(self, caller: str, lookups: int) -> None:
        """Count more lookups of a call that was let through; those after it wait for them."""
        if caller in self._per_second:
            with self._lock:
                left, at_s = self._left[caller]
                self._left[caller] = (left - lookups, at_s)

"""Bounded caches over raw values, and how all of a process are emptied at once.

Whatever keeps raw values in memory to be faster keeps them in one of these, so
that nobody who is erased is left in one for want of somebody who knows of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import _lru_cache_wrapper, lru_cache
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakSet

T = TypeVar("T")
_CACHES: WeakSet[_lru_cache_wrapper[Any]] = WeakSet()
_LOCK = Lock()


def remembered(most: int) -> Callable[[Callable[..., T]], _lru_cache_wrapper[T]]:
    """As `functools.lru_cache` of so many answers, emptied by `forget_all` as well."""

    def wrapped(function: Callable[..., T]) -> _lru_cache_wrapper[T]:
        cached = lru_cache(most)(function)
        with _LOCK:
            _CACHES.add(cached)
        return cached

    return wrapped


def forget_all() -> None:
    """Empty every such cache of this process. Any thread may call it."""
    with _LOCK:
        caches = list(_CACHES)
    for cached in caches:
        cached.cache_clear()

"""How many different people each caller may look up in a UTC day, counted by each replica.

The people of a day are kept as keyed digests under a key that whoever makes
the quotas draws anew, exactly and never more than the caller may have: some
100 bytes for each. Asking again for somebody who was counted costs nothing of
the quota. A replica that starts anew begins to count anew, and N replicas let
N times as many through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from hashlib import blake2b
from threading import Lock
from typing import Final

from identity.refused import Refused
from profiles.access import Access, Grant

PEOPLE_EXHAUSTED: Final = Refused(8, "PEOPLE_EXHAUSTED")
_DAY_US: Final = 86_400_000_000


class _Counted:
    """The people that one caller was told of on one day."""

    __slots__ = ("day", "lock", "most", "people")

    def __init__(self, most: int) -> None:
        self.most = most
        self.day = 0
        self.people: set[bytes] = set()
        self.lock = Lock()

    def begin(self, day: int) -> None:
        """Forget the people of a day that has passed. A clock that goes back opens no new day."""
        if day > self.day:
            with self.lock:
                if day > self.day:
                    self.people = set()
                    self.day = day

    def add(self, digests: AbstractSet[bytes]) -> bool:
        """Count people, all of them or, where there is no room for all, none."""
        with self.lock:
            fresh = digests - self.people
            if len(self.people) + len(fresh) > self.most:
                return False
            self.people |= fresh
            return True


class PeopleQuotas:
    """The counts of all callers that have `people_per_day`. Threads share it.

    `key` is secret, of up to 64 bytes; `clock_us` tells microseconds since 1970 UTC.
    Whoever asks checks `grant.people_per_day` first: callers without one are not here.
    """

    def __init__(self, access: Access, key: bytes, clock_us: Callable[[], int]) -> None:
        self._key = key
        self._clock_us = clock_us
        self._counted: Mapping[str, _Counted] = {
            one.name: _Counted(one.grant.people_per_day)
            for one in access.callers
            if one.grant.people_per_day
        }

    def take(self, grant: Grant, person: bytes) -> bool:
        """Whether a caller may be told of a person today; if so the person is counted."""
        counted = self._of(grant)
        digest = blake2b(person, key=self._key, digest_size=16).digest()
        return digest in counted.people or counted.add({digest})

    def take_all(self, grant: Grant, people: Iterable[str]) -> bool:
        """The same of several people at once, by their ids: all or none. Of nobody at all a caller
        is told while it may be told of somebody new.
        """
        digests = {blake2b(one.encode(), key=self._key, digest_size=16).digest() for one in people}
        return self._of(grant).add(digests) if digests else not self.is_spent(grant)

    def is_spent(self, grant: Grant) -> bool:
        """Whether a caller is told of nobody new today.

        It is then refused for who does not exist as for who does, so that a
        refusal tells nothing of whether there is somebody.
        """
        counted = self._of(grant)
        return len(counted.people) >= counted.most

    def _of(self, grant: Grant) -> _Counted:
        counted = self._counted[grant.caller]
        counted.begin(self._clock_us() // _DAY_US)
        return counted

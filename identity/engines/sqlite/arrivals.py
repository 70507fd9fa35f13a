"""Which signals may have arrived before: a filter in memory that spares looking on every day.

Signals are remembered by day, and one content of an id may be of another day
than the next. Looking for each new signal on all days would cost more than
counting it; the filter says of all but one in a thousand that it is new.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from identity.engines.sqlite.database import Database

BITS_PER_SIGNAL = 16
_PROBES = 6
_FIRST_CAPACITY = 1 << 16
KEPT_BATCHES = 256
"""So many commits of others a store can catch up with before it reads all signals anew."""


class SignalFilter:
    """A Bloom filter that grows: never says no to a signal it was given. Two bytes a signal."""

    def __init__(self) -> None:
        self._layers: list[tuple[bytearray, int]] = []
        self._room = 0
        self._grow(_FIRST_CAPACITY)

    def _grow(self, capacity: int) -> None:
        bits = capacity * BITS_PER_SIGNAL
        self._layers.append((bytearray(bits >> 3), bits - 1))
        self._room = capacity
        self._capacity = capacity

    def add(self, signals: Iterable[int]) -> None:
        """Remember signals."""
        for signal in signals:
            if self._room == 0:
                self._grow(self._capacity * 4)
            self._room -= 1
            bits, mask = self._layers[-1]
            # Signals are keyed hashes already: their halves serve as two hash functions.
            place, step = signal, signal >> 29 | 1
            for _ in range(_PROBES):
                place += step
                bit = place & mask
                bits[bit >> 3] |= 1 << (bit & 7)

    def __contains__(self, signal: int) -> bool:
        """Whether the signal may have been added; False is certain."""
        for bits, mask in self._layers:
            place, step = signal, signal >> 29 | 1
            for _ in range(_PROBES):
                place += step
                bit = place & mask
                if not bits[bit >> 3] >> (bit & 7) & 1:
                    break
            else:
                return True
        return False


class Arrivals:
    """The filter over one file, kept up with what other store objects commit.

    Every commit leaves the list of its new signals for the others. Read and
    written only inside a write transaction, so that no arrival is missed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._filter: SignalFilter | None = None
        self._up_to = 0

    def forget(self) -> None:
        """Start anew, when a transaction was undone after `note`."""
        self._filter = None

    def up_to(self, commits: int) -> SignalFilter:
        """The filter with all arrivals of the first `commits` commits."""
        if self._filter is not None and self._up_to < commits:
            if commits - self._up_to > KEPT_BATCHES:
                self._filter = None
            else:
                rows = self._database.execute(
                    "SELECT signals FROM arrived WHERE number > ?", (self._up_to,)
                )
                for (packed,) in rows:
                    self._filter.add(array("q", packed))
        if self._filter is None:
            self._filter = SignalFilter()
            rows = self._database.execute("SELECT signal FROM known")
            self._filter.add(signal for (signal,) in rows)
        self._up_to = commits
        return self._filter

    def note(self, number: int, signals: Iterable[int]) -> None:
        """Leave the new signals of commit `number` for other store objects."""
        fresh = array("q", signals)
        if self._filter is not None:
            self._filter.add(fresh)
        self._up_to = number
        if fresh:
            self._database.execute("INSERT INTO arrived VALUES (?, ?)", (number, fresh.tobytes()))
        if number % KEPT_BATCHES == 0:
            self._database.execute(
                "DELETE FROM arrived WHERE number <= ?", (number - KEPT_BATCHES,)
            )

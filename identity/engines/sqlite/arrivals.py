"""Which signals may have arrived before: a filter in memory that spares looking on every day.

Signals are remembered by day, and one content of an id may be of another day
than the next. Looking for each new signal on all days would cost more than
counting it; the filter says of all but one in a thousand that it is new.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from identity.engines.sqlite.database import Database

BITS_PER_SIGNAL = 24
_WORD_BITS = 64
_FIRST_CAPACITY = 1 << 16
_BIT = [1 << place for place in range(_WORD_BITS)]
KEPT_BATCHES = 256
"""So many commits of others a store can catch up with before it reads all signals anew."""


class SignalFilter:
    """A Bloom filter in words that grows: never says no to a signal it was given.

    Three bytes a signal. A signal's bits are all in one word (F. Putze and
    others, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007); signals
    are keyed hashes already, so their bits serve as hash functions.
    """

    def __init__(self) -> None:
        self._layers: list[array[int]] = []
        self._grow(_FIRST_CAPACITY)

    def _grow(self, capacity: int) -> None:
        words = capacity * BITS_PER_SIGNAL // _WORD_BITS
        self._layers.append(array("Q", bytes(8 * words)))
        self._room = self._capacity = capacity

    def add(self, signals: Iterable[int]) -> None:
        """Remember signals."""
        bit = _BIT
        words = self._layers[-1]
        size = len(words)
        for signal in signals:
            if self._room == 0:
                self._grow(self._capacity * 4)
                words = self._layers[-1]
                size = len(words)
            self._room -= 1
            words[signal % size] |= (
                bit[signal >> 57]
                | bit[signal >> 51 & 63]
                | bit[signal >> 45 & 63]
                | bit[signal >> 39 & 63]
            )

    def __contains__(self, signal: int) -> bool:
        """Whether the signal may have been added; False is certain."""
        bit = _BIT
        wanted = (
            bit[signal >> 57]
            | bit[signal >> 51 & 63]
            | bit[signal >> 45 & 63]
            | bit[signal >> 39 & 63]
        )
        return any(words[signal % len(words)] & wanted == wanted for words in self._layers)


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

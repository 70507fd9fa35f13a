"""The ProfileFeed port: how profiles travel from the graph's side to every replica's read view.

Engines: same process (embedded default), a compacted Pulsar topic. Both run one
contract suite; each promise below has a test of the same name there.

Promises
--------
- *Nothing published is lost.* When `publish` has returned, every read view that
  follows the feed, now or later, comes to show those records or newer ones.
- *Every id is there.* A read view that starts from nothing comes to show every
  id ever published, in its newest state; older states of an id may be left out.
- *Sequences stay whole.* Records of one sequence are applied together, even
  when its feeder was killed half way and published it again.
- *Again is harmless.* Publishing a sequence twice, or an older one late,
  changes nothing that a newer one said.
- *Silence is noticed.* A beat tells every follower that the feeder lives; who
  hears neither records nor beats knows for how long.

Not promised: that a follower sees every intermediate state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from profiles.v1.feed_pb2 import FeedRecord


class FeedError(Exception):
    """An operational failure of a profile feed.

    FeedError
    ├── FeedUnavailable  cannot be reached, or did not take it in time; retry later
    └── FeedDamaged      holds what this version cannot read
    """


class FeedUnavailable(FeedError):
    """The feed cannot be reached, or did not take the records in time; some may have been taken."""


class FeedDamaged(FeedError):
    """The feed holds what this version cannot read."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A record as a follower gets it.

    - `position`: opaque; a follower opened there gets what comes after this record.
    - `published_ms`: when the feed took it, milliseconds since 1970 UTC.
    """

    record: FeedRecord
    position: bytes
    published_ms: int


@dataclass(frozen=True, slots=True)
class Group:
    """The records of one sequence, each id once, to be applied together.

    `position` and `published_ms` are those of the last record. A group without
    records is a beat: time has passed and nothing changed.
    """

    sequence: int
    records: Sequence[FeedRecord]
    position: bytes
    published_ms: int


class ProfileFeed(Protocol):
    """The publishing side. One feeder publishes at a time, in growing sequences."""

    def publish(self, records: Sequence[FeedRecord]) -> None:
        """Publish the records of one or more sequences; returns when all are durable.

        Records of one sequence follow each other, sequences grow, and the last
        record of each has `last_of_sequence` set. No records: a no-op.

        Raises:
            FeedUnavailable: some records may have been taken; publish all of them again.
        """

    def beat(self) -> None:
        """Tell followers that the feeder lives: a record with no id, which no view keeps."""

    def close(self) -> None:
        """Release what is held. The feed cannot be used afterwards."""


class FeedReader(Protocol):
    """The following side: one per read view, opened at a position or at the beginning."""

    def poll(self, timeout_ms: int) -> list[Delivered]:
        """What came next, in order, beats included; [] when nothing came within the time."""

    def backlog(self) -> int | None:
        """About how many records lie ahead of this reader; None when it cannot tell."""

    def close(self) -> None:
        """Release what is held. The reader cannot be used afterwards."""


@dataclass(slots=True)
class Groups:
    """Puts delivered records back into whole sequences. Pure; one per reader.

    A sequence is whole when its last record is there, or when one of another
    sequence follows: of a compacted feed the last record may be gone, and a
    feeder that was killed half way publishes the sequence again. Of two records
    of one id the later one stands.
    """

    _sequence: int = 0
    _records: dict[str, FeedRecord] = field(default_factory=dict)
    _end: Delivered | None = None

    def take(self, delivered: Iterable[Delivered]) -> Iterator[Group]:
        """The groups that become whole, in order. A beat never ends a sequence."""
        for one in delivered:
            record = one.record
            if not record.person_id:
                yield Group(record.sequence, (), b"", one.published_ms)
                continue
            if self._records and record.sequence != self._sequence:
                yield self._whole()
            self._sequence = record.sequence
            self._records[record.person_id] = record
            self._end = one
            if record.last_of_sequence:
                yield self._whole()

    def _whole(self) -> Group:
        end = self._end
        assert end is not None
        group = Group(self._sequence, tuple(self._records.values()), end.position, end.published_ms)
        self._records = {}
        return group


def beat_record() -> FeedRecord:
    """A beat, as engines publish it."""
    return FeedRecord(last_of_sequence=True)

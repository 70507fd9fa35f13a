"""The SignalSource port: where signals come from, partition by partition.

Engines: files and standard input (embedded default), Apache Pulsar. Both run
one contract suite; each promise below has a test of the same name there.

Promises
--------
- *In order.* A partition gives the same signals in the same order every time.
- *Resumable.* A reader that resumes at a position gives what comes after it:
  nothing twice, nothing left out. The position b"" is before the first signal.
- *One reader.* While one holds a partition, opening it raises `PartitionTaken`,
  until the holder closes or its process is gone.
- *Kept until acknowledged.* What nobody acknowledged is there for a reader that
  resumes before it. Whoever commits acknowledges afterwards, never before.
- *Never back.* A reader gives positions that only grow, whatever is redelivered.
- *Bounded.* A reader holds no more than a few batches in memory, however much
  there is to read.

Not promised: that a signal is published once. Signals count once by their ids.
Not promised either: that standard input or a pipe can be read twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class SourceError(Exception):
    """An operational failure of a source of signals.

    SourceError
    ├── PartitionTaken     another reader holds it; try again later
    ├── SourceUnavailable  cannot be reached or read just now; retry later
    ├── SourceMissing      there is no such file or topic, or it may not be read
    ├── SourceDamaged      holds what cannot be read; all before it was given
    └── TakenOver          another consumer keeps taking what this one holds
    """


class PartitionTaken(SourceError):
    """Another reader holds the partition."""


class SourceUnavailable(SourceError):
    """The source cannot be reached, or cannot be read just now."""


class SourceMissing(SourceError):
    """There is no such file or topic, or it may not be read."""


class SourceDamaged(SourceError):
    """The source holds what cannot be read. What lay before was given."""


class TakenOver(SourceError):
    """Another consumer keeps taking the partition though this one holds it at its source.

    Two deployments share one graph and read one topic under two subscriptions, or
    one file over a file system without locks.
    """


class Form(Enum):
    """In which form the bytes are; a row is a JSON object by column."""

    PROTOBUF = "protobuf"
    JSON = "json"
    ROW = "row"


@dataclass(frozen=True, slots=True)
class Received:
    """A signal as it came, not yet understood.

    - `position`: where it lies in its partition; opaque.
    - `published_us`: the transport's own time, microseconds since 1970 UTC;
      None where it has none.
    """

    payload: bytes
    form: Form
    position: bytes
    published_us: int | None = None


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """How a reader gathers a batch: at most so many signals, and so long after the first."""

    signals: int = 2_000
    linger_ms: int = 20

    def verify(self) -> list[str]:
        """Every problem, each naming its key; [] when there is none."""
        problems = []
        if not 1 <= self.signals <= 100_000:
            problems.append("signals: from 1 to 100,000")
        if not 0 <= self.linger_ms <= 10_000:
            problems.append("linger_ms: from 0 to 10,000")
        return problems


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a reader is: `done` of `total`, in `unit`."""

    done: int
    total: int
    unit: str


class PartitionReader(Protocol):
    """One partition, held by this reader until it is closed. One thread at a time."""

    def resume(self, position: bytes) -> None:
        """Go on after a position that an earlier reader gave, or b"" for the beginning.

        Raises:
            SourceUnavailable: nothing changed; try again.
        """

    def read(self, wait_ms: int) -> list[Received]:
        """The next signals: waits so long for the first, then as the limits say.

        [] when none came within the time, or when the partition has ended.

        Raises:
            SourceUnavailable: nothing was given; try again.
            SourceDamaged: nothing more can be given.
        """

    def acknowledge(self, position: bytes) -> None:
        """Nobody will resume before this position any more; the source may forget all up to it.

        Raises:
            SourceUnavailable: it may or may not have been noted; that does no harm.
        """

    @property
    def ended(self) -> bool:
        """Whether all has been read and nothing can follow."""

    def extent(self) -> Extent | None:
        """How far it is; None when the source has no end or cannot tell."""

    def close(self) -> None:
        """Let go of the partition. The reader cannot be used afterwards."""


class SignalSource(Protocol):
    """Where signals come from. Threads may share one; its readers they may not."""

    def partitions(self) -> list[str]:
        """The names of all partitions, lasting and distinct, in order.

        Raises:
            SourceUnavailable: try again.
            SourceMissing: there is no such file or topic.
        """

    def wants(self, partition: str) -> bool:
        """Whether this process should consume the partition now, or leave it to another."""

    def open(self, partition: str) -> PartitionReader:
        """Take hold of a partition; `resume` comes before the first `read`.

        Raises:
            PartitionTaken: another reader holds it.
            SourceUnavailable: try again.
            SourceMissing: there is no such file or topic.
        """

    def close(self) -> None:
        """Release what is held. The source cannot be used afterwards."""

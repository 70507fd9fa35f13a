"""The contract of SignalSource: one test per promise of `ingest.source`, run by every engine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from ingest.source import (
    PartitionReader,
    PartitionTaken,
    ReadLimits,
    Received,
    SignalSource,
)

LIMITS = ReadLimits(signals=50, linger_ms=20)
PATIENCE_S = 240.0
"""Only what hangs takes so long."""
Context = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class SourceUnderTest:
    """A source with two partitions, and how to fill and disturb it.

    - `fill`: put payloads into the partition of this number, in order.
    - `open`: the source once more, as another process would; picklable.
    - `disturb`: make the source deliver again what was not acknowledged.
    """

    fill: Callable[[int, Sequence[bytes]], None]
    open: Callable[[], SignalSource]
    disturb: Callable[[], None]


def payloads(number: int, label: str = "signal") -> list[bytes]:
    """So many different payloads."""
    return [f'{{"{label}":{each}}}'.encode() for each in range(number)]


def read(reader: PartitionReader, number: int) -> list[Received]:
    """Signals until there are so many; fewer only when the partition ends."""
    received: list[Received] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(received) < number and not reader.ended:
        assert time.monotonic() < deadline, f"only {len(received)} of {number} signals came"
        received += reader.read(wait_ms=500)
    return received


def held(source: SignalSource, partition: str, position: bytes = b"") -> PartitionReader:
    """A reader that stands at a position, once the partition is free."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            reader = source.open(partition)
        except PartitionTaken:
            assert time.monotonic() < deadline, "the partition never became free"
            time.sleep(0.05)
        else:
            reader.resume(position)
            return reader


def _hold_for_ever(open_source: Callable[[], SignalSource], partition: str, told: object) -> None:
    reader = held(open_source(), partition)
    told.set()  # type: ignore[attr-defined]
    while reader is not None:
        time.sleep(60)


@pytest.mark.timeout(600)
class SignalSourceContract:
    """Every engine's test class inherits these and gives the fixture `made`."""

    def test_in_order(self, made: SourceUnderTest) -> None:
        """Every partition gives its signals in the order in which they were put there, always."""
        wanted = [payloads(333, "first"), payloads(222, "second")]
        for number, each in enumerate(wanted):
            made.fill(number, each)
        source = made.open()
        for _ in range(2):
            for partition, expected in zip(source.partitions(), wanted, strict=True):
                reader = held(source, partition)
                assert [each.payload for each in read(reader, len(expected))] == expected
                reader.close()
        source.close()

    def test_resumable(self, made: SourceUnderTest) -> None:
        """Resumed at any position, a reader gives exactly what comes after it."""
        wanted = payloads(230)
        made.fill(0, wanted)
        source = made.open()
        partition = source.partitions()[0]
        reader = held(source, partition)
        positions = [each.position for each in read(reader, len(wanted))]
        reader.close()
        for at in (0, 1, 98, 99, 100, 149, 228):
            reader = held(source, partition, positions[at])
            rest = read(reader, len(wanted) - at - 1)
            assert [each.payload for each in rest] == wanted[at + 1 :]
            assert [each.position for each in rest] == positions[at + 1 :]
            reader.close()
        source.close()

    def test_resumable_where_it_stands(self, made: SourceUnderTest) -> None:
        """A reader that has read ahead goes back, and forth again, when it is resumed elsewhere."""
        wanted = payloads(120)
        made.fill(0, wanted)
        source = made.open()
        reader = held(source, source.partitions()[0])
        positions = [each.position for each in read(reader, len(wanted))]
        for at in (60, 5, 110):
            reader.resume(positions[at])
            assert [each.payload for each in read(reader, 119 - at)] == wanted[at + 1 :]
        reader.close()
        source.close()

    def test_one_reader(self, made: SourceUnderTest) -> None:
        """A partition that is held opens for nobody else; another partition does."""
        made.fill(0, payloads(3))
        made.fill(1, payloads(3))
        source, other = made.open(), made.open()
        first, second = source.partitions()
        holder = held(source, first)
        for each in (source, other):
            with pytest.raises(PartitionTaken):
                each.open(first)
        held(other, second).close()
        holder.close()
        successor = held(other, first)
        assert [each.payload for each in read(successor, 3)] == payloads(3)
        successor.close()
        source.close()
        other.close()

    def test_one_reader_until_it_dies(self, made: SourceUnderTest) -> None:
        """A holder that is killed with kill -9 leaves the partition to the next."""
        made.fill(0, payloads(3))
        source = made.open()
        partition = source.partitions()[0]
        told = Context.Event()
        holder = Context.Process(target=_hold_for_ever, args=(made.open, partition, told))
        holder.start()
        assert told.wait(PATIENCE_S)
        with pytest.raises(PartitionTaken):
            source.open(partition)
        assert holder.pid is not None
        os.kill(holder.pid, signal.SIGKILL)
        holder.join()
        reader = held(source, partition)
        assert [each.payload for each in read(reader, 3)] == payloads(3)
        reader.close()
        source.close()

    def test_kept_until_acknowledged(self, made: SourceUnderTest) -> None:
        """What nobody acknowledged comes again; what was, need not, but all behind it does."""
        wanted = payloads(150)
        made.fill(0, wanted)
        source = made.open()
        partition = source.partitions()[0]
        for _ in range(2):
            reader = held(source, partition)
            received = read(reader, len(wanted))
            assert [each.payload for each in received] == wanted
            reader.close()
        reader = held(source, partition)
        received = read(reader, len(wanted))
        reader.acknowledge(received[70].position)
        reader.close()
        reader = held(source, partition, received[70].position)
        assert [each.payload for each in read(reader, 79)] == wanted[71:]
        reader.close()
        source.close()

    def test_never_back(self, made: SourceUnderTest) -> None:
        """Whatever the source delivers again, a reader gives every signal once and in order."""
        wanted = payloads(300)
        made.fill(0, wanted)
        source = made.open()
        reader = held(source, source.partitions()[0])
        received = read(reader, 120)
        made.disturb()
        received += read(reader, len(wanted) - len(received))
        assert [each.payload for each in received] == wanted
        reader.close()
        source.close()

    def test_bounded(self, made: SourceUnderTest) -> None:
        """However much there is to read, a batch holds no more than the limits say."""
        made.fill(0, payloads(400))
        source = made.open()
        reader = held(source, source.partitions()[0])
        sizes: list[int] = []
        while sum(sizes) < 400:
            sizes.append(len(reader.read(wait_ms=500)))
        assert max(sizes) <= LIMITS.signals
        reader.close()
        source.close()

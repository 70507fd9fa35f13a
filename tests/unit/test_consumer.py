"""All partitions at once: every one is consumed, one failure stops all, a signal stops in order."""

from __future__ import annotations

import gzip
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from identity.engines.sqlite import SqliteGraphStore
from ingest.consumer import OpenPipeline, consume, stopping_on_signals
from ingest.dead_letters import Envelopes
from ingest.dead_letters_file import FileLetters
from ingest.forms import Signals
from ingest.letter_writing import LetterWriter
from ingest.pipeline import Patience, Pipeline, Step
from ingest.source import ReadLimits, SourceDamaged
from ingest.source_files import FileSource
from tests.support.intaking import NOW_US, ORDER_KEY, intake, line, sealer

LIMITS = ReadLimits(signals=10, linger_ms=1)
PATIENCE = Patience(idle_ms=1, retry_ms=1, retry_most_ms=2, taken_ms=1)


def _written(folder: Path, name: str, number: int) -> Path:
    path = folder / name
    told = b"\n".join(line(signal_id=f"{name}-{each}") for each in range(number))
    path.write_bytes(gzip.compress(told) if name.endswith(".gz") else told)
    return path


def _opens(folder: Path, source: FileSource, stop: threading.Event) -> OpenPipeline:
    @contextmanager
    def open_pipeline(partition: str) -> Iterator[Pipeline]:
        with (
            closing(SqliteGraphStore(folder / "graph.db")) as store,
            closing(FileLetters(folder / "letters.db")) as letters,
        ):
            understand = Signals(intake())
            writer = LetterWriter(Envelopes(sealer(), ORDER_KEY), understand, partition)
            yield Pipeline(
                source,
                partition,
                store,
                understand,
                letters,
                writer,
                now_us=lambda: NOW_US,
                stop=stop,
                patience=PATIENCE,
            )

    return open_pipeline


def _signals_in(folder: Path) -> int:
    with closing(SqliteGraphStore(folder / "graph.db")) as store:
        return store.totals().signals


def test_every_partition_is_consumed_to_its_end(tmp_path: Path) -> None:
    """Three files are read at once; every batch is told of, and every signal counts."""
    paths = [_written(tmp_path, f"{name}.jsonl", 35) for name in "abc"]
    source, stop = FileSource(paths, LIMITS), threading.Event()
    told: list[Step] = []
    consume(source.partitions(), _opens(tmp_path, source, stop), stop, told.append)
    assert sum(step.read for step in told) == 105
    assert {step.partition for step in told} == set(source.partitions())
    assert _signals_in(tmp_path) == 105
    assert not stop.is_set()


def test_one_failure_stops_all_and_is_raised(tmp_path: Path) -> None:
    """A partition that cannot be read ends the whole; what the others had committed stays."""
    damaged = _written(tmp_path, "damaged.jsonl.gz", 50)
    damaged.write_bytes(damaged.read_bytes()[:60])
    sound = _written(tmp_path, "sound.jsonl", 20)
    source, stop = FileSource([damaged, sound], LIMITS), threading.Event()
    with pytest.raises(SourceDamaged):
        consume(source.partitions(), _opens(tmp_path, source, stop), stop)
    assert stop.is_set()
    stop = threading.Event()
    source = FileSource([sound], LIMITS)
    consume(source.partitions(), _opens(tmp_path, source, stop), stop)
    assert _signals_in(tmp_path) == 20


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_after_the_batch_at_hand(tmp_path: Path, number: signal.Signals) -> None:
    """Told to stop, a run ends with its batch settled; the next one reads only the rest."""
    source, stop = FileSource([_written(tmp_path, "a.jsonl", 60)], LIMITS), threading.Event()
    told: list[Step] = []

    def after(step: Step) -> None:
        told.append(step)
        if len(told) == 2:
            os.kill(os.getpid(), number)
            assert stop.wait(60)

    before = signal.getsignal(number)
    with stopping_on_signals(stop):
        consume(source.partitions(), _opens(tmp_path, source, stop), stop, after)
    assert signal.getsignal(number) is before
    assert sum(step.read for step in told) == 20
    rest: list[Step] = []
    stop = threading.Event()
    consume(source.partitions(), _opens(tmp_path, source, stop), stop, rest.append)
    assert sum(step.read for step in rest) == 40
    assert _signals_in(tmp_path) == 60

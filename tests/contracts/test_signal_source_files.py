"""Files under the contract of SignalSource, and what only files promise."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import orjson
import polars as pl
import pytest
import zstandard

from ingest.source import Form, ReadLimits, Received, SourceDamaged, SourceMissing
from ingest.source_files import MAX_LINE_BYTES, STDIN, FileSource, place
from tests.contracts.signal_source import (
    LIMITS,
    SignalSourceContract,
    SourceUnderTest,
    held,
    payloads,
    read,
)

Pack = Callable[[bytes], bytes]


def _opened(paths: Sequence[Path], limits: ReadLimits = LIMITS) -> FileSource:
    return FileSource(paths, limits)


def _written(folder: Path, suffix: str, pack: Pack) -> SourceUnderTest:
    paths = [folder / f"{number}.jsonl{suffix}" for number in range(2)]
    for path in paths:
        path.write_bytes(pack(b""))

    def fill(number: int, lines: Sequence[bytes]) -> None:
        paths[number].write_bytes(pack(b"".join(line + b"\n" for line in lines)))

    return SourceUnderTest(fill, partial(_opened, paths), lambda: None)


def _all(path: Path, limits: ReadLimits = LIMITS) -> list[Received]:
    source = _opened([path], limits)
    reader = held(source, source.partitions()[0])
    received = read(reader, 1_000_000)
    reader.close()
    return received


class TestPlainFiles(SignalSourceContract):
    """Files as they are."""

    @pytest.fixture
    def made(self, tmp_path: Path) -> SourceUnderTest:
        """Two files."""
        return _written(tmp_path, "", bytes)


class TestGzipFiles(SignalSourceContract):
    """Files packed by gzip."""

    @pytest.fixture
    def made(self, tmp_path: Path) -> SourceUnderTest:
        """Two packed files."""
        return _written(tmp_path, ".gz", gzip.compress)


class TestZstandardFiles(SignalSourceContract):
    """Files packed by Zstandard."""

    @pytest.fixture
    def made(self, tmp_path: Path) -> SourceUnderTest:
        """Two packed files."""
        return _written(tmp_path, ".zst", zstandard.compress)


def test_blank_lines_are_passed_over_and_the_last_needs_no_end(tmp_path: Path) -> None:
    """Blank lines give no signal; a last line without its newline gives one."""
    path = tmp_path / "signals.jsonl"
    path.write_bytes(b'\n{"a":1}\r\n  \n{"b":2}')
    assert [each.payload for each in _all(path)] == [b'{"a":1}', b'{"b":2}']


def test_a_line_far_too_long_is_given_cut_and_the_next_is_whole(tmp_path: Path) -> None:
    """No line can fill the memory, and none is dropped in silence."""
    path = tmp_path / "signals.jsonl"
    path.write_bytes(b"x" * (3 * MAX_LINE_BYTES + 5) + b'\n{"b":2}\n')
    first, second = _all(path)
    assert first.payload == b"x" * MAX_LINE_BYTES
    assert second.payload == b'{"b":2}'


def test_another_file_under_the_old_name_is_read_from_its_beginning(tmp_path: Path) -> None:
    """A position of yesterday's file skips nothing of today's."""
    path = tmp_path / "signals.jsonl"
    path.write_bytes(b"\n".join(payloads(50, "yesterday")))
    last = _all(path)[-1].position
    path.write_bytes(b"\n".join(payloads(80, "today")))
    source = _opened([path])
    reader = held(source, source.partitions()[0], last)
    assert [each.payload for each in read(reader, 80)] == payloads(80, "today")
    reader.close()


def test_a_file_that_has_grown_goes_on_where_it_was(tmp_path: Path) -> None:
    """A position holds in the same file after more was written to it."""
    path = tmp_path / "signals.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in payloads(3)))
    last = _all(path)[-1].position
    with path.open("ab") as file:
        file.write(b'{"more":1}\n' * 2)
    source = _opened([path])
    reader = held(source, source.partitions()[0], last)
    assert [each.payload for each in read(reader, 2)] == [b'{"more":1}'] * 2
    reader.close()


@pytest.mark.parametrize(("cut", "least"), [(15, 0), (8_000, 100)])
def test_of_a_damaged_file_all_before_the_damage_is_given(
    tmp_path: Path, cut: int, least: int
) -> None:
    """A packed file that was cut off gives what is sound, then says that it is damaged."""
    lines = [orjson.dumps({"id": os.urandom(20).hex()}) for _ in range(500)]
    path = tmp_path / "signals.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join(lines))[:cut])
    source = _opened([path])
    reader = held(source, source.partitions()[0])
    given: list[bytes] = []
    told = ""
    try:
        while received := reader.read(0):
            given += [each.payload for each in received]
    except SourceDamaged as damage:
        told = str(damage)
    finally:
        reader.close()
    assert told == "the packed file is cut or damaged"
    assert given == lines[: len(given)]
    assert len(given) >= least


def test_a_missing_file_is_named() -> None:
    """A path that is wrong is told as such."""
    source = FileSource(["/nowhere/signals.jsonl"])
    with pytest.raises(SourceMissing, match=r"/nowhere/signals\.jsonl"):
        source.open(source.partitions()[0])


def test_a_path_given_twice_is_one_partition(tmp_path: Path) -> None:
    """However a path is spelled, its file is read once."""
    path = tmp_path / "signals.jsonl"
    path.write_bytes(b"{}\n")
    spelled = tmp_path / "." / ".." / tmp_path.name / "signals.jsonl"
    assert FileSource([path, spelled]).partitions() == [f"file:{path.resolve()}"]


def test_standard_input_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dash reads standard input, whatever position was kept of another time."""
    reading, writing = os.pipe()
    before = os.dup(0)
    os.dup2(reading, 0)
    try:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(b'{"a":1}\n{"b":2}\n')
        monkeypatch.setattr("sys.stdin", io.StringIO())
        source = FileSource([STDIN], LIMITS)
        reader = held(source, source.partitions()[0], b"4:4:99")
        assert [each.payload for each in read(reader, 9)] == [b'{"a":1}', b'{"b":2}']
        reader.close()
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(reading)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_of_tables_come_as_objects_and_resume(tmp_path: Path, suffix: str) -> None:
    """Every row is a JSON object by column; a position counts the rows before it."""
    path = tmp_path / f"rows.{suffix}"
    frame = pl.DataFrame({"who": [f"p{each}" for each in range(130)], "where": ["x"] * 130})
    frame.write_csv(path) if suffix == "csv" else frame.write_parquet(path)
    received = _all(path)
    assert {each.form for each in received} == {Form.ROW}
    assert orjson.loads(received[7].payload) == {"who": "p7", "where": "x"}
    assert [place(each.position) for each in received] == list(range(1, 131))
    source = _opened([path])
    reader = held(source, source.partitions()[0], received[99].position)
    assert [each.payload for each in read(reader, 30)] == [e.payload for e in received[100:]]
    reader.close()


def test_the_extent_grows_to_the_size_of_the_file(tmp_path: Path) -> None:
    """How far a reader is shows in bytes of the file as it lies there, packed or not."""
    for name, pack in (("a.jsonl", bytes), ("a.jsonl.gz", gzip.compress)):
        path = tmp_path / name
        path.write_bytes(pack(b"\n".join(payloads(300))))
        source = _opened([path])
        reader = held(source, source.partitions()[0])
        done = []
        while not reader.ended:
            reader.read(0)
            extent = reader.extent()
            assert extent is not None
            done.append(extent.done)
        assert done == sorted(done)
        assert done[-1] == path.stat().st_size
        reader.close()

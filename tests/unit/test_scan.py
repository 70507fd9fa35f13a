"""The search for personal values finds each planted one, wherever it lies, and never tells it."""

import gzip
import os
import random
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cohort import TINY, lines, made, personal_values
from tests.support.scan import MIN_CHARS, Hit, Scanner

EMAIL = "ottilie.wackernagel.7k@alpenpost.example"
DEVICE = "5f0c1e2d-aa01-4bcd-a123-00ff00ff00ff"
VALUES = [("email", EMAIL), ("device", DEVICE), ("phone", "+41791234599"), ("name", "Küng!")]

FORMS: dict[str, Callable[[str], bytes]] = {
    "utf-8": lambda value: value.encode(),
    "utf-16": lambda value: value.encode("utf-16-le"),
    "utf-16 too": lambda value: value.encode("utf-16-be"),
    "hex": lambda value: value.encode().hex().encode(),
    "base64": lambda value: b64encode(value.encode()),
}


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    """Looks for VALUES in windows so small that every file has several."""
    return Scanner(VALUES, window_bytes=256)


def noise(length: int, seed: int = 1) -> bytes:
    """Bytes that hold nothing."""
    return random.Random(seed).randbytes(length)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("spell", [str, str.upper, str.lower], ids=["as sent", "upper", "lower"])
def test_each_form_is_found(
    tmp_path: Path, scanner: Scanner, form: str, spell: Callable[[str], str]
) -> None:
    """A value in any form and case is a hit of its kind and form."""
    (tmp_path / "deep").mkdir()
    file = tmp_path / "deep" / "store.db"
    file.write_bytes(noise(3_000) + FORMS[form](spell(EMAIL)) + noise(3_000, 2))
    assert scanner.scan(tmp_path) == [Hit(file, "email", form.removesuffix(" too"))]


@settings(max_examples=150, deadline=None)
@given(before=st.integers(0, 700), after=st.integers(0, 300), form=st.sampled_from(list(FORMS)))
def test_a_value_across_windows_is_found(
    scanner: Scanner, tmp_path_factory: pytest.TempPathFactory, before: int, after: int, form: str
) -> None:
    """Wherever in the file it begins: windows overlap by the longest pattern."""
    file = tmp_path_factory.mktemp("scan") / "log"
    file.write_bytes(b"\0" * before + FORMS[form](EMAIL) + b"\xff" * after)
    assert [hit.form for hit in scanner.scan(file)] == [form.removesuffix(" too")]


@pytest.mark.parametrize("offset", range(6))
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
def test_a_value_inside_base64_text_is_found(
    tmp_path: Path, offset: int, encode: Callable[[bytes], bytes]
) -> None:
    """At each offset, and in both alphabets, though its first and last characters are mixed."""
    value = "~~~???>>>ab"
    file = tmp_path / "payload"
    file.write_bytes(encode(b"x" * offset + value.encode() + b"yyyy"))
    assert {hit.form for hit in Scanner([("secret", value)]).scan(tmp_path)} == {"base64"}


def test_an_id_as_bytes_is_found(tmp_path: Path, scanner: Scanner) -> None:
    """Sixteen bytes spell the id as well as its 32 digits do."""
    file = tmp_path / "index"
    file.write_bytes(noise(100) + bytes.fromhex(DEVICE.replace("-", "")) + noise(100))
    assert scanner.scan(tmp_path) == [Hit(file, "device", "packed")]


def test_gzip_files_are_unpacked(tmp_path: Path, scanner: Scanner) -> None:
    """A rotated log is looked into, across its windows, and a torn one as far as it goes."""
    text = noise(250).hex().encode() + EMAIL.encode() + noise(999).hex().encode()
    whole = gzip.compress(text)
    (tmp_path / "a.gz").write_bytes(whole)
    (tmp_path / "torn.gz").write_bytes(whole[:-5])
    assert [(hit.file.name, hit.kind) for hit in scanner.scan(tmp_path)] == [
        ("a.gz", "email"),
        ("torn.gz", "email"),
    ]


def test_clean_files_give_no_hit(tmp_path: Path, scanner: Scanner) -> None:
    """Noise, empty files, dangling links and near misses are no hits."""
    (tmp_path / "noise").write_bytes(noise(2_000_000))
    (tmp_path / "empty").touch()
    (tmp_path / "near").write_text(EMAIL[:-1] + " " + EMAIL[1:] + "+4179123459 9")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert scanner.scan(tmp_path) == []


def test_a_missing_folder_is_an_error(tmp_path: Path, scanner: Scanner) -> None:
    """A scan that looked nowhere must not pass for a clean one."""
    with pytest.raises(FileNotFoundError):
        scanner.scan(tmp_path / "nowhere")
    with pytest.raises(AssertionError):
        Scanner([("email", "x" * (MIN_CHARS - 1))])


def test_a_hit_never_tells_the_value(tmp_path: Path, scanner: Scanner) -> None:
    """Reports name file, kind and form, so that a failing test leaks nothing either."""
    (tmp_path / "f").write_text(f"{EMAIL} +41791234599 KÜNG!")
    hits = scanner.scan(tmp_path)
    assert {hit.kind for hit in hits} == {"email", "phone", "name"}
    assert not any(value in repr(hits) for _, value in VALUES)


def test_every_value_of_a_cohort_is_found_in_its_signals(tmp_path: Path) -> None:
    """The cohort's own file gives a hit of every kind; sealed bytes of its size give none."""
    signals, _ = made(TINY)
    written = lines(signals)
    values = personal_values(signals)
    scanner = Scanner(values)
    assert scanner.values > 300
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "signals.jsonl").write_bytes(b"".join(written))
    kinds = {kind for kind, value in values if len(value) >= MIN_CHARS}
    assert {hit.kind for hit in scanner.scan(tmp_path / "raw")} == kinds
    assert {"email", "record.familyName", "context.networkAddress"} <= kinds
    (tmp_path / "sealed").write_bytes(os.urandom(sum(map(len, written))))
    assert scanner.scan(tmp_path / "sealed") == []

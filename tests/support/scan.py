"""Searches files for personal values, in every form in which one might have been left behind.

What it cannot see: text that was compressed (gzip aside) or packed below whole
bytes, as Neo4j packs short strings in its property store. For such a store,
write what its own reader gives into a file and scan that as well.
"""

from __future__ import annotations

import gzip
import mmap
import os
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, cast

import hyperscan

MIN_CHARS = 5
"""Shorter values come up by chance."""

MIN_BASE64_CHARS = 8
"""In base64 a value of five has three sure characters less: tokens would match by chance."""

WINDOW_BYTES = 1 << 28
_GZIP = b"\x1f\x8b"
_CASELESS = hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_SINGLEMATCH
_EXACT = hyperscan.HS_FLAG_SINGLEMATCH


class Hit(NamedTuple):
    """Where a value was found, of which kind and in which form: never the value itself."""

    file: Path
    kind: str
    form: str


class Scanner:
    """Looks for many values at once, at about a gigabyte a second once it is made.

    Values are pairs of a kind and a text of at least MIN_CHARS characters;
    shorter ones are left out. Forms: UTF-8, UTF-16 of both orders and hex, all
    without regard to case; base64 (both alphabets, at any offset) from
    MIN_BASE64_CHARS on; 32 hex digits also as the 16 bytes that they spell.
    """

    def __init__(
        self, values: Iterable[tuple[str, str]], *, window_bytes: int = WINDOW_BYTES
    ) -> None:
        """Compile the patterns; some 10 seconds for 10,000 values on one core."""
        patterns: dict[tuple[bytes, int], tuple[str, str]] = {}
        self.values = 0
        for kind, value in sorted(set(values)):
            if len(value) >= MIN_CHARS:
                self.values += 1
                for form, pattern, flags in _forms(value):
                    patterns.setdefault((pattern, flags), (kind, form))
        assert patterns, "a scan for nothing finds nothing"
        self._meanings = list(patterns.values())
        self._overlap = max(len(pattern) for pattern, _ in patterns) - 1
        self._window = max(window_bytes, self._overlap + 1)
        self._database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        self._database.compile(
            expressions=[_escaped(pattern) for pattern, _ in patterns],
            ids=list(range(len(patterns))),
            elements=len(patterns),
            flags=[flags for _, flags in patterns],
        )

    def scan(self, *folders: Path) -> list[Hit]:
        """Every kind and form found in every file below the folders, gzip files unpacked.

        Symbolic links are not followed; a file that goes while it is looked at
        is left out. Raises FileNotFoundError for a folder that is not there.
        """
        hits: set[Hit] = set()
        for folder in folders:
            if not folder.exists():
                raise FileNotFoundError(folder)
            for file in files(folder):
                with suppress(FileNotFoundError):
                    hits.update(self._in_file(file))
        return sorted(hits)

    def _in_file(self, file: Path) -> Iterator[Hit]:
        with file.open("rb") as raw:
            size = os.fstat(raw.fileno()).st_size
            if size == 0:
                return
            with (
                mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
                memoryview(mapped) as view,
            ):
                for start in range(0, size, self._window - self._overlap):
                    with view[start : start + self._window] as part:
                        yield from self._in_bytes(file, part)
                packed = bytes(view[:2]) == _GZIP
        if packed:
            yield from self._in_gzip(file)

    def _in_gzip(self, file: Path) -> Iterator[Hit]:
        tail = b""
        with gzip.open(file) as unpacked, suppress(gzip.BadGzipFile, EOFError):
            while block := unpacked.read(self._window):
                yield from self._in_bytes(file, tail + block)
                tail = (tail + block)[-self._overlap :] if self._overlap else b""

    def _in_bytes(self, file: Path, data: bytes | memoryview) -> list[Hit]:
        found: list[Hit] = []

        def take(pattern: int, *_: object) -> None:
            found.append(Hit(file, *self._meanings[pattern]))

        self._database.scan(cast("bytes", data), match_event_handler=take)
        return found


def files(folder: Path) -> Iterator[Path]:
    """Every file below a folder, or the file itself; symbolic links are not followed."""
    if folder.is_file():
        yield folder
        return
    for parent, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _forms(value: str) -> Iterator[tuple[str, bytes, int]]:
    """Form, pattern and flags of each form of a value."""
    for spelling in {value, value.lower(), value.upper()}:
        # _CASELESS knows the case of ASCII alone; for the rest there are the three spellings.
        if spelling == value or not value.isascii():
            yield "utf-8", spelling.encode(), _CASELESS
            yield "utf-16", spelling.encode("utf-16-le").removesuffix(b"\0"), _CASELESS
            yield "utf-16", spelling.encode("utf-16-be").removeprefix(b"\0"), _CASELESS
        yield "hex", spelling.encode().hex().encode(), _CASELESS
        if len(value) >= MIN_BASE64_CHARS:
            for pattern in _base64(spelling.encode()):
                yield "base64", pattern, _EXACT
    digits = value.replace("-", "")
    if len(digits) == 32:
        with suppress(ValueError):
            yield "packed", bytes.fromhex(digits), _EXACT


def _base64(plain: bytes) -> Iterator[bytes]:
    """What is sure of base64 text that holds the value, at each of the three offsets."""
    for offset in range(3):
        whole = b64encode(b"\0" * offset + plain)
        first = -(-offset * 8 // 6)
        last = (offset + len(plain)) * 8 // 6
        sure = whole[first:last]
        yield sure
        if b"+" in sure or b"/" in sure:
            yield sure.translate(bytes.maketrans(b"+/", b"-_"))


def _escaped(pattern: bytes) -> bytes:
    return b"".join(b"\\x%02x" % byte for byte in pattern)

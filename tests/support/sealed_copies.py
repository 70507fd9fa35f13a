"""Finds the copies of sealed values in any file, and tells which of them could still be opened.

A value keeps its nonce, and all that follows, through every rotation: by the
nonce each copy is found, under whichever epoch's key its data key is wrapped.

What it cannot see: a copy that is compressed, or cut within its first 77 bytes,
as Neo4j's store files cut long values into blocks. The logs of transactions
that lie beside those files have every value whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from profiles.sealing import OVERHEAD_BYTES, Sealer, Unreadable
from profiles.vault import KeyDestroyed
from tests.support.scan import files

_HEAD_BYTES = OVERHEAD_BYTES - 16
_NONCE_BYTES = 12


class SealedCopies:
    """Looks for these sealed values, which must hold something."""

    def __init__(self, sealed: Iterable[bytes]) -> None:
        found = [one for one in sealed if len(one) > OVERHEAD_BYTES]
        assert found, "a scan for nothing finds nothing"
        self._bodies = {
            one[_HEAD_BYTES - _NONCE_BYTES : _HEAD_BYTES]: one[_HEAD_BYTES:] for one in found
        }
        self._pattern = re.compile(b"|".join(map(re.escape, self._bodies)))

    def openable(self, sealer: Sealer, *places: Path) -> list[Path]:
        """The files at these places that hold a copy whose data key can be had, once each.

        Raises FileNotFoundError for a place that is not there.
        """
        found = []
        for place in places:
            if not place.exists():
                raise FileNotFoundError(place)
            found += [file for file in files(place) if self._is_openable(sealer, file)]
        return sorted(found)

    def _is_openable(self, sealer: Sealer, file: Path) -> bool:
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            return False
        return any(self._opens(sealer, head) for head in self._heads(content))

    def _heads(self, content: bytes) -> Iterator[bytes]:
        for nonce in self._pattern.finditer(content):
            yield content[max(nonce.end() - _HEAD_BYTES, 0) : nonce.end()]

    def _opens(self, sealer: Sealer, head: bytes) -> bool:
        """Whether the data key in front of a value can be had: then so can the value."""
        try:
            sealer.keeping(1).unwrap(head + self._bodies[head[-_NONCE_BYTES:]])
        except (Unreadable, KeyDestroyed):
            return False
        return True

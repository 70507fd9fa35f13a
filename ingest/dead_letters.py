"""The DeadLetters port: input that does not count, kept sealed until someone has looked at it.

Engines: a SQLite file (embedded default), a compacted Pulsar topic. Both run
one contract suite; each promise below has a test of the same name there.

Promises
--------
- *Durable.* What `keep` returned from survives kill -9.
- *Listed once.* The same input kept again, by a replay or because it was
  published twice, is one letter: the one kept last.
- *Sealed.* No engine sees anything of the input but what the letter says in
  the open: reason, field, the hint (which holds no value), source, and times.
- *Removed is gone.* A removed letter is listed no more, until it is kept again.
- *Goes back as a whole.* Which deletions were applied to the letters is kept with
  them: put back from a backup, they say what had been applied by then.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Protocol

from ingest.rejected import RULES

LetterId = str
"""26 characters of lower-case base32: a keyed digest of the input."""

_CONTEXT = b"dead-letter:"


class LettersError(Exception):
    """An operational failure of a store of dead letters.

    LettersError
    ├── LettersUnavailable  cannot be reached or written just now; retry later
    └── LettersDamaged      hold what this version cannot read
    """


class LettersUnavailable(LettersError):
    """The dead letters cannot be reached. Some of what was to be kept may be."""


class LettersDamaged(LettersError):
    """The dead letters hold what this version cannot read."""


OUTCOMES: Final[Mapping[str, str]] = {
    "outdone": "another content under the same source and signal id counts",
    "replaced": "another content under the same source and signal id counts from now on",
    "expired": "older than evidence of its kind is kept",
    "unexpected": "met a fault of the program",
}
"""Reasons that arise behind the checks of the input; `ingest.rejected.RULES` holds the others."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One input that does not count.

    - `reason`: a key of `ingest.rejected.RULES` or of `OUTCOMES`.
    - `field`: path of the field that is wrong, or "signal".
    - `hint`: the way out, without any value.
    - `source`: the signal's source; empty where the input does not say.
    - `form`: how to read it again: protobuf, json, segment, or ``mapping:NAME``.
    - `partition`, `position`, `received_us`: where it came from, and when.
    - `sealed`: the input; empty when it was no longer at hand.
    """

    id: LetterId
    reason: str
    field: str
    hint: str
    source: str
    form: str
    partition: str
    position: bytes
    received_us: int
    sealed: bytes

    def __str__(self) -> str:
        """One line for a person."""
        told = RULES.get(self.reason) or OUTCOMES.get(self.reason) or self.reason
        return f"{self.field}: {told}; {self.hint}" if self.hint else f"{self.field}: {told}"


class DeadLetters(Protocol):
    """Where dead letters rest. One object per thread."""

    def keep(self, letters: Sequence[DeadLetter]) -> None:
        """Keep letters; one of the same id is replaced. Returns when all are durable.

        Raises:
            LettersUnavailable: keep all of them again.
        """

    def all(self) -> Iterator[DeadLetter]:
        """Every letter, once, in the order in which they were received.

        Raises:
            LettersUnavailable: not all were given.
        """

    def find(self, letter: LetterId) -> DeadLetter | None:
        """The letter of an id; None when there is none.

        Raises:
            LettersUnavailable: try again.
        """

    def remove(self, letters: Iterable[DeadLetter]) -> None:
        """Remove letters, but not one that was kept anew since it was read. Returns when durable.

        Raises:
            LettersUnavailable: remove all of them again.
        """

    def rewrap(self, rewrap: Callable[[bytes], bytes]) -> int:
        """Put every sealed input through `rewrap`; how many came out changed, all durable.

        A letter removed or kept anew meanwhile stays so.

        Raises:
            LettersUnavailable: some may be done; do all of them again.
        """

    def applied(self) -> str:
        """Which deletions were applied to the letters, as `set_applied` was told last; "" at first.

        Raises:
            LettersUnavailable: try again.
        """

    def set_applied(self, deletions: str) -> None:
        """Put down which deletions were applied to the letters. Returns when durable.

        Raises:
            LettersUnavailable: do it again.
        """

    def close(self) -> None:
        """Release what is held. The object cannot be used afterwards."""


class Seals(Protocol):
    """Seals values and opens them again (`profiles.sealing`)."""

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """The sealed value."""

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """The value that was sealed for this context."""


class Envelopes:
    """Closes input into letters and opens them again; the key is the vault's order key."""

    def __init__(self, seals: Seals, order_key: bytes) -> None:
        self._seals = seals
        self._key = order_key[:64]

    def id_of(self, content: bytes) -> LetterId:
        """The letter's id: the same for the same input, and of no use to guess the input by."""
        digest = blake2b(content, digest_size=16, key=self._key, person=b"dead letter").digest()
        return base64.b32encode(digest).decode().rstrip("=").lower()

    def close(self, letter: LetterId, payload: bytes) -> bytes:
        """The input, sealed for this letter alone."""
        return self._seals.seal(payload, _CONTEXT + letter.encode())

    def open(self, letter: DeadLetter) -> bytes:
        """The input of a letter that holds one.

        Raises: as the sealer's `open`.
        """
        return self._seals.open(letter.sealed, _CONTEXT + letter.id.encode())

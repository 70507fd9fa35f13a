"""The audit log: what was decided, asked, exported and erased, provably in order and unchanged.

No personal data: people stand in it as tokens under a key of its own, so that
neither the graph's tokens nor an erased person's return can be matched with it
by anybody who lacks that key. What an entry says is purposes, yes and no,
sources and times.

Entries are canonical JSON; the list of them is a Merkle tree (`profiles.merkle`).
Whoever kept a size and root of it can have every later state proved to begin
with that very list.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

import orjson

from identity.model import NodeKey

_TOKEN_BYTES = 16


class AuditError(Exception):
    """An operational failure of an audit log.

    AuditError
    ├── AuditUnavailable  cannot be reached or stayed busy; nothing was appended
    └── AuditDamaged      is not a log, or another version wrote it
    """


class AuditUnavailable(AuditError):
    """The log cannot be reached or stayed busy. Nothing was appended."""


class AuditDamaged(AuditError):
    """What is there is not a log that this version can read."""


class Kind(StrEnum):
    """What an entry is about."""

    CONSENT = "consent"
    DECISION = "decision"
    RETRACTION = "retraction"
    REQUEST = "request"
    EXPORT = "export"
    ERASURE = "erasure"
    KEYS = "keys"
    LETTER = "letter"


@dataclass(frozen=True, slots=True)
class Event:
    """Something to be logged.

    - `once`: what makes it one and the same however often it is logged, for
      example the signal's key; it is logged as a token.
    - `by`: on whose word: a source, or a role of staff. Never a person's name.
    - `about`: nodes of those concerned, and signals as `signal:KEY`; logged as tokens.
    - `what`: plain facts without personal data, for example purposes.
    """

    kind: Kind
    once: str
    at_us: int
    by: str
    about: tuple[NodeKey, ...] = ()
    what: Mapping[str, str | int | bool] = field(default_factory=dict)


class Head(NamedTuple):
    """How many entries there are, and the root over them."""

    size: int
    root: bytes


class Proof(NamedTuple):
    """That an entry is in the list with this head: its place from 0, and the path to the root."""

    place: int
    entry: bytes
    head: Head
    path: tuple[bytes, ...]


class AuditLog(Protocol):
    """Where the log is kept.

    Promises
    --------
    - *Once.* An event logged again, in whatever order, changes nothing.
    - *Append only.* What was returned from stays as it is, in its place.
    - *Durable.* What a call returned from survives kill -9 and a power cut; a
      call that did not return appended all of its events or none.
    - *No personal data.* It holds tokens under its own key only.
    """

    def append(self, events: Sequence[Event]) -> int:
        """Log events, in one transaction; how many were new.

        Raises:
            AuditUnavailable: none of them was logged; call again.
        """

    def knows(self, kind: Kind, once: str) -> bool:
        """Whether an event of this kind is in the log that is recognised by `once`."""

    def head(self) -> Head:
        """Size and root now."""

    def entries(self, start: int = 0) -> Iterable[bytes]:
        """The entries from an index on, as they were hashed."""

    def inclusion(self, index: int, size: int | None = None) -> Proof:
        """The proof that an entry is among the first so many; by default all."""

    def consistency(self, old: int) -> tuple[bytes, ...]:
        """The proof that the list began with its first so many entries as they are."""

    def damaged_at(self) -> int | None:
        """The first index at which entries and kept hashes contradict each other; None: nowhere."""

    def close(self) -> None:
        """Release what is held."""


def token(key: bytes, said: str) -> str:
    """What stands for something in the log: a keyed hash, 32 hexadecimal digits."""
    return hmac.digest(key, said.encode(), sha256)[:_TOKEN_BYTES].hex()


def entry_of(event: Event, key: bytes) -> bytes:
    """An event as it is logged and hashed: canonical JSON, keys in order."""
    said: dict[str, Any] = {
        "kind": event.kind.value,
        "once": once_of(event, key),
        "at_us": event.at_us,
        "by": event.by,
        "about": sorted(token(key, "node\0" + node) for node in event.about),
        "what": dict(event.what),
    }
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)


def once_of(event: Event, key: bytes) -> str:
    """What an event is recognised by when it is logged again."""
    return named_once(event.kind, event.once, key)


def named_once(kind: Kind, once: str, key: bytes) -> str:
    """The same of an event that is not at hand."""
    return token(key, f"{kind.value}\0{once}")

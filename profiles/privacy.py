"""What becomes of a request in each store, and what an erasure came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from identity.scope import Scope
from profiles.requests import InStore


class Status(StrEnum):
    """How far a request is in one store (`profiles.requests.InStore`)."""

    PENDING = "pending"
    DONE = "done"
    PARTIAL = "partial"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure came to.

    - `scope`: what was erased; None when a former run had erased the person already.
    - `stores`: one entry for each registered store.
    - `recipients`: to whom exports that hold the person were handed; they are to be told.
    - `until_us`: nothing that happened up to then comes back; `suppressed`: nothing ever.
    - `unreadable_us`: from when on no copy can be read any more, wherever it lies: when the
      epoch's key in force now is destroyed. 0: no rotation is due.
    """

    request: str
    scope: Scope | None
    stores: Sequence[InStore]
    recipients: Sequence[str]
    until_us: int
    suppressed: bool
    unreadable_us: int = 0

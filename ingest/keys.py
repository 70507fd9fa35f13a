"""The keys that contributions are made under, and how they are made anew after a rotation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from identity.store import KeyAge


class Keys(Protocol):
    """The keys an intake and its envelopes use; one object per thread, like they."""

    def age(self) -> KeyAge:
        """How old they are."""

    def is_current(self) -> bool:
        """Whether nothing was rotated since; asks the vault."""

    def renew(self) -> Sequence[bytes]:
        """Use the vault's keys of now; gives the chain of token keys, oldest first."""


class Renewing(Protocol):
    """What makes contributions under keys that rotate (`ingest.intake.Intake`)."""

    def age(self) -> KeyAge:
        """How old the keys are under which contributions are made."""

    def look(self) -> None:
        """Renew the keys if they were rotated."""

    def renew(self) -> bool:
        """Use the keys of now and let go of all that was made with others; whether any was new."""

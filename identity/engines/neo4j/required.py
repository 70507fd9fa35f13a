"""How old keys may be for what is written, as the graph's own node says."""

from __future__ import annotations

from typing import NamedTuple

from identity.engines.neo4j.connection import Tx
from identity.store import KeyAge, StoreUnavailable

REQUIRED = "[coalesce(g.keys_epoch, 0), coalesce(g.keys_tokens, 0), coalesce(g.rekeying, false)]"
"""Columns of `Required`, of the node `g`."""


class Required(NamedTuple):
    """The oldest keys that are taken in, and whether nodes are being named anew just now."""

    epoch: int
    tokens: int
    rekeying: bool

    @property
    def keys(self) -> KeyAge:
        """The oldest keys that are taken in."""
        return KeyAge(self.epoch, self.tokens)

    def settled(self) -> None:
        """Nodes are not being named anew, so that whoever names one names it rightly.

        Raises:
            StoreUnavailable: they are; try again.
        """
        if self.rekeying:
            raise StoreUnavailable("nodes are being named anew under rotated keys")

    def admit(self, keys: KeyAge) -> None:
        """Take in what was made under these keys.

        Raises:
            Outdated, StoreUnavailable: as `KeyAge.admit`, and as `settled`.
        """
        self.settled()
        self.keys.admit(keys)


def read_required(tx: Tx) -> Required:
    """What is required now."""
    return Required(*tx.rows(f"MATCH (g:Graph) RETURN {REQUIRED}"))

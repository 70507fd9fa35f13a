"""The KeyVault port: where the keys rest that everything else is sealed and named with.

Engines: memory (reference), SQLite (embedded default). All run one contract
suite; each promise below has a test of the same name there.

Promises
--------
- *Keys stay.* A key once given out is given out again, to every process and
  after every restart, until it is destroyed.
- *Destroyed is gone.* After `destroy_epoch` no process can read the key, and no
  copy of it is left in what the engine keeps. What was sealed under it is
  unreadable from then on, wherever a copy of it lies.
- *Never zero epochs.* There is always a current epoch; it cannot be destroyed.
- *All agree.* A number put down by one process is what every process reads from
  then on; so whoever uses the keys knows how far their rotation is.

Keys hold 32 random bytes. Threads may share a vault.
"""

from __future__ import annotations

from typing import Protocol

KEY_BYTES = 32


class VaultError(Exception):
    """An operational failure of a key vault. Never holds a key.

    VaultError
    ├── VaultUnavailable  cannot be reached or stayed busy; retry later
    ├── VaultExposed      its files may be read by others; close them off, then start again
    ├── VaultDamaged      holds what cannot be read, or its root key is missing or another's
    └── KeyDestroyed      the epoch's key was destroyed, or never was
    """


class VaultUnavailable(VaultError):
    """The vault cannot be reached, or stayed busy past all retries."""


class VaultExposed(VaultError):
    """The vault's files may be read by other users than its owner."""


class VaultDamaged(VaultError):
    """The vault holds what cannot be read, or its root key is missing or of another vault."""


class KeyDestroyed(VaultError):
    """The epoch's key was destroyed, or there never was such an epoch."""


class KeyVault(Protocol):
    """Where keys rest. See the module for the promises."""

    def token_keys(self) -> tuple[bytes, ...]:
        """The chain of token keys, oldest first, at least one (`identity.tokens.Tokens`)."""

    def order_key(self) -> bytes:
        """The key of canonical order and of signal names; never rotates."""

    def audit_key(self) -> bytes:
        """The key of the audit log's tokens; never rotates, and opens nothing else."""

    def current_epoch(self) -> int:
        """The epoch under which to seal now: 1, 2, …"""

    def epoch_key(self, epoch: int) -> bytes:
        """The epoch's key, which wraps data keys.

        Raises:
            KeyDestroyed: it was destroyed, or never was.
        """

    def epochs(self) -> tuple[int, ...]:
        """Every epoch whose key still exists, oldest first; the last one is current."""

    def new_epoch(self) -> int:
        """Begin an epoch with a fresh key and return its number; the older ones stay readable."""

    def destroy_epoch(self, epoch: int) -> None:
        """Destroy an epoch's key for good; destroyed before: a no-op. Never the current one."""

    def new_token_key(self) -> int:
        """Lengthen the chain of token keys by a fresh one; how many there are now."""

    def agreed(self, name: str) -> int:
        """The number put down under a name; 0 at first."""

    def agree(self, name: str, number: int) -> None:
        """Put a number down under a name, for every process that uses these keys."""

    def close(self) -> None:
        """Release what is held. The vault cannot be used afterwards."""

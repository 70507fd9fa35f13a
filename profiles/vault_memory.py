"""The reference KeyVault: keys in memory, for tests and for what need not outlive the process."""

from __future__ import annotations

from collections.abc import Callable

from profiles.vault import KEY_BYTES, KeyDestroyed


class MemoryVault:
    """A KeyVault whose keys end with it. `random` gives as many random bytes as asked for."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._token_keys: tuple[bytes, ...] = (random(KEY_BYTES),)
        self._order_key = random(KEY_BYTES)
        self._epochs = {1: random(KEY_BYTES)}
        self._audit_key = random(KEY_BYTES)
        self._numbers: dict[str, int] = {}

    def token_keys(self) -> tuple[bytes, ...]:
        """See `KeyVault`."""
        return self._token_keys

    def order_key(self) -> bytes:
        """See `KeyVault`."""
        return self._order_key

    def audit_key(self) -> bytes:
        """See `KeyVault`."""
        return self._audit_key

    def current_epoch(self) -> int:
        """See `KeyVault`."""
        return max(self._epochs)

    def epoch_key(self, epoch: int) -> bytes:
        """See `KeyVault`."""
        key = self._epochs.get(epoch)
        if key is None:
            raise KeyDestroyed(f"the key of epoch {epoch} is destroyed or never was")
        return key

    def epochs(self) -> tuple[int, ...]:
        """See `KeyVault`."""
        return tuple(sorted(self._epochs))

    def new_epoch(self) -> int:
        """See `KeyVault`."""
        epoch = max(self._epochs) + 1
        self._epochs[epoch] = self._random(KEY_BYTES)
        return epoch

    def destroy_epoch(self, epoch: int) -> None:
        """See `KeyVault`."""
        assert epoch != self.current_epoch(), "begin a new epoch before destroying the current one"
        self._epochs.pop(epoch, None)

    def new_token_key(self) -> int:
        """See `KeyVault`."""
        self._token_keys += (self._random(KEY_BYTES),)
        return len(self._token_keys)

    def agreed(self, name: str) -> int:
        """See `KeyVault`."""
        return self._numbers.get(name, 0)

    def agree(self, name: str, number: int) -> None:
        """See `KeyVault`."""
        self._numbers[name] = number

    def close(self) -> None:
        """See `KeyVault`."""
        self._epochs = {}

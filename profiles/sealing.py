"""Sealing: personal values rest under a data key of their own, wrapped by an epoch's key.

A sealed value is, in bytes: version (1) | epoch (4, big-endian) | nonce of the
wrap (12) | wrapped data key (32 and a tag of 16) | nonce (12) | ciphertext and
a tag of 16, all AES-256-GCM (NIST SP 800-38D). The context is authenticated and
not kept: a value opens only where it was sealed for. Destroying the epoch's key
makes every copy of it unreadable.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from profiles.vault import KeyVault

_VERSION = 1
_HEAD = struct.Struct(">BI12s48s12s")
_PREFIX = struct.Struct(">BI")
_RANDOM_BYTES = 32 + 12 + 12
OVERHEAD_BYTES = _HEAD.size + 16
"""By how many bytes a sealed value is longer than what it holds."""


class Unreadable(Exception):
    """A sealed value cannot be opened: it was changed, moved, or never was one. Holds no value."""


class Sealer:
    """Seals and opens values; the epochs' keys are read from the vault once and kept in memory.

    `random` gives as many random bytes as asked for and must never repeat.
    After a new epoch, `renew` makes this sealer use it; older ones still open.
    Threads may share one.
    """

    __slots__ = ("_current", "_epoch", "_epochs", "_random", "_vault")

    def __init__(self, vault: KeyVault, random: Callable[[int], bytes]) -> None:
        self._vault = vault
        self._random = random
        self._epochs: dict[int, AESGCM] = {}
        self.renew()

    def renew(self) -> None:
        """Forget all keys and seal under the vault's current epoch from now on."""
        self._epochs.clear()
        self._epoch = self._vault.current_epoch()
        self._current = self._wrapper(self._epoch)

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """The value, sealed under a fresh data key; never the same bytes twice."""
        drawn = self._random(_RANDOM_BYTES)
        data_key, wrap_nonce, nonce = drawn[:32], drawn[32:44], drawn[44:]
        wrapped = self._current.encrypt(wrap_nonce, data_key, None)
        head = _HEAD.pack(_VERSION, self._epoch, wrap_nonce, wrapped, nonce)
        return head + AESGCM(data_key).encrypt(nonce, plaintext, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """What was sealed for this context.

        Raises:
            Unreadable: it was changed, sealed for another context, or is no sealed value.
            KeyDestroyed: its epoch's key is destroyed.
        """
        try:
            version, epoch, wrap_nonce, wrapped, nonce = _HEAD.unpack_from(sealed)
            if version != _VERSION:
                raise Unreadable(f"sealed by a version ({version}) that this one does not know")
            wrapper = self._epochs.get(epoch) or self._wrapper(epoch)
            data_key = AESGCM(wrapper.decrypt(wrap_nonce, wrapped, None))
            return data_key.decrypt(nonce, sealed[_HEAD.size :], context)
        except (InvalidTag, struct.error):
            raise Unreadable("a sealed value was changed, moved or cut") from None

    def rewrap(self, sealed: bytes) -> bytes:
        """The same sealed value with its data key wrapped by the current epoch's key.

        Raises: as `open`, for the wrapped key.
        """
        try:
            _, epoch, wrap_nonce, wrapped, nonce = _HEAD.unpack_from(sealed)
            wrapper = self._epochs.get(epoch) or self._wrapper(epoch)
            data_key = wrapper.decrypt(wrap_nonce, wrapped, None)
        except (InvalidTag, struct.error):
            raise Unreadable("a sealed value was changed, moved or cut") from None
        fresh = self._random(12)
        wrapped = self._current.encrypt(fresh, data_key, None)
        head = _HEAD.pack(_VERSION, self._epoch, fresh, wrapped, nonce)
        return head + sealed[_HEAD.size :]

    def _wrapper(self, epoch: int) -> AESGCM:
        wrapper = AESGCM(self._vault.epoch_key(epoch))
        self._epochs[epoch] = wrapper
        return wrapper


def epoch_of(sealed: bytes) -> int:
    """The epoch whose key wraps the value's data key.

    Raises:
        Unreadable: it is no sealed value.
    """
    if len(sealed) < OVERHEAD_BYTES:
        raise Unreadable("too short for a sealed value")
    _, epoch = _PREFIX.unpack_from(sealed)
    assert isinstance(epoch, int)
    return epoch

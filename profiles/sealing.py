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
_BODY_AT = _HEAD.size
_NONCE_AT = _BODY_AT - 12
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

    def look(self) -> None:
        """Renew if the epoch was rotated; asks the vault."""
        if self._vault.current_epoch() != self._epoch:
            self.renew()

    @property
    def epoch(self) -> int:
        """The epoch that is sealed under."""
        return self._epoch

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
        data_key = AESGCM(self._data_key(sealed))
        return _decrypt(data_key, sealed, context)

    def rewrap(self, sealed: bytes) -> bytes:
        """The same sealed value with its data key wrapped by the current epoch's key.

        The very same bytes where it is that already. Raises: as `open`, for the wrapped key.
        """
        if sealed.startswith(_PREFIX.pack(_VERSION, self._epoch)):
            return sealed
        data_key = self._data_key(sealed)
        fresh = self._random(12)
        wrapped = self._current.encrypt(fresh, data_key, None)
        prefix = _PREFIX.pack(_VERSION, self._epoch)
        return b"".join((prefix, fresh, wrapped, sealed[_NONCE_AT:]))

    def keeping(self, keys: int) -> KeptKeys:
        """An opener that keeps so many data keys unwrapped, for values opened again and again."""
        return KeptKeys(self._data_key, keys)

    def _data_key(self, sealed: bytes) -> bytes:
        try:
            version, epoch, wrap_nonce, wrapped, _ = _HEAD.unpack_from(sealed)
            if version != _VERSION:
                raise Unreadable(f"sealed by a version ({version}) that this one does not know")
            wrapper = self._epochs.get(epoch) or self._wrapper(epoch)
            return wrapper.decrypt(wrap_nonce, wrapped, None)
        except (InvalidTag, struct.error):
            raise Unreadable("a sealed value was changed, moved or cut") from None

    def _wrapper(self, epoch: int) -> AESGCM:
        wrapper = AESGCM(self._vault.epoch_key(epoch))
        self._epochs[epoch] = wrapper
        return wrapper


class KeptKeys:
    """Opens as its sealer does, and keeps the data keys last unwrapped, a bounded number.

    Call `forget` when an epoch's key was destroyed. Threads may share one.
    """

    __slots__ = ("_ciphers", "_data_key", "_most")

    def __init__(self, data_key: Callable[[bytes], bytes], most: int) -> None:
        self._data_key = data_key
        self._most = most
        self._ciphers: dict[bytes, AESGCM] = {}

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """What was sealed for this context. Raises: as `Sealer.open`."""
        cipher = self._ciphers.get(sealed[:_NONCE_AT])
        if cipher is None:
            cipher = self._keep(sealed)
        return _decrypt(cipher, sealed, context)

    def unwrap(self, sealed: bytes) -> None:
        """Open nothing, only see that its key is there. Raises: as `Sealer.open`, for the key."""
        if sealed[:_NONCE_AT] not in self._ciphers:
            self._keep(sealed)

    def _keep(self, sealed: bytes) -> AESGCM:
        cipher = AESGCM(self._data_key(sealed))
        if len(self._ciphers) >= self._most:
            self._ciphers.clear()
        self._ciphers[sealed[:_NONCE_AT]] = cipher
        return cipher

    def forget(self) -> None:
        """Let go of every key."""
        self._ciphers.clear()


def _decrypt(data_key: AESGCM, sealed: bytes, context: bytes) -> bytes:
    try:
        return data_key.decrypt(sealed[_NONCE_AT:_BODY_AT], sealed[_BODY_AT:], context)
    except InvalidTag:
        raise Unreadable("a sealed value was changed, moved or cut") from None


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

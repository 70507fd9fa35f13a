"""Keyed tokens: the names under which identifiers, records and signals enter the graph.

Nothing here can be turned back into a value without the keys.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence

from identity.model import RECORD_KIND, NodeKey

_BLOCK_BYTES = 64
_TOKEN_BYTES = 16


class _Keyed:
    """HMAC-SHA256 (RFC 2104) with the key's two blocks hashed once, beforehand.

    Gives what `hmac.digest` gives in a third of its time, which counts because
    every identifier of every signal passes through here.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        if len(key) > _BLOCK_BYTES:
            key = hashlib.sha256(key).digest()
        padded = key.ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))

    def digest(self, message: bytes) -> bytes:
        """32 bytes."""
        inner = self._inner.copy()
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()


class Tokens:
    """Turns a kind and a normalised value into the node that stands for it, always the same one.

    `token_keys` is the chain of token keys, oldest first: the first key is put
    over the value, every later one over the token before it, so that a rotation
    can wrap tokens whose values nobody has. `order_key` never rotates; what is
    made with it (`order`, `signal`, `record`, `cell`, `matching_key`) outlives every rotation.

    Keys hold 32 bytes or more. Objects are immutable: threads may share one.
    The usual mistake is passing a raw value: `identity.normalize` comes first.
    """

    __slots__ = ("_first", "_order", "_wraps")

    def __init__(self, token_keys: Sequence[bytes], order_key: bytes) -> None:
        assert token_keys, "a chain of token keys has at least one key"
        assert min(map(len, [*token_keys, order_key])) >= 32, "keys hold 32 bytes or more"
        self._first = _Keyed(token_keys[0])
        self._wraps = tuple(_Keyed(key) for key in token_keys[1:])
        self._order = _Keyed(order_key)

    def key(self, kind: str, normalised: str) -> NodeKey:
        """The node key: ``kind:token``, the token being 22 characters of base64url.

        token = HMAC-SHA256(first key, kind, NUL, value), cut to 16 bytes; then
        for every later key token = HMAC-SHA256(key, token), cut likewise.
        """
        token = self._first.digest(f"{kind}\0{normalised}".encode())[:_TOKEN_BYTES]
        for wrap in self._wraps:
            token = wrap.digest(token)[:_TOKEN_BYTES]
        return f"{kind}:{_text(token)}"

    @property
    def chain(self) -> int:
        """How many token keys there are: under which chain its keys are made."""
        return 1 + len(self._wraps)

    def forward(self, key: NodeKey, chain: int) -> NodeKey:
        """A node key made under the first so many token keys, as it is under all of them.

        Keys of records stay as they are.
        """
        return _wrapped(key, self._wraps[chain - 1 :])

    def order(self, kind: str, normalised: str) -> int:
        """63 bits by which canonical order goes: HMAC-SHA256(order key, kind, NUL, value)."""
        return _bits63(self._order.digest(f"{kind}\0{normalised}".encode()))

    def signal(self, source: str, signal_id: str) -> int:
        """63 bits that name a signal. A source holds no NUL, or two signals could share a name."""
        assert "\0" not in source, "validation refuses NUL in a source"
        return _bits63(self._order.digest(f"signal\0{source}\0{signal_id}".encode()))

    def record(self, source: str, signal_id: str) -> NodeKey:
        """The node key of the record a signal asserts: ``record:token``. Source as in `signal`."""
        assert "\0" not in source, "validation refuses NUL in a source"
        digest = self._order.digest(f"record\0{source}\0{signal_id}".encode())
        return f"{RECORD_KIND}:{_text(digest[:_TOKEN_BYTES])}"

    def cell(self, dimension: str, value: str) -> str:
        """22 characters of base64url for a value that activity counts, such as a network.

        HMAC-SHA256(order key, "cell", NUL, dimension, NUL, value), cut to 16
        bytes: what was counted needs no new name when token keys rotate.
        """
        return _text(self._order.digest(f"cell\0{dimension}\0{value}".encode())[:_TOKEN_BYTES])

    def matching_key(self) -> bytes:
        """The key of term tokens in match models, 32 bytes: HMAC-SHA256(order key, "matching").

        No other message under the order key is without NUL.
        """
        return self._order.digest(b"matching")


def rekeying(token_keys: Sequence[bytes]) -> Callable[[NodeKey], NodeKey]:
    """Node keys under a chain to node keys under the chain that these keys make longer.

    token = HMAC-SHA256(key, token), cut to 16 bytes, for one key after the
    other, as `Tokens.key` does. A record's key stays as it is.
    """
    wraps = tuple(_Keyed(key) for key in token_keys)
    return lambda key: _wrapped(key, wraps)


def _wrapped(key: NodeKey, wraps: Sequence[_Keyed]) -> NodeKey:
    """A node key under more token keys; a record's stays as it is."""
    kind, _, text = key.rpartition(":")
    if kind == RECORD_KIND:
        return key
    token = urlsafe_b64decode(text + "==")
    for wrap in wraps:
        token = wrap.digest(token)[:_TOKEN_BYTES]
    return f"{kind}:{_text(token)}"


def _text(token: bytes) -> str:
    return urlsafe_b64encode(token)[:22].decode("ascii")


def _bits63(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big") >> 1

"""Who calls, by certificate or token; one object for all methods of a server."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from math import inf
from threading import Lock
from typing import Final, NamedTuple, cast

import grpc

from profiles import issuers
from profiles.access import Access, Caller
from profiles.serve.quota import Quotas

_BEARER = "Bearer "
_DOTS = 2
_COMMON_NAME = "x509_common_name"
_NOBODY: Final = (None, 0.0)
MOST_KEPT: Final = 4_096


class _Held(NamedTuple):
    """Whom a signed token stands for, and until when, in seconds since 1970 UTC."""

    caller: Caller
    until_s: float


class Callers:
    """Tells who calls. Threads share one.

    `secured`: the server serves over TLS, so that who shows nothing is nobody.
    A token is sent as the metadata `authorization: Bearer TOKEN`; who sends one
    that is not known, or has expired, is nobody, whatever certificate they have.
    `now_s` gives seconds since 1970 UTC.

    A signature is checked when a token is first seen, its expiry with every call.
    Remembered are signed tokens that stand for a caller, at most `MOST_KEPT`, by
    their digests: no token rests here, and whoever is nobody takes no place.
    """

    __slots__ = ("_keeping", "_kept", "_reads_tokens", "access", "now_s", "quotas", "secured")

    def __init__(
        self,
        access: Access,
        *,
        secured: bool,
        quotas: Quotas | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.access = access
        self.secured = secured
        self.quotas = quotas or Quotas(access, time.monotonic)
        self.now_s = now_s
        self._reads_tokens = bool(access.by_token or access.by_signed)
        self._kept: dict[bytes, _Held] = {}
        self._keeping = Lock()

    @property
    def kept(self) -> int:
        """How many signed tokens are remembered."""
        return len(self._kept)

    def find(self, context: grpc.ServicerContext) -> Caller | None:
        """Who makes a call; None: nobody who is known."""
        if self._reads_tokens:
            for key, value in context.invocation_metadata():
                if key == "authorization":
                    return self._of(value)[0]
        if self.secured:
            return self._certified(context)
        return self.access.local

    def until_s(self, context: grpc.ServicerContext) -> float:
        """Until when who makes a call is who they are: their token's expiry, in seconds since 1970
        UTC, or for ever; 0 for nobody.
        """
        if self._reads_tokens:
            for key, value in context.invocation_metadata():
                if key == "authorization":
                    return self._of(value)[1]
        return inf

    def _of(self, value: str | bytes) -> tuple[Caller | None, float]:
        text = value if isinstance(value, str) else value.decode("ascii", "replace")
        if not text.startswith(_BEARER):
            return _NOBODY
        token = text.removeprefix(_BEARER)
        digest = sha256(token.encode()).digest()
        caller = self.access.by_token.get(digest)
        if caller is not None:
            return caller, inf
        held = self._kept.get(digest)
        if held is None or held.until_s <= self.now_s():
            held = self._read(token, digest)
        return held or _NOBODY

    def _read(self, token: str, digest: bytes) -> _Held | None:
        if not self.access.by_signed or token.count(".") != _DOTS:
            return None
        signed = issuers.read(token, self.access.issuers, self.now_s())
        caller = None if signed is None else self.access.by_signed.get(signed.caller)
        if signed is None or caller is None:
            return None
        held = _Held(caller, signed.expires_s)
        with self._keeping:
            if len(self._kept) >= MOST_KEPT:
                self._make_room()
            self._kept[digest] = held
        return held

    def _make_room(self) -> None:
        """Forget what has expired; where nothing has, everything: it is read again."""
        now_s = self.now_s()
        alive = {digest: held for digest, held in self._kept.items() if held.until_s > now_s}
        # Put in place whole: others look while this goes on.
        self._kept = alive if len(alive) < MOST_KEPT else {}

    def _certified(self, context: grpc.ServicerContext) -> Caller | None:
        named = self.access.by_certificate
        # The alternative names; all that a certificate says takes gRPC several times as long.
        for name in context.peer_identities() or ():
            caller = named.get(name)
            if caller is not None:
                return caller
        # A list of bytes each, whatever the stubs say.
        shown = cast("Mapping[str, list[bytes]]", context.auth_context())
        for name in shown.get(_COMMON_NAME, ()):
            caller = named.get(name)
            if caller is not None:
                return caller
        return None

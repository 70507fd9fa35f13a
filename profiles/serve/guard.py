"""Who calls, by certificate or token, and whether they may: looked at before any work is begun."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from math import inf
from typing import cast

import grpc

from identity.refused import Refused
from profiles import issuers
from profiles.access import METHODS, Access, Caller, Grant
from profiles.serve.errors import refuse
from profiles.serve.quota import Quotas

_UNKNOWN = refuse("CALLER_UNKNOWN")
_NOT_ALLOWED = refuse("NOT_ALLOWED")
_EXHAUSTED = refuse("QUOTA_EXHAUSTED")
_BEARER = "Bearer "
_TOKENS_KEPT = 4_096
_DOTS = 2
_REFUSED_S = 10.0
"""How long a signed token that was refused is not looked at again: it may not be valid yet."""
_COMMON_NAME = "x509_common_name"


class Guard:
    """Lets callers through to one method, or refuses them; compiled when the server is made.

    `secured`: the server serves over TLS, so that who shows nothing is nobody.
    A token is sent as the metadata `authorization: Bearer TOKEN`; who sends one
    that is not known, or has expired, is refused, whatever certificate they have.
    `now_s` gives seconds since 1970 UTC.
    """

    __slots__ = (
        "_access", "_grants", "_local", "_now_s", "_quotas", "_reads_tokens", "_secured", "_tokens",
    )  # fmt: skip

    def __init__(
        self,
        access: Access,
        method: str,
        *,
        secured: bool,
        quotas: Quotas | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._now_s = now_s
        assert method in METHODS, f"{method} has no access rule: add it to profiles.access.METHODS"
        self._access = access
        self._secured = secured
        self._quotas = quotas or Quotas(access, time.monotonic)
        self._grants: dict[str, Grant] = {}
        for caller in access.callers:
            grant = access.grant(caller, method)
            if grant is not None:
                self._grants[caller.name] = grant
        self._reads_tokens = bool(access.by_token or access.by_signed)
        self._tokens: dict[str, tuple[Caller | None, float]] = {}
        local = None if secured else access.local
        self._local = self._judged(local)

    def __call__(self, context: grpc.ServicerContext) -> Grant | Refused:
        """What the caller may see, or why it may not call; counts as one call of its quota."""
        grant = self._found(context)
        if isinstance(grant, Grant) and not self._quotas.take(grant.caller):
            return _EXHAUSTED
        return grant

    def _found(self, context: grpc.ServicerContext) -> Grant | Refused:
        if self._reads_tokens:
            for key, value in context.invocation_metadata():
                if key == "authorization":
                    return self._judged(self._held(value))
        if self._secured:
            return self._judged(self._certified(context))
        return self._local

    def _judged(self, caller: Caller | None) -> Grant | Refused:
        if caller is None:
            return _UNKNOWN
        return self._grants.get(caller.name, _NOT_ALLOWED)

    def _held(self, value: str | bytes) -> Caller | None:
        text = value if isinstance(value, str) else value.decode("ascii", "replace")
        known = self._tokens.get(text)
        if known is None or known[1] <= self._now_s():
            if len(self._tokens) >= _TOKENS_KEPT:
                self._tokens.clear()
            known = self._tokens[text] = self._read(text)
        return known[0]

    def _read(self, text: str) -> tuple[Caller | None, float]:
        """Whom a token stands for, and until when that need not be looked at again."""
        if not text.startswith(_BEARER):
            return None, inf
        token = text.removeprefix(_BEARER)
        caller = self._access.by_token.get(sha256(token.encode()).digest())
        if caller is not None or not self._access.by_signed or token.count(".") != _DOTS:
            return caller, inf
        now_s = self._now_s()
        signed = issuers.read(token, self._access.issuers, now_s)
        if signed is None:
            return None, now_s + _REFUSED_S
        return self._access.by_signed.get(signed.caller), signed.expires_s

    def _certified(self, context: grpc.ServicerContext) -> Caller | None:
        named = self._access.by_certificate
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

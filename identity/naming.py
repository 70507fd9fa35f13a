"""From an identifier as a caller knows it to the node that stands for it, as on the way in."""

from __future__ import annotations

from identity import normalize
from identity.forgetting import remembered
from identity.model import NodeKey
from identity.policy import IdentityPolicy
from identity.tokens import Tokens

_NAMES_CACHED = 16_384


class Naming:
    """Names identifiers for those who only ask: the same value gives the same node as in ingest.

    Keeps a bounded number of raw values in memory, since reading an e-mail
    address or a phone number takes longer than all the rest of a lookup; call
    `use` after a rotation of keys, and `identity.forgetting.forget_all` when
    somebody was erased. Threads may share one.
    """

    def __init__(self, policy: IdentityPolicy, tokens: Tokens, region: str | None = None) -> None:
        """`region` is the country (ISO 3166-1 alpha-2) of phone numbers given without one."""
        self._policy = policy
        self._tokens = tokens
        self._region = region
        self._cached = remembered(_NAMES_CACHED)(self._name)

    def use(self, tokens: Tokens) -> None:
        """Name with these tokens from now on, after a rotation of keys."""
        self._tokens = tokens
        self.forget()

    def __call__(self, kind: str, value: str) -> NodeKey | None:
        """The node; None when policy has no such kind, or the value is not one of it or blocked."""
        return self._cached(kind, value)

    def forget(self) -> None:
        """Empty the cache."""
        self._cached.cache_clear()

    def _name(self, kind: str, value: str) -> NodeKey | None:
        policy = self._policy.kind(kind)
        if policy is None or (kind.startswith("external") and not normalize.is_external(kind)):
            return None
        if policy.blocks(normalize.bare(kind, value)):
            return None
        form = normalize.identifier(kind, value, self._region)
        if isinstance(form, normalize.Unusable) or policy.blocks(form):
            return None
        return self._tokens.key(kind, form)

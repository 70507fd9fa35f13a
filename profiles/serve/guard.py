"""Whether who calls may call a method: looked at before any work is begun."""

from __future__ import annotations

from collections.abc import Callable

import grpc

from identity.refused import Refused
from profiles.access import METHODS, Grant
from profiles.serve.callers import Callers
from profiles.serve.errors import refuse

UNKNOWN = refuse("CALLER_UNKNOWN")
_NOT_ALLOWED = refuse("NOT_ALLOWED")
_EXHAUSTED = refuse("QUOTA_EXHAUSTED")


class Guard:
    """Lets callers through to one method, or refuses them; compiled when the server is made."""

    __slots__ = ("_callers", "_grants", "_quotas")

    def __init__(self, callers: Callers, method: str) -> None:
        assert method in METHODS, f"{method} has no access rule: add it to profiles.access.METHODS"
        self._callers = callers
        self._quotas = callers.quotas
        self._grants: dict[str, Grant] = {}
        for caller in callers.access.callers:
            grant = callers.access.grant(caller, method)
            if grant is not None:
                self._grants[caller.name] = grant

    def __call__(self, context: grpc.ServicerContext) -> Grant | Refused:
        """What the caller may see, or why it may not call; counts as one call of its quota."""
        caller = self._callers.find(context)
        if caller is None:
            return UNKNOWN
        grant = self._grants.get(caller.name, _NOT_ALLOWED)
        if isinstance(grant, Grant) and not self._quotas.take(grant.caller):
            return _EXHAUSTED
        return grant

    def lasting(self, context: grpc.ServicerContext) -> Callable[[], bool]:
        """For a call that goes on: whether its caller is known still, told at any moment. A clock
        and a comparison, no more; it takes nothing of a quota.
        """
        now_s, until_s = self._callers.now_s, self._callers.until_s(context)
        return lambda: now_s() < until_s

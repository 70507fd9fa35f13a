"""Callers for tests: one who may do everything, however they are known."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from profiles.access import Access, Caller, Grant, unlimited
from profiles.purposes import PurposePolicy
from tests.support.profile_parts import profile_policy

TOKEN = "a token of nobody's but this test's"  # noqa: S105 - it opens nothing
CERTIFIED = "caller"
"""The name in a certificate that this access knows."""
BEARER = (("authorization", f"Bearer {TOKEN}"),)


def access_to_all(policy: PurposePolicy | None = None) -> Access:
    """Everything for the local caller, for a certificate and for a token."""
    (local,) = unlimited(policy or profile_policy().purposes).callers
    digest = sha256(TOKEN.encode()).hexdigest()
    engine = replace(_called("engine", local), certificate=CERTIFIED)
    holder = replace(_called("holder", local), token_sha256=digest)
    return Access((local, engine, holder))


def _called(name: str, caller: Caller) -> Caller:
    return replace(caller, name=name, grant=caller.grant._replace(caller=name))


ACCESS = access_to_all()
EVERYTHING: Grant = ACCESS.callers[0].grant


def limited(grant: Grant, *may: str) -> Access:
    """Access for the local caller alone, with this grant."""
    return Access((Caller("local", grant, frozenset(may)),))

"""Signed tokens: whom they stand for, and every way in which they stand for nobody."""

from __future__ import annotations

import gc
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from identity.refused import Refused
from profiles import access, issuers
from profiles.access import Grant
from profiles.serve import callers as serve_callers
from profiles.serve.callers import Callers
from profiles.serve.guard import Guard
from tests.support.profile_parts import profile_policy
from tests.support.signed_tokens import CLAIMS, ED, NOW_S, OTHER, RSA, document, signed

GET = "profiles.v1.ProfileService/GetProfile"


@dataclass
class Calling:
    """A call with this token."""

    token: str

    def invocation_metadata(self) -> list[tuple[str, str]]:
        """As gRPC gives it."""
        return [("authorization", f"Bearer {self.token}")]


class Clock:
    """Seconds since 1970 UTC, as a test says."""

    now_s = NOW_S

    def __call__(self) -> float:
        """The time."""
        return self.now_s


def guard(told: dict[str, Any], clock: Clock) -> Guard:
    """What guards GetProfile of a server over TLS."""
    return Guard(callers(told, clock), GET)


def callers(told: dict[str, Any], clock: Clock) -> Callers:
    """Who calls a server over TLS."""
    found = access.parse(told, profile_policy().purposes)
    return Callers(found, secured=True, now_s=clock)


def caller(told: dict[str, Any], token: str) -> str:
    """Who calls with this token, or why nobody does."""
    found = guard(told, Clock())(Calling(token))  # type: ignore[arg-type]  # all it asks for
    return found.reason if isinstance(found, Refused) else found.caller


def test_a_token_stands_for_its_caller() -> None:
    """Of either algorithm, by any of the issuer's keys, for any audience among which ours is."""
    told = document("EdDSA", OTHER, ED)
    assert access.verify(told) == []
    assert caller(told, signed()) == "engine"
    assert caller(told, signed(OTHER)) == "engine"
    assert caller(told, signed(aud=["shop", "kinfold"])) == "engine"
    assert caller(told, signed(nbf=NOW_S - 5, iat=NOW_S - 5)) == "engine"
    told = document("RS256", RSA)
    assert access.verify(told) == []
    assert caller(told, signed(RSA, "RS256")) == "engine"


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://login.example.com"},
        {"aud": "shop"},
        {"sub": "engine-2"},
        {"sub": ""},
        {"exp": NOW_S},
        {"exp": NOW_S - 1},
        {"exp": "soon"},
        {"nbf": NOW_S + 120},
        {"iss": None},
        {"aud": None},
        {"sub": None},
        {"exp": None},
    ],
)
def test_a_claim_that_is_wrong_or_missing_stands_for_nobody(change: dict[str, Any]) -> None:
    """Issuer, audience, subject and expiry are all looked at, and all must be there."""
    claims = {name: of for name, of in {**CLAIMS, **change}.items() if of is not None}
    body = urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    head = urlsafe_b64encode(b'{"alg":"EdDSA","typ":"JWT"}').rstrip(b"=")
    seal = urlsafe_b64encode(ED.sign(head + b"." + body)).rstrip(b"=")
    token = b".".join((head, body, seal)).decode()
    assert caller(document(), token) == "CALLER_UNKNOWN"


def test_no_other_signature_stands_for_anybody() -> None:
    """Another's key, none at all, the public key as a secret, another algorithm, a changed body."""
    told = document("RS256", RSA)
    whole = signed(RSA, "RS256")
    head, body, seal = whole.split(".")
    none = urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    hmac = urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=").decode()
    elliptic = ec.generate_private_key(ec.SECP256R1())
    for token in (
        signed(),
        signed(rsa.generate_private_key(65_537, 2_048), "RS256"),
        signed(RSA, "PS256"),
        signed(elliptic, "ES256"),
        f"{none}.{body}.",
        f"{hmac}.{body}.{seal}",
        f"{head}.{body}.",
        f"{head}.{body[:-4]}AAAA.{seal}",
        f"{head}.{body}.{seal[:-4]}AAAA",
        "..",
        "a.b.c",
        whole + "." + seal,
        "x" * 100_000 + ".y.z",
    ):
        assert caller(told, token) == "CALLER_UNKNOWN"


def test_a_token_expires_while_it_is_in_use() -> None:
    """Read once and remembered, it is refused all the same from the second on in which it ends; one
    that was not valid yet is let in soon after it is.
    """
    clock = Clock()
    judge, early = guard(document(), clock), signed(nbf=NOW_S + 65)
    calling: Any = Calling(signed())
    assert isinstance(judge(calling), Grant)
    assert isinstance(judge(Calling(early)), Refused)  # type: ignore[arg-type]  # all it asks for
    clock.now_s += 20
    assert isinstance(judge(Calling(early)), Grant)  # type: ignore[arg-type]
    holds = judge.lasting(calling)
    clock.now_s = NOW_S + 599.9
    assert isinstance(judge(calling), Grant)
    assert holds()
    clock.now_s = NOW_S + 600
    assert isinstance(judge(calling), Refused)
    assert not holds()
    assert not judge.lasting(calling)()


def test_no_token_rests_and_nobody_takes_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """All methods share what is remembered, digests of tokens of callers alone: no rubbish, however
    much of it comes, and nothing for ever.
    """
    monkeypatch.setattr(serve_callers, "MOST_KEPT", 3)
    clock = Clock()
    known = callers(document(), clock)
    get, batch = Guard(known, GET), Guard(known, "profiles.v1.ProfileService/BatchGetProfiles")
    token = signed()
    for judge in (get, batch, get):
        assert isinstance(judge(Calling(token)), Grant)  # type: ignore[arg-type]
    assert known.kept == 1
    rubbish = ("x", "a.b.c", token[:-4] + "AAAA", signed(OTHER), signed(sub="engine-2"), "")
    for one in (*rubbish, *(f"{number}.b.c" for number in range(10))):
        assert isinstance(get(Calling(one)), Refused)  # type: ignore[arg-type]
    assert known.kept == 1
    assert not any(token in str(found) for found in _reachable(known))
    for number in range(20):
        clock.now_s += 1
        fresh = signed(exp=clock.now_s + 2.5, jti=str(number))
        assert isinstance(get(Calling(fresh)), Grant)  # type: ignore[arg-type]
        assert known.kept <= 3
    clock.now_s = NOW_S + 600
    assert isinstance(get(Calling(token)), Refused)  # type: ignore[arg-type]


def _reachable(root: object) -> list[object]:
    """Every text and every run of bytes that an object holds on to."""
    seen: dict[int, object] = {}
    waiting = [root]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type | ModuleType):
            continue
        seen[id(one)] = one
        waiting += gc.get_referents(one)
    return [one for one in seen.values() if isinstance(one, str | bytes)]


def test_every_mistake_is_told_at_once_with_its_key() -> None:
    """One reading shows all there is to mend."""
    small = rsa.generate_private_key(65_537, 1_024)  # noqa: S505 - it must be refused
    told = document("RS256", ED, small)
    told["issuers"]["login"] |= {"issuer": "", "colour": "red"}
    told["issuers"] |= {"flat": 3, "none": {"algorithm": "none"}, "bare": {"algorithm": "EdDSA"}}
    told["callers"] |= {"a": {"signed": "login"}, "b": {"signed": "nobody:x"}}
    told["callers"]["c"] = {"signed": "login:engine-1"}
    assert {problem.partition(": ")[0] for problem in access.verify(told)} == {
        "issuers.login.issuer",
        "issuers.login.colour",
        "issuers.login.keys[0]",
        "issuers.login.keys[1]",
        "issuers.flat",
        "issuers.none.issuer",
        "issuers.none.audience",
        "issuers.none.algorithm",
        "issuers.bare.issuer",
        "issuers.bare.audience",
        "issuers.bare.keys",
        "callers.a.signed",
        "callers.b.signed",
        "callers.c.signed",
    }
    assert issuers.verify({"issuers": []}) == [
        "issuers: must be tables, for example [issuers.login]"
    ]

"""Signed tokens: whom they stand for, and every way in which they stand for nobody."""

from __future__ import annotations

import json
import tomllib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from identity.refused import Refused
from profiles import access, issuers
from profiles.access import Grant
from profiles.serve.guard import Guard
from tests.support.profile_parts import POLICY, profile_policy

NOW_S = 1_790_000_000.0
GET = "profiles.v1.ProfileService/GetProfile"
CLAIMS: dict[str, Any] = {
    "iss": "https://login.example.org",
    "aud": "kinfold",
    "sub": "engine-1",
    "exp": NOW_S + 600,
}
ED, OTHER = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
RSA = rsa.generate_private_key(65_537, 2_048)


def pem(key: Any) -> str:
    """The public half of a key."""
    return str(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    )


def document(algorithm: str = "EdDSA", *keys: Any) -> dict[str, Any]:
    """A policy with one issuer and a caller that it signs for."""
    text = f"""
[issuers.login]
issuer = "https://login.example.org"
audience = "kinfold"
algorithm = "{algorithm}"
keys = {json.dumps([pem(key) for key in keys or (ED,)])}
[callers.engine]
signed = "login:engine-1"
may = ["reads profiles"]
"""
    return {"purposes": POLICY["purposes"], **tomllib.loads(text)}


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
    found = access.parse(told, profile_policy().purposes)
    return Guard(found, GET, secured=True, now_s=clock)


def caller(told: dict[str, Any], token: str) -> str:
    """Who calls with this token, or why nobody does."""
    found = guard(told, Clock())(Calling(token))  # type: ignore[arg-type]  # all it asks for
    return found.reason if isinstance(found, Refused) else found.caller


def signed(key: Any = ED, algorithm: str = "EdDSA", **change: Any) -> str:
    """A token with these claims; None leaves one out."""
    claims = {name: of for name, of in {**CLAIMS, **change}.items() if of is not None}
    return jwt.encode(claims, key, algorithm)


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
    clock.now_s = NOW_S + 599.9
    assert isinstance(judge(calling), Grant)
    clock.now_s = NOW_S + 600
    assert isinstance(judge(calling), Refused)


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

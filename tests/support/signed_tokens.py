"""An issuer of signed tokens, and the policy of a caller that it signs for."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.profile_parts import POLICY

NOW_S = 1_790_000_000.0
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


def signed(key: Any = ED, algorithm: str = "EdDSA", **change: Any) -> str:
    """A token with these claims; None leaves one out."""
    claims = {name: of for name, of in {**CLAIMS, **change}.items() if of is not None}
    return jwt.encode(claims, key, algorithm)

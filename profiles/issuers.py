"""Who signs tokens of callers: issuers and their public keys, from the policy's `[issuers.NAME]`.

A token is a JSON Web Token (RFC 7519), signed with EdDSA or RS256. It must name
its issuer, this audience, a subject and when it expires; which algorithm it may
be signed with says the policy, never the token (RFC 8725, 2.1 and 3.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from identity.nearest import unknown

PublicKey = Ed25519PublicKey | RSAPublicKey
ALGORITHMS: Final[Mapping[str, type[PublicKey]]] = {
    "EdDSA": Ed25519PublicKey,
    "RS256": RSAPublicKey,
}
_KEYS: Final = ("issuer", "audience", "algorithm", "keys")
_RSA_BITS: Final = 2_048
_MOST_CHARS: Final = 8_192
_REQUIRED: Final = ["exp", "iss", "aud", "sub"]
_LEEWAY_S: Final = 60
"""By so much clocks may differ for a token that is not valid yet; none for one that has expired."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """One issuer. `issuer` and `audience` are what its tokens say; any of `keys` signed them."""

    name: str
    issuer: str
    audience: str
    algorithm: str
    keys: tuple[PublicKey, ...]


class Signed(NamedTuple):
    """Whom a token stands for, as `NAME:SUBJECT`, and until when, in seconds since 1970 UTC."""

    caller: str
    expires_s: float


def read(token: str, issuers: Iterable[Issuer], now_s: float) -> Signed | None:
    """Whom a token stands for; None: nobody, for whatever reason."""
    if len(token) > _MOST_CHARS:
        return None
    for issuer in issuers:
        for key in issuer.keys:
            claims = _claims(token, issuer, key)
            if claims is not None:
                return _judged(issuer, claims, now_s)
    return None


def _claims(token: str, issuer: Issuer, key: PublicKey) -> dict[str, Any] | None:
    # Times are judged below, by the clock that is passed in.
    options: Any = {
        "require": _REQUIRED, "verify_exp": False, "verify_nbf": False, "verify_iat": False,
    }  # fmt: skip
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[issuer.algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            options=options,
        )
    except jwt.PyJWTError:
        return None
    return claims


def _judged(issuer: Issuer, claims: Mapping[str, Any], now_s: float) -> Signed | None:
    expires_s, subject = claims["exp"], claims["sub"]
    since_s = claims.get("nbf", 0)
    if not _is_time(expires_s) or not _is_time(since_s) or not isinstance(subject, str):
        return None
    if not since_s - _LEEWAY_S <= now_s < expires_s or not subject:
        return None
    return Signed(f"{issuer.name}:{subject}", float(expires_s))


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def verify(document: Mapping[str, Any]) -> list[str]:
    """Every problem of the document's issuers, each naming its key; [] when sound."""
    issuers = document.get("issuers", {})
    if not isinstance(issuers, Mapping):
        return ["issuers: must be tables, for example [issuers.login]"]
    problems = []
    for name, body in issuers.items():
        where = f"issuers.{name}"
        if not isinstance(body, Mapping):
            problems.append(f"{where}: must be a table with {', '.join(_KEYS)}")
            continue
        problems += [unknown(f"{where}.{key}", key, _KEYS) for key in body if key not in _KEYS]
        problems += [
            f"{where}.{key}: missing; say what its tokens say"
            for key in ("issuer", "audience")
            if not isinstance(body.get(key), str) or not body[key]
        ]
        problems += _key_problems(where, body)
    return problems


def _key_problems(where: str, body: Mapping[str, Any]) -> list[str]:
    wanted = ALGORITHMS.get(str(body.get("algorithm")))
    if wanted is None:
        return [f"{where}.algorithm: must be one of {', '.join(ALGORITHMS)}"]
    keys = body.get("keys")
    if not isinstance(keys, list) or not keys:
        return [f"{where}.keys: name at least one public key, in PEM"]
    problems = []
    for place, text in enumerate(keys):
        key = _key(text)
        if not isinstance(key, wanted):
            problems.append(f"{where}.keys[{place}]: not a public key for {body['algorithm']}")
        elif isinstance(key, RSAPublicKey) and key.key_size < _RSA_BITS:
            problems.append(f"{where}.keys[{place}]: must have {_RSA_BITS} bits or more")
    return problems


def _key(text: object) -> object:
    try:
        return load_pem_public_key(str(text).encode())
    except (ValueError, UnsupportedAlgorithm):
        return None


def parse(document: Mapping[str, Any]) -> tuple[Issuer, ...]:
    """The issuers of a document in which `verify` found nothing."""
    return tuple(
        Issuer(
            name,
            body["issuer"],
            body["audience"],
            body["algorithm"],
            tuple(_public(text) for text in body["keys"]),
        )
        for name, body in document.get("issuers", {}).items()
    )


def _public(text: str) -> PublicKey:
    key = _key(text)
    assert isinstance(key, Ed25519PublicKey | RSAPublicKey), "its document was verified"
    return key

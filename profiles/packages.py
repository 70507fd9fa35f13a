"""Packages of everything held about somebody: sealed under a key in two halves, one kept here.

A package is, in bytes: the magic line | nonce (12) | AES-256-GCM of a ZIP of its
files and a tag of 16 (NIST SP 800-38D), with the magic line and the request's
id as associated data. Its key is HKDF-SHA256 (RFC 5869) of the half that is told
once, 160 bits, and of the half that rests in the request store, 256 bits. When
that one is destroyed, no copy of the package can be opened any more.
"""

from __future__ import annotations

import io
import zipfile
from base64 import b32decode, b32encode
from binascii import Error as NotBase32
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC: Final = b"kinfold package 1\n"
_NONCE_BYTES: Final = 12
_TOLD_BYTES: Final = 20
_KEPT_BYTES: Final = 32
_GROUP: Final = 4
_DATED: Final = (1980, 1, 1, 0, 0, 0)


class Package(NamedTuple):
    """A sealed package, the key that is told once, and the half that is kept."""

    sealed: bytes
    key: str
    half: bytes


def seal(files: Mapping[str, bytes], request: str, random: Callable[[int], bytes]) -> Package:
    """Seal files for a request; `random` gives as many random bytes as asked for."""
    told, half, nonce = random(_TOLD_BYTES), random(_KEPT_BYTES), random(_NONCE_BYTES)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(zipfile.ZipInfo(name, _DATED), body, zipfile.ZIP_DEFLATED)
    sealed = _cipher(told, half).encrypt(nonce, packed.getvalue(), _context(request))
    return Package(MAGIC + nonce + sealed, _as_text(told), half)


def opened(package: bytes, request: str, key: str, half: bytes) -> dict[str, bytes] | None:
    """The files of a package; None: another key, another request's, changed, or none at all."""
    told = _as_bytes(key)
    if told is None or not package.startswith(MAGIC):
        return None
    nonce, body = package[len(MAGIC) :][:_NONCE_BYTES], package[len(MAGIC) + _NONCE_BYTES :]
    try:
        packed = _cipher(told, half).decrypt(nonce, body, _context(request))
    except (InvalidTag, ValueError):
        return None
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _cipher(told: bytes, half: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, half, b"kinfold package").derive(told))


def _context(request: str) -> bytes:
    return MAGIC + request.encode()


def _as_text(told: bytes) -> str:
    text = b32encode(told).decode()
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))


def _as_bytes(key: str) -> bytes | None:
    text = "".join(key.split()).replace("-", "").upper()
    try:
        told = b32decode(text)
    except (NotBase32, ValueError):
        return None
    return told if len(told) == _TOLD_BYTES else None

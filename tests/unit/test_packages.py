"""Packages open with both halves of their key and for their own request, else not at all."""

from __future__ import annotations

import random

import pytest

from profiles import packages

FILES = {"report.json": b'{"given_name": "Ana"}' * 50, "report.html": b"<p>Ana</p>"}
DRAWN = random.Random(3)


@pytest.fixture
def package() -> packages.Package:
    """One for request r-1."""
    return packages.seal(FILES, "r-1", DRAWN.randbytes)


def test_it_opens_with_both_halves(package: packages.Package) -> None:
    """However the key is written; what comes out is what went in."""
    for key in (package.key, package.key.lower(), package.key.replace("-", " ")):
        assert packages.opened(package.sealed, "r-1", key, package.half) == FILES
    assert b"Ana" not in package.sealed
    assert b"report" not in package.sealed


def test_it_opens_in_no_other_way(package: packages.Package) -> None:
    """Not with another half, for another request, cut short, or when it is no package."""
    other = packages.seal(FILES, "r-1", DRAWN.randbytes)
    sealed, key, half = package
    for tried in (
        (sealed, "r-1", other.key, half),
        (sealed, "r-1", key, other.half),
        (sealed, "r-2", key, half),
        (sealed[:-1], "r-1", key, half),
        (sealed[:20], "r-1", key, half),
        (b"PK" + sealed, "r-1", key, half),
        (b"", "r-1", key, half),
        (sealed, "r-1", "", half),
        (sealed, "r-1", "no key at all!", half),
        (sealed, "r-1", key[:-5], half),
    ):
        assert packages.opened(*tried) is None


def test_no_bit_can_be_changed(package: packages.Package) -> None:
    """Whichever bit of it is turned, it does not open."""
    for at in DRAWN.sample(range(len(package.sealed) * 8), 60):
        changed = bytearray(package.sealed)
        changed[at // 8] ^= 1 << at % 8
        assert packages.opened(bytes(changed), "r-1", package.key, package.half) is None

"""Term frequencies as match weight: what agreeing in a rare value says beyond agreeing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from hashlib import blake2b

from identity.matching.comparisons import SAME, Comparison
from identity.matching.model import MBITS

SAME_HOUSEHOLD = "same_household"
"""Surname and address at once, as if it were one comparison."""
_RAREST, _COMMONEST = 8 * MBITS, -6 * MBITS
"""Bounds on what a rare or common value adds, in thousandths of a bit."""


def divisors(comparison: Comparison) -> tuple[int, ...]:
    """By level: 0 where rarity says nothing, else what it is divided by."""
    return tuple(
        0 if level not in comparison.rare else 1 if level == SAME else 2
        for level in range(len(comparison.levels))
    )


def absorbed_places(place: Mapping[str, int]) -> list[tuple[int, int]]:
    """Comparisons whose rarity says nothing once another agrees: (silenced, by which)."""
    pairs = (
        ("family", "household"),
        ("household", "family"),
        ("postcode", "household"),
        ("birth_place", "postcode"),
        ("city", "postcode"),
    )
    return [(place[one], place[by]) for one, by in pairs if one in place and by in place]


def household_agreement(family: int, address: int) -> int:
    """Coarse agreement in surname and address at once; 0 when either is missing."""
    if not family or not address:
        return 0
    return 1 if family == address == SAME else 3


def rarity_mbits(expected: float, frequency: float) -> int:
    """What agreeing in a value of this frequency adds to agreeing in any."""
    return max(_COMMONEST, min(_RAREST, round(MBITS * math.log2(expected / frequency))))


def term_token(key: bytes, comparison: str, term: str) -> str:
    """The keyed token of a term; 12 hexadecimal digits."""
    return blake2b(f"{comparison}\0{term}".encode(), key=key, digest_size=6).hexdigest()

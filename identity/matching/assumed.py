"""Weights of comparisons that no record trained on had: others may have them.

Documents, phones and e-mail decide so much that a model which left them out
would be blind. Their shares here are set by hand, on the careful side: a phone
may be a family's, passports and licences are renewed.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from identity.matching import attributes
from identity.matching.choosing import BOUND
from identity.matching.keys import Rule
from identity.matching.model import MBITS, Blocking, Weights

_RENEWED = (1.0, 0.75, 0.03, 0.02, 0.2), (1.0, 1e-5, 1e-4, 1e-3, 0.99889)
_SHARES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    attributes.EMAIL: (
        (1.0, 0.6, 0.06, 0.04, 0.03, 0.1, 0.17),
        (1.0, 1e-4, 1e-4, 1e-3, 1e-2, 0.1, 0.8888),
    ),
    attributes.PHONE: (
        (1.0, 0.6, 0.03, 0.02, 0.002, 0.348),
        (1.0, 1e-3, 1e-3, 2e-3, 2e-3, 0.994),
    ),
    attributes.NATIONAL_ID: ((1.0, 0.92, 0.05, 0.02, 0.01), (1.0, 1e-5, 1e-4, 1e-3, 0.99889)),
    attributes.PASSPORT: _RENEWED,
    attributes.LICENCE: _RENEWED,
}
"""By comparison, m and u by level."""


def weights(known: Collection[str]) -> list[Weights]:
    """Weights of those comparisons that are not known."""
    return [
        Weights(name, m, u, tuple(_mbits(*pair) for pair in zip(m, u, strict=True)))
        for name, (m, u) in _SHARES.items()
        if name not in known
    ]


def rules(known: Collection[str], chosen: Collection[Rule]) -> list[Blocking]:
    """The blocking rules of those comparisons."""
    return [
        Blocking((name,), BOUND, 0, 0.0)
        for name in _SHARES
        if name not in known and (name,) not in chosen
    ]


def _mbits(m: float, u: float) -> int:
    return round(MBITS * math.log2(m / u))

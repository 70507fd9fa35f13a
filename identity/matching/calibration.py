"""Probabilities that mean what they say: from match weights, without labels.

The people that clustering finds use each record's whole company, which no
single pair knows. How often pairs of a weight end up in one person is what
the weight's probability is read from, kept from falling by pooling adjacent
violators (Ayer et al., 1955).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from identity.matching.bulk import Floats

_BINS = 60
_FAR_BITS = 25.0
_LEAST = 1e-5


def calibrate(bits: Floats, together: NDArray[np.bool_]) -> tuple[tuple[int, float], ...]:
    """Points (thousandths of a bit, probability), rising in both, at most about sixty.

    `together`: whether the pair's records ended in one person.
    """
    clipped = np.clip(bits, -_FAR_BITS, _FAR_BITS)
    order = np.argsort(clipped, kind="stable")
    bins = [b for b in np.array_split(order, min(_BINS, max(1, len(order) // 20))) if len(b)]
    if not bins:
        return ((-1000, 1 / 3), (1000, 2 / 3))
    centres = [float(clipped[b].mean()) for b in bins]
    shares = _rising([float(together[b].sum()) for b in bins], [float(len(b)) for b in bins])
    points: dict[int, float] = {}
    for centre, share in zip(centres, shares, strict=True):
        points[round(centre * 1000)] = min(1 - _LEAST, max(_LEAST, share))
    return tuple(sorted(points.items()))


def _rising(hits: list[float], sizes: list[float]) -> list[float]:
    """The shares nearest to hits / sizes that never fall."""
    blocks: list[list[float]] = []
    for hit, size in zip(hits, sizes, strict=True):
        blocks.append([hit, size, 1])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            hit_last, size_last, count = blocks.pop()
            blocks[-1][0] += hit_last
            blocks[-1][1] += size_last
            blocks[-1][2] += count
    return [hit / size for hit, size, count in blocks for _ in range(int(count))]

"""Where the sections of a stored profile lie, first what each is, then how long each is; and which
of them are shown.

What the sections are (field of Profile, purposes) is the same for many people,
and how long they are is not; so whoever reads may remember a choice among
sections by the first part alone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

Place = tuple[int, int]
"""Which section: the field's number in Profile, the bits of the purposes it may serve."""

_PLACE = struct.Struct("<BQ")
_LENGTH_BYTES = 4
_SECTION_BYTES = _PLACE.size + _LENGTH_BYTES


class Choice(NamedTuple):
    """Which sections of a shape are shown.

    - `runs`: first and one past the last of neighbours; None: all sections.
    - `withheld`: bits of the fields of which something is withheld.
    """

    runs: tuple[tuple[int, int], ...] | None
    withheld: int


def layout_of(sections: Mapping[Place, bytes]) -> bytes:
    """The layout of these sections, which lie behind each other in this order."""
    shape = b"".join([_PLACE.pack(*place) for place in sections])
    return shape + _lengths(len(sections)).pack(*map(len, sections.values()))


def shape_of(layout: bytes) -> bytes:
    """What the sections are, without their lengths."""
    return layout[: len(layout) // _SECTION_BYTES * _PLACE.size]


def places(shape: bytes) -> Iterator[Place]:
    """What each section is, in order."""
    return _PLACE.iter_unpack(shape)


def bounds(layout: bytes) -> list[int]:
    """Where the sections begin, in bytes, and last where they all end."""
    number = len(layout) // _SECTION_BYTES
    lengths = _lengths(number).unpack_from(layout, number * _PLACE.size)
    return list(accumulate(lengths, initial=0))


def choose(shape: bytes, fields: int, may_see: int, allowed: int) -> Choice:
    """Which sections are shown, and fields of which some is withheld.

    `fields` were asked for; of them the caller may see those of `may_see`, and
    of these what serves an `allowed` purpose.
    """
    seen = fields & may_see
    runs: list[tuple[int, int]] = []
    withheld = number = first = 0
    for number, (field, purposes) in enumerate(places(shape), 1):
        if seen >> field & 1 and purposes & allowed:
            continue
        withheld |= fields & 1 << field
        if first < number - 1:
            runs.append((first, number - 1))
        first = number
    if not first:
        return Choice(None if number else (), withheld)
    if first < number:
        runs.append((first, number))
    return Choice(tuple(runs), withheld)


def cut(opened: bytes, layout: bytes, runs: tuple[tuple[int, int], ...]) -> bytes:
    """The sections of these runs, joined; `opened` are all of them."""
    ends = bounds(layout)
    return b"".join([opened[ends[first] : ends[last]] for first, last in runs])


@lru_cache(maxsize=1_024)
def _lengths(number: int) -> struct.Struct:
    return struct.Struct(f"<{number}I")

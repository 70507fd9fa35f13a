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


class Place(NamedTuple):
    """Which section.

    - `field`: its number in Profile; `purposes`: bits of those it may serve.
    - `own`: the bit of the one purpose that it is for, where less is used for
      that than for others; the remaining bits of `purposes` are then those for
      which the same is in a section that has more. 0: it is for all of them.
    """

    field: int
    purposes: int
    own: int = 0


_PLACE = struct.Struct("<BQ")
_OWN = 0x80
"""Added to the field of an entry of no length, which says whose the section after it is."""
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
    entries, lengths = [], []
    for (field, purposes, own), section in sections.items():
        if own:
            entries.append(_PLACE.pack(field | _OWN, own))
            lengths.append(0)
        entries.append(_PLACE.pack(field, purposes))
        lengths.append(len(section))
    return b"".join(entries) + _lengths(len(lengths)).pack(*lengths)


def shape_of(layout: bytes) -> bytes:
    """What the sections are, without their lengths."""
    return layout[: len(layout) // _SECTION_BYTES * _PLACE.size]


def places(shape: bytes) -> Iterator[Place]:
    """What each section is, in order."""
    own = 0
    for field, purposes in _PLACE.iter_unpack(shape):
        if field & _OWN:
            own = purposes
            continue
        yield Place(field, purposes, own)
        own = 0


def bounds(layout: bytes) -> list[int]:
    """Where the sections begin, in bytes, and last where they all end."""
    number = len(layout) // _SECTION_BYTES
    lengths = _lengths(number).unpack_from(layout, number * _PLACE.size)
    return list(accumulate(lengths, initial=0))


def choose(shape: bytes, fields: int, may_see: int, allowed: int) -> Choice:
    """Which sections are shown, and fields of which some is withheld.

    `fields` were asked for; of them the caller may see those of `may_see`, and
    of these what serves an `allowed` purpose. Of sections that have the same,
    one more and one less of it, the one that has more is shown.
    """
    seen = fields & may_see
    runs: list[tuple[int, int]] = []
    withheld = end = 0
    for field, purposes, own in places(shape):
        first, end = end, end + (2 if own else 1)
        elsewhere = purposes & ~own & allowed if own else 0
        if seen >> field & 1 and elsewhere:
            continue
        if not (seen >> field & 1 and (own or purposes) & allowed):
            withheld |= fields & 1 << field
        elif runs and runs[-1][1] == first:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((first, end))
    if runs == [(0, end)]:
        return Choice(None, withheld)
    return Choice(tuple(runs), withheld)


def cut(opened: bytes, layout: bytes, runs: tuple[tuple[int, int], ...]) -> bytes:
    """The sections of these runs, joined; `opened` are all of them."""
    ends = bounds(layout)
    return b"".join([opened[ends[first] : ends[last]] for first, last in runs])


@lru_cache(maxsize=1_024)
def _lengths(number: int) -> struct.Struct:
    return struct.Struct(f"<{number}I")

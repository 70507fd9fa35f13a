"""TCF 2 consent strings, decoded strictly: what is not wholly understood is no consent.

Source of the format: IAB Tech Lab, "Transparency and Consent String with Global
Vendor & CMP List Formats", v2 (versions 2.0 to 2.3 of the framework share it).
Segments are joined by dots, each base64url without padding, bits from the most
significant: a core, and at most one each of disclosed vendors, allowed vendors
and publisher TC.

`decode` never raises, whatever it is given. A string that ends early, goes on
too long, has a bit set where none may be, names a version or segment of the
future, is of the global scope that there is no more, or contradicts itself is
`Rejected`, whole. Vendors are kept as bits: what a string makes us build is
bounded, whatever ranges it names.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

MAX_CHARS: Final = 32_768
"""Longer strings are refused unread; one that lists all vendors there can be has some 22,000."""
VERSION: Final = 2
POLICY_VERSIONS: Final = range(2, 6)
PURPOSES: Final = 24
FEATURES: Final = 12
MOST_VENDORS: Final = (1 << 16) - 1
_DECISECOND_US = 100_000
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_CORE, _DISCLOSED, _ALLOWED, _PUBLISHER = range(4)


class Rejected(NamedTuple):
    """A consent string that is none: where it went wrong, and how. No value of the string."""

    segment: str
    reason: str


@dataclass(frozen=True, slots=True)
class Vendors:
    """Numbers of vendors as bits, vendor 1 at bit 1: eight kilobytes at most, however many."""

    bits: int = 0

    def __contains__(self, vendor: int) -> bool:
        return vendor > 0 and self.bits >> vendor & 1 == 1

    def __iter__(self) -> Iterator[int]:
        return (at for at in range(self.bits.bit_length()) if self.bits >> at & 1)

    def __len__(self) -> int:
        return self.bits.bit_count()


class Restriction(NamedTuple):
    """What a publisher forbids some vendors: `kind` 0 a purpose, 1 its consent-free basis
    (legitimate interest), 2 consent as its basis.
    """

    purpose: int
    kind: int
    vendors: Vendors


class PublisherTc(NamedTuple):
    """What the publisher itself may do: purposes of the framework, and custom ones of its own."""

    consents: frozenset[int]
    interests: frozenset[int]
    custom_consents: frozenset[int]
    custom_interests: frozenset[int]


@dataclass(frozen=True, slots=True)
class ConsentString:
    """A decoded string. Times are microseconds since 1970 UTC; sets hold numbers whose bit is 1.

    `interests` are purposes, or vendors, for which legitimate interest was told
    and not objected to. `disclosed`, `allowed` and `publisher` are None where
    the string has no such segment.
    """

    created_us: int
    updated_us: int
    cmp_id: int
    cmp_version: int
    screen: int
    language: str
    vendor_list: int
    policy: int
    service_specific: bool
    own_texts: bool
    features: frozenset[int]
    purpose_consents: frozenset[int]
    purpose_interests: frozenset[int]
    purpose_one_untold: bool
    country: str
    vendor_consents: Vendors
    vendor_interests: Vendors
    restrictions: tuple[Restriction, ...]
    disclosed: Vendors | None = None
    allowed: Vendors | None = None
    publisher: PublisherTc | None = None


class _Wrong(Exception):
    """Why reading a segment stopped."""


def decode(text: str) -> ConsentString | Rejected:
    """The consent that a string holds, or why it holds none."""
    if len(text) > MAX_CHARS:
        return Rejected("string", f"longer than {MAX_CHARS} characters")
    core, *others = text.split(".")
    if len(others) > _PUBLISHER:
        return Rejected("string", "more segments than there are kinds")
    where = "core"
    try:
        found = _core(_Bits(core))
        for at, segment in enumerate(others, 2):
            where = f"segment {at}"
            found |= _other(_Bits(segment), found)
    except _Wrong as wrong:
        return Rejected(where, str(wrong))
    return ConsentString(**found)  # type: ignore[arg-type]  # read by name


class _Bits:
    """Reads a segment from its first bit to its last."""

    __slots__ = ("_left", "_letters", "_value")

    def __init__(self, segment: str) -> None:
        if not _SEGMENT.fullmatch(segment):
            raise _Wrong("empty" if not segment else "not base64url")
        filler = -len(segment) % 4
        octets = urlsafe_b64decode(segment + "A" * filler)
        self._value = int.from_bytes(octets, "big") >> 6 * filler
        self._letters = len(segment)
        self._left = 6 * self._letters

    def number(self, bits: int) -> int:
        """The next so many bits as a number."""
        left = self._left - bits
        if left < 0:
            raise _Wrong("ends too early")
        self._left = left
        return self._value >> left & (1 << bits) - 1

    def flag(self) -> bool:
        """The next bit."""
        return self.number(1) == 1

    def letters(self) -> str:
        """Two letters of six bits each."""
        pair = (self.number(6), self.number(6))
        if max(pair) >= 26:
            raise _Wrong("a letter beyond Z")
        return "".join(chr(ord("A") + letter) for letter in pair)

    def time_us(self) -> int:
        """Tenths of seconds since 1970 in 36 bits, as microseconds."""
        return self.number(36) * _DECISECOND_US

    def set_of(self, size: int) -> frozenset[int]:
        """The numbers, from 1, of the bits that are set among the next so many."""
        field = self.number(size)
        if not field:
            return frozenset()
        return frozenset(size - at for at in range(field.bit_length()) if field >> at & 1)

    def vendors(self) -> Vendors:
        """Vendors up to a greatest one, as a field of bits or as ranges."""
        greatest = self.number(16)
        if self.flag():
            return self.ranges(greatest)
        field = self.number(greatest)
        return Vendors(int(f"{field:0{greatest}b}"[::-1], 2) << 1 if field else 0)

    def ranges(self, greatest: int) -> Vendors:
        """Vendors as single ones and ranges, none beyond the greatest, none twice."""
        found = 0
        for _ in range(self.number(12)):
            several = self.flag()
            first = self.number(16)
            last = self.number(16) if several else first
            if not 0 < first <= last <= greatest:
                raise _Wrong("a range of vendors that cannot be")
            own = (1 << last - first + 1) - 1 << first
            if found & own:
                raise _Wrong("a vendor twice")
            found |= own
        return Vendors(found)

    def end(self) -> None:
        """Nothing may be left but the zeros that fill up the last byte, or the last three.

        The format asks for the one; the IAB's own library does the other.
        """
        used = 6 * self._letters - self._left
        filled = -(-8 * -(-used // 8) // 6)
        if self._letters < filled:
            raise _Wrong("ends within its last byte")
        if self._letters not in (filled, 4 * -(-used // 24)):
            raise _Wrong("goes on after its end")
        if self._value & (1 << self._left) - 1:
            raise _Wrong("bits set after its end")


def _core(bits: _Bits) -> dict[str, object]:
    version = bits.number(6)
    if version != VERSION:
        raise _Wrong("of a version other than 2")
    created_us, updated_us = bits.time_us(), bits.time_us()
    if updated_us < created_us:
        raise _Wrong("updated before it was created")
    found: dict[str, object] = {
        "created_us": created_us,
        "updated_us": updated_us,
        "cmp_id": bits.number(12),
        "cmp_version": bits.number(12),
        "screen": bits.number(6),
        "language": bits.letters(),
        "vendor_list": bits.number(12),
        "policy": bits.number(6),
        "service_specific": bits.flag(),
        "own_texts": bits.flag(),
        "features": bits.set_of(FEATURES),
        "purpose_consents": bits.set_of(PURPOSES),
        "purpose_interests": bits.set_of(PURPOSES),
        "purpose_one_untold": bits.flag(),
        "country": bits.letters(),
        "vendor_consents": bits.vendors(),
        "vendor_interests": bits.vendors(),
        "restrictions": _restrictions(bits),
    }
    bits.end()
    if found["cmp_id"] in (0, 1):
        raise _Wrong("from a consent platform that cannot be")
    if found["policy"] not in POLICY_VERSIONS:
        raise _Wrong("under a policy version that is not known")
    if not found["service_specific"]:
        # "When a Vendor encounters a TC String with IsServiceSpecific=0 then it is considered
        # invalid": nobody knows any more for which services such a string was given.
        raise _Wrong("of the global scope, which holds no more")
    return found


def _restrictions(bits: _Bits) -> tuple[Restriction, ...]:
    found: dict[tuple[int, int], Restriction] = {}
    for _ in range(bits.number(12)):
        purpose, kind = bits.number(6), bits.number(2)
        if not 0 < purpose <= PURPOSES or kind > 2:
            raise _Wrong("a restriction that cannot be")
        if (purpose, kind) in found:
            raise _Wrong("a restriction twice")
        found[purpose, kind] = Restriction(purpose, kind, bits.ranges(MOST_VENDORS))
    return tuple(found.values())


def _other(bits: _Bits, before: dict[str, object]) -> dict[str, object]:
    kind = bits.number(3)
    name = {_DISCLOSED: "disclosed", _ALLOWED: "allowed", _PUBLISHER: "publisher"}.get(kind)
    if name is None:
        raise _Wrong("a second core" if kind == _CORE else "a kind of segment that is not known")
    if name in before:
        raise _Wrong("a segment twice")
    value = _publisher(bits) if kind == _PUBLISHER else bits.vendors()
    bits.end()
    return {name: value}


def _publisher(bits: _Bits) -> PublisherTc:
    consents, interests = bits.set_of(PURPOSES), bits.set_of(PURPOSES)
    custom = bits.number(6)
    return PublisherTc(consents, interests, bits.set_of(custom), bits.set_of(custom))

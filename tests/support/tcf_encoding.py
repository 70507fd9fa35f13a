"""Writes TCF 2 consent strings, right and wrong ones, so that tests can read them."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

DAY_DS = 864_000
"""A day in tenths of a second."""


@dataclass(frozen=True)
class Said:
    """What a string is to say; by default that nobody granted anything to anybody."""

    version: int = 2
    created_ds: int = 20_000 * DAY_DS
    updated_ds: int = 20_001 * DAY_DS
    cmp_id: int = 10
    cmp_version: int = 3
    screen: int = 1
    language: str = "EN"
    vendor_list: int = 100
    policy: int = 4
    service_specific: bool = True
    own_texts: bool = False
    features: tuple[int, ...] = ()
    purposes: tuple[int, ...] = ()
    interests: tuple[int, ...] = ()
    purpose_one_untold: bool = False
    country: str = "CH"
    vendors: tuple[int, ...] = ()
    vendor_interests: tuple[int, ...] = ()
    ranges: bool = False
    restrictions: tuple[tuple[int, int, tuple[int, ...]], ...] = ()
    disclosed: tuple[int, ...] | None = None
    allowed: tuple[int, ...] | None = None
    publisher: tuple[int, ...] | None = None
    publisher_interests: tuple[int, ...] = ()
    custom: int = 0
    custom_consents: tuple[int, ...] = field(default=())

    def but(self, **changes: object) -> Said:
        """The same with some of it changed."""
        return replace(self, **changes)  # type: ignore[arg-type]  # checked where it is made

    def text(self) -> str:
        """The string."""
        return ".".join([packed(self.core()), *map(packed, self.others())])

    def core(self) -> str:
        """The core segment's bits."""
        parts = [
            *((self.version, 6), (self.created_ds, 36), (self.updated_ds, 36)),
            *((self.cmp_id, 12), (self.cmp_version, 12), (self.screen, 6)),
            *((_letter(letter), 6) for letter in self.language),
            *((self.vendor_list, 12), (self.policy, 6)),
            *((int(self.service_specific), 1), (int(self.own_texts), 1)),
        ]
        return "".join(
            [
                *(number(*part) for part in parts),
                flags(self.features, 12),
                flags(self.purposes, 24),
                flags(self.interests, 24),
                number(int(self.purpose_one_untold), 1),
                *(number(_letter(letter), 6) for letter in self.country),
                vendors(self.vendors, ranges=self.ranges),
                vendors(self.vendor_interests, ranges=self.ranges),
                number(len(self.restrictions), 12),
                *(
                    number(purpose, 6) + number(kind, 2) + entries(whom)
                    for purpose, kind, whom in self.restrictions
                ),
            ]
        )

    def others(self) -> list[str]:
        """The bits of the segments beside the core."""
        found = []
        if self.disclosed is not None:
            found.append(number(1, 3) + vendors(self.disclosed, ranges=self.ranges))
        if self.allowed is not None:
            found.append(number(2, 3) + vendors(self.allowed, ranges=self.ranges))
        if self.publisher is not None:
            found.append(
                number(3, 3)
                + flags(self.publisher, 24)
                + flags(self.publisher_interests, 24)
                + number(self.custom, 6)
                + flags(self.custom_consents, self.custom)
                + flags((), self.custom)
            )
        return found


def number(value: int, bits: int) -> str:
    """A number in so many bits."""
    return format(value, f"0{bits}b") if bits else ""


def flags(numbers: Iterable[int], size: int) -> str:
    """One bit for each number from 1 on."""
    known = set(numbers)
    return "".join("1" if at in known else "0" for at in range(1, size + 1))


def vendors(ids: Sequence[int], *, ranges: bool) -> str:
    """A list of vendors, as bits or as ranges."""
    greatest = max(ids, default=0)
    if ranges:
        return number(greatest, 16) + "1" + entries(ids)
    return number(greatest, 16) + "0" + flags(ids, greatest)


def entries(ids: Sequence[int]) -> str:
    """Ranges, single ones where nothing follows."""
    runs: list[list[int]] = []
    for one in sorted(ids):
        if runs and one == runs[-1][1] + 1:
            runs[-1][1] = one
        else:
            runs.append([one, one])
    told = [
        "0" + number(first, 16) if first == last else "1" + number(first, 16) + number(last, 16)
        for first, last in runs
    ]
    return number(len(runs), 12) + "".join(told)


def packed(bits: str) -> str:
    """Bits as base64url without padding, filled up with zeros to whole bytes."""
    filled = bits + "0" * (-len(bits) % 8)
    octets = int(filled, 2).to_bytes(len(filled) // 8, "big")
    return urlsafe_b64encode(octets).decode().rstrip("=")


def _letter(letter: str) -> int:
    return ord(letter) - ord("A")

"""Comparisons and their levels: in how many ways two values of an attribute can agree.

Level 0 is always "missing" and weighs nothing; level 1 is always "same".
Pure; a level depends on the two values alone, whichever comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from identity.matching import attributes
from identity.matching.names import FAMILY_LEVELS, GIVEN_LEVELS, MIDDLE_LEVELS, SUFFIX_LEVELS
from identity.matching.phones import Phone, other_country, written_alike
from identity.matching.text import edits, near, similarity

LevelOf = Callable[[Any, Any], int]
NAME_PARTS = ("family", "given", "middle", "suffix")
SAME, PARTLY, DIFFERENT = 1, 2, 3
"""Coarse agreement, for comparisons whose evidence is correlated; 0: missing."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison: which slot of the features it reads, and its levels.

    `coarse` says of each level whether it is same, partly or different.
    `rare` are the levels at which a rare value weighs more than a common one:
    at the level "same" by all of it, at others by half.
    """

    name: str
    slot: str
    levels: tuple[str, ...]
    coarse: tuple[int, ...]
    level_of: LevelOf | None = None
    rare: frozenset[int] = frozenset()
    rarity_of: Callable[[Any], str] = str


_OTHER_DATE = 7
"""From this level on two birth dates are different, as the comparison's coarse levels have it."""


def birth_date_level(left: str, right: str) -> int:
    """Dates of eight digits; a 1 January may stand for the year alone."""
    if left == right:
        return 1
    rest, other_rest = left[4:], right[4:]
    same_year = left[:4] == right[:4]
    if rest == "0000" or other_rest == "0000":
        return 6 if same_year else 9 if _years_apart(left, right) == 1 else 10
    if same_year and rest == other_rest[2:] + other_rest[:2]:
        return 3
    distance = edits(left, right)
    if distance == 1:
        return 2
    if same_year:
        if rest[:2] == other_rest[:2]:
            return 4
        return 6 if rest == "0101" or other_rest == "0101" else 7
    if rest == other_rest != "0101":
        return 5
    return 8 if distance == 2 else 9 if _years_apart(left, right) <= 1 else 10


def are_different_dates(left: str, right: str) -> bool:
    """Whether no typing error, and nothing vague, explains two birth dates of eight digits."""
    return birth_date_level(left, right) >= _OTHER_DATE


def _years_apart(left: str, right: str) -> int:
    return abs(int(left[:4]) - int(right[:4]))


def text_level(left: str, right: str) -> int:
    """Any text: same, one error, alike, a word in common, different."""
    if left == right:
        return 1
    if near(left, right):
        return 2
    if similarity(left, right) >= 0.85:
        return 3
    return 5 if set(left.split()).isdisjoint(right.split()) else 4


def postcode_level(left: str, right: str) -> int:
    """Postcodes; in those of a country the last three characters are the nearest part."""
    if left == right:
        return 1
    distance = edits(left, right)
    if distance == 1:
        return 2
    area = max(2, len(left) - 3)
    if len(left) == len(right) and left[:area] == right[:area]:
        return 3
    return 4 if distance == 2 else 5


def code_level(left: str, right: str) -> int:
    """Numbers of documents and phones: same, one error, two, different."""
    if left == right:
        return 1
    distance = edits(left, right)
    return 2 if distance == 1 else 3 if distance == 2 else 4


def identity_level(left: str, right: str) -> int:
    """Numbers of documents, of which one may be given by its end alone."""
    level = code_level(left, right)
    if level < 4:
        return level
    short, long = sorted((left, right), key=len)
    return 3 if len(short) >= 4 and long.endswith(short) else 4


def phone_level(left: Phone, right: Phone) -> int:
    """Numbers with or without their country and area."""
    if written_alike(left, right):
        return 4 if other_country(left, right) else 1
    return 5 if (level := code_level(left[1], right[1])) == 4 else level


def email_level(left: tuple[str, str], right: tuple[str, str]) -> int:
    """Addresses as (local part, domain)."""
    if left == right:
        return 1
    whole, other = "@".join(left), "@".join(right)
    if edits(whole, other) <= 2:
        return 2
    if left[0] == right[0]:
        return 3
    if len(left[0]) > 4 and near(left[0], right[0]):
        return 4
    if left[1] and left[1] == right[1]:
        return 5
    return 4 if similarity(whole, other) >= 0.88 else 6


def household_level(left: tuple[str, str], right: tuple[str, str]) -> int:
    """Addresses as (number, street), either of which may be missing."""
    number, street = left
    other_number, other_street = right
    same_number = number != "" and number == other_number
    if not street or not other_street:
        return 0 if not number or not other_number else 6 if same_number else 7
    if street == other_street:
        if not number or not other_number:
            return 2
        if same_number:
            return 1
        close = max(len(number), len(other_number)) > 1 and edits(number, other_number) == 1
        return 2 if close else 4
    if near(street, other_street) or similarity(street, other_street) >= 0.9:
        return 3 if same_number else 5
    return 6 if same_number else 7


def same_or_not(left: str, right: str) -> int:
    """Two values that are one or are not."""
    return 1 if left == right else 2


_TEXT_LEVELS = ("missing", "same", "near", "alike", "word in common", "different")
_TEXT_COARSE = (0, 1, 1, 1, 2, 3)
_CODE_LEVELS = ("missing", "same", "one error", "two errors or its end", "different")


def _text(name: str, slot: str) -> Comparison:
    return Comparison(name, slot, _TEXT_LEVELS, _TEXT_COARSE, text_level, frozenset({1}))


def _code(name: str) -> Comparison:
    return Comparison(name, name, _CODE_LEVELS, (0, 1, 1, 2, 3), identity_level, frozenset({1}))


_ALL: tuple[Comparison, ...] = (
    Comparison("family", "name", FAMILY_LEVELS, (0, 1, 1, 2, 2, 2, 3, 2), None,
               frozenset({1, 2, 4}), lambda name: name.family or name.lone),
    Comparison("given", "name", GIVEN_LEVELS, (0, 1, 1, 1, 2, 2, 2, 2, 3), None,
               frozenset({1, 2, 3}), lambda name: name.given or name.lone),
    Comparison("middle", "name", MIDDLE_LEVELS, (0, 1, 1, 3), None,
               frozenset({1}), lambda name: " ".join(name.middle)),
    Comparison("suffix", "name", SUFFIX_LEVELS, (0, 1, 3)),
    Comparison("birth_date", "birth_date",
               ("missing", "same", "one error", "day and month swapped", "year and month",
                "day and month", "year of a vague date", "year", "two errors", "a year apart",
                "different"),
               (0, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3), birth_date_level, frozenset({1})),
    Comparison("email", "email",
               ("missing", "same", "typing error", "same box name", "box name near",
                "same domain", "different"),
               (0, 1, 1, 1, 2, 2, 3), email_level, frozenset({1, 3}), lambda email: email[0]),
    Comparison("phone", "phone",
               ("missing", "same", "one error", "two errors", "another country", "different"),
               (0, 1, 1, 2, 3, 3), phone_level, frozenset({1}), lambda phone: phone[1]),
    _code(attributes.NATIONAL_ID),
    _code(attributes.PASSPORT),
    _code(attributes.LICENCE),
    Comparison("postcode", "postcode",
               ("missing", "same", "one error", "same area", "two errors", "different"),
               (0, 1, 1, 2, 2, 3), postcode_level, frozenset({1})),
    _text("city", attributes.CITY),
    _text("state", attributes.STATE),
    Comparison("household", "household",
               ("missing", "same", "street, number near", "number, street near", "street",
                "street near", "number", "different"),
               (0, 1, 1, 1, 2, 2, 3, 3), household_level, frozenset({1}),
               lambda address: address[1]),
    _text("address_2", attributes.ADDRESS_2),
    _text("unit", attributes.UNIT),
    Comparison("gender", "gender", ("missing", "same", "different"), (0, 1, 3), same_or_not),
    _text("occupation", attributes.OCCUPATION),
    _text("birth_place", attributes.BIRTH_PLACE),
)  # fmt: skip

_BY_NAME: Mapping[str, Comparison] = {comparison.name: comparison for comparison in _ALL}


_APART: Mapping[tuple[str, str], float] = {
    ("suffix", "different"): 1.0,
    (attributes.NATIONAL_ID, "different"): 0.01,
    ("birth_date", "different"): 0.005,
}


def apart(comparison: Comparison, m: Sequence[float]) -> frozenset[int]:
    """The levels at which no other evidence makes two records one person.

    Jr and Sr; two birth dates or national ids that no typing error explains,
    where records of one person hardly ever differ so (`m` by level).
    """
    return frozenset(
        level
        for level, words in enumerate(comparison.levels)
        if m[level] <= _APART.get((comparison.name, words), -1.0)
    )


def comparison_of(name: str) -> Comparison:
    """The comparison of a name; `other:NAME` is a text of its own."""
    return _text(name, name) if name.startswith(attributes.OTHER) else _BY_NAME[name]


def comparisons_for(slots: Iterable[str]) -> list[Comparison]:
    """The comparisons that features with these slots can have, in canonical order."""
    present = set(slots)
    others = sorted(slot for slot in present if slot.startswith(attributes.OTHER))
    return [c for c in _ALL if c.slot in present] + [comparison_of(slot) for slot in others]

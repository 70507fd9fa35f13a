"""Person names as they are compared: given, middle and family parts, with titles left out.

Pure. `name_of` reads a name in parts or in one piece; `levels` compares two
names in all their parts at once, so that one shared name which stands in
different parts (swapped order, one name missing) counts once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from identity.matching import attributes
from identity.matching.text import alike, fold, near, nicknames, tokens

_TITLES = frozenset(
    "sir dr mr mrs ms miss lord lady baron baronet earl viscount duke marquess marquis count"
    " countess rev reverend prof professor capt captain col colonel major general admiral st hon"
    " the of and bt esq phd md dame prince princess".split()
)
_NOBODY = frozenset({
    "none", "no name", "noname", "name", "unknown", "unnamed", "not known", "na", "n a", "null",
    "nil", "test", "anonymous", "resident", "occupant", "householder", "adult", "adult male",
    "adult female", "male", "female", "man", "woman", "boy", "girl", "person", "baby", "baby boy",
    "baby girl", "infant", "newborn", "child", "son", "son of", "daughter", "daughter of",
    "grandchild", "grandson", "granddaughter", "husband", "wife", "spouse", "mother", "father",
    "parent", "brother", "sister", "house", "of house", "home", "family", "surname", "last name",
    "first name", "given name", "apellido", "nombre", "refused", "declined", "deceased", "other",
    "xxx", "xx",
})  # fmt: skip
"""What forms hold where nobody's name was known."""
_ORDINAL = re.compile(r"\d+(st|nd|rd|th)")
_SUFFIXES = {
    "jr": "jr", "jnr": "jr", "junior": "jr",
    "sr": "sr", "snr": "sr", "senior": "sr",
    "ii": "ii", "iii": "iii", "iv": "iv",
}  # fmt: skip

_PARTICLES = frozenset(
    "van von der den dem de del della delle di da do dos das du la le las los el al bin ibn bint"
    " ter ten zu zur zum af av".split()
)
"""Words before a family name that are written or left out, together or apart."""
_PREFIXES = frozenset({"mc", "mac"})
_LETTER_PREFIXES = frozenset({"o", "d"})
"""Of family names in a field of their own; elsewhere a letter is an initial."""
_IDEOGRAPHS = re.compile("[\u4e00-\u9fff]{2,4}")

FAMILY_LEVELS = ("missing", "same", "near", "alike", "elsewhere", "crossed", "different", "initial")
GIVEN_LEVELS = ("missing", "same", "nickname", "near", "initial", "alike", "swapped", "second",
                "different")  # fmt: skip
MIDDLE_LEVELS = ("missing", "same", "agreeing", "different")
SUFFIX_LEVELS = ("missing", "same", "different")


class Name(NamedTuple):
    """A name in parts, folded; "" where a part is missing.

    `family` is without the particles before it, `solid` with them and without
    a space. `lone` is a name of one word in one piece: given or family, nobody knows.
    `words` are all words of the name that are longer than an initial.
    """

    given: str
    family: str
    lone: str
    middle: tuple[str, ...]
    words: frozenset[str]
    suffix: str
    solid: str = ""


class NameLevels(NamedTuple):
    """The comparison levels of two names, part by part; 0 is missing."""

    family: int
    given: int
    middle: int
    suffix: int


def name_of(record: Mapping[str, str]) -> Name | None:
    """The name of a record; one in one piece comes before one in parts. None: no name."""
    full = record.get(attributes.FULL, "").strip()
    name = _parts(record) if not full else _ideographs(full) or _whole(full)
    suffix = _clean(tokens(record.get(attributes.SUFFIX, "")))[1]
    return name._replace(suffix=suffix) if name and suffix else name


def _ideographs(full: str) -> Name | None:
    """A name of two to four ideographs: the family name comes first, of two in a name of four."""
    if not _IDEOGRAPHS.fullmatch(full):
        return None
    family = 1 + (len(full) == 4)
    return _parts({attributes.FAMILY: full[:family], attributes.GIVEN: full[family:]})


def _whole(full: str) -> Name | None:
    main_text, _, rest_text = fold(full).partition(",")
    main, suffix = _clean(tokens(main_text))
    rest, second_suffix = _clean(tokens(rest_text))
    suffix = suffix or second_suffix
    if not main:
        main, rest = rest, []
    if not main:
        titled = "_".join(tokens(full))
        return Name("", "", titled, (), frozenset((titled,)), suffix) if titled else None
    main = _joined(main, _PREFIXES)
    if len(main) == 1:
        return Name("", "", main[0], (), _words(main + rest), suffix, main[0])
    begins = len(main) - 1
    while begins > 1 and main[begins - 1] in _PARTICLES:
        begins -= 1
    family, solid = main[-1], "".join(main[begins:])
    words = _words([*main[:begins], family, solid, *rest])
    return Name(main[0], family, "", tuple(main[1:begins]), words, suffix, solid)


def _parts(record: Mapping[str, str]) -> Name | None:
    given, suffix = _clean(_known(record.get(attributes.GIVEN, "")))
    family, family_suffix = _clean(_known(record.get(attributes.FAMILY, "")))
    middle, _ = _clean(_known(record.get(attributes.MIDDLE, "")))
    if not (given or family or middle):
        return None
    family = _joined(family, _PREFIXES | _LETTER_PREFIXES)
    solid = "".join(family)
    while len(family) > 1 and family[0] in _PARTICLES:
        family = family[1:]
    middle = given[1:] + middle
    words = _words([*given, *family, *middle, solid] if len(family) == 1 else
                   [*given, *family, *middle])  # fmt: skip
    first = given[0] if given else ""
    suffix = suffix or family_suffix
    return Name(first, " ".join(family), "", tuple(middle), words, suffix, solid)


def _joined(words: list[str], prefixes: frozenset[str]) -> list[str]:
    """Words with each prefix written together with the word after it: mc carthy, o brien."""
    found: list[str] = []
    for word in words:
        if found and found[-1] in prefixes:
            found[-1] += word
        else:
            found.append(word)
    return found


def _known(text: str) -> tuple[str, ...]:
    words = tokens(text)
    return () if " ".join(words) in _NOBODY else words


def _clean(words: Iterable[str]) -> tuple[list[str], str]:
    """Words without titles, ordinals and suffixes; the suffix in one form."""
    kept, suffix = [], ""
    for word in words:
        if word in _SUFFIXES:
            suffix = _SUFFIXES[word]
        elif word not in _TITLES and not _ORDINAL.fullmatch(word):
            kept.append(word)
    return kept, suffix


def _words(words: Iterable[str]) -> frozenset[str]:
    return frozenset(word for word in words if len(word) > 1)


def levels(left: Name, right: Name) -> NameLevels:
    """Compare two names; which comes first makes no difference."""
    if left.lone or right.lone:
        family, given = _family_lone(left, right), _given_lone(left, right)
    else:
        crossing = _crossing(left, right)
        family, given = _family(left, right, crossing), _given(left, right, crossing)
    middle = _middle(left.middle, right.middle) if left.middle and right.middle else 0
    suffix = _suffix(left.suffix, right.suffix) if left.suffix and right.suffix else 0
    return NameLevels(family, given, middle, suffix)


_SAME, _NEAR, _ALIKE, _ELSEWHERE, _CROSSED, _DIFFERENT, _INITIAL = range(1, 8)


def _family(left: Name, right: Name, crossing: int) -> int:
    one, other = left.family, right.family
    if not one or not other:
        return _family_missing(left, right)
    if one == other or left.solid == right.solid:
        return _SAME
    if len(one) == 1 or len(other) == 1:
        return _INITIAL if one[0] == other[0] else _DIFFERENT
    if near(one, other):
        return _NEAR
    if crossing:
        return _ELSEWHERE if crossing == 2 else _CROSSED
    if _within(left, right) or _within(right, left):
        return _ELSEWHERE
    return _ALIKE if alike(one, other) else _DIFFERENT


def _within(left: Name, right: Name) -> bool:
    """The one's family name among the other's words: a double name, a married one, a title."""
    family = left.family
    if " " in family:
        return not right.words.isdisjoint(family.split())
    return family in right.words and family != right.given


def _crossing(left: Name, right: Name) -> int:
    """2 when given and family names are swapped, 1 when one name stands in the other part."""
    given, family, other_given, other_family = left.given, left.family, right.given, right.family
    if given == other_given or family == other_family or not (given and other_given):
        return 0
    first = given == other_family or (len(given) > 2 and _may_be(given, other_family))
    second = other_given == family or (len(other_given) > 2 and _may_be(other_given, family))
    if first and second:
        return 2
    return int((first or second) and not alike(given, other_given))


def _may_be(one: str, other: str) -> bool:
    """`near`, without looking at words whose lengths rule it out."""
    short, long = len(one), len(other)
    if short > long:
        short, long = long, short
    # Jaro-Winkler cannot reach .93 below a ratio of lengths of .65, nor one edit span two letters.
    return (short * 20 >= long * 13 or long - short == 1) and near(one, other)


def _family_missing(left: Name, right: Name) -> int:
    """With a family name missing: a given name of the one may be the family name of the other."""
    if not (left.family or left.given) or not (right.family or right.given):
        return 0
    for one, other in ((left, right), (right, left)):
        if not one.family and other.family:
            if not other.given:
                return _CROSSED if near(one.given, other.family) else _DIFFERENT
            if one.given != other.given and near(one.given, other.family):
                return _CROSSED
    return 0


def _family_lone(left: Name, right: Name) -> int:
    if left.lone and right.lone:
        one, other = left.lone, right.lone
        if one == other:
            return _SAME
        return _NEAR if near(one, other) else _ALIKE if alike(one, other) else _DIFFERENT
    lone, name = (left.lone, right) if left.lone else (right.lone, left)
    if lone == name.family:
        return _SAME
    if lone == name.given:
        return 0
    if lone in name.words:
        return _ELSEWHERE
    if near(lone, name.family):
        return _NEAR
    if name.given and (nicknames(lone, name.given) or near(lone, name.given)):
        return 0
    return _ALIKE if alike(lone, name.family) else _DIFFERENT


def _given(left: Name, right: Name, crossing: int) -> int:
    one, other = left.given, right.given
    if not one or not other:
        return 0
    if one == other:
        return 1
    if nicknames(one, other):
        return 2
    if len(one) == 1 or len(other) == 1:
        return 4 if one[0] == other[0] else 8
    if near(one, other):
        return 3
    if not left.family or not right.family:
        if (right.family and near(one, right.family)) or (left.family and near(other, left.family)):
            return 0
    elif crossing:
        return 6 if crossing == 2 else 0
    if one in right.middle or other in left.middle:
        return 7
    return 5 if alike(one, other) or _begins(one, other) else 8


def _begins(one: str, other: str) -> bool:
    short, long = (one, other) if len(one) <= len(other) else (other, one)
    return len(short) >= 3 and long.startswith(short)


def _given_lone(left: Name, right: Name) -> int:
    if left.lone and right.lone:
        return 0
    lone, name = (left.lone, right) if left.lone else (right.lone, left)
    if not name.given or lone == name.family:
        return 0
    if lone == name.given:
        return 1
    if nicknames(lone, name.given):
        return 2
    if lone in name.words or near(lone, name.family):
        return 0
    return 3 if near(lone, name.given) else 0


def _middle(left: tuple[str, ...], right: tuple[str, ...]) -> int:
    if not left or not right:
        return 0
    if left == right or not set(left).isdisjoint(right):
        return 1
    for one in left:
        for other in right:
            initial = len(one) == 1 or len(other) == 1
            if initial and one[0] == other[0]:
                return 2
            if nicknames(one, other) or near(one, other):
                return 2
    return 3


def _suffix(left: str, right: str) -> int:
    if not left or not right:
        return 0
    return 1 if left == right or {left, right} == {"jr", "ii"} else 2

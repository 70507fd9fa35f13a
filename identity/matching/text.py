"""Text as it is compared: folded to plain lower-case letters, cut into tokens, heard, measured.

Pure. Scripts other than Latin are transliterated, so that a name in two
scripts has nearly one spelling.
"""

from __future__ import annotations

import re

from anyascii import anyascii
from rapidfuzz.distance import OSA, JaroWinkler

from identity.forgetting import remembered
from identity.matching.nicknames import are_nicknames

_TOKEN = re.compile(r"[a-z0-9]+")
_APOSTROPHES = str.maketrans("", "", "'`\u2019")
_SOUNDS = {
    letter: digit
    for digit, letters in enumerate(("bfpv", "cgjkqsxz", "dt", "l", "mn", "r"), 1)
    for letter in letters
}
_NEAR = 0.93
_ALIKE = 0.82


@remembered(1 << 16)
def fold(text: str) -> str:
    """Lower case, transliterated to ASCII, without apostrophes."""
    plain = text if text.isascii() else anyascii(text)
    return plain.lower().translate(_APOSTROPHES)


@remembered(1 << 16)
def tokens(text: str) -> tuple[str, ...]:
    """The runs of letters and digits of a text, folded."""
    return tuple(_TOKEN.findall(fold(text)))


@remembered(1 << 16)
def soundex(word: str) -> str:
    """American Soundex of a folded word, four characters; "" for a word without letters."""
    letters = [letter for letter in word if letter.isalpha()]
    if not letters:
        return ""
    code, last = letters[0], _SOUNDS.get(letters[0], 0)
    for letter in letters[1:]:
        sound = _SOUNDS.get(letter, 0)
        if sound and sound != last:
            code += str(sound)
        if letter not in "hw":
            last = sound
    return (code + "000")[:4]


def similarity(left: str, right: str) -> float:
    """Jaro-Winkler similarity, 0 to 1."""
    return JaroWinkler.similarity(left, right)


def edits(left: str, right: str) -> int:
    """Optimal string alignment distance: insertions, deletions, changes, swaps of neighbours."""
    return OSA.distance(left, right)


@remembered(1 << 18)
def near(left: str, right: str) -> bool:
    """One typing error apart, or as alike as that in longer words."""
    if min(len(left), len(right)) >= 3 and OSA.distance(left, right, score_cutoff=1) <= 1:
        return True
    return JaroWinkler.similarity(left, right) >= _NEAR


@remembered(1 << 18)
def alike(left: str, right: str) -> bool:
    """Similar in spelling or in sound."""
    if JaroWinkler.similarity(left, right) >= _ALIKE:
        return True
    sound = soundex(left)
    return sound != "" and sound == soundex(right)


@remembered(1 << 16)
def nicknames(left: str, right: str) -> bool:
    """Whether two given names stand for one another."""
    return are_nicknames(left, right)

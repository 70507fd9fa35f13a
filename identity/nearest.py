"""What a name that nothing knows was meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_LIKENESS = 0.65
"""Of 1: below it a guess is more often wrong than right."""


def meant(name: object, known: Iterable[str]) -> str:
    """` (did you mean NAME?)` with the nearest name that is known; "" where none is near."""
    by_folded = {one.casefold(): one for one in known}
    near = get_close_matches(str(name).casefold(), by_folded, 1, _LIKENESS)
    return f" (did you mean {by_folded[near[0]]}?)" if near else ""


def unknown(where: str, name: object, known: Iterable[str]) -> str:
    """A problem of a policy: the name at this place is none of those that are known."""
    names = tuple(known)
    return f"{where}: unknown{meant(name, names)}; known are {', '.join(names)}"

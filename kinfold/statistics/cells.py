"""What a cell of a figure holds between releases."""

from __future__ import annotations

from typing import Final, NamedTuple


class Held(NamedTuple):
    """The exact numbers of a cell as they were when it last moved."""

    people: int
    value: int
    capped: int
    cap: int


Cell = tuple[str, str]
"""A group and a part of it."""
NOTHING: Final = Held(0, 0, 0, 1)

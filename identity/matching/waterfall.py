"""A match weight's waterfall: as data, in a sentence, in a terminal's columns.

Pure. What is shown are comparisons, their levels and bits, never a value of a
record. The drawing is in `identity.matching.drawing`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

from identity.matching.attributes import OTHER
from identity.matching.model import HELD_APART_MBITS, MBITS
from identity.matching.score import Bar

_WORDS = {
    "family": "family name",
    "given": "given name",
    "middle": "middle name",
    "household": "address",
    "same_household": "household",
}
_NAMED = 4
"""Bars on each side that a sentence names."""
_LEAST_WIDTH = 40
_LABEL_SHARE = 0.45
_BITS_WIDTH = 8
_GAP = 1
_FOR, _AGAINST, _ZERO = "█", "░", "│"


class Step(NamedTuple):
    """A bar in its place: from where to where it takes the running sum, thousandths of a bit."""

    bar: Bar
    start_mbits: int
    end_mbits: int


def is_held_apart(mbits: int) -> bool:
    """Whether a bar or a sum is a contradiction's, which no evidence makes up for."""
    return mbits <= HELD_APART_MBITS


def steps(bars: Sequence[Bar]) -> list[Step]:
    """Every bar with the running sum before and after it."""
    found, at = [], 0
    for bar in bars:
        found.append(Step(bar, at, at + bar.mbits))
        at += bar.mbits
    return found


def label(bar: Bar) -> str:
    """A bar in words: what was compared, and how far it agreed."""
    parts = bar.comparison.removeprefix(OTHER).split(" with ")
    named = " & ".join(_WORDS.get(part, part.replace("_", " ")) for part in parts)
    return f"{named}: {bar.level}"


def waterfall_json(bars: Sequence[Bar]) -> dict[str, Any]:
    """The waterfall as data: its bars in order, each with the running sum, and their sum.

    Bits to three digits, exact; `held_apart` where a contradiction decides.
    """
    total = sum(bar.mbits for bar in bars)
    return {
        "weight_bits": total / MBITS,
        "held_apart": is_held_apart(total),
        "bars": [
            {
                "comparison": step.bar.comparison,
                "level": step.bar.level,
                "words": label(step.bar),
                "bits": step.bar.mbits / MBITS,
                "from_bits": step.start_mbits / MBITS,
                "to_bits": step.end_mbits / MBITS,
            }
            for step in steps(bars)
        ],
    }


def sentence(bars: Sequence[Bar], probability: float) -> str:
    """The waterfall in one sentence: the strongest bars on each side, and how many more."""
    total = sum(bar.mbits for bar in bars)
    apart = [bar for bar in bars if is_held_apart(bar.mbits)]
    if apart:
        return f"Two people, whatever else agrees: {' and '.join(map(label, apart))}."
    begin = f"They are one person with probability {chance(probability)} ({bits(total)} bits)"
    sides = [
        _side(words, [bar for bar in bars if (bar.mbits > 0) is agrees and bar.mbits])
        for words, agrees in (("for it", True), ("against it", False))
    ]
    return "; ".join([begin, *filter(None, sides)]) + "."


def _side(words: str, bars: Sequence[Bar]) -> str:
    if not bars:
        return ""
    ranked = sorted(bars, key=lambda bar: -abs(bar.mbits))
    named = [f"{label(bar)} ({bits(bar.mbits)})" for bar in ranked[:_NAMED]]
    rest = ranked[_NAMED:]
    if rest:
        named.append(f"{len(rest)} more ({bits(sum(bar.mbits for bar in rest))})")
    return f"{words}: {', '.join(named)}"


def bits(mbits: int) -> str:
    """Thousandths of a bit as signed bits with two digits."""
    return f"{mbits / MBITS:+.2f}"


def chance(probability: float) -> str:
    """A probability in four digits, never rounded to certainty."""
    if probability >= 0.99995:
        return "over 0.9999"
    if probability < 0.00005:
        return "under 0.0001"
    return f"{probability:.4f}"


def terminal(bars: Sequence[Bar], width: int = 80) -> list[str]:
    """The waterfall in lines of at most `width` columns, at least 40; needs no colour.

    Each bar is drawn from where the running sum was to where it takes it, full
    for one person and light against; its bits stand right. A contradiction is
    drawn to the edge.
    """
    width = max(width, _LEAST_WIDTH)
    found = steps(bars)
    total = found[-1].end_mbits if found else 0
    labels = [*(label(step.bar) for step in found), "match weight"]
    labels_width = min(max(map(cells, labels)), int(width * _LABEL_SHARE))
    scale = _Scale.over(found, width - labels_width - _BITS_WIDTH - 2 * _GAP)
    rows = [(label(s.bar), s.start_mbits, s.end_mbits, s.bar.mbits) for s in found]
    lines = [
        _row(fit(words, labels_width), scale.drawn(start, end), mbits)
        for words, start, end, mbits in rows
    ]
    lines.append("─" * width)
    lines.append(_row(fit(labels[-1], labels_width), scale.drawn(0, total), total))
    return lines


def _row(words: str, drawn: str, mbits: int) -> str:
    said = "apart" if is_held_apart(mbits) else bits(mbits)
    return f"{words}{' ' * _GAP}{drawn}{' ' * _GAP}{said:>{_BITS_WIDTH}}"


class _Scale(NamedTuple):
    """Which column of the drawing a running sum falls on."""

    low: int
    high: int
    columns: int

    @classmethod
    def over(cls, found: Sequence[Step], columns: int) -> _Scale:
        return cls(*bounds(found), columns)

    def _column(self, mbits: int) -> int:
        inside = min(max(mbits, self.low), self.high)
        return round((inside - self.low) / (self.high - self.low) * (self.columns - 1))

    def drawn(self, start: int, end: int) -> str:
        row = [" "] * self.columns
        row[self._column(0)] = _ZERO
        left, right = sorted((self._column(start), self._column(end)))
        if start != end:
            right = max(right, left + 1)
            mark = _FOR if end > start else _AGAINST
            row[left:right] = mark * (right - left)
        return "".join(row)[: self.columns]


def bounds(found: Sequence[Step]) -> tuple[int, int]:
    """The least and the greatest running sum, 0 among them; contradictions are left out."""
    sums = [0]
    for step in found:
        sums += [at for at in (step.start_mbits, step.end_mbits) if not is_held_apart(at)]
    low, high = min(sums), max(sums)
    return (low, high) if low < high else (low, low + MBITS)


def cells(text: str) -> int:
    """Columns that a text takes in a terminal."""
    return sum(map(_cell, text))


def _cell(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf", "Cc"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def cut(text: str, width: int) -> str:
    """The text without control characters, in at most so many columns, "…" where it was cut."""
    plain = "".join(letter for letter in text if unicodedata.category(letter) != "Cc")
    if cells(plain) <= width:
        return plain
    kept, taken = "", 1
    for letter in plain:
        taken += _cell(letter)
        if taken > width:
            break
        kept += letter
    return kept + "…"


def fit(text: str, width: int) -> str:
    """The text in exactly so many columns."""
    short = cut(text, width)
    return short + " " * (width - cells(short))

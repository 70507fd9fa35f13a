"""A match weight's waterfall as an SVG that stands alone.

Pure. Light and dark follow the reader's setting through CSS. What a bar means
is in its sign, its side and its fill, not in colour alone, and again in words:
the whole in `<title>` and `<desc>`, each bar in a `<title>` of its own.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from hashlib import blake2b
from html import escape
from typing import NamedTuple

from identity.matching.model import MBITS
from identity.matching.score import Bar
from identity.matching.waterfall import (
    Step,
    bits,
    bounds,
    is_held_apart,
    label,
    steps,
)

WIDTH = 820
_LABELS = 330
_LEFT, _RIGHT = _LABELS + 30, WIDTH - 90
_ROW, _BAR = 26, 16
_HEAD, _FOOT = 52, 40
_EM = 13
_BROAD, _NARROW = frozenset("mwMW@%&"), frozenset("ijltfr:.,;'| ()-")
_TICKS = 6
_LIGHT = ("#ffffff", "#1b1f24", "#59636e", "#c8ced6", "#1d62c9", "#b4470f")
_DARK = ("#14181d", "#e8ebef", "#a3adb8", "#3d4650", "#78adff", "#ff9d66")
_SHAPES = """
.kf text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
.kf .head{font-size:16px;font-weight:600}
.kf .bits{font-variant-numeric:tabular-nums;text-anchor:end}
.kf .tick{font-size:11px;text-anchor:middle}
.kf .axis,.kf .zero,.kf .join{fill:none}
.kf .join{stroke-dasharray:2 2}
.kf .against{fill-opacity:.18}
.kf .sum{font-weight:600}
"""


class _Scale(NamedTuple):
    low: int
    high: int

    def x(self, mbits: int) -> float:
        """The place of a running sum, in pixels; beyond the bounds it is at the edge."""
        inside = min(max(mbits, self.low), self.high)
        return round(_LEFT + (inside - self.low) / (self.high - self.low) * (_RIGHT - _LEFT), 1)


def svg(bars: Sequence[Bar], title: str) -> str:
    """The waterfall as a self-contained SVG: no script, font, image or address outside of it.

    One row per bar in order, then their sum. It is 820 pixels wide, grows with
    the number of bars, and scales. `title` is told as given, with what XML
    forbids left out.
    """
    found = steps(bars)
    scale = _Scale(*bounds(found))
    total = found[-1].end_mbits if found else 0
    foot = _HEAD + _ROW * (len(found) + 1)
    height = foot + _FOOT
    said = _plain(title)
    name = "kf" + blake2b(repr((said, found)).encode(), digest_size=6).hexdigest()
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="kf" viewBox="0 0 {WIDTH} {height}"'
            f' width="{WIDTH}" height="{height}" role="img"'
            f' aria-labelledby="{name}-title {name}-desc">'
        ),
        f'<title id="{name}-title">{escape(said)}</title>',
        f'<desc id="{name}-desc">{escape(_described(found, total))}</desc>',
        f"<style>{_style()}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        f'<text class="head" x="20" y="30">{escape(_short(said, (WIDTH - 40) * 0.72))}</text>',
        *_axis(scale, foot),
    ]
    for number, step in enumerate(found):
        parts.append(_join(scale, step, number))
        parts.append(_bar(scale, step, number))
    parts.append(_sum(scale, total, len(found)))
    return "\n".join([*parts, "</svg>", ""])


def _style() -> str:
    return f"{_SHAPES}{_colours(*_LIGHT)}@media(prefers-color-scheme:dark){{{_colours(*_DARK)}}}\n"


def _colours(paper: str, ink: str, quiet: str, line: str, agrees: str, against: str) -> str:
    # Written out for each: viewers other than browsers know no CSS variables.
    return (
        f".kf .paper{{fill:{paper}}}\n.kf text{{fill:{ink}}}\n.kf .tick{{fill:{quiet}}}\n"
        f".kf .axis,.kf .join{{stroke:{line}}}\n.kf .zero{{stroke:{quiet}}}\n"
        f".kf .for{{fill:{agrees};stroke:{agrees}}}\n"
        f".kf .against{{fill:{against};stroke:{against}}}\n"
    )


def _described(found: Sequence[Step], total: int) -> str:
    rows = "; ".join(f"{_plain(label(step.bar))} {_said(step.bar.mbits)}" for step in found)
    return f"Match weight {_said(total)}, from: {rows or 'nothing'}."


def _said(mbits: int) -> str:
    return "held apart" if is_held_apart(mbits) else f"{bits(mbits)} bits"


def _axis(scale: _Scale, foot: int) -> list[str]:
    parts = []
    for at in _ticks(scale):
        kind = "zero" if at == 0 else "axis"
        x = scale.x(at)
        parts.append(f'<path class="{kind}" d="M{x} {_HEAD - 6}V{foot + 6}"/>')
        parts.append(f'<text class="tick" x="{x}" y="{foot + 20}">{at // MBITS}</text>')
    middle = (_LEFT + _RIGHT) / 2
    parts.append(f'<text class="tick" x="{middle}" y="{foot + 34}">bits</text>')
    return parts


def _ticks(scale: _Scale) -> range:
    """Round numbers of bits within the bounds, 0 among them, few enough to stand apart."""
    span = scale.high - scale.low
    step = MBITS
    while span / step > _TICKS:
        leading = step // 10 ** (len(str(step)) - 1)
        step = step * 5 // 2 if leading == 2 else step * 2
    first = -(-scale.low // step) * step
    return range(first, scale.high + 1, step)


def _join(scale: _Scale, step: Step, row: int) -> str:
    """Leads the eye from where a bar ends down to where the next begins."""
    y = _HEAD + _ROW * row + (_ROW + _BAR) // 2
    x = scale.x(step.end_mbits)
    return f'<path class="join" d="M{x} {y}V{y + _ROW - _BAR}"/>'


def _bar(scale: _Scale, step: Step, row: int) -> str:
    return _row(scale, label(step.bar), (step.start_mbits, step.end_mbits), row, "")


def _sum(scale: _Scale, total: int, row: int) -> str:
    return _row(scale, "match weight", (0, total), row, " sum")


def _row(scale: _Scale, words: str, ends: tuple[int, int], row: int, more: str) -> str:
    start, end = ends
    mbits = end - start
    y = _HEAD + _ROW * row
    left, right = sorted((scale.x(start), scale.x(end)))
    wide = max(round(right - left, 1), 1.0 if mbits else 0.0)
    left = min(left, _RIGHT - wide)
    text = y + _ROW // 2 + 5
    shown = escape(_short(words, _LABELS))
    side = "for" if mbits > 0 else "against"
    said = "apart" if is_held_apart(mbits) else bits(mbits)
    return (
        f"<g><title>{escape(_plain(words))}: {_said(mbits)}</title>"
        f'<text class="label{more}" x="20" y="{text}">{shown}</text>'
        f'<rect class="{side}" x="{left}" y="{y + (_ROW - _BAR) // 2}"'
        f' width="{wide}" height="{_BAR}"/>'
        f'<text class="bits{more}" x="{WIDTH - 20}" y="{text}">{said}</text></g>'
    )


def _short(text: str, room: float) -> str:
    """As much of the text as surely fits in so many pixels, "…" where it was cut."""
    plain = _plain(text)
    if _pixels(plain) <= room:
        return plain
    while plain and _pixels(plain) > room - _EM:
        plain = plain[:-1]
    return plain + "…"


def _pixels(text: str) -> float:
    """Width of a text at 13 pixels in a broad font; common ones are narrower."""
    return sum(map(_letter_pixels, text))


def _letter_pixels(letter: str) -> float:
    if letter in _BROAD or unicodedata.east_asian_width(letter) in "WF":
        return 1.1 * _EM
    if unicodedata.category(letter) in ("Lu", "So", "Sm"):
        return 0.8 * _EM
    return (0.42 if letter in _NARROW else 0.64) * _EM


def _plain(text: str) -> str:
    """Without what XML does not allow: control characters, surrogates and the like."""
    return "".join(
        letter for letter in text if unicodedata.category(letter) not in ("Cc", "Cs", "Cn")
    )

"""Charts as SVG and PNG, drawn in this process: no browser and no network."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

import vl_convert

from kinfold.report.charts import NARROW, WIDE, Form, Room, chart_of, drawn_of, form_of, torn_of
from kinfold.report.palette import Palette
from kinfold.statistics.figure import ALL
from kinfold.statistics.release import WITHHELD, Released

VL_VERSION = "6.4"
CHART_FORMATS = ("svg", "png")
PNG_SCALE = 2.0
_MOST_WORDS = 3
_SAID = re.compile(r' (role|aria-[a-z]+)="[^"]*"')


def svg_of(released: Released, room: Room, palette: Palette) -> str | None:
    """A figure's chart with a title and a description for who cannot see it; None without one."""
    chart = chart_of(released, room, palette)
    if chart is None:
        return None
    drawn = vl_convert.vegalite_to_svg(chart, vl_version=VL_VERSION)
    name = f"{released.spec.id}-{'narrow' if room.narrow else 'wide'}"
    title, words = escape(released.spec.title), escape(described(released))
    labelled = (
        f'<svg role="img" aria-labelledby="{name}-title {name}-words" ',
        f'<title id="{name}-title">{title}</title><desc id="{name}-words">{words}</desc>',
    )
    # What is read out is the description, not each bar.
    start, rest = _SAID.sub("", drawn).removeprefix("<svg ").split(">", 1)
    return f"{labelled[0]}{start}>{labelled[1]}{rest}"


def described(released: Released) -> str:
    """A chart in words: what it is drawn as, how much of it, and its largest numbers."""
    spec = released.spec
    form = form_of(released)
    told = [(g, p, v) for g, p, v, *_ in released.cells.rows() if v is not None]
    largest = sorted((row for row in told if row[1] != ALL), key=lambda row: row[2], reverse=True)[
        :_MOST_WORDS
    ]
    shape = form.value if form is not None else Form.BARS.value
    numbers = "; ".join(
        f"{': '.join(part for part in (group, name) if part)}: {value:,}"
        for group, name, value in largest
    )
    return (
        f"Drawn as {shape}, in {spec.unit}. {spec.meaning} "
        f"Largest: {numbers}. All numbers are in the table that follows."
    )


def notes(released: Released) -> list[str]:
    """What the chart leaves out, in words."""
    found = []
    drawn, told = drawn_of(released)
    if drawn < told:
        found.append(f"The {drawn} largest of {told} are drawn.")
    if form_of(released) is Form.SHARES:
        found.append("Shares are of what is told of each row.")
        if torn_of(released):
            found.append("* A part of this row is withheld.")
    hidden = sum(1 for *_, note, _ in released.cells.rows() if note == WITHHELD)
    if hidden:
        found.append(
            "1 number is withheld: too few people." if hidden == 1
            else f"{hidden} numbers are withheld: too few people."
        )  # fmt: skip
    return found


def write_charts(figures: tuple[Released, ...], folder: Path, form: str) -> list[Path]:
    """A file per chart, in fixed light colours, as wide as on a desktop; the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    palette = Palette(is_fixed=True)
    written = []
    for each in figures:
        path = folder / f"{each.spec.id}.{form}"
        if form == "png":
            chart = chart_of(each, WIDE, palette)
            if chart is None:
                continue
            grounded = {**chart, "background": palette("ground")}
            content = vl_convert.vegalite_to_png(grounded, vl_version=VL_VERSION, scale=PNG_SCALE)
        else:
            drawn = svg_of(each, WIDE, palette)
            if drawn is None:
                continue
            content = drawn.encode()
        path.write_bytes(content)
        written.append(path)
    return written


ROOMS = (WIDE, NARROW)
"""The rooms that a page draws each chart for."""

"""A released figure as a chart: which form it takes, and that as a Vega-Lite specification.

Only told numbers are drawn. Forms follow from what the figure is: parts of one
whole are bars, or columns where they are bands of a number; parts of several
groups are shares of each group's told whole; sums of groups lie end to end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

import polars as pl

from kinfold.report.palette import Palette
from kinfold.statistics.figure import ALL, Shape, Spec
from kinfold.statistics.release import Released

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"
MOST_ROWS = 20
"""Groups or parts that are drawn; the table beside a chart has all."""
_BAND = re.compile(r"\d+(-\d+|\+)?")
_CHARACTER_PX = 7.3
"""Of a wide font: which one a reader has is not known here."""
_LONGEST_NAME_PX = 230
_NUMBER_PX = 40
_WIDEST_PX = 56
Chart = dict[str, Any]
"""A Vega-Lite specification."""


class Form(Enum):
    """What a figure is drawn as."""

    BARS = "bars"
    COLUMNS = "columns"
    SHARES = "shares"
    ENDS = "bars end to end"
    BESIDE = "bars side by side"
    HEAPS = "columns of groups"
    WEEKS = "columns by week"
    SPREAD = "points"


@dataclass(frozen=True, slots=True)
class Room:
    """How much room a chart has; `narrow` has no room for names beside bars."""

    width_px: int
    narrow: bool


@dataclass(frozen=True, slots=True)
class Canvas:
    """What a chart is of, how much room it has, its colours, and all bands, told or not."""

    spec: Spec
    room: Room
    palette: Palette
    bands: list[str]


WIDE = Room(770, narrow=False)
NARROW = Room(312, narrow=True)


def form_of(released: Released) -> Form | None:
    """What a figure is drawn as; None when nothing of it is told."""
    told = _told(released)
    spec = released.spec
    if told.is_empty():
        return None
    if spec.shape is Shape.SPREAD:
        return Form.SPREAD if spec.order else Form.BARS
    if spec.group == "week":
        return Form.WEEKS
    if spec.group and (spec.shape is Shape.PARTS or spec.shares):
        return Form.SHARES
    if spec.group and all(map(_BAND.fullmatch, told["part"])):
        return Form.HEAPS
    if spec.group:
        return Form.BESIDE if spec.shape is Shape.SUBSETS else Form.ENDS
    parts = told.filter(pl.col("part") != ALL)["part"].to_list()
    return Form.COLUMNS if parts and all(map(_BAND.fullmatch, parts)) else Form.BARS


def chart_of(released: Released, room: Room, palette: Palette) -> Chart | None:
    """The chart of a figure; None when nothing of it is told."""
    form = form_of(released)
    if form is None:
        return None
    rows = _drawn(_told(released), released.spec, form)
    if form is Form.SHARES:
        torn = pl.col("group").is_in(torn_of(released))
        starred = pl.when(torn).then(pl.col("group") + " *").otherwise(pl.col("group"))
        rows = rows.with_columns(group=starred)
    draw = {
        Form.BARS: _bars,
        Form.COLUMNS: _columns,
        Form.SHARES: _shares,
        Form.ENDS: _ends,
        Form.BESIDE: _beside,
        Form.HEAPS: _heaps,
        Form.WEEKS: _weeks,
        Form.SPREAD: _spread,
    }[form]
    chart = draw(rows, Canvas(released.spec, room, palette, _bands(released)))
    return {
        "$schema": SCHEMA,
        "background": None,
        "padding": {"left": 2, "right": 6, "top": 4, "bottom": 4},
        "autosize": {"type": "fit-x", "contains": "padding"},
        "width": room.width_px,
        "data": {"values": rows.rows(named=True)},
        "config": _config(palette),
        **chart,
    }


def _bands(released: Released) -> list[str]:
    parts = released.cells["part"].unique(maintain_order=True).to_list()
    return sorted(filter(_BAND.fullmatch, parts), key=_start)


def _start(band: str) -> int:
    return int(re.split(r"\D", band)[0])


def torn_of(released: Released) -> list[str]:
    """Groups of which some parts are told and others are not."""
    hidden = released.cells.filter(pl.col("value").is_null())["group"].unique()
    told = _told(released)["group"].unique()
    return sorted(set(hidden) & set(told))


def drawn_of(released: Released) -> tuple[int, int]:
    """How many rows of bars are drawn, of how many that are told."""
    form = form_of(released)
    if form is None:
        return 0, 0
    name = _row_name(form)
    told = _told(released).filter(pl.col(name) != ALL)
    drawn = _drawn(told, released.spec, form)
    return drawn[name].n_unique(), told[name].n_unique()


def _told(released: Released) -> pl.DataFrame:
    return released.cells.filter(pl.col("value").is_not_null()).select("group", "part", "value")


def _row_name(form: Form) -> str:
    return "group" if form in (Form.SHARES, Form.ENDS, Form.WEEKS, Form.SPREAD) else "part"


def _drawn(told: pl.DataFrame, spec: Spec, form: Form) -> pl.DataFrame:
    """The rows that are drawn, in their order, the largest where there are too many."""
    in_order = form is Form.SHARES and spec.shares
    if in_order or form in (Form.HEAPS, Form.COLUMNS, Form.WEEKS, Form.SPREAD):
        return told.filter(pl.col("part") != ALL) if form is Form.COLUMNS else told
    name = _row_name(form)
    sized = told.with_columns(size=pl.col("value").sum().over(name))
    largest = (
        sized.filter(pl.col(name) != ALL)
        .select(name, "size")
        .unique()
        .sort("size", name, descending=[True, False])[name]
        .to_list()[:MOST_ROWS]
    )
    ordered = bool(spec.order) and name == "part"
    names = told[name].unique(maintain_order=True).to_list() if ordered else [ALL, *largest]
    places = {each: place for place, each in enumerate(names)}
    place = pl.col(name).replace_strict(places, default=None, return_dtype=pl.Int64)
    return sized.with_columns(place=place).drop_nulls("place").sort("place", maintain_order=True)


def _config(palette: Palette) -> Chart:
    text = {"font": FONT, "fontSize": 12}
    return {
        "aria": False,
        "font": FONT,
        "view": {"stroke": None},
        "text": {**text, "color": palette("ink")},
        "axis": {
            "labelColor": palette("muted"),
            "labelFontSize": 12,
            "titleColor": palette("muted"),
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "gridColor": palette("line"),
            "domainColor": palette("line"),
            "tickColor": palette("line"),
            "domain": False,
            "ticks": False,
            "labelPadding": 6,
        },
        "legend": {
            "orient": "top",
            "direction": "horizontal",
            "labelColor": palette("ink"),
            "labelFontSize": 12,
            "labelLimit": 260,
            "symbolType": "square",
            "title": None,
            "rowPadding": 4,
            "columnPadding": 14,
        },
        "range": {"category": palette.series},
    }


def _names(rows: pl.DataFrame, name: str) -> list[str]:
    found: list[str] = rows[name].unique(maintain_order=True).to_list()
    return found


def _parts(rows: pl.DataFrame, spec: Spec) -> list[str]:
    """Parts as a legend has them: in the figure's order, else the largest first."""
    sizes = rows.group_by("part").agg(pl.col("value").sum()).sort("value", "part")
    found: list[str] = sizes["part"].to_list()[::-1]
    if all(map(_BAND.fullmatch, found)):
        return sorted(found, key=_start)
    order = list(spec.order)
    known = [part for part in order if part in found]
    return known + [part for part in found if part not in order]


def _colours(rows: pl.DataFrame, on: Canvas) -> Chart:
    parts = _parts(rows, on.spec)
    return _by_colour("part", parts, on)


def _by_colour(name: str, values: list[str], on: Canvas) -> Chart:
    """A colour per value. Files have a legend; a page writes its own, in the reader's font."""
    room_px = max(map(len, values)) * _CHARACTER_PX + 34
    columns = max(1, int(on.room.width_px // room_px))
    series = on.palette.series
    colours = [series[place % len(series)] for place in range(len(values))]
    return {
        "field": name,
        "type": "nominal",
        "sort": values,
        "scale": {"domain": values, "range": colours},
        "legend": {"columns": columns, "offset": 10} if on.palette.is_fixed else None,
    }


def key_of(released: Released) -> list[str]:
    """What a chart's colours stand for, in the order of `palette.SERIES`; [] when it has one."""
    form = form_of(released)
    if form is None or form in (Form.BARS, Form.COLUMNS):
        return []
    rows = _drawn(_told(released), released.spec, form)
    return (
        sorted(_names(rows, "group"))
        if form in (Form.BESIDE, Form.HEAPS)
        else _parts(rows, released.spec)
    )


def _name_axis(rows: pl.DataFrame, name: str, on: Canvas) -> tuple[Chart, list[Chart], int]:
    """Where rows are named: beside them, or above them where it is narrow; and their height."""
    names = _names(rows, name)
    y: Chart = {"field": name, "type": "nominal", "sort": names, "title": None}
    if not on.room.narrow:
        longest_px = max(len(each) for each in names) * _CHARACTER_PX + 8
        axis = {"labelLimit": _LONGEST_NAME_PX, "minExtent": min(longest_px, _LONGEST_NAME_PX)}
        return {**y, "axis": axis, "scale": {"paddingInner": 0.3, "paddingOuter": 0.1}}, [], 28
    above = {
        "transform": [{"aggregate": [{"op": "count", "as": "n"}], "groupby": [name]}],
        "mark": {"type": "text", "align": "left", "baseline": "bottom", "dy": -2, "limit": 300},
        "encoding": {
            "x": {"value": 0},
            "y": {**y, "axis": None},
            "text": {"field": name, "type": "nominal"},
        },
    }
    hidden = {**y, "axis": None, "scale": {"paddingInner": 0.0, "paddingOuter": 0.0}}
    return hidden, [above], 42


def _bar(room: Room, **more: Any) -> Chart:
    size = {"height": 14, "yOffset": 9} if room.narrow else {"height": 18}
    return {"type": "bar", "cornerRadiusEnd": 3, **size, **more}


def _amounts(most: int) -> Chart:
    """A scale with room for a number at the end of the longest bar."""
    return {"domain": [0, most * 1.18 or 1], "nice": False}


def _bars(rows: pl.DataFrame, on: Canvas) -> Chart:
    y, above, step_px = _name_axis(rows, "part", on)
    most = int(rows["value"].max() or 0)  # type: ignore[arg-type]
    most = max(most, *on.spec.marks, 0)
    x = {"field": "value", "type": "quantitative", "axis": None, "scale": _amounts(most)}
    colour = {
        "condition": {"test": f"datum.part === '{ALL}'", "value": on.palette("c7")},
        "value": on.palette("c1"),
    }
    number: Chart = {"type": "text", "align": "left", "baseline": "middle", "dx": 6}
    if on.room.narrow:
        number["yOffset"] = 9
    layers = [
        {"mark": _bar(on.room), "encoding": {"x": x, "y": y, "color": colour}},
        {
            "mark": number,
            "encoding": {"x": x, "y": y, "text": {"field": "value", "format": ",d"}},
        },
    ]
    marks = [
        {
            "mark": {"type": "rule", "color": on.palette("c2"), "strokeDash": [4, 3]},
            "encoding": {"x": {"datum": mark, "type": "quantitative", "axis": None}},
        }
        for mark in on.spec.marks
    ]
    return {"height": step_px * rows.height, "layer": marks + layers + above}


def _columns(rows: pl.DataFrame, on: Canvas) -> Chart:
    axis = {"labelAngle": 0, "labelOverlap": "greedy", "labelSeparation": 8, "title": on.spec.part}
    x = {"field": "part", "type": "nominal", "sort": on.bands, "axis": axis,
         "scale": {"domain": on.bands, "paddingInner": 0.22, "paddingOuter": 0.1}}  # fmt: skip
    y = {"field": "value", "type": "quantitative", "title": None,
         "axis": {"format": ",d", "tickCount": 4, "minExtent": 44}}  # fmt: skip
    bars = {
        "mark": {"type": "bar", "color": on.palette("c1"), "cornerRadiusEnd": 3},
        "encoding": {"x": x, "y": y},
    }
    numbers = {
        "mark": {"type": "text", "baseline": "bottom", "dy": -3, "fontSize": 11},
        "encoding": {"x": x, "y": y, "text": {"field": "value", "format": ",d"}},
    }
    fits = rows.height * _NUMBER_PX <= on.room.width_px
    return {"height": 190, "layer": [bars, numbers] if fits else [bars]}


def _stacked(rows: pl.DataFrame, on: Canvas, *, shares: bool) -> Chart:
    y, above, step_px = _name_axis(rows, "group", on)
    axis: Chart = {"format": ".0%" if shares else ",d", "tickCount": 4, "title": None}
    if shares:
        axis |= {"values": [0, 0.25, 0.5, 0.75, 1]}
    x: Chart = {
        "field": "value",
        "type": "quantitative",
        "stack": "normalize" if shares else "zero",
        "axis": axis,
    }
    colour = _colours(rows, on)
    places = {part: place for place, part in enumerate(colour["sort"])}
    order = {"field": "at", "type": "quantitative"}
    bars = {
        "transform": [{"calculate": f"({_lookup(places)})[datum.part]", "as": "at"}],
        "mark": _bar(on.room, cornerRadiusEnd=0, stroke=on.palette("ground"), strokeWidth=1),
        "encoding": {"x": x, "y": y, "color": colour, "order": order},
    }
    count = len(_names(rows, "group"))
    return {"height": step_px * count, "layer": [bars, *above]}


def _lookup(places: dict[str, int]) -> str:
    """A table as an expression of Vega."""
    entries = (f"{_quoted(part)}: {place}" for part, place in places.items())
    return "{" + ", ".join(entries) + "}"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _shares(rows: pl.DataFrame, on: Canvas) -> Chart:
    return _stacked(rows, on, shares=True)


def _ends(rows: pl.DataFrame, on: Canvas) -> Chart:
    return _stacked(rows, on, shares=False)


def _beside(rows: pl.DataFrame, on: Canvas) -> Chart:
    """Subsets of several groups: a bar per group in each part's row."""
    y, above, step_px = _name_axis(rows, "part", on)
    groups = sorted(_names(rows, "group"))
    most = int(rows["value"].max() or 0)  # type: ignore[arg-type]
    x = {"field": "value", "type": "quantitative", "axis": None, "scale": _amounts(most)}
    colour = _by_colour("group", groups, on)
    height_px = 11
    layers = []
    for place, group in enumerate(groups):
        offset = (place - (len(groups) - 1) / 2) * (height_px + 2) + (10 if on.room.narrow else 0)
        mine = {"filter": f"datum.group === {_quoted(group)}"}
        bar = {"type": "bar", "height": height_px, "yOffset": offset, "cornerRadiusEnd": 2}
        number = {"type": "text", "align": "left", "baseline": "middle", "dx": 5,
                  "yOffset": offset, "fontSize": 11}  # fmt: skip
        layers += [
            {"transform": [mine], "mark": bar, "encoding": {"x": x, "y": y, "color": colour}},
            {"transform": [mine], "mark": number,
             "encoding": {"x": x, "y": y, "text": {"field": "value", "format": ",d"}}},
        ]  # fmt: skip
    rows_px = (step_px + (height_px + 4) * (len(groups) - 1)) * len(_names(rows, "part"))
    return {"height": rows_px, "layer": layers + above}


def _heaps(rows: pl.DataFrame, on: Canvas) -> Chart:
    """Bands of a number as columns, in which groups lie on each other."""
    groups = sorted(_names(rows, "group"))
    scale = {"domain": on.bands, "paddingInner": 0.22, "paddingOuter": 0.1}
    axis = {"labelAngle": 0, "labelOverlap": "greedy", "labelSeparation": 8, "title": on.spec.part}
    x = {"field": "part", "type": "nominal", "sort": on.bands, "axis": axis, "scale": scale}
    heights = {"format": ",d", "tickCount": 4, "minExtent": 44}
    y = {"field": "value", "type": "quantitative", "title": None, "stack": "zero", "axis": heights}
    bars = {
        "mark": {"type": "bar", "stroke": on.palette("ground"), "strokeWidth": 1},
        "encoding": {"x": x, "y": y, "color": _by_colour("group", groups, on)},
    }
    return {"height": 200, "layer": [bars]}


def _weeks(rows: pl.DataFrame, on: Canvas) -> Chart:
    axis = {"labelAngle": 0, "labelOverlap": "greedy", "labelSeparation": 8, "title": "week from"}
    scale = {"paddingInner": 0.3, "paddingOuter": 0.2}
    weeks = sorted(_names(rows, "group"))
    x = {"field": "group", "type": "nominal", "sort": weeks, "axis": axis, "scale": scale}
    heights = {"format": ",d", "tickCount": 4, "minExtent": 44}
    y = {"field": "value", "type": "quantitative", "title": None, "stack": "zero", "axis": heights}
    size_px = min(_WIDEST_PX, on.room.width_px * 0.6 / len(_names(rows, "group")))
    bars = {
        "mark": {"type": "bar", "stroke": on.palette("ground"), "strokeWidth": 1, "width": size_px},
        "encoding": {"x": x, "y": y, "color": _colours(rows, on)},
    }
    return {"height": 200, "layer": [bars]}


def _spread(rows: pl.DataFrame, on: Canvas) -> Chart:
    """A line from the middle to the most, with a point for each quantile."""
    y, above, step_px = _name_axis(rows, "group", on)
    if y["axis"] is not None:
        # A point at nothing would else cover the end of its name.
        y = {**y, "axis": {**y["axis"], "offset": 8}}
    axis = {"tickCount": 5, "tickMinStep": 1, "format": ",d", "title": None}
    x = {"field": "value", "type": "quantitative", "axis": axis}
    down = {"yOffset": 9} if on.room.narrow else {}
    line = {
        "mark": {"type": "rule", "color": on.palette("line"), "strokeWidth": 3, **down},
        "encoding": {
            "x": {"field": "value", "aggregate": "min", "type": "quantitative", "axis": axis},
            "x2": {"field": "value", "aggregate": "max"},
            "y": y,
        },
    }
    points = {
        "mark": {"type": "point", "filled": True, "size": 110, "opacity": 1, **down},
        "encoding": {"x": x, "y": y, "color": _colours(rows, on)},
    }
    return {"height": step_px * len(_names(rows, "group")), "layer": [line, points, *above]}

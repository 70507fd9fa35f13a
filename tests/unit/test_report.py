"""The report: which form each figure takes, what it tells, and that it gives away no more."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html import unescape
from typing import Any

import polars as pl
import pytest

from kinfold.report.chapters import CHAPTERS, facts
from kinfold.report.charts import MOST_ROWS, NARROW, WIDE, Form, form_of, key_of
from kinfold.report.drawing import notes, svg_of
from kinfold.report.page import page
from kinfold.report.palette import LIGHT, Palette
from kinfold.statistics.exporting import Release
from kinfold.statistics.figure import Shape, Spec
from kinfold.statistics.figures import SPECS
from kinfold.statistics.release import RELEASED, WITHHELD, Released

PARTS = Spec("parts", "Parts", "What parts are.", "Each once.", Shape.PARTS, "people", part="p")
Row = tuple[str, str, int | None, str, int]


def released(spec: Spec, rows: list[Row]) -> Released:
    """A released figure of these cells."""
    return Released(spec, pl.DataFrame(rows, schema=RELEASED, orient="row"), {})


def told(spec: Spec, *cells: tuple[str, str, int]) -> Released:
    """A released figure that withholds nothing."""
    return released(spec, [(*cell, "", 20) for cell in cells])


GROUPED = replace(PARTS, group="g")
FORMS = {
    Form.BARS: told(PARTS, ("", "b", 40), ("", "a", 400)),
    Form.COLUMNS: told(PARTS, ("", "0", 40), ("", "1-5", 60), ("", "6+", 20)),
    Form.SHARES: told(GROUPED, ("x", "a", 40), ("x", "b", 60), ("y", "a", 20)),
    Form.ENDS: told(replace(GROUPED, shape=Shape.SUMS), ("x", "a", 40), ("y", "b", 60)),
    Form.BESIDE: told(replace(GROUPED, shape=Shape.SUBSETS), ("x", "all", 40), ("y", "b", 60)),
    Form.WEEKS: told(replace(GROUPED, group="week", shape=Shape.SUMS), ("2026-11-23", "a", 40)),
    Form.HEAPS: told(replace(GROUPED, shape=Shape.SUMS), ("x", "0-1", 40), ("y", "2-3", 60)),
    Form.SPREAD: told(
        replace(GROUPED, shape=Shape.SPREAD, order=("p50", "max")), ("x", "p50", 1), ("x", "max", 9)
    ),
}


def release(*figures: Released, **manifest: Any) -> Release:
    """A release of figures."""
    told = {
        "taken_at": "2026-11-23T10:00:00+00:00",
        "snapshot": {"resolution": 7, "horizons": {}, "is_resolved": True},
        "minimum_people": 20,
        "recipient": "board",
        "expires_at": None,
        "figures": [],
    }
    return Release({**told, **manifest}, figures, ("largestlargestlargestlarg1",))


@pytest.mark.parametrize("form", list(Form))
def test_each_figure_has_its_form(form: Form) -> None:
    """The form follows from shape and names, and every form draws in both rooms."""
    figure = FORMS[form]
    assert form_of(figure) is form
    for room in (WIDE, NARROW):
        svg = svg_of(figure, room, Palette(is_fixed=False))
        assert svg is not None
        root = ET.fromstring(svg)  # noqa: S314 - our own
        assert [child.tag.rpartition("}")[2] for child in root][:2] == ["title", "desc"]
        assert float(root.attrib["width"]) <= room.width_px + 1


def test_colours_are_names_on_the_page_and_fixed_in_files() -> None:
    """A page's chart takes its colours from the page; a file's needs nothing around it."""
    for figure in FORMS.values():
        named = svg_of(figure, WIDE, Palette(is_fixed=False)) or ""
        fixed = svg_of(figure, WIDE, Palette(is_fixed=True)) or ""
        assert "var(--" in named
        assert not [colour for colour in LIGHT.values() if colour in named]
        assert "var(--" not in fixed


def test_only_what_is_told_is_drawn() -> None:
    """Withheld parts are not in the chart; the words beside it say how many there are."""
    figure = released(PARTS, [("", "a", 400, "", 20), ("", "secret", None, WITHHELD, 20)])
    svg = svg_of(figure, WIDE, Palette(is_fixed=True)) or ""
    assert ("400" in svg, "secret" in svg) == (True, False)
    assert notes(figure) == ["1 number is withheld: too few people."]
    hidden = released(PARTS, [("", "a", None, WITHHELD, 20)])
    assert (form_of(hidden), svg_of(hidden, WIDE, Palette(is_fixed=True))) == (None, None)
    assert "Nothing to tell: too few people." in page(release(hidden))
    assert "Nothing to tell: there is nothing to count." in page(release(released(PARTS, [])))


def test_the_largest_are_drawn_where_there_are_many() -> None:
    """Of many parts the largest are drawn, and it says so; all are in the table."""
    figure = told(PARTS, *[("", f"name {n}", 20 * n) for n in range(1, 60)])
    svg = svg_of(figure, WIDE, Palette(is_fixed=True)) or ""
    assert "name 59" in svg
    assert "name 1<" not in svg
    assert notes(figure) == [f"The {MOST_ROWS} largest of 59 are drawn."]
    assert "<td>name 1</td>" in page(release(figure))


def test_bands_are_in_order() -> None:
    """Bands of a number stand by their number, whatever their size."""
    spec = replace(PARTS, group="g")
    figure = told(spec, ("x", "10+", 400), ("x", "0", 40), ("x", "2-9", 60))
    assert key_of(figure) == ["0", "2-9", "10+"]


def test_what_comes_from_signals_is_text() -> None:
    """Names of categories cannot bring markup or script into the page or into a chart."""
    name = "<script>alert('1')</script>\\"
    figure = told(replace(GROUPED, open=True), (name, name, 400), ("x", "b", 40))
    text = page(release(figure))
    assert "<script" not in text
    assert unescape(text).count(name) >= 2
    assert "default-src 'none'" in text


def test_the_page_needs_nothing_else() -> None:
    """Nothing in the page is fetched from anywhere: no source, no import, no address."""
    text = page(release(*FORMS.values()))
    namespaces = ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink")
    for name in namespaces:
        text = text.replace(name, "")
    assert not re.search(r"https?:|src=|@import|url\((?!#)", text)


def test_ids_of_people_are_not_in_the_report() -> None:
    """The largest people are for review at home: the page names nobody."""
    made = release(FORMS[Form.BARS])
    assert made.largest[0] not in page(made)


def test_every_figure_has_a_chapter() -> None:
    """No figure is left for the last chapter, and none stands in two."""
    named = [figure for _, _, figures in CHAPTERS for figure in figures]
    assert sorted(named) == sorted(spec.id for spec in SPECS)


def test_facts_come_from_told_numbers_alone() -> None:
    """A share at the top is of told numbers; where its part is withheld there is none."""
    spec = {spec.id: spec for spec in SPECS}
    people = told(spec["people_by_kind"], ("", "all", 1_000))
    known = told(spec["known"], ("", "has an account", 300), ("", "anonymous", 100))
    hidden = released(spec["known"], [("", "has an account", None, WITHHELD, 20)])
    assert [(f.number, f.figure) for f in facts([people, known])] == [
        ("1,000", "people_by_kind"),
        ("75%", "known"),
    ]
    assert [f.figure for f in facts([people, hidden])] == ["people_by_kind"]

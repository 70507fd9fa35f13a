"""The report as one page that needs nothing else: no network, no script, no font of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from importlib.resources import files

import orjson
import polars as pl

from kinfold.report.chapters import Chapter, Fact, chapters, facts
from kinfold.report.charts import key_of
from kinfold.report.drawing import ROOMS, notes, svg_of
from kinfold.report.palette import DARK, LIGHT, SERIES, Palette, as_css
from kinfold.statistics.exporting import Release
from kinfold.statistics.figure import Spec
from kinfold.statistics.rates import DEFINITIONS
from kinfold.statistics.release import Released

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_CODE = re.compile(r"`([^`]+)`")
_PALETTE = Palette(is_fixed=False)


def page(release: Release) -> str:
    """The whole page of released figures, with their manifest at its foot.

    No id and no token is in it, those of the largest people included.
    """
    return "\n".join(_page(release)) + "\n"


def _page(release: Release) -> Iterator[str]:
    manifest = release.manifest
    minimum = manifest["minimum_people"]
    found = chapters(release.figures)
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield '<meta name="robots" content="noindex">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield f"<title>Identity report, {escape(_day(manifest))}</title>"
    yield f"<style>{_style()}</style></head><body>"
    yield '<a class="skip" href="#figures">Skip to the figures</a>'
    yield '<header class="top"><p class="kicker">kinfold</p><h1>Identity report</h1>'
    yield f'<p class="moment">{_moment(release)}</p></header>'
    yield from _glance(facts(release.figures))
    shares = release.rates()
    contents = _contents(found, has_rates=not shares.is_empty())
    yield f'<div class="body">{contents}<main id="figures">'
    yield (
        f'<p class="terms">Every number of people, links or signals has at least {minimum} people '
        "behind it and is rounded, "
        f"so parts need not add up to their total; a number moves only when {minimum} people "
        "came or went. What fewer people stand behind is withheld.</p>"
    )
    yield from _rates(shares)
    for chapter in found:
        yield from _chapter(chapter)
    yield "</main></div>"
    yield from _foot(release)
    yield "</body></html>"


def _style() -> str:
    css = files("kinfold.report").joinpath("page.css").read_text("utf-8")
    return css.replace("/* light */", as_css(LIGHT)).replace("/* dark */", as_css(DARK))


def _day(manifest: dict[str, str]) -> str:
    return manifest["taken_at"][:10]


def _moment(release: Release) -> str:
    manifest = release.manifest
    taken = manifest["taken_at"].replace("T", " ").removesuffix("+00:00") + " UTC"
    words = [f"As of {taken}", f"resolution {manifest['snapshot']['resolution']:,}"]
    if not manifest["snapshot"]["is_resolved"]:
        words.append("with signals still waiting to be resolved")
    if manifest["recipient"]:
        words.append(f"for {manifest['recipient']}")
    if manifest["expires_at"]:
        words.append(f"to be deleted by {manifest['expires_at'][:10]}")
    return escape(", ".join(words) + ".")


def _glance(found: list[Fact]) -> Iterator[str]:
    if not found:
        return
    yield '<section aria-label="At a glance"><ul class="glance">'
    for fact in found:
        yield (
            f'<li><a href="#{fact.figure}"><strong>{escape(fact.number)}</strong> '
            f"<span>{escape(fact.words)}</span></a></li>"
        )
    yield "</ul></section>"


def _contents(found: list[Chapter], *, has_rates: bool) -> str:
    items = "".join(
        f'<li><a href="#{chapter.id}">{escape(chapter.title)}</a><ul>'
        + "".join(
            f'<li><a href="#{each.spec.id}">{escape(each.spec.title)}</a></li>'
            for each in chapter.figures
        )
        + "</ul></li>"
        for chapter in found
    )
    rates = '<li><a href="#rates">Rates</a></li>' if has_rates else ""
    return f'<nav aria-label="Figures"><ul>{rates}{items}</ul></nav>'


def _rates(found: pl.DataFrame) -> Iterator[str]:
    if found.is_empty():
        return
    yield '<section id="rates" aria-labelledby="rates-name"><h2 id="rates-name">Rates</h2>'
    yield '<div class="rates"><p class="meaning">Shares that the figures below add up to.</p>'
    yield '<p class="counted"><b>How they are counted.</b> From the numbers told, so a rate of '
    yield "which one is withheld is left out. "
    yield "; ".join(escape(f"{one.name}: {one.meaning}") for one in DEFINITIONS) + ".</p>"
    yield '<div class="scroll" tabindex="0" role="region" aria-label="Numbers of rates">'
    yield "<table><thead><tr>"
    yield '<th scope="col">rate</th><th scope="col">of</th><th scope="col" class="n">share</th>'
    yield '<th scope="col">note</th></tr></thead><tbody>'
    for rate, of, figure, share, behind in found.rows():
        note = f"{behind:.1%} behind the highest" if behind else ""
        yield f'<tr><td><a href="#{figure}">{escape(rate)}</a></td><td>{escape(of)}</td>'
        yield f'<td class="n">{share:.1%}</td><td>{note}</td></tr>'
    yield "</tbody></table></div></div></section>"


def _chapter(chapter: Chapter) -> Iterator[str]:
    yield f'<section id="{chapter.id}" aria-labelledby="{chapter.id}-name">'
    yield f'<h2 id="{chapter.id}-name">{escape(chapter.title)}</h2>'
    for each in chapter.figures:
        yield from _figure(each)
    yield "</section>"


def _figure(released: Released) -> Iterator[str]:
    spec = released.spec
    yield f'<article id="{spec.id}" aria-labelledby="{spec.id}-name">'
    yield f'<h3 id="{spec.id}-name">{escape(spec.title)}</h3>'
    yield f'<p class="meaning">{_words(spec.meaning)}</p>'
    yield from _chart(released)
    left_out = " ".join(notes(released))
    counted = f'<p class="counted"><b>How it is counted.</b> {_words(spec.counted)}'
    yield f"{counted} {escape(left_out)}</p>"
    if released.cells.height:
        yield from _table(released)
    yield "</article>"


def _words(text: str) -> str:
    """Text with what stands between backticks as code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _chart(released: Released) -> Iterator[str]:
    spec = released.spec
    drawn = [svg_of(released, room, _PALETTE) for room in ROOMS]
    if None in drawn:
        why = "too few people" if released.cells.height else "there is nothing to count"
        yield f'<p class="nothing">Nothing to tell: {why}.</p>'
        return
    unit = "how many a person has" if spec.unit == "a person" else f"in {spec.unit}"
    yield f'<p class="unit">{escape(unit)}</p>'
    if key := key_of(released):
        # Colours repeat when there are more parts than colours, as they do in the chart.
        colours = (SERIES[place % len(SERIES)] for place in range(len(key)))
        items = (
            f'<li><i style="background:var(--{colour})"></i>{escape(part)}</li>'
            for colour, part in zip(colours, key, strict=True)
        )
        yield f'<ul class="key" aria-label="Colours">{"".join(items)}</ul>'
    for room, svg in zip(ROOMS, drawn, strict=True):
        yield f'<div class="chart {"narrow" if room.narrow else "wide"}">{svg}</div>'


def _table(released: Released) -> Iterator[str]:
    spec = released.spec
    yield f"<details><summary>Numbers<span> of {escape(spec.title.lower())}</span></summary>"
    yield '<div class="scroll" tabindex="0" role="region" '
    yield f'aria-label="Numbers of {escape(spec.title.lower())}"><table><thead><tr>'
    for name in _columns(spec):
        yield f'<th scope="col"{_aligned(name, spec)}>{escape(name)}</th>'
    yield "</tr></thead><tbody>"
    for group, part, value, note, nearest in released.cells.rows():
        cells = [part, "-" if value is None else f"{value:,}", note or f"to nearest {nearest:,}"]
        if spec.group:
            cells.insert(0, group)
        yield (
            "<tr>"
            + "".join(
                f"<td{_aligned(name, spec)}>{escape(cell)}</td>"
                for name, cell in zip(_columns(spec), cells, strict=True)
            )
            + "</tr>"
        )
    yield "</tbody></table></div></details>"


def _columns(spec: Spec) -> list[str]:
    return [*([spec.group] if spec.group else []), spec.part or "part", spec.unit, "note"]


def _aligned(name: str, spec: Spec) -> str:
    return ' class="n"' if name == spec.unit else ""


def _foot(release: Release) -> Iterator[str]:
    manifest = {key: value for key, value in release.manifest.items() if key != "figures"}
    text = orjson.dumps(manifest, option=orjson.OPT_INDENT_2).decode()
    yield '<footer><h2 id="manifest">Manifest</h2>'
    yield f'<pre tabindex="0" aria-labelledby="manifest">{escape(text)}</pre></footer>'

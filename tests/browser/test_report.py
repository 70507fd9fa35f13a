"""The report in a real Chromium: at two widths, light and dark, and on paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from kinfold.generate.spec import CohortSpec
from kinfold.statistics.figures import SPECS
from tests.support.cohort import lines, made
from tests.support.command_line import CommandLine
from tests.support.pages import (
    Shown,
    assert_fits,
    assert_no_barrier,
    assert_right_when_opened,
    on_paper,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STRAYING = """() => [...document.querySelectorAll('article')].flatMap(card => {
  const room = card.getBoundingClientRect();
  return [...card.querySelectorAll('svg text, h3, p, li')]
    .map(one => [one.textContent, one.getBoundingClientRect()])
    .filter(([words, at]) => words && at.width && (at.left < room.left || at.right > room.right))
    .map(([words, at]) => `${card.id}: ${words} ${at.left} ${at.right}`);
})"""
"""Words of a card that stick out of it."""
FAINT = """() => {
  const lit = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3)
      .map(n => n / 255).map(n => n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...document.querySelectorAll('article svg text')]
    .filter(one => one.textContent && one.getBoundingClientRect().width)
    .map(one => {
      const ground = lit(getComputedStyle(one.closest('article')).backgroundColor);
      const ink = lit(getComputedStyle(one).fill);
      const [low, high] = [ground, ink].sort((a, b) => a - b);
      return [one.textContent, (high + 0.05) / (low + 0.05)];
    }).filter(([, ratio]) => ratio < 4.5);
}"""
"""Words of charts whose contrast is below what WCAG 2.2 asks (1.4.3); axe does not look there."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a small cohort."""
    line = CommandLine(tmp_path_factory.mktemp("report"))
    signals, _ = made(CohortSpec(people=250, days=4, seed=11, pace=0.4))
    (line.folder / "signals.jsonl").write_bytes(b"".join(lines(signals)))
    line.does("ingest", "signals.jsonl", "--json")
    pin = line.does("model", "train", "--from-graph", "--json").json["model"]
    line.does("model", "activate", pin)
    line.does("ingest", "-")
    line.does(
        "report",
        "--statistics-group",
        "gender",
        "--out",
        "report.html",
        "--recipient",
        "board",
        "--expires",
        "2030-01-31",
    )
    return line.folder / "report.html"


def test_the_report_is_right_at_any_width(shown: Shown) -> None:
    """Nothing is wider than the window or sticks out of its card, and the browser has no word."""
    page, _ = shown
    assert_right_when_opened(shown)
    assert page.evaluate(STRAYING) == []


def test_every_chart_can_be_read_without_seeing_it(shown: Shown) -> None:
    """Each chart shown has a title and a description, and a table with its numbers beside it."""
    page, _ = shown
    cards = {card.get_attribute("id"): card for card in page.locator("article").all()}
    assert sorted(map(str, cards)) == sorted(spec.id for spec in SPECS)
    charts = 0
    for card in cards.values():
        drawn = [svg for svg in card.locator("svg").all() if svg.is_visible()]
        assert len(drawn) <= 1
        for svg in drawn:
            charts += 1
            named = str(svg.get_attribute("aria-labelledby")).split()
            words = [svg.locator(f"[id='{one}']").text_content() or "" for one in named]
            assert svg.get_attribute("role") == "img"
            assert all(words), words
            assert "Largest" in words[1]
            assert card.locator("tbody tr").count() > 0
    assert charts > len(SPECS) // 2


def test_the_report_has_enough_contrast_and_no_barrier(shown: Shown) -> None:
    """Axe finds no fault with the page, and words in charts stand out as WCAG asks."""
    page, _ = shown
    assert_no_barrier(page)
    assert page.evaluate(FAINT) == []


def test_colours_follow_the_reader(shown: Shown, request: Any) -> None:
    """The page is light for who wants it light, and dark for who wants it dark."""
    page, _ = shown
    wanted = request.node.callspec.params["shown"][1]
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(n) for n in ground.removeprefix("rgb(").removesuffix(")").split(","))
    assert (brightness < 3 * 64) is (wanted == "dark")


def test_the_report_prints(browser: Browser, report: Path) -> None:
    """On paper it is light, without the contents, and every table is there, open or not."""
    with on_paper(browser, report, width=794, height=1123) as page:
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == "rgb(255, 255, 255)"
        assert not page.locator("nav").is_visible()
        tables = page.locator("table")
        heights = [tables.nth(n).bounding_box() for n in range(tables.count())]
        assert all(box is not None and box["height"] > 0 for box in heights)
        assert_fits(page)
        assert len(page.pdf()) > 50_000

"""The report in a real Chromium: at two widths, light and dark, and on paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from kinfold.generate.spec import CohortSpec
from kinfold.statistics.figures import SPECS
from tests.support.chromium import chromium
from tests.support.cohort import lines, made
from tests.support.command_line import CommandLine

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WIDTHS = {"desktop": 1280, "phone": 375}
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests."""
    with chromium() as found:
        yield found


@pytest.fixture(params=[(w, s) for w in WIDTHS for s in ("light", "dark")], ids="-".join)
def shown(
    request: pytest.FixtureRequest, browser: Browser, report: Path
) -> Iterator[tuple[Page, list[str]]]:
    """The report at a width and in a colour scheme, and what the browser had against it."""
    width, scheme = request.param
    against: list[str] = []
    context = browser.new_context(
        viewport={"width": WIDTHS[width], "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    page.on("console", lambda said: against.append(f"console: {said.text}"))
    page.on("pageerror", lambda error: against.append(f"error: {error}"))
    page.on("request", lambda asked: against.append(asked.url) if "http" in asked.url else None)
    page.goto(report.as_uri())
    yield page, against
    context.close()


def test_the_report_is_right_at_any_width(shown: tuple[Page, list[str]]) -> None:
    """Nothing is wider than the window or sticks out of its card, and the browser has no word."""
    page, against = shown
    for name in page.locator("summary").all():
        name.click()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.evaluate(STRAYING) == []
    assert against == []


def test_every_chart_can_be_read_without_seeing_it(shown: tuple[Page, list[str]]) -> None:
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


def test_the_report_has_enough_contrast_and_no_barrier(shown: tuple[Page, list[str]]) -> None:
    """Axe finds no fault with the page, and words in charts stand out as WCAG asks."""
    page, _ = shown
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
    assert page.evaluate(FAINT) == []


def test_colours_follow_the_reader(shown: tuple[Page, list[str]], request: Any) -> None:
    """The page is light for who wants it light, and dark for who wants it dark."""
    page, _ = shown
    wanted = request.node.callspec.params["shown"][1]
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(n) for n in ground.removeprefix("rgb(").removesuffix(")").split(","))
    assert (brightness < 3 * 64) is (wanted == "dark")


def test_the_report_prints(browser: Browser, report: Path) -> None:
    """On paper it is light, without the contents, and every table is there, open or not."""
    context = browser.new_context(viewport={"width": 794, "height": 1123}, color_scheme="dark")
    page = context.new_page()
    page.goto(report.as_uri())
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    tables = page.locator("table")
    heights = [tables.nth(n).bounding_box() for n in range(tables.count())]
    assert all(box is not None and box["height"] > 0 for box in heights)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert len(page.pdf()) > 50_000
    context.close()

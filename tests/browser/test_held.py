"""The page of everything held, in a real Chromium: at two widths, light and dark, and on paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.support.asking_line import AskingLine
from tests.support.chromium import chromium
from tests.support.command_line import login

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WIDTHS = {"desktop": 1280, "phone": 375}
SPORT = {
    "behaviour": {"type": "BEHAVIOUR_TYPE_PAGE_VIEW", "category": "sport", "channel": "web"},
    "context": {"networkAddress": "10.1.2.3", "deviceType": "phone"},
}
LONG = "a-name-that-goes-on-and-on-without-any-place-to-break-it" * 3


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page about somebody with a bit of everything, one name of which is very long."""
    line = AskingLine(tmp_path_factory.mktemp("held"))
    ann, email = ("login", "ann"), ("email", "ann@posteo.net")
    said = {"recordAsserted": {"givenName": LONG, "birthDate": "1990-12-31"}}
    yes = {"decisions": [{"purpose": "marketing", "granted": True}], "place": "shop"}
    line.take(
        login(1, ann, email, ("cookie", "c-1"), **SPORT),
        {**login(2, email, **said), "source": "crm"},
        login(3, ann, consentDecided=yes),
    )
    line.submit("r-1", "access", "login:ann")
    package, out = line.folder / "r-1.kinfold", line.folder / "ann"
    made = line.does("privacy", "export", "r-1", "--out", package, "--json").json
    line.does("privacy", "open", "r-1", package, "--key", made["key"], "--out", out)
    return out / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests."""
    with chromium() as found:
        yield found


@pytest.fixture(params=[(w, s) for w in WIDTHS for s in ("light", "dark")], ids="-".join)
def shown(
    request: pytest.FixtureRequest, browser: Browser, report: Path
) -> Iterator[tuple[Page, list[str]]]:
    """The page at a width and in a colour scheme, and what the browser had against it."""
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


def test_the_page_is_right_at_any_width(shown: tuple[Page, list[str]]) -> None:
    """Nothing is wider than the window, whatever it says, and the browser has no word."""
    page, against = shown
    for name in page.locator("summary").all():
        name.click()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.locator("td", has_text=LONG[:60]).first.is_visible()
    assert against == []


def test_the_page_has_enough_contrast_and_no_barrier(shown: tuple[Page, list[str]]) -> None:
    """Axe finds no fault with it."""
    page, _ = shown
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


def test_it_prints_on_paper(browser: Browser, report: Path) -> None:
    """On paper it is black on white, without the menu, and goes on over several pages."""
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(report.as_uri())
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert not page.locator("nav").is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")
    context.close()

"""The page of everything held, in a real Chromium: at two widths, light and dark, and on paper."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.asking_line import AskingLine
from tests.support.command_line import login
from tests.support.pages import Shown, assert_no_barrier, assert_right_when_opened, on_paper

pytestmark = [pytest.mark.browser, pytest.mark.slow]
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


def test_the_page_is_right_at_any_width(shown: Shown) -> None:
    """Nothing is wider than the window, whatever it says, and the browser has no word."""
    page, _ = shown
    assert_right_when_opened(shown)
    assert page.locator("td", has_text=LONG[:60]).first.is_visible()


def test_the_page_has_enough_contrast_and_no_barrier(shown: Shown) -> None:
    """Axe finds no fault with it."""
    page, _ = shown
    assert_no_barrier(page)


def test_it_prints_on_paper(browser: Browser, report: Path) -> None:
    """On paper it is black on white, without the menu, and goes on over several pages."""
    with on_paper(browser, report, width=1280, height=720) as page:
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        assert not page.locator("nav").is_visible()
        assert page.pdf(format="A4").startswith(b"%PDF")

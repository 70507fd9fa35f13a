"""A page of ours in a real Chromium: at two widths, light and dark, and on paper; and what every
one of them must stand.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

WIDTHS = {"desktop": 1280, "phone": 375}
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
LOOKS = [(width, scheme) for width in WIDTHS for scheme in SCHEMES]
"""Every width in every colour scheme."""
Shown = tuple[Page, list[str]]
"""A page, and what the browser had against it: words on the console, errors, requests."""


@contextmanager
def shown_at(browser: Browser, path: Path, width: str, scheme: Scheme) -> Iterator[Shown]:
    """The page in this file at a width of `WIDTHS` and in a colour scheme."""
    against: list[str] = []
    context = browser.new_context(
        viewport={"width": WIDTHS[width], "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    page.on("console", lambda said: against.append(f"console: {said.text}"))
    page.on("pageerror", lambda error: against.append(f"error: {error}"))
    page.on("request", lambda asked: against.append(asked.url) if "http" in asked.url else None)
    page.goto(path.as_uri())
    yield page, against
    context.close()


@contextmanager
def on_paper(browser: Browser, path: Path, width: int, height: int) -> Iterator[Page]:
    """The page as it is printed by somebody who has everything dark; sides in pixels."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme="dark")
    page = context.new_page()
    page.goto(path.as_uri())
    page.emulate_media(media="print")
    yield page
    context.close()


def assert_fits(page: Page) -> None:
    """Nothing is wider than the window."""
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def assert_right_when_opened(shown: Shown) -> None:
    """With everything unfolded nothing is wider than the window, and the browser has no word."""
    page, against = shown
    for name in page.locator("summary").all():
        name.click()
    assert_fits(page)
    assert against == []


def assert_no_barrier(page: Page) -> None:
    """Axe finds no fault with it, contrast included."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []

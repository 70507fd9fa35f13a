"""One Chromium for a module's tests, and its page in every look; a module gives the `report`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.chromium import chromium

pytest.register_assert_rewrite("tests.support.pages")

from tests.support.pages import LOOKS, Shown, shown_at  # noqa: E402 - its asserts are rewritten


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of a module."""
    with chromium() as found:
        yield found


@pytest.fixture(params=LOOKS, ids="-".join)
def shown(request: pytest.FixtureRequest, browser: Browser, report: Path) -> Iterator[Shown]:
    """The module's `report` at a width and in a colour scheme."""
    with shown_at(browser, report, *request.param) as found:
        yield found

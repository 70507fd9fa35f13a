"""A real Chromium for tests: the system's own, driven by playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window.

    Without Chromium on this machine the test is skipped, but in CI it fails.
    """
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        words = "no Chromium here; on Debian: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(words)
        pytest.skip(words)
    # Whoever runs the tests may be root, whom Chromium refuses its sandbox; pages are our own.
    flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        try:
            yield browser
        finally:
            browser.close()

"""Runs of requests that are cut short, for tests."""

from __future__ import annotations

from contextlib import closing

from kinfold.privacy import open_book
from kinfold.wiring import open_policies, open_vault
from profiles.requests import Request, Step
from tests.support.asking_line import AskingLine
from tests.support.erasing import home_at


def begin(line: AskingLine, request: str) -> Request:
    """Note that a request runs, as a run does first; nothing else is done."""
    settings = home_at(line.folder / "home", {}).settings
    with closing(open_vault(settings)) as vault:
        book = open_book(settings, open_policies(settings), vault)
        with closing(book.requests):
            found = book.requests.get(request)
            assert found is not None
            running = book.moved(found, Step.RUN, "desk")
    assert isinstance(running, Request)
    return running

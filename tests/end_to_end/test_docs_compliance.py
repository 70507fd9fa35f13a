"""docs/compliance.md shows what the program prints: all of its commands are run, in one home."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

import kinfold
from profiles.deadlines import RequestKind
from tests.support.asking_line import AskingLine
from tests.support.command_line import login
from tests.support.transcripts import Comparing, Transcript, transcripts

PAGE = (Path(kinfold.__file__).parents[1] / "docs" / "compliance.md").read_text("utf-8")
SHOWN = list(transcripts(PAGE))
GRANTED, WITHDRAWN = "2026-03-01 12:05:00", "2026-06-02 08:00:00"
"""When Ann decided, by her signal and by a command of the page."""
VIEWED = {"behaviour": {"type": "BEHAVIOUR_TYPE_PAGE_VIEW", "category": "sport"}}
pytestmark = pytest.mark.slow
STEPS = {
    "confirm", "verify", "extend", "refuse", "withdraw", "plan", "approve", "run", "export", "open",
}  # fmt: skip


def known() -> list[dict[str, Any]]:
    """What makes Ann and Bob known before the page begins."""
    ann, email = ("login", "ann"), ("email", "ann@posteo.net")
    record = login(0, email, recordAsserted={"givenName": "Ana"})
    purposes = ("marketing", "personalisation")
    said = {
        "decisions": [{"purpose": purpose, "granted": True} for purpose in purposes],
        "textVersion": "2026-01",
        "place": "shop/checkout",
    }
    return [
        login(1, ann, email, **VIEWED),
        {**record, "source": "crm", "signalId": "r-1"},
        {**login(2, email, consentDecided=said), "eventTime": GRANTED.replace(" ", "T") + "Z"},
        login(3, ("login", "bob"), ("email", "bob@posteo.net"), **VIEWED),
    ]


@pytest.fixture(scope="module")
def differences(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Of each command what it does not print as the page shows it."""
    line = AskingLine(tmp_path_factory.mktemp("compliance"))
    line.take(*known())
    comparing = Comparing(told=(GRANTED, WITHDRAWN))
    with chdir(line.folder):
        return [_difference(line, comparing, one) for one in SHOWN]


def _difference(line: AskingLine, comparing: Comparing, shown: Transcript) -> str:
    program, *words = comparing.words(shown)
    assert program == "kinfold", shown
    return comparing.difference(shown, line.run(*words).said)


@pytest.mark.parametrize(
    "number", range(len(SHOWN)), ids=[f"{n}-{one.command[:60]}" for n, one in enumerate(SHOWN)]
)
def test_the_page_shows_what_is_printed(differences: list[str], number: int) -> None:
    """Word for word, but for lines left out and what is another each time."""
    assert not differences[number], differences[number]


def test_every_kind_of_request_and_step_is_shown() -> None:
    """Whatever staff do with a request stands on the page with what it prints."""
    words = [one.command.split() for one in SHOWN]
    asked = {one[one.index("--kind") + 1] for one in words if "submit" in one}
    assert asked == {kind.value for kind in RequestKind}
    assert {one[2] for one in words if one[1] == "privacy"} >= STEPS

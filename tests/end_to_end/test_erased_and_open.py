"""What was asked of somebody who is erased meanwhile ends with them, and never makes them anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.asking_line import AskingLine
from tests.support.command_line import login
from tests.support.erasing import home_at, now
from tests.support.running import begin

ANN, EMAIL, BOB = "login:ann", "email:ann@posteo.net", "login:bob"


@pytest.fixture
def line(tmp_path: Path) -> AskingLine:
    """Ann is known by login and e-mail address, and Bob is known."""
    made = AskingLine(tmp_path)
    made.take(
        login(1, ("login", "ann"), ("email", "ann@posteo.net")),
        login(2, ("login", "bob")),
    )
    return made


def shown(line: AskingLine, request: str) -> dict[str, Any]:
    """A request as it stands."""
    found: dict[str, Any] = line.does("privacy", "show", request, "--json").json["request"]
    return found


def is_over(line: AskingLine, request: str) -> bool:
    """Whether a request ended, with nothing left of what it said."""
    found = shown(line, request)
    return found["state"] == "withdrawn" and "subject" not in found and not found["words"]


def test_open_requests_end_with_whoever_is_erased(line: AskingLine) -> None:
    """Under whichever identifier or id, taken in or half done: forgotten, and not run any more; of
    others they stay.
    """
    ann = line.does("consent", "show", ANN, "--json").json["person_id"]
    for request, of in (("r-1", ANN), ("r-2", EMAIL), ("r-3", ann), ("r-4", BOB)):
        line.submit(request, "objection", of, "--words", f"words of {request}")
    line.erase("r-5", ANN)
    assert [is_over(line, f"r-{n}") for n in (1, 2, 3, 4)] == [True, True, True, False]
    for request in ("r-1", "r-2", "r-3"):
        line.fails("REQUEST_STATE", "privacy", "run", request)
    assert not line.is_served(ANN)
    assert not line.is_served(EMAIL)
    steps = [one["what"] for one in line.does("audit", "show", "--json").json_lines]
    ended = [what for what in steps if what.get("step") == "forget"]
    assert [what["state"] for what in ended] == ["withdrawn"] * 3
    line.does("privacy", "run", "r-4")


def test_an_open_erasure_still_keeps_out(line: AskingLine) -> None:
    """Who asked twice, the second time to be suppressed, is."""
    line.submit("r-1", "erasure", EMAIL, "--suppress")
    line.erase("r-2", ANN)
    assert shown(line, "r-1")["subject"]
    line.does("privacy", "approve", "r-1", "--staff", "dpo")
    line.does("privacy", "run", "r-1")
    line.take({**login(9, ("email", "ann@posteo.net")), "eventTime": now()})
    assert not line.is_served(EMAIL)


def test_what_is_asked_by_who_came_back_stays_open(line: AskingLine) -> None:
    """The erasure was cut short, and is run again after that."""
    line.submit("r-1", "erasure", ANN)
    line.does("privacy", "approve", "r-1", "--staff", "dpo")
    home = home_at(line.folder / "home", {})
    begin(line, "r-1")
    home.erase(ANN, "r-1")
    line.take({**login(9, ("login", "ann")), "eventTime": now()})
    line.submit("r-2", "objection", ANN)
    line.does("privacy", "run", "r-1")
    assert shown(line, "r-2")["state"] == "verified"
    assert line.is_served(ANN)


def test_open_requests_put_back_from_a_backup_end_again(line: AskingLine) -> None:
    """By the identifiers of whoever was erased since; others stay."""
    line.submit("r-1", "objection", EMAIL)
    line.submit("r-2", "objection", BOB)
    store = line.folder / "home" / "requests.sqlite3"
    kept = store.read_bytes()
    line.erase("r-3", ANN)
    store.write_bytes(kept)
    assert is_over(line, "r-1")
    assert shown(line, "r-2")["state"] == "verified"

"""Whose receipt is to be confirmed by when is told until it was, also once it is late."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.asking_line import AskingLine
from tests.support.command_line import login

pytestmark = pytest.mark.slow
ANN = "login:ann"
CALIFORNIA = ("--place", "US-CA")


@pytest.fixture
def line(tmp_path: Path) -> AskingLine:
    """Somebody is known."""
    line = AskingLine(tmp_path)
    line.take(login(1, ("login", "ann")))
    return line


def ago(days: int) -> tuple[str, str]:
    """A request came so many days ago."""
    at = datetime.now(UTC) - timedelta(days=days)
    return "--received", at.strftime("%Y-%m-%dT%H:%M:%SZ")


def due(line: AskingLine, *more: str) -> list[str]:
    """The lines of what is due, from the id on."""
    rows = line.does("privacy", "due", *more).out.splitlines()
    assert [row[:10] for row in rows] == sorted(row[:10] for row in rows)
    return [row.split("  ", 2)[2].strip() for row in rows if row != "nothing is due"]


def test_a_confirmation_is_due_before_the_answer(line: AskingLine) -> None:
    """It is listed by its own day, and once it is confirmed by that of the answer."""
    line.submit("gdpr", "access", ANN)
    line.submit("ccpa", "access", ANN, *CALIFORNIA)
    shown = line.does("privacy", "show", "ccpa", "--json").json["request"]
    assert shown["next_by"] == shown["confirm_by"] < shown["due"]
    (row,) = due(line, "--within", "17")
    told = f"(confirm receipt; answer by {shown['due']}; can be extended by {shown['due']})"
    assert row == f"ccpa  access  verified  {told}"
    assert "  (confirm receipt)" in line.does("privacy", "list").out.splitlines()[0]
    confirmed = line.does("privacy", "confirm", "ccpa").out
    assert ", receipt confirmed 20" in confirmed
    assert due(line, "--within", "17") == []
    assert [row.split()[0] for row in due(line)] == ["gdpr", "ccpa"]
    again = line.does("privacy", "confirm", "ccpa", "--json").json["request"]
    assert [one["step"] for one in again["steps"]] == ["submit", "verify", "confirm"]
    assert again["next_by"] == again["due"]
    log = line.does("audit", "show", "--kind", "request", "--json").json_lines
    assert [one["what"]["step"] for one in log].count("confirm") == 1


def test_a_late_confirmation_says_so(line: AskingLine) -> None:
    """Until it is confirmed, or the request is over."""
    line.submit("r-1", "access", ANN, *CALIFORNIA, *ago(30))
    shown = line.does("privacy", "show", "r-1", "--json").json["request"]
    late = (datetime.now(UTC).date() - date.fromisoformat(shown["confirm_by"])).days
    (row,) = due(line)
    assert f"(confirmation {late} days late; answer by {shown['due']}; " in row
    assert due(line, "--within", "1") == [row]
    line.does("privacy", "refuse", "r-1", "--reason", "asked for the third time")
    assert due(line) == []
    line.fails("REQUEST_STATE", "privacy", "confirm", "r-1")


def test_an_opt_out_is_heeded_without_a_confirmation(line: AskingLine) -> None:
    """11 CCR 7021(a) asks for one of requests to delete, to correct and to know alone."""
    line.submit("r-1", "opt_out", ANN, *CALIFORNIA)
    shown = line.does("privacy", "show", "r-1", "--json").json["request"]
    assert (shown["confirm_by"], shown["next_by"]) == ("", shown["due"])
    line.does("privacy", "confirm", "r-1")


def test_only_an_agent_confirms(line: AskingLine) -> None:
    """As whoever takes requests in."""
    line.submit("r-1", "access", ANN, *CALIFORNIA)
    line.fails("STAFF_NOT_ALLOWED", "privacy", "confirm", "r-1", "--staff", "dpo")


def test_another_day_of_receipt_is_another_request(line: AskingLine) -> None:
    """Sent again with the day or without it, it is known; with another, its id is taken."""
    day = ago(3)
    line.submit("r-1", "access", ANN, *day)
    for same in (day, ()):
        assert "known already" in line.submit("r-1", "access", ANN, *same).out
    asked = ("privacy", "submit", "r-1", "--kind", "access", "--of", ANN)
    line.fails("REQUEST_ID_TAKEN", *asked, *ago(4))

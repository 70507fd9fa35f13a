"""Access also hands over what is held beside evidence: input set aside, requests, and holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.asking_line import AskingLine
from tests.support.command_line import login

pytestmark = pytest.mark.slow
ANN, EMAIL = ("login", "ann"), ("email", "ann@posteo.net")


def wrong(number: int, who: tuple[str, str]) -> dict[str, Any]:
    """A signal that cannot count."""
    return {**login(number, who), "eventTime": "not a time"}


@pytest.fixture
def line(tmp_path: Path) -> AskingLine:
    """Ann and Bob are known; of each, and of somebody who is not known, there is a dead letter."""
    line = AskingLine(tmp_path)
    line.take(login(1, ANN, EMAIL), login(2, ("login", "bob")))
    line.take(wrong(3, EMAIL), wrong(4, ("login", "bob")), wrong(5, ("login", "dan")))
    return line


def report(line: AskingLine, request: str, of: str, kind: str = "access") -> dict[str, Any]:
    """What somebody is handed."""
    line.submit(request, kind, of)
    package, out = line.folder / f"{request}.kinfold", line.folder / request
    key = line.does("privacy", "export", request, "--out", package, "--json").json["key"]
    line.does("privacy", "open", request, package, "--key", key, "--out", out)
    return dict(orjson.loads((out / "report.json").read_bytes()))


def test_dead_letters_of_theirs_are_handed_over(line: AskingLine) -> None:
    """With what was sent and why it does not count; nobody else's, and none by portability."""
    found = report(line, "r-1", "login:ann")
    (letter,) = found["dead_letters"]
    assert (letter["reason"], letter["form"]) == ("time", "json")
    assert orjson.loads(letter["content"])["identifiers"][0]["value"] == EMAIL[1]
    page = (line.folder / "r-1" / "report.html").read_text("utf-8")
    assert "not a time" in page
    assert "dead_letters" not in report(line, "r-2", "login:ann", "portability")


def test_requests_of_theirs_are_handed_over(line: AskingLine) -> None:
    """Under each of their names, with what they said and were told; not this one, no one else's,
    and nobody of staff.
    """
    line.submit("r-1", "access", "email:ann@posteo.net", "--words", "all of it")
    line.does("privacy", "refuse", "r-1", "--reason", "asked twice in a week")
    line.submit("r-2", "access", "login:bob")
    person = line.does("consent", "show", "login:ann", "--json").json["person_id"]
    line.submit("r-3", "objection", person)
    found = report(line, "r-4", "login:ann")
    told = {one["id"]: one for one in found["requests"]}
    assert set(told) == {"r-1", "r-3"}
    assert (told["r-1"]["words"], told["r-1"]["state"]) == ("all of it", "refused")
    assert told["r-1"]["steps"][-1]["reason"] == "asked twice in a week"
    assert all(set(step) == {"step", "at", "reason"} for step in told["r-1"]["steps"])


def test_a_hold_is_told_and_its_reason_withheld(line: AskingLine) -> None:
    """That somebody is held is told, and that a reason is kept; the reason is nowhere."""
    line.does("privacy", "hold", "login:ann", "--reason", "court order 12/26")
    found = report(line, "r-1", "login:ann")
    (hold,) = found["holds"]
    assert (hold["purpose"], hold["reason_withheld"]) == ("legal_hold", True)
    page = (line.folder / "r-1" / "report.html").read_text("utf-8")
    assert "A reason is kept" in page
    assert "12/26" not in page + orjson.dumps(found).decode()


def test_of_who_is_not_known_there_may_be_letters_and_requests(line: AskingLine) -> None:
    """Nobody is known by the name, and what there is of it is handed over all the same."""
    found = report(line, "r-1", "login:dan")
    assert (found["person"], len(found["dead_letters"])) == (None, 1)
    again = report(line, "r-2", "login:dan")
    assert [one["id"] for one in again["requests"]] == ["r-1"]

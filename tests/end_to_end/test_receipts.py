"""A receipt says since when no copy can be read, and who ended a suppression."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.asking_line import AskingLine
from tests.support.command_line import login

pytestmark = pytest.mark.slow


@pytest.fixture
def line(tmp_path: Path) -> AskingLine:
    """Two people are known."""
    line = AskingLine(tmp_path)
    line.take(login(1, ("login", "ann")), login(2, ("login", "bob")))
    return line


def receipt(line: AskingLine) -> dict[str, Any]:
    """The receipt of the erasure; every entry of it is in the log."""
    ran = line.does("privacy", "receipt", "r-1", "--json")
    path = line.folder / "receipt.json"
    path.write_text(ran.out)
    line.does("audit", "verify", "--proof", path)
    return dict(ran.json)


def sealed(found: dict[str, Any]) -> dict[str, Any]:
    """What the receipt says of sealed copies."""
    return next(one for one in found["request"]["stores"] if one["store"] == "sealed copies")


def steps(found: dict[str, Any]) -> list[str]:
    """What the receipt's entries are about."""
    entries = [orjson.loads(one["entry"]) for one in found["entries"]]
    return [entry["what"].get("step", entry["kind"]) for entry in entries]


def test_a_rotation_turns_what_is_planned_into_what_is(line: AskingLine) -> None:
    """The moment at which keys were destroyed, with the log's entry, in place of the plan."""
    line.erase("r-1", "login:ann")
    before = receipt(line)
    assert "unreadable_since" not in before
    planned = before["unreadable_planned_at"][:10]
    assert planned in sealed(before)["reason"]
    assert sealed(before)["status"] == "partial"
    text = line.does("privacy", "receipt", "r-1").out
    assert f"    planned: no copy can be read any more from {planned} " in text
    rotated = line.does("keys", "rotate", "--json").json["copies_from_before_cannot_be_read"]
    after = receipt(line)
    assert "unreadable_planned_at" not in after
    assert after["unreadable_since"][:19] == rotated[:19]
    assert (sealed(after)["status"], steps(after)[-1]) == ("done", "keys")
    said = rotated.replace("T", " ").rstrip("Z")
    assert f"no copy from before {said} can be read" in line.does("privacy", "receipt", "r-1").out
    line.does("keys", "rotate")
    assert receipt(line)["unreadable_since"] == after["unreadable_since"]


def test_without_a_plan_the_receipt_says_what_to_do(line: AskingLine) -> None:
    """No moment is made up, and once keys were rotated by hand it is there."""
    by_hand = replace(line, more={"KINFOLD_KEYS_ROTATE_DAYS": "0"})
    by_hand.erase("r-1", "login:ann")
    found = receipt(by_hand)
    assert not {"unreadable_since", "unreadable_planned_at"} & set(found)
    assert "until `kinfold keys rotate` " in by_hand.does("privacy", "receipt", "r-1").out
    by_hand.does("keys", "rotate")
    assert receipt(by_hand)["unreadable_since"]


def test_who_lifted_a_suppression_is_in_the_receipt(line: AskingLine) -> None:
    """As a token that is the same wherever they act; without the role nothing is lifted."""
    line.erase("r-1", "login:ann", "--suppress")
    line.take(login(3, ("login", "ann")))
    ran = line.run("privacy", "lift", "r-1")
    assert (ran.code, "error: only an approver may lift a suppression" in ran.err) == (1, True)
    assert "hint: --staff names who acts" in ran.err
    assert "lift" not in steps(receipt(line))
    line.does("privacy", "lift", "r-1", "--staff", "dpo")
    found = receipt(line)
    entries = [orjson.loads(one["entry"])["what"] for one in found["entries"]]
    by = {what["step"]: what["staff"] for what in entries if "staff" in what}
    assert by["lift"] == by["approve"] != by["submit"]
    assert line.run("privacy", "lift", "r-1", "--staff", "dpo").code == 1


def test_what_suppresses_nobody_is_not_lifted(line: AskingLine) -> None:
    """An unknown id, and a request that is no erasure: told with the way out, and not logged."""
    line.submit("r-1", "access", "login:ann")
    for wrong in ("r-1", "r-9"):
        ran = line.run("privacy", "lift", wrong, "--staff", "dpo")
        assert (ran.code, ran.out) == (1, "")
        assert "error: no erasure under this id suppresses anybody\nhint: " in ran.err
    assert line.does("audit", "show", "--kind", "erasure", "--json").json_lines == []

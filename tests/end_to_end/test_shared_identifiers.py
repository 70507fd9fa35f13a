"""Requests by what several people share, such as a household's phone: they would reach nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.asking_line import AskingLine
from tests.support.command_line import login

PHONE = "phone:+41441234567"
BOUGHT = {"type": "BEHAVIOUR_TYPE_PURCHASE", "category": "sport", "item": "a shoe"}


@pytest.fixture
def line(tmp_path: Path) -> AskingLine:
    """Three people with accounts of their own and one phone, by which somebody bought something."""
    made = AskingLine(tmp_path)
    phone = ("phone", "+41441234567")
    made.take(
        *(login(n, ("customer_id", f"c-{n}"), ("login", f"u{n}"), phone) for n in range(3)),
        login(9, phone, behaviour=BOUGHT),
    )
    assert not made.does("explain", PHONE, "login:u1", "--json").json["same_person"]
    return made


@pytest.mark.parametrize("kind", ["opt_out", "objection", "erasure", "restriction"])
def test_a_request_by_what_is_shared_is_refused(line: AskingLine, kind: str) -> None:
    """By plan and run, with the way out, also by the id that stands for it alone; nothing is done,
    and by an account of theirs it reaches whom it is about.
    """
    alone = line.does("consent", "show", PHONE, "--json").json["person_id"]
    for request, of in (("r-1", PHONE), ("r-2", alone)):
        line.submit(request, kind, of)
        told = line.fails("SUBJECT_SHARED", "privacy", "plan", request)
        assert "login:ann" in told.err
        if kind == "erasure":
            line.does("privacy", "approve", request, "--staff", "dpo")
        line.fails("SUBJECT_SHARED", "privacy", "run", request)
    assert line.is_served(PHONE)
    line.submit("r-3", kind, "login:u1")
    line.does("privacy", "plan", "r-3")


@pytest.mark.parametrize("kind", ["access", "portability"])
def test_nobody_is_handed_what_several_people_did(line: AskingLine, kind: str) -> None:
    """A package by what is shared would hold others' doings, and little of who asks."""
    line.submit("r-1", kind, PHONE)
    line.fails("SUBJECT_SHARED", "privacy", "plan", "r-1")
    package = line.folder / "r-1.kinfold"
    line.fails("SUBJECT_SHARED", "privacy", "export", "r-1", "--out", package)
    assert not package.exists()


def test_nobody_is_held_by_what_is_shared(line: AskingLine) -> None:
    """A hold that would hold nobody is refused, and its id stays free."""
    hold = ("--reason", "court order 12/26", "--hold-id", "h-1")
    line.fails("SUBJECT_SHARED", "privacy", "hold", PHONE, *hold)
    line.does("privacy", "hold", "login:u1", *hold)
    assert not line.is_served("login:u1")

"""Ids of requests and holds after what knew them was put back from a backup: each stands for one
thing, for good.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.asking_line import LEVEL, AskingLine
from tests.support.command_line import login

ANN, BOB = "login:ann", "login:bob"


@pytest.fixture
def line(tmp_path: Path) -> AskingLine:
    """Ann and Bob are known, and a request of Bob's was taken in."""
    made = AskingLine(tmp_path)
    made.take(login(1, ("login", "ann")), login(2, ("login", "bob")))
    made.submit("r-0", "access", BOB)
    return made


def backup(line: AskingLine, *names: str) -> Callable[[], None]:
    """Keeps files of the home whose names begin so, and gives what puts them back."""
    home = line.folder / "home"

    def held() -> list[Path]:
        return [file for name in names for file in home.glob(f"{name}.sqlite3*")]

    kept = {file: file.read_bytes() for file in held()}
    assert kept

    def put_back() -> None:
        for file in held():
            file.unlink()
        for file, body in kept.items():
            file.write_bytes(body)

    return put_back


@pytest.mark.parametrize("lost", [("requests",), ("requests", "audit")])
def test_an_erasures_id_is_spent(line: AskingLine, lost: tuple[str, ...]) -> None:
    """With the log or without it the ledger knows: nobody else is taken for erased."""
    put_back = backup(line, *lost)
    line.erase("r-1", ANN)
    put_back()
    line.fails("REQUEST_UNKNOWN", "privacy", "show", "r-1")
    told = line.fails(
        "REQUEST_ID_SPENT", "privacy", "submit", "r-1", "--kind", "erasure", "--of", BOB, *LEVEL
    )
    assert "request_id" in told.err
    line.erase("r-2", BOB)
    assert not line.is_served(BOB)


def test_an_id_that_the_log_knows_is_spent(line: AskingLine) -> None:
    """Whatever was asked under it; what is kept still is the same when it is sent again."""
    put_back = backup(line, "requests")
    line.submit("r-1", "access", ANN)
    assert line.submit("r-0", "access", BOB, "--json").json["known"]
    put_back()
    line.fails(
        "REQUEST_ID_SPENT", "privacy", "submit", "r-1", "--kind", "access", "--of", ANN, *LEVEL
    )
    assert line.submit("r-0", "access", BOB, "--json").json["known"]


def test_what_was_decided_is_replaced_by_nobody_elses(line: AskingLine) -> None:
    """Where store and log lost an objection under whose id Bob objects: Ann's stands, and so does
    his.
    """
    put_back = backup(line, "requests", "audit")
    line.submit("r-1", "objection", ANN)
    line.does("privacy", "run", "r-1")
    put_back()
    line.submit("r-1", "objection", BOB)
    line.does("privacy", "run", "r-1")
    for of in (ANN, BOB):
        assert "analytics" not in line.granted(of), of


def test_a_holds_id_is_taken_though_its_reason_was_lost(line: AskingLine) -> None:
    """Ann stays held, and Bob is held under another id, also where he was already."""
    put_back = backup(line, "requests")
    line.does("privacy", "hold", ANN, "--reason", "court order 12/26", "--hold-id", "h-1")
    put_back()
    hold = ("privacy", "hold", BOB, "--reason", "another case", "--hold-id")
    line.fails("HOLD_ID_TAKEN", *hold, "h-1")
    line.does(*hold, "h-2")
    line.fails("HOLD_ID_TAKEN", *hold, "h-1")
    line.does(*hold, "h-2")
    assert not line.is_served(ANN)
    assert not line.is_served(BOB)

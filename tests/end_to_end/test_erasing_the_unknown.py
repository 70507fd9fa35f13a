"""Requests about somebody whom nobody knows, or not yet: what is kept out, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.asking_line import LEVEL, AskingLine
from tests.support.command_line import login
from tests.support.erasing import home_at, signal

ANN, NEW, DAN = "login:ann", "email:new@posteo.net", "login:dan"
NOBODYS_ID = "a" * 26


@pytest.fixture
def line(tmp_path: Path) -> AskingLine:
    """Ann is known, and nobody else."""
    made = AskingLine(tmp_path)
    made.take(login(1, ("login", "ann"), ("email", "ann@posteo.net")))
    return made


def arrives(line: AskingLine, number: int, *, at: str = "") -> None:
    """Whoever has the new address is seen with a cookie, now or at a time of before."""
    seen = login(number, ("email", "new@posteo.net"), ("cookie", f"c-{number}"))
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    line.take({**seen, "eventTime": at or now})


def letters(line: AskingLine) -> int:
    """How many dead letters there are."""
    return len(line.does("dead-letters", "--json").json_lines)


def test_whoever_is_not_known_yet_is_suppressed(line: AskingLine) -> None:
    """Nothing that names the address comes in from then on, until that is lifted; the plan and the
    receipt say so.
    """
    line.submit("r-1", "erasure", NEW, "--suppress")
    plan = line.does("privacy", "plan", "r-1", "--json").json
    assert plan["person_id"] == ""
    assert "nothing of the person may come in again" in plan["sentences"]
    line.does("privacy", "approve", "r-1", "--staff", "dpo")
    line.does("privacy", "run", "r-1")
    arrives(line, 2)
    assert not line.is_served(NEW)
    assert not line.is_served("cookie:c-2")
    entries = line.does("privacy", "receipt", "r-1", "--json").json["entries"]
    assert any('"fenced:email":1' in one["entry"] for one in entries)
    line.does("privacy", "lift", "r-1", "--staff", "dpo")
    arrives(line, 3)
    assert line.is_served(NEW)


def test_what_comes_late_of_the_unknown_stays_out(line: AskingLine) -> None:
    """An erasure of somebody not known keeps out what happened before it, and nothing later."""
    line.submit("r-1", "erasure", NEW)
    assert "  keeps out what names it" in line.does("privacy", "plan", "r-1").out
    line.does("privacy", "approve", "r-1", "--staff", "dpo")
    done = line.does("privacy", "run", "r-1", "--json").json["request"]
    stores = {one["store"]: one["status"] for one in done["stores"]}
    assert (stores["graph"], stores["dead letters"], stores["requests"]) == ("done",) * 3
    assert "subject" not in done
    arrives(line, 2, at="2026-03-01T12:00:00Z")
    assert not line.is_served(NEW)
    arrives(line, 3)
    assert line.is_served(NEW)


def test_dead_letters_of_the_unknown_go(line: AskingLine) -> None:
    """Somebody of whom there is nothing but a letter that was never understood."""
    line.take({**login(80, ("login", "dan")), "eventTime": "not a time"},
              {**login(81, ("login", "eve")), "eventTime": "not a time"})  # fmt: skip
    assert letters(line) == 2
    done = line.erase("r-1", DAN).json["request"]
    removed = {one["store"]: one["removed"] for one in done["stores"]}
    assert removed["dead letters"] == "1"
    assert letters(line) == 1


def test_who_is_known_only_once_it_runs_is_erased_whole(line: AskingLine) -> None:
    """Known by the address since the request came in: everything goes that is theirs."""
    line.submit("r-1", "erasure", NEW)
    line.does("privacy", "approve", "r-1", "--staff", "dpo")
    arrives(line, 2, at="2026-03-01T12:00:00Z")
    line.does("privacy", "run", "r-1")
    assert not line.is_served(NEW)
    assert not line.is_served("cookie:c-2")


def test_who_comes_to_be_known_while_it_begins_is_erased_whole(tmp_path: Path) -> None:
    """Taken in before the erasure looked, by another process: what is theirs alone goes as well."""
    home = home_at(tmp_path / "home", {})
    home.take(signal(1, ANN))

    def arrive(step: str) -> None:
        if step == "settle":
            home.take_elsewhere(signal(2, NEW, "cookie:c-2"), signal(3, "cookie:c-2"))

    with home.erasing(arrive) as erasing:
        erased = erasing.erase("r-1", "", named=lambda: home.key(NEW))
    assert erased.scope is not None
    assert set(erased.scope.fenced) == {home.key(NEW), home.key("cookie:c-2")}
    assert home.person("cookie:c-2") is None
    assert home.person(ANN) is not None


def test_an_id_that_nobody_has_is_told(line: AskingLine) -> None:
    """Nothing is done as if it were; the request may be refused with that reason."""
    for kind in ("erasure", "objection", "opt_out", "restriction"):
        line.submit(kind, kind, NOBODYS_ID)
        line.fails("SUBJECT_UNKNOWN", "privacy", "plan", kind)
    line.does("privacy", "approve", "erasure", "--staff", "dpo")
    line.fails("SUBJECT_UNKNOWN", "privacy", "run", "erasure")
    assert "approved" in line.does("privacy", "show", "erasure").out
    line.does("privacy", "refuse", "erasure", "--reason", "nobody has this id")


def test_a_correction_of_nobody_makes_nobody(line: AskingLine) -> None:
    """Nor does a restriction: a mistyped address is told, and nobody is known by it afterwards."""
    typo = "email:anm@posteo.net"
    line.submit("r-1", "correction", typo, "--correct", "given_name=Anna")
    line.submit("r-2", "restriction", typo)
    for request in ("r-1", "r-2"):
        line.fails("SUBJECT_UNKNOWN", "privacy", "plan", request)
        line.fails("SUBJECT_UNKNOWN", "privacy", "run", request)
    assert not line.is_served(typo)
    assert line.run("consent", "show", typo).code == 1


def test_no_comes_before_anybody_is_known(line: AskingLine) -> None:
    """Who opts out before anything is known of them has done so when they come."""
    line.does("privacy", "submit", "r-1", "--kind", "objection", "--of", NEW, *LEVEL)
    line.does("privacy", "run", "r-1")
    arrives(line, 2)
    assert "analytics" not in line.granted(NEW)


def test_a_decision_of_somebody_suppressed_says_that_it_is_kept_out(line: AskingLine) -> None:
    """Nothing of theirs comes in, their opting out included: the request ends and says so."""
    line.erase("r-1", ANN, "--suppress")
    line.does("privacy", "submit", "r-2", "--kind", "opt_out", "--of", ANN)
    (graph,) = line.does("privacy", "run", "r-2", "--json").json["request"]["stores"]
    assert (graph["store"], graph["status"]) == ("graph", "done")
    assert "suppressed" in graph["reason"]
    assert line.run("consent", "show", ANN).code == 1

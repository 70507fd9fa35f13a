"""Dead letters can be removed one by one, and one that opens no more stops no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.asking_line import AskingLine
from tests.support.command_line import login

pytestmark = pytest.mark.slow


def wrong(number: int, who: str) -> dict[str, object]:
    """A signal that cannot count."""
    return {**login(number, ("login", who)), "eventTime": "not a time"}


@pytest.fixture
def line(tmp_path: Path) -> AskingLine:
    """Two signals that cannot count."""
    line = AskingLine(tmp_path)
    line.take(wrong(1, "ann"), wrong(2, "bob"))
    return line


def left(line: AskingLine) -> list[str]:
    """The ids of the letters that are there."""
    return [one["id"] for one in line.does("dead-letters", "--json").json_lines]


def test_a_letter_is_removed_by_its_id_and_it_is_logged(line: AskingLine) -> None:
    """The others stay; the audit log says which letter went and who of staff did it, no more."""
    first, second = left(line)
    assert line.does("dead-letters", "--remove", first).out == "1 letter removed\n"
    assert left(line) == [second]
    (entry,) = line.does("audit", "show", "--kind", "letter", "--json").json_lines
    assert entry["about"] == []
    assert set(entry["what"]) == {"removed", "staff"}
    assert entry["what"]["removed"] == first
    assert line.does("audit", "verify").code == 0


def test_several_go_at_once_or_none(line: AskingLine) -> None:
    """An id that no letter has leaves all of them, and the log, as they were."""
    both = left(line)
    ran = line.run("dead-letters", "--remove", both[0], "nosuchletter")
    assert (ran.code, "error: no such letter: what is no id\n" in ran.err) == (1, True)
    assert "hint: kinfold dead-letters lists them" in ran.err
    assert f"no such letter: {'a' * 26}\n" in line.run("dead-letters", "--remove", "a" * 26).err
    assert left(line) == both
    assert line.does("audit", "show", "--kind", "letter", "--json").json_lines == []
    assert line.does("dead-letters", "--remove", *both, "--json").json == {"removed": both}
    assert left(line) == []


@pytest.mark.parametrize(
    "more", [("--send",), ("--show", "x"), ("--reason", "time"), ("--id", "x")]
)
def test_removing_goes_with_nothing_else(line: AskingLine, more: tuple[str, ...]) -> None:
    """What would seem to choose letters or to do something else with them is refused."""
    both = left(line)
    ran = line.run("dead-letters", "--remove", both[0], *more)
    assert ran.code == 2
    assert "error: --remove: " in ran.err
    assert left(line) == both

"""What holds pages of docs against the program tells whatever is not as they show it."""

from __future__ import annotations

import pytest

from tests.support.transcripts import Comparing, Transcript, transcripts

PAGE = """Text.

    $ kinfold take \\
          --all
    taken 2026-01-31 08:00:00 as abcdefghijklmnopqrstuvwx27, in 3 days
    $ kinfold show abcdefghijklmnopqrstuvwx27
    one
      …
    four
    five
      …

    not = "a command"
"""
TAKE, SHOW = transcripts(PAGE)
TAKEN = "taken 2027-02-01 09:00:01 as zyxwvutsrqponmlkjihgfedc72, in 28 days\n"
ONE_TO_SIX = "one\ntwo\nthree\nfour\nfive\nsix\n"


def test_commands_are_found_with_what_they_show() -> None:
    """In one line each, without what is indented for another reason."""
    assert TAKE.command == "kinfold take --all"
    assert SHOW.shown == ("one", "  …", "four", "five", "  …")


def test_what_varies_may_differ_and_lines_be_left_out() -> None:
    """And a command names an id as it was printed before."""
    comparing = Comparing()
    assert comparing.difference(TAKE, TAKEN) == ""
    assert comparing.words(SHOW) == ["kinfold", "show", "zyxwvutsrqponmlkjihgfedc72"]
    assert comparing.difference(SHOW, ONE_TO_SIX) == ""


@pytest.mark.parametrize(
    "printed",
    [
        "one\ntwo\nthree\nfour\nsix\n",
        "one\nfour\nfive\nsix\n",
        "one\ntwo\nfour\nfive\n",
        "none\none\ntwo\nfour\nfive\nsix\n",
        "",
    ],
    ids=["a word is another", "none left out", "none at the end", "one before", "nothing"],
)
def test_another_output_is_told(printed: str) -> None:
    """With the command, what the page shows and what was printed."""
    told = Comparing().difference(SHOW, printed)
    assert SHOW.command in told
    assert printed in told


def test_a_line_too_many_is_told() -> None:
    """Where the page leaves nothing out."""
    assert Comparing().difference(TAKE, TAKEN + "and more\n")


def test_an_id_that_becomes_another_is_told() -> None:
    """The page's id stands for one and the same wherever it is shown."""
    comparing = Comparing()
    assert comparing.difference(TAKE, TAKEN) == ""
    assert "then" in comparing.difference(TAKE, TAKEN.replace("zyx", "aaa"))


def test_a_moment_that_was_told_may_not_differ() -> None:
    """What a command or a signal names is the same each time."""
    shown = Transcript("kinfold show", ("since 2026-01-31 08:00:00",))
    comparing = Comparing(told=("2026-01-31 08:00:00",))
    assert comparing.difference(shown, "since 2026-01-31 08:00:00\n") == ""
    assert comparing.difference(shown, "since 2026-01-31 08:00:01\n")

"""What the program says when it is asked wrongly, or what it needs is not there."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import pytest

from kinfold.cli import main
from tests.support.command_line import CommandLine, as_lines, login

PRIVATE = "ottilie.wunderlich"
"""Part of every personal value in these tests that must never be printed by chance."""


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    """The program in an empty folder."""
    return CommandLine(tmp_path)


Here = Callable[[Sequence[str]], tuple[int, str]]
"""Runs the program in this process and an empty folder: its exit code, and all that it said."""


@pytest.fixture
def here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Here:
    """For mistakes by the dozen: starting a program for each would take a minute."""
    monkeypatch.chdir(tmp_path)

    def run(arguments: Sequence[str]) -> tuple[int, str]:
        try:
            code = main(list(arguments))
        except SystemExit as ended:
            code = cast("int", ended.code)
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (2, ["nonsense"], "invalid choice"),
        (2, ["ingest"], "required: FILE"),
        (2, ["ingest", "a.jsonl", "--ingest-batch-size", "many"], "ingest.batch_size"),
        (2, ["ingest", "a.jsonl", "--graph-url", "http://x"], "graph.url: must begin with"),
        (2, ["ingest", "a.jsonl", "--mapping", "none.toml"], "cannot read none.toml"),
        (2, ["ingest", "a.jsonl", "--mapping", "bad.toml"], "event_time: missing"),
        (2, ["ingest", "a.jsonl", "--settings", "none.toml"], "settings: cannot read none.toml"),
        (2, ["ingest", "a.jsonl", "--settings", "bad.toml"], "colour: unknown in bad.toml"),
        (2, ["ingest", "a.jsonl", "--settings", "a.jsonl"], "a.jsonl is not TOML"),
        (2, ["ingest", "a.jsonl", "--policy", "none.toml"], "home.policy: cannot read"),
        (2, ["ingest", "a.jsonl", "--policy", "bad.toml"], "home.policy: kinds"),
        (2, ["ingest", "a.jsonl", "--home", "a.jsonl"], "home.dir: cannot make a.jsonl"),
        (1, ["ingest", "none.jsonl"], "there is no file"),
        (1, ["ingest", "folder"], "there is no file"),
        # A file of the system that may be opened by anybody and read by nobody.
        (1, ["ingest", "/proc/self/mem"], "the file cannot be read: Input/output error"),
        (2, ["get", "--local", "login:ann", "--for", "espionage"], "PURPOSE_UNKNOWN"),
        (2, ["get", "--local", "login:ann", "--fields", "nose"], "MASK_INVALID"),
        (2, ["get", "--local", "wombat:ann"], "IDENTIFIER_INVALID"),
        (2, ["get", "--local", "ann"], "PERSON_ID_INVALID"),
        (1, ["get", "--local", "login:ann", "--for", "service"], "PROFILE_NOT_FOUND"),
        (1, ["get", "login:ann", "--serve-listen", "127.0.0.1:1"], "no server answers"),
        (2, ["explain", "login:ann", "wombat:x"], "write KIND:VALUE"),
        (1, ["explain", "login:ann", "login:ben"], "the first identifier is not known"),
        (1, ["lineage", "login:ann"], "no such person"),
        (1, ["lineage", "a" * 26], "no such person"),
        (2, ["consent", "show", "ann"], "PERSON_ID_INVALID"),
        (2, ["consent", "show", "wombat:ann"], "write KIND:VALUE"),
        (1, ["consent", "show", "login:ann"], "PROFILE_NOT_FOUND"),
        (2, ["consent", "record", "a" * 26], "subject: name an identifier"),
        (2, ["consent", "record", "login:ann"], "--purpose: name at least one"),
        (2, ["consent", "record", "login:ann", "--purpose", "fun", "--grant", "--source", "desk"],
         "PURPOSE_UNKNOWN"),
        (2, ["consent", "record", "login:ann", "--purpose", "sale", "--grant", "--source", "d",
             "--at", "soon"], "--at: write RFC 3339"),
        (2, ["consent", "record", "login:ann", "--purpose", "sale", "--grant", "--source", "d",
             "--signal-id", "call-1"], "DECIDED_AT_MISSING"),
        (2, ["audit", "prove"], "INDEX: name an entry"),
        (2, ["audit", "verify", "--since", "soon"], "--since: write SIZE:ROOT"),
        (1, ["audit", "verify", "--since", "9:" + 64 * "0"], "does not begin with what it was"),
        (2, ["audit", "verify", "--proof", "bad.toml"], "--proof: bad.toml is neither"),
        (2, ["audit", "verify", "--proof", "none.json"], "--proof: cannot read none.json"),
        (1, ["dead-letters", "--show", "none"], "no such letter"),
        (2, ["expire", "--kind", "nose", "--before", "2026-01-01"], "invalid choice"),
        (2, ["expire", "--kind", "link", "--before", "soon"], "not a date"),
        (2, ["expire", "--kind", "link"], "goes with either"),
        (2, ["serve", "--serve-listen", "0.0.0.0:0"], "serve."),
        (2, ["run"], "pulsar.url"),
        (2, ["generate", "--people", "-1", "--out", "x"], "people"),
        (2, ["demo", "--people", "0"], "people"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_words(
    here: Here, code: int, arguments: Sequence[str], words: str
) -> None:
    """The exit code says whose fault it is, `error:` what it is, `hint:` the way out."""
    Path("folder").mkdir()
    Path("a.jsonl").write_bytes(as_lines(login(1, ("login", "ann"))))
    Path("bad.toml").write_text("colour = 3\n")
    ended, said = here(arguments)
    assert ended == code, said
    assert re.search(f"^error: .*{re.escape(words)}", said, re.MULTILINE), said
    assert said.splitlines()[-1].startswith("hint: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["consent", "show", f"login:{PRIVATE}"],
        ["consent", "show", f"email:{PRIVATE}"],
        ["get", "--local", f"email:{PRIVATE}", "--for", "service"],
        ["get", "--local", f"wombat:{PRIVATE}", "--for", "service"],
        ["explain", f"email:{PRIVATE}", f"login:{PRIVATE}"],
        ["lineage", f"phone:{PRIVATE}"],
        ["lineage", f"login:{PRIVATE}"],
    ],
)
def test_no_error_repeats_a_value(here: Here, arguments: Sequence[str]) -> None:
    """What was asked about is not printed back: errors end up in logs."""
    code, said = here(arguments)
    assert code > 0
    assert said.startswith("error: ")
    assert PRIVATE not in said


def test_servers_that_are_not_there(line: CommandLine) -> None:
    """A Pulsar that does not answer is told by every verb that needs it."""
    away = ("--pulsar-url", "pulsar://127.0.0.1:1", "--pulsar-admin-url", "http://127.0.0.1:1")
    line.fails(1, "ingest", "-", *away)
    line.fails(1, "run", *away)
    line.fails(1, "dead-letters", *away)
    line.fails(1, "serve", "--serve-listen", "127.0.0.1:0", *away)
    assert "does not answer" in line.run("doctor", *away).out


def test_help_for_every_verb(here: Here) -> None:
    """Every verb is listed, and says what it does with examples."""
    code, listed = here(["--help"])
    assert code == 0
    for verb in _VERBS:
        assert re.search(rf"^    {verb}\s", listed, re.MULTILINE)
        code, words = here([verb, "--help"])
        assert code == 0
        assert re.search(rf"^examples:\n  kinfold {verb}", words, re.MULTILINE)


def test_a_port_that_is_taken(line: CommandLine) -> None:
    """Serving where another listens fails with words."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert (
            f"cannot listen on {address}" in line.fails(1, "serve", "--serve-listen", address).err
        )


_VERBS = ("demo", "generate", "ingest", "run", "serve", "get", "explain", "lineage",
          "consent", "audit", "dead-letters", "expire", "doctor")  # fmt: skip

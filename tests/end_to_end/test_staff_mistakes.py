"""Mistakes as compliance staff makes them: each is told by its field, with the way out, in no word
of what was typed, and nothing is lost by it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.asking_line import AskingLine
from tests.support.command_line import Ran, login

PRIVATE = "ottilie.wunderlich"
"""Part of every personal value that is typed here; no error may repeat it."""
OTTILIE = f"login:{PRIVATE}"
ADDRESS = f"email:{PRIVATE}@posteo.net"
SUBMIT = ("privacy", "submit", "r-1", "--of", OTTILIE, "--kind")
CORRECTS = (*SUBMIT, "correction", "--correct")
RECORD = ("consent", "record", OTTILIE, "--purpose", "marketing", "--source", "web")
ROOT = "0" * 64


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> AskingLine:
    """Ottilie is known, and asked for what is held."""
    made = AskingLine(tmp_path_factory.mktemp("mistakes"))
    made.take(login(1, ("login", PRIVATE), ("email", f"{PRIVATE}@posteo.net")))
    made.submit("r-0", "access", OTTILIE)
    return made


def failed(line: AskingLine, *words: str | Path) -> Ran:
    """The run of a mistake; argparse ends the process itself."""
    try:
        ran = line.run(*words)
    except SystemExit as ended:
        return Ran(int(str(ended.code)), "", "")
    assert ran.err.splitlines()[-1].startswith("hint: "), ran
    assert PRIVATE not in ran.err.replace(str(line.folder), "")
    return ran


@pytest.mark.parametrize(
    ("code", "words", "told", "way_out"),
    [
        (2, ("privacy", "submit", PRIVATE + "@x", *SUBMIT[3:], "access"), "request_id", "REQUEST:"),
        (2, (*SUBMIT[:4], PRIVATE, "--kind", "access"), "subject.person_id", "KIND:VALUE"),
        (2, (*SUBMIT[:4], ":" + PRIVATE, "--kind", "access"), "subject.identifier", "KIND:VALUE"),
        (2, (*SUBMIT[:4], "shoe:" + PRIVATE, "--kind", "access"), "subject.identifier", "[kinds."),
        (2, (*SUBMIT, "access", "--place", PRIVATE), "place", "ISO 3166"),
        (2, (*SUBMIT, "access", "--received", "2126-01-01T00:00:00Z"), "received_at", "--received"),
        (2, (*SUBMIT, "access", "--received", PRIVATE), "--received: write RFC 3339", ""),
        (2, (*SUBMIT, "access", "--words", PRIVATE * 500), "words", "--words: at most 4,096"),
        (2, (*SUBMIT, "access", "--suppress"), "suppress", "only with --kind erasure"),
        (2, (*SUBMIT, "access", "--correct", f"x={PRIVATE}"), "corrections", "--correct"),
        (2, (*SUBMIT, "correction"), "corrections", "at least one"),
        (2, (*CORRECTS, PRIVATE), "--correct: write NAME=VALUE", ""),
        (2, (*CORRECTS, f"={PRIVATE}"), "--correct: write NAME=VALUE", ""),
        (2, (*CORRECTS, "city=a", "--correct", f"city={PRIVATE}"), "each attribute once", ""),
        (2, (*CORRECTS, f"birth_date={PRIVATE}"), "CORRECTION_INVALID", "docs/signals.md"),
        (2, (*SUBMIT, "correction", "--retract", PRIVATE), "--retract: write SOURCE:ID", ""),
        (2, (*SUBMIT, "correction", "--retract", f":{PRIVATE}"), "--retract: write", ""),
        (1, ("privacy", "show", PRIVATE), "REQUEST_UNKNOWN", "kinfold privacy list"),
        (1, ("privacy", "run", "r-0"), "REQUEST_NEEDS_EXPORT", "privacy export"),
        (1, ("privacy", "approve", "r-0", "--staff", "dpo"), "REQUEST_STATE", "privacy show"),
        (1, ("privacy", "due", "--staff", PRIVATE), "STAFF_NOT_ALLOWED", "[staff.ID]"),
        (2, ("privacy", "due", "--within", "-3"), "--within: name 1 to", ""),
        (2, ("privacy", "due", "--within", "99999999"), "--within: name 1 to", ""),
        (2, ("privacy", "extend", "r-0", "--reason", " "), "REASON_MISSING", "--reason"),
        (1, ("privacy", "hold", "login:nobody", "--reason", PRIVATE), "PROFILE_NOT_FOUND", "KIND"),
        (2, ("privacy", "hold", OTTILIE, "--reason", "x", "--hold-id", "h 1"), "hold_id", "--hold"),
        (2, ("privacy", "open", "r-0", "none", "--key", "X", "--out", "o"), "FILE: cannot", ""),
        (2, ("consent", "show", PRIVATE), "subject.person_id", "KIND:VALUE"),
        (2, ("consent", "show", OTTILIE, "--grant"), "--grant: only with record", ""),
        (2, (*RECORD, "--grant", "--history"), "--history: only with show", ""),
        (2, (*RECORD[:3], "--purpose", "fun", *RECORD[5:], "--grant"), "choices.purpose", "show"),
        (2, (*RECORD, "--grant", "--at", "2126-01-01T00:00:00Z"), "decided_at", "--at: a moment"),
        (2, (*RECORD, "--grant", "--signal-id", "s-1"), "DECIDED_AT_MISSING", "--at TIME"),
        (2, (*RECORD, "--grant", "--place", PRIVATE * 100), "CONSENT_INVALID", "--place"),
        (2, ("keys", "show", "--tokens"), "--tokens: only with rotate", ""),
        (2, ("audit", "show", "3"), "INDEX: only with prove", ""),
        (2, ("audit", "show", "--last", "-2"), "--last: name 1 or more", ""),
        (2, ("audit", "show", "--since", f"1:{ROOT}"), "--since: only with verify", ""),
        (2, ("audit", "verify", "0"), "INDEX: only with prove", ""),
        (2, ("audit", "verify", "--proof", "none.json"), "--proof: cannot read", ""),
        (2, ("audit", "prove", "99"), "INDEX: name an entry from 0 to", ""),
    ],
)
def test_each_mistake_names_its_field_and_the_way_out(
    line: AskingLine, code: int, words: tuple[str, ...], told: str, way_out: str
) -> None:
    """Exit code, field, way out; and the request that was taken in is as it was."""
    before = line.does("privacy", "show", "r-0", "--json").json
    entries = line.does("audit", "verify", "--json").json["size"]
    ran = failed(line, *words)
    assert ran.code == code, ran
    error, hint = ran.err.splitlines()[-2:]
    assert told in error, ran
    assert way_out in hint, ran
    assert line.does("privacy", "show", "r-0", "--json").json == before
    assert line.does("audit", "verify", "--json").json["size"] == entries


@pytest.mark.parametrize(
    "words",
    [
        ("privacy", "hold", OTTILIE, PRIVATE, "--reason", "x"),
        ("privacy", "submit", "r-9", OTTILIE, "--kind", "access", "--of", OTTILIE),
        ("privacy", "submit", "r-9", "--kind", PRIVATE, "--of", OTTILIE),
        ("privacy", "due", "--within", PRIVATE),
        ("consent", PRIVATE),
        ("consent", "show", OTTILIE, f"--name={PRIVATE}"),
        ("audit", "show", "--last", PRIVATE),
        ("keys", PRIVATE),
        ("audit", "prove", f"o'{PRIVATE}"),
    ],
)
def test_what_was_typed_in_the_wrong_place_is_not_repeated(
    line: AskingLine, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """A name where a flag should be ends up in no log of errors."""
    with pytest.raises(SystemExit) as ended:
        line.run(*words)
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert PRIVATE not in said.out + said.err


def test_a_package_that_has_no_place_is_not_made(line: AskingLine) -> None:
    """The request stays open, no key is used up, and what is there already is left as it was."""
    line.submit("r-2", "access", ADDRESS)
    taken = line.folder / "taken"
    taken.write_text("mine", "utf-8")
    for place in (line.folder / "none" / "r-2.kinfold", taken, line.folder):
        ran = failed(line, "privacy", "export", "r-2", "--out", place)
        assert (ran.code, "error: --out: " in ran.err) == (2, True)
        told = line.does("privacy", "show", "r-2", "--json").json["request"]
        assert told["state"] == "verified"
    assert taken.read_text("utf-8") == "mine"
    refused = line.folder / "refused.kinfold"
    assert failed(line, "privacy", "export", "r-404", "--out", refused).code == 1
    assert not refused.exists()
    package = line.folder / "r-2.kinfold"
    made = line.does("privacy", "export", "r-2", "--out", package, "--json").json
    out = line.folder / "out"
    opening = ("privacy", "open", "r-2", package, "--out", out, "--key")
    assert failed(line, *opening, "AAAA").code == 1
    assert not out.exists()
    line.does(*opening, made["key"])
    assert (out / "report.json").exists()

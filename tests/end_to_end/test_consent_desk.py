"""Consent as staff handle it with the program: shown, recorded, withdrawn, and heeded at once."""

from __future__ import annotations

from pathlib import Path

from tests.support.command_line import CommandLine, as_lines, login

ANN = ("email", "ann@posteo.net")
VIEWED = {"behaviour": {"type": "BEHAVIOUR_TYPE_PAGE_VIEW", "category": "sport"}}
DESK = ("--source", "call_centre", "--text-version", "2026-01", "--place", "hotline")


def test_a_decision_is_shown_recorded_and_heeded(tmp_path: Path) -> None:
    """What may be used, for what, since when, on whose word; lookups follow at once."""
    line = CommandLine(tmp_path)
    line.does("ingest", "-", given=as_lines(login(1, ("login", "ann"), ANN, **VIEWED)))
    email = ":".join(ANN)
    held = line.does("consent", "show", email).out
    assert "no   personalisation: needs a yes and nobody gave one" in held
    assert "yes  analytics: holds until a no and nobody said one" in held
    decide = ("consent", "record", email, "--purpose", "personalisation", *DESK)
    granted = line.does(*decide, "--grant")
    assert granted.out.startswith("recorded as signal ")
    held = line.does("consent", "show", "login:ann", "--history").out
    assert "yes  personalisation: granted" in held
    assert "by call_centre, text 2026-01, at hotline, under email" in held
    asked = ("get", "--local", "login:ann", "--for", "personalisation", "--json")
    assert line.does(*asked).json["profile"]["affinities"][0]["category"] == "sport"
    line.does(*decide, "--withdraw")
    assert "affinities" in line.does(*asked).json["withheld"]
    told = line.does("consent", "show", email, "--history", "--json").json
    assert [(one["granted"], one["standing"]) for one in told["entries"]] == [
        (False, "holds"),
        (True, "overridden by a later one"),
    ]


def test_the_same_decision_again_counts_once(tmp_path: Path) -> None:
    """Under an id of its own, however often; another decision under that id is another."""
    line = CommandLine(tmp_path)
    record = ("consent", "record", "login:ann", "--purpose", "sale", *DESK)
    named = ("--signal-id", "call-1", "--at", "2026-03-01T12:00:00Z")
    recorded = line.does(*record, "--withdraw", *named, "--json").json
    assert list(recorded) == ["signal_id"]
    assert recorded["signal_id"].startswith("call-1.")
    told = f"recorded as signal {recorded['signal_id']} of call_centre\n"
    assert line.does(*record, "--withdraw", *named).out == told
    other = line.does(*record, "--grant", *named, "--json").json
    assert other != recorded
    entries = line.does("consent", "show", "login:ann", "--history", "--json").json["entries"]
    assert sorted(one["granted"] for one in entries) == [False, True]


def test_what_staff_decides_is_not_recorded_here(tmp_path: Path) -> None:
    """A source that may decide is refused, with the way out."""
    line = CommandLine(tmp_path)
    record = ("consent", "record", "login:ann", "--purpose", "sale", "--grant")
    refused = line.fails(1, *record, "--source", "staff")
    assert "(SOURCE_NOT_ALLOWED)" in refused.err
    assert "hint: --source: " in refused.err


def test_an_export_is_in_the_audit_log(tmp_path: Path) -> None:
    """What was handed out, for which purpose and how many people, and to whom as a token alone."""
    line = CommandLine(tmp_path)
    line.does("ingest", "-", given=as_lines(login(1, ("login", "ann"), **VIEWED)))
    line.does("consent", "record", "login:ann", "--purpose", "analytics", "--grant", *DESK)
    to = ("--recipient", "the lab of Ann", "--expires", "2099-01-31")
    line.does("export", "profiles", "--for", "analytics", "--out", "people.parquet", *to)
    (entry,) = line.does("audit", "show", "--kind", "export", "--json").json_lines
    assert (entry["what"]["what"], entry["what"]["purpose"]) == ("profiles", "analytics")
    assert entry["what"]["people"] == 1
    assert len(entry["about"]) == 1
    assert "Ann" not in line.does("audit", "show").out


def test_decisions_are_in_the_audit_log_and_proved(tmp_path: Path) -> None:
    """Shown by identifier, sound, with a proof that holds until somebody takes something out."""
    line = CommandLine(tmp_path)
    line.does("ingest", "-", given=as_lines(login(1, ("login", "ann"), ANN, **VIEWED)))
    kept = line.does("audit", "verify", "--json").json
    assert (kept["size"], kept["sound"]) == (0, True)
    for choice in ("--grant", "--withdraw"):
        line.does("consent", "record", "login:ann", "--purpose", "sale", choice, *DESK)
    entries = line.does("audit", "show", "--of", "login:ann", "--json").json_lines
    assert [entry["what"]["purpose:sale"] for entry in entries] == [True, False]
    assert line.does("audit", "show", "--of", ":".join(ANN)).out == "no such entries\n"
    assert "hotline" not in line.does("audit", "show").out
    proof = tmp_path / "proof.json"
    proof.write_text(line.does("audit", "prove", "0").out)
    head = line.does("audit", "verify", "--json").json
    since = f"{head['size']}:{head['root']}"
    line.does("consent", "record", "login:ann", "--purpose", "sale", "--grant", *DESK)
    told = line.does("audit", "verify", "--since", since, "--proof", "proof.json").out
    assert "begins with the 2 entries of then\nhas the proof's entry 0, word for word\n" in told
    (tmp_path / ".kinfold" / "audit.sqlite3").unlink()
    line.does("consent", "record", "login:ann", "--purpose", "sale", "--grant", *DESK)
    line.fails(1, "audit", "verify", "--since", since)
    line.fails(1, "audit", "verify", "--proof", "proof.json")

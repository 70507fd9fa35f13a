"""People who were merged and split: who was handed their profiles, and what was said of them then,
is found under the ids that stood for them at the time.
"""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.support.asking_line import AskingLine
from tests.support.command_line import login

ANN, BOB = "login:ann", "email:bob@posteo.net"
YES = {"consentDecided": {"decisions": [{"purpose": "marketing", "granted": True}]}}
SPLIT: dict[str, object] = {
    "source": "web",
    "signalId": "split",
    "eventTime": "2026-03-02T12:00:00Z",
    "retracted": {"signalId": "s-3"},
}


@pytest.fixture
def line(tmp_path: Path) -> AskingLine:
    """Ann, Bob and Zoe, three people; then a signal takes Ann and Bob for one."""
    made = AskingLine(tmp_path)
    made.take(
        login(1, ("login", "ann"), **YES),
        login(2, ("email", "bob@posteo.net"), **YES),
        login(9, ("login", "zoe")),
    )
    return made


def merge(line: AskingLine) -> None:
    """A signal names both."""
    line.take(login(3, ("login", "ann"), ("email", "bob@posteo.net")))
    assert person(line, ANN) == person(line, BOB)


def split(line: AskingLine) -> None:
    """It is taken back."""
    line.take(SPLIT)
    assert person(line, ANN) != person(line, BOB)


def person(line: AskingLine, of: str) -> str:
    """Somebody's id now."""
    return str(line.does("consent", "show", of, "--json").json["person_id"])


def export(line: AskingLine, recipient: str) -> None:
    """Hand out the profiles of who said yes to marketing."""
    line.does(
        "export", "profiles", "--out", line.folder / f"{recipient}.parquet",
        "--for", "marketing", "--recipient", recipient, "--expires", "2030-01-31",
    )  # fmt: skip


def ended(line: AskingLine, request: str, of: str) -> None:
    """A request that was refused, with words and reason."""
    line.submit(request, "access", of, "--words", f"words of {request}", "--contact", "by post")
    line.does("privacy", "refuse", request, "--reason", "asked for every week")


def is_forgotten(line: AskingLine, request: str) -> bool:
    """Whether nothing is left of what a request said."""
    found = line.does("privacy", "show", request, "--json").json["request"]
    return "subject" not in found and not found["words"] + found["contact"]


def test_recipients_are_told_of_whoever_was_split_off(line: AskingLine) -> None:
    """Exports of when they were one, and of either from before: both plans and Bob's package name
    them, and Zoe's do not; the id that stayed with Ann is not called Bob's, and what was asked by
    it is not handed to him.
    """
    export(line, "early")
    merge(line)
    export(line, "agency")
    ended(line, "r-0", person(line, ANN))
    split(line)
    anns = person(line, ANN)
    line.submit("r-1", "access", BOB)
    package, out = line.folder / "r-1.kinfold", line.folder / "r-1"
    made = line.does("privacy", "export", "r-1", "--out", package, "--json").json
    line.does("privacy", "open", "r-1", package, "--key", made["key"], "--out", out)
    found = orjson.loads((out / "report.json").read_bytes())
    assert {one["recipient"] for one in found["recipients"]["exports"]} == {"early", "agency"}
    assert anns not in found["person"]["earlier_ids"]
    assert "words of r-0" not in orjson.dumps(found).decode()
    for request, of in (("r-2", BOB), ("r-3", ANN), ("r-4", "login:zoe")):
        line.submit(request, "erasure", of)
        told = line.does("privacy", "plan", request, "--json").json["recipients"]
        assert told == ([] if of == "login:zoe" else ["agency", "early"]), of
    line.does("privacy", "approve", "r-2", "--staff", "dpo")
    done = line.does("privacy", "run", "r-2", "--json").json["request"]
    (exports,) = [one for one in done["stores"] if one["store"] == "exports"]
    assert exports["reason"].startswith("handed out to agency, early:")


def test_what_was_said_under_a_merged_id_is_forgotten(line: AskingLine) -> None:
    """Requests of before the merge, under either id; also when their store is put back."""
    ended(line, "r-1", person(line, ANN))
    ended(line, "r-2", person(line, BOB))
    ended(line, "r-3", person(line, "login:zoe"))
    merge(line)
    store = line.folder / "home" / "requests.sqlite3"
    backup = store.read_bytes()
    line.erase("r-4", ANN)
    assert [is_forgotten(line, f"r-{n}") for n in (1, 2, 3)] == [True, True, False]
    store.write_bytes(backup)
    assert [is_forgotten(line, f"r-{n}") for n in (1, 2, 3)] == [True, True, False]


def test_what_was_said_of_two_as_one_is_forgotten_with_either(line: AskingLine) -> None:
    """A request by the id that stood for both goes with Bob; what Ann asks by it since stays, also
    when its store is put back.
    """
    merge(line)
    both = person(line, ANN)
    ended(line, "r-1", both)
    split(line)
    assert person(line, ANN) == both
    ended(line, "r-2", both)
    store = line.folder / "home" / "requests.sqlite3"
    backup = store.read_bytes()
    line.erase("r-3", BOB)
    assert [is_forgotten(line, f"r-{n}") for n in (1, 2)] == [True, False]
    store.write_bytes(backup)
    assert [is_forgotten(line, f"r-{n}") for n in (1, 2)] == [True, False]

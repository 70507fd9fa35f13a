"""Input that does not even parse goes with whom it names, word by word, and stays with no one else.

What is cut off in the middle, garbled, or of another form is a dead letter of which
nothing can be understood; the erased are looked for in its bytes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.v1.signal_pb2 import Signal
from tests.support.asking_line import AskingLine
from tests.support.command_line import login

pytestmark = pytest.mark.slow
ANN = "ann.of.the.very.long.name.that.goes.on@posteo.net"
CUT = [
    f'{{"identifiers": [{{"kind": "email", "value": "{ANN}"',
    f"web;login;{ANN};2026-03-01",
    f"<user mail='{ANN.upper()}'>",
    f"please stop writing to {ANN}, thank you",
    f"unsubscribe mailto:{ANN}?subject=stop",
]


def others(number: int) -> str:
    """Input about somebody else, cut off as well, that has some of Ann's name in it."""
    return f'{{"number": {number}, "value": "{ANN}.example.org", "login": "{ANN[:9]}"'


@pytest.fixture
def line(tmp_path: Path) -> AskingLine:
    """Ann is known by her address."""
    line = AskingLine(tmp_path)
    line.take(login(1, ("login", "ann"), ("email", ANN)))
    return line


def keep(line: AskingLine, *inputs: str | bytes) -> None:
    """Take in what cannot count."""
    path = line.folder / f"{len(list(line.folder.glob('*.jsonl')))}.jsonl"
    texts = [one if isinstance(one, bytes) else one.encode() for one in inputs]
    path.write_bytes(b"\n".join(texts) + b"\n")
    line.run("ingest", path)


def letters(line: AskingLine) -> int:
    """How many dead letters there are."""
    return len(line.does("dead-letters", "--json").json_lines)


def erased(line: AskingLine) -> dict[str, str]:
    """What an erasure of Ann's says of dead letters."""
    done = line.erase("r-1", "login:ann").json["request"]
    (found,) = [one for one in done["stores"] if one["store"] == "dead letters"]
    return dict(found)


def test_what_does_not_parse_is_looked_through_word_by_word(line: AskingLine) -> None:
    """Whatever stands around the name; of whoever is left the receipt says that nobody can tell."""
    keep(line, *CUT, others(1), others(2))
    assert letters(line) == len(CUT) + 2
    told = erased(line)
    assert (told["removed"], told["status"]) == (str(len(CUT)), "partial")
    assert told["reason"].startswith("2 letters cannot be read by anything here")
    assert letters(line) == 2


def test_what_names_them_leaves_nothing_untold(line: AskingLine) -> None:
    """All that does not parse names the erased: nothing is left to look at."""
    keep(line, *CUT)
    told = erased(line)
    assert (told["removed"], told["status"]) == (str(len(CUT)), "done")


def test_bytes_that_are_no_text_are_no_fault(line: AskingLine) -> None:
    """A serialized signal in a file of JSON: the name is found behind its length, which reads as
    a digit of it.
    """
    assert chr(len(ANN)).isdigit()
    signal = Signal(source="web", signal_id="s-9")
    signal.identifiers.add(kind="email", value=ANN)
    keep(line, signal.SerializeToString().replace(b"\n", b"\x0b") + b"\xff\xfe")
    assert letters(line) == 1
    assert erased(line)["removed"] == "1"


def test_read_again_after_an_erasure_it_is_kept_without_what_it_said(line: AskingLine) -> None:
    """Input of the erased that cannot count is a letter with its reason and nothing to open."""
    mine = '{"signalId": "a", "identifiers": [{"kind": "email", "value": "%s"}], "eventTime": "?"}'
    kept = [*CUT, mine % ANN, others(1)]
    path = line.folder / "again.jsonl"
    path.write_text("\n".join(kept) + "\n")
    line.run("ingest", path)
    erased(line)
    assert letters(line) == 1
    line.run("ingest", "--replay", path)
    told = line.does("dead-letters", "--json").json_lines
    assert len(told) == len(kept)
    shown = [line.run("dead-letters", "--show", one["id"]).said for one in told]
    assert sum(ANN.lower() in one.lower() for one in shown) == 1
    assert sum(f"{ANN}.example.org" in one for one in shown) == 1

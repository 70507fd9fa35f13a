"""A match model from training to a decision of staff, on the command line alone."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.command_line import CommandLine

PEOPLE = 120
STARTS = "al ber cor dan el fi gu han il jo ka le mar no ol pe qui ros sa ti ur va wil".split()
ENDS = "ah bert da fred ga hild in ja ko la mund na olf ra sel ta vin".split()
LAST = "lee gray hill hall stone marsh brook field wood rivers dale ford ham".split()
TOWNS = "leeds york hull bath deal".split()


def person(number: int) -> dict[str, str]:
    """Somebody, always the same for the same number."""
    drawn = random.Random(number)
    born = date(1940, 1, 1) + timedelta(days=drawn.randrange(24_000))
    return {
        "given_name": drawn.choice(STARTS) + drawn.choice(ENDS),
        "family_name": drawn.choice(STARTS) + drawn.choice(LAST),
        "birth_date": born.isoformat(),
        "city": drawn.choice(TOWNS),
        "phone": f"+41 79 {drawn.randrange(200, 999)} {drawn.randrange(10, 99)} 11",
    }


def told(number: int) -> list[dict[str, str]]:
    """Two records of one person: the second has a typing error or misses something."""
    one = person(number)
    again = {**one, "city": "", "phone": ""}
    if number % 4 == 0:
        again["family_name"] = one["family_name"][:-1] + "x"
    elif number % 4 == 1:
        again["given_name"] = one["given_name"][:1]
    return [one, again]


def signal(name: str, record: dict[str, str]) -> bytes:
    """A record as its source sends it; a phone stays text, so that nothing is exact."""
    said: dict[str, Any] = {
        "givenName": record["given_name"],
        "familyName": record["family_name"],
        "birthDate": record["birth_date"],
        "address": {"city": record["city"]},
        "other": {"number": record["phone"]},
    }
    return orjson.dumps({
        "source": "crm", "signalId": name, "eventTime": "2026-03-01T12:00:00Z",
        "recordAsserted": {key: value for key, value in said.items() if value},
    })  # fmt: skip


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    """A home in which every person has sent two records that nothing exact joins."""
    line = CommandLine(tmp_path)
    rows = [
        signal(f"{number}-{place}", record)
        for number in range(PEOPLE)
        for place, record in enumerate(told(number))
    ]
    (tmp_path / "signals.jsonl").write_bytes(b"\n".join(rows) + b"\n")
    assert line.does("ingest", "signals.jsonl", "--json").json["people_created"] == 2 * PEOPLE
    return line


def people(line: CommandLine) -> int:
    """How many people the graph has, by what the doctor says."""
    said = next(
        row for row in line.run("doctor").out.splitlines() if row.startswith("ok       graph")
    )
    return int(said.rpartition(", ")[2].split()[0].replace(",", ""))


def test_a_model_joins_people_when_it_is_in_force_and_leaves_them_when_it_is_not(
    line: CommandLine,
) -> None:
    """Trained from the graph and put in force it joins; going back brings the people before."""
    pin = line.does("model", "train", "--from-graph", "--json").json["model"]
    line.does("model", "activate", pin)
    line.does("ingest", "signals.jsonl")
    joined = people(line)
    assert PEOPLE * 0.95 <= joined <= PEOPLE * 1.2
    line.does("model", "back")
    line.does("ingest", "signals.jsonl")
    assert people(line) == 2 * PEOPLE
    line.does("model", "activate", pin)
    line.does("ingest", "signals.jsonl")
    assert people(line) == joined


def test_a_scored_link_is_explained_bar_by_bar(line: CommandLine) -> None:
    """As data its bars add up to its weight; in words and drawn it names no value."""
    pin = line.does("model", "train", "--from-graph", "--json").json["model"]
    line.does("model", "activate", pin)
    line.does("ingest", "signals.jsonl")
    ends = ("record:crm:2-0", "record:crm:2-1")
    found = line.does("explain", *ends, "--json").json
    assert found["same_person"] is True
    (step,) = found["steps"]
    assert step["basis"] == "scored"
    assert step["model"] == pin
    assert 0.5 < step["probability"] <= 1
    assert sum(bar["bits"] for bar in step["bars"]) == pytest.approx(step["weight_bits"])
    drawn = line.does("explain", *ends, "--svg", "why.svg")
    assert "match weight" in drawn.out
    image = (line.folder / "why.svg").read_text("utf-8")
    for value in person(2).values():
        assert value not in drawn.out
        assert f">{value}<" not in image


def test_staff_decides_what_the_model_leaves_open(line: CommandLine) -> None:
    """A decision joins or parts, leaves the queue, and outlives a new resolution."""
    pin = line.does("model", "train", "--from-graph", "--json").json["model"]
    line.does("model", "activate", pin)
    line.does("ingest", "signals.jsonl")
    ends = ("record:crm:2-0", "record:crm:2-1")
    assert "two people now" in line.does("review", "decide", *ends, "--not-same").out
    assert line.does("explain", *ends, "--json").json["same_person"] is False
    line.does("ingest", "--replay", "signals.jsonl")
    assert line.does("explain", *ends, "--json").json["same_person"] is False
    before = line.does("review", "list", "--limit", "500", "--json").json
    if before:
        case = before[0]
        line.does("review", "decide", case["low"], case["high"], "--same")
        after = line.does("review", "list", "--limit", "500", "--json").json
        assert (case["low"], case["high"]) not in {(one["low"], one["high"]) for one in after}


def test_wrong_questions_name_the_way_out(line: CommandLine) -> None:
    """Without a model, with an unknown end, a source that may not decide: a hint each."""
    line.fails(2, "review", "list")
    line.fails(2, "review", "decide", "record:crm:2-0", "record:crm:2-0", "--same")
    line.fails(1, "review", "decide", "record:crm:2-0", "record:crm:none", "--same")
    line.fails(
        2, "review", "decide", "record:crm:2-0", "record:crm:2-1", "--same", "--source", "web"
    )
    line.fails(2, "explain", "record:crm", "record:crm:2-1")
    line.fails(2, "explain", "record:crm:3-0", "record:crm:3-0", "--svg", "why.svg")

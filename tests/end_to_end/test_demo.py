"""`kinfold demo`, as a newcomer meets it first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine, Ran
from tests.support.neo4j_graph import empty
from tests.support.servers import Neo4jServer, PulsarServer

TITLES = (
    "A cohort with known truth",
    "Streamed in: signals become evidence, people and profiles",
    "Served: a decision engine asks over gRPC, for personalisation and service",
    "Erased: from the graph, profiles, dead letters; and kept out",
)


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found is not None, (pattern, text)
    return float(found.group(1).replace(",", ""))


def _shown(ran: Ran, people: int, titles: Sequence[str] = TITLES) -> None:
    """The demo showed what it promises, and what it shows hangs together."""
    places = [ran.out.index(title) for title in titles]
    assert places == sorted(places)
    made, taken, asked, erased = (
        ran.out[at:to] for at, to in zip(places, [*places[1:], len(ran.out)], strict=True)
    )
    signals = _number(r"([\d,]+) signals of", made)
    assert _number(r"signals of ([\d,]+) people", made) == people
    assert _number(r"([\d,]+) signals in ", taken) == signals
    count = _number(r"([\d,]+) count", taken)
    known, dead = _number(r"([\d,]+) were known", taken), _number(r"([\d,]+) dead letters", taken)
    # Of two contents under one id the one that counted first may be the dead letter.
    assert signals <= count + known + dead <= signals + dead
    assert known == _number(r"([\d,]+) sent twice", made)
    assert dead == _number(r"([\d,]+) of no use", made)
    assert _number(r"([\d,]+) people found", taken) >= people * 0.8
    assert _number(r"([\d.]+) of those that are tied", taken) > 0.95
    assert _number(r"precision ([\d.]+)", taken) > 0.85
    assert _number(r"([\d,]+) merges", taken) > 0
    assert asked.count("→ person ") == 2
    assert re.search(r"interests: \S+/\S+ \d", asked)
    assert re.search(r"withheld: .*affinities", asked)
    assert "are one person:" in asked
    assert re.search(r"\d bits  .* were seen together", asked)
    assert _number(r"graph: done, ([\d,]+) removed", erased) > 0
    assert "comes late: 0 count, 1 name them" in erased
    assert erased.rstrip().endswith("asks for their login: NOT_FOUND")
    assert ran.err == ""


def test_the_demo_ends_by_itself_and_leaves_nothing(tmp_path: Path) -> None:
    """With no server and no options but a size it shows all of it, and tidies up."""
    ran = CommandLine(tmp_path).does("demo", "--people", "60")
    _shown(ran, 60)
    assert list(tmp_path.iterdir()) == []


def test_the_demo_keeps_what_it_made_where_it_is_told(tmp_path: Path) -> None:
    """With --home one may go on with what it made: look people up, list letters."""
    line = CommandLine(tmp_path)
    line.does("demo", "--people", "12", "--days", "4", "--seed", "3", "--home", "kept")
    truth = (tmp_path / "kept" / "cohort" / "truth.csv").read_text("utf-8").splitlines()
    login = next(row.split(",")[1] for row in truth if row.startswith("login,"))
    get = ("get", f"login:{login}", "--local", "--for", "service", "--home", "kept", "--json")
    assert line.does(*get).json["profile"]["identifiers"]
    line.does("dead-letters", "--home", "kept")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_demo_on_real_servers(
    tmp_path: Path, neo4j_server: Neo4jServer, pulsar_server: PulsarServer
) -> None:
    """The same on Pulsar and Neo4j: signals and profiles travel over topics."""
    password = tmp_path / "neo4j.password"
    password.write_text(neo4j_server.password)
    with neo4j_server.driver() as driver:
        empty(driver)
        try:
            ran = CommandLine(tmp_path, timeout_s=300).does(
                "demo", "--people", "20", "--days", "5",
                "--pulsar-url", pulsar_server.service_url,
                "--pulsar-admin-url", pulsar_server.admin_url,
                "--graph-url", neo4j_server.bolt_url,
                "--graph-password-file", str(password),
            )  # fmt: skip
            found = driver.execute_query("MATCH (n) RETURN count(n) AS nodes").records[0]["nodes"]
        finally:
            empty(driver)
    _shown(ran, 20)
    assert found > 100

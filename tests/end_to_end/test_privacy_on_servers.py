"""Requests on real Pulsar and Neo4j: decisions of staff travel by the topic, and are heeded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.asking_line import AskingLine
from tests.support.command_line import login
from tests.support.deployment import Deployment, until
from tests.support.servers import Neo4jServer, PulsarServer

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(300)]
ANN, EMAIL, BOB = "login:ann", "email:ann@posteo.net", "login:bob"


@pytest.fixture
def line(
    tmp_path: Path, empty_neo4j: Neo4jServer, pulsar_server: PulsarServer
) -> Iterator[AskingLine]:
    """Ann and Bob are known, and a consumer keeps people up."""
    topics = f"persistent://public/default/privacy-{uuid4().hex}"
    more = {
        "KINFOLD_GRAPH_URL": empty_neo4j.bolt_url,
        "KINFOLD_GRAPH_USER": empty_neo4j.user,
        "KINFOLD_GRAPH_PASSWORD": empty_neo4j.password,
        "KINFOLD_PULSAR_URL": pulsar_server.service_url,
        "KINFOLD_PULSAR_ADMIN_URL": pulsar_server.admin_url,
        "KINFOLD_PULSAR_TOPIC": topics + "-signals",
        "KINFOLD_PULSAR_FEED_TOPIC": topics + "-profiles",
        "KINFOLD_PULSAR_DEAD_LETTERS_TOPIC": topics + "-letters",
    }
    made = AskingLine(tmp_path, more=more)
    made.take(
        login(1, ("login", "ann"), ("email", "ann@posteo.net")),
        login(2, ("login", "bob"), ("email", "bob@posteo.net")),
    )
    consumer = Deployment(tmp_path / "home", more)
    running = consumer.start("run")
    yield made
    assert consumer.stop(running) == 0
    consumer.close()


def test_legal_hold_and_erasure(line: AskingLine) -> None:
    """Put in force and ended through the topic: nobody is served and nothing is erased meanwhile;
    then everything goes.
    """
    assert line.is_served(ANN)
    line.submit("r-1", "erasure", ANN)
    line.does("privacy", "approve", "r-1", "--staff", "dpo")
    line.does("privacy", "hold", EMAIL, "--reason", "court order 12/26")
    until(lambda: not line.is_served(ANN), "the hold is heeded")
    line.fails("LEGAL_HOLD", "privacy", "run", "r-1")
    assert line.is_served(BOB)
    line.does("privacy", "release", EMAIL, "--reason", "the case is closed")
    until(lambda: line.is_served(ANN), "the hold has ended")
    done = line.does("privacy", "run", "r-1", "--json").json["request"]
    assert {one["store"]: one["status"] for one in done["stores"]}["graph"] == "done"
    until(lambda: not line.is_served(ANN), "the erasure is heeded")
    assert line.is_served(BOB)


def test_a_decision_on_a_pair_travels_by_the_topic(line: AskingLine) -> None:
    """Staff's word that two are one person counts when a consumer has read it, and is logged."""
    told = line.does("review", "decide", ANN, BOB, "--same").out
    assert "when consumers have read it" in told

    def one_person() -> bool:
        return bool(line.does("explain", ANN, BOB, "--json").json["same_person"])

    until(one_person, "the decision is heeded")
    logged = line.does("audit", "show", "--json").json_lines
    assert [entry["kind"] for entry in logged] == ["decision"]


def test_restriction_serves_to_no_one_and_an_objection_is_heeded(line: AskingLine) -> None:
    """Both are signals, and say that they are under way until consumers have read them."""
    line.submit("r-1", "objection", ANN)
    done = line.does("privacy", "run", "r-1", "--json").json["request"]
    assert {one["store"]: one["status"] for one in done["stores"]} == {
        "signals": "done",
        "graph": "pending",
    }
    until(lambda: "analytics" not in line.granted(ANN), "the objection is heeded")
    shown = line.does("privacy", "show", "r-1", "--json").json["request"]
    assert {one["status"] for one in shown["stores"]} == {"done"}
    line.submit("r-2", "restriction", ANN)
    line.does("privacy", "run", "r-2")
    until(lambda: not line.is_served(EMAIL), "the restriction is heeded")
    assert line.is_served(BOB)
    line.does("privacy", "release", EMAIL, "--restriction", "--reason", "told them, it is over")
    until(lambda: line.is_served(EMAIL), "the restriction has ended")

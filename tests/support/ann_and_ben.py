"""Ann, who is erased, and Ben, who stays: what they do, and how Ann is seen to be gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.support.erasing import Home, home_at, record, signal
from tests.support.servers import Neo4jServer, PulsarServer

STEPS = (
    "settle", "ledger", "fence", "widen", "sweep", "resolve", "letters", "exports", "caches",
    "audit", "finish",
)  # fmt: skip
"""Of an erasure, in the order in which they are done."""


def login_of(who: str) -> str:
    """The account of somebody."""
    return f"login:{who}@example.com"


def all_of(who: str) -> tuple[str, ...]:
    """All that somebody who did what Ann did is known by."""
    return (
        login_of(who), f"cookie:{who}-laptop", f"cookie:{who}-phone", f"email:{who}@example.com"
    )  # fmt: skip


ANN, BEN = login_of("ann"), login_of("ben")
ALL_OF_ANN = all_of("ann")


def anns(who: str = "ann") -> list[dict[str, Any]]:
    """A login on two cookies, a purchase, a record, a consent: of Ann, or somebody like her."""
    bought = {
        "type": "BEHAVIOUR_TYPE_PURCHASE",
        "category": "books",
        "item": "a novel",
        "value": 9.0,
        "unit": "EUR",
    }
    agreed = {"decisions": [{"purpose": "personalisation", "granted": True}]}
    login, laptop, phone, _ = all_of(who)
    said = {"fullName": "Ann Example", "email": f"{who}@example.com"}
    return [
        signal(f"{who}-1", login, laptop),
        signal(f"{who}-2", login, phone),
        signal(f"{who}-3", login, behaviour=bought),
        record(f"{who}-4", login, **said),
        signal(f"{who}-5", login, consentDecided=agreed),
        signal(f"{who}-6", laptop),
    ]


def bens(who: str = "ben") -> list[dict[str, Any]]:
    """What Ben, or somebody like him, did."""
    login = login_of(who)
    return [
        signal(f"{who}-1", login, f"cookie:{who}-laptop"),
        record(f"{who}-2", login, fullName="Ben Beispiel"),
    ]


def unreadable(number: int | str, who: str) -> dict[str, Any]:
    """What somebody is said to have done at no time: a dead letter."""
    return {**signal(number, login_of(who)), "eventTime": "not a time"}


def assert_gone(home: Home, *named: str) -> None:
    """Nobody is known by these, in the graph or in the view."""
    assert home.known(*named) == {}
    assert home.all_shown(*named) == {}


def home_on(folder: Path, graph: Neo4jServer, broker: PulsarServer) -> Home:
    """A home on these servers, with topics of its own."""
    topics = f"persistent://public/default/erasure-{uuid4().hex}"
    more = {
        "KINFOLD_GRAPH_URL": graph.bolt_url,
        "KINFOLD_GRAPH_USER": graph.user,
        "KINFOLD_GRAPH_PASSWORD": graph.password,
        "KINFOLD_PULSAR_URL": broker.service_url,
        "KINFOLD_PULSAR_ADMIN_URL": broker.admin_url,
        "KINFOLD_PULSAR_TOPIC": topics + "-signals",
        "KINFOLD_PULSAR_FEED_TOPIC": topics + "-profiles",
        "KINFOLD_PULSAR_DEAD_LETTERS_TOPIC": topics + "-letters",
    }
    return home_at(folder, more)

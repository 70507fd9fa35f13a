"""The graph in Neo4j reads naturally to a person who opens it in Neo4j's own browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from typing import Any

import pytest
from neo4j import Driver

from identity.engines.neo4j.migrations import MIGRATIONS
from identity.engines.neo4j.nodes import kind_label
from identity.engines.neo4j.packing import date_of
from identity.engines.neo4j.store import Neo4jGraphStore
from identity.model import EvidenceKind, Fact, LineageChange, LineageEntry
from identity.store import Resolution
from tests.support.evidence_strategies import FIRST_DAY, contribution, decision, node
from tests.support.neo4j_graph import empty
from tests.support.servers import Neo4jServer
from tests.support.store_driver import Consumer, assign, lease_of

ANN, PHONE, RECORD = (node(name).key for name in ("login:a", "device:a", "record:a"))
P, Q = "p" * 26, "q" * 26
LATER = 40


@pytest.fixture
def graph(neo4j_server: Neo4jServer) -> Iterator[Driver]:
    """A small graph with one of everything."""
    auth = (neo4j_server.user, neo4j_server.password)
    with neo4j_server.driver() as driver:
        empty(driver)
        with closing(Neo4jGraphStore(neo4j_server.bolt_url, auth)) as store:
            fill(store)
        yield driver


def fill(store: Neo4jGraphStore) -> None:
    """Two months of Ann on her phone, a record, a purchase, a decision, a merge."""
    consumer = Consumer(store)
    bought = Fact(EvidenceKind.PURCHASE, (ANN,), b"sealed")
    asserted = Fact(EvidenceKind.RECORD, (RECORD,), b"sealed")
    consumer.take(
        contribution(1, "login:a", "device:a"),
        contribution(2, "login:a", "device:a", day=FIRST_DAY + LATER),
        contribution(3, "login:a", "device:a", fact=bought, day=FIRST_DAY + LATER),
        contribution(4, "login:a", "record:a", fact=asserted, day=FIRST_DAY + LATER),
        contribution(5, "external:crm:a", "login:a", day=FIRST_DAY + LATER),
        decision(6, "login:a", "device:a", True),
    )
    assign(store, {ANN: P, PHONE: P, RECORD: P, node("external:crm:a").key: Q})
    merged = LineageEntry(LineageChange.MERGED, Q, P, 0, 1)
    store.commit_resolution(lease_of(store), Resolution({}, {}, [merged], [], []))


def ask(graph: Driver, query: str, **parameters: Any) -> list[list[Any]]:
    """Rows of a query as a person would type it."""
    return [list(record) for record in graph.execute_query(query, parameters).records]


def test_identifiers_are_called_by_their_kind(graph: Driver) -> None:
    """Every identifier carries the label of its kind, a record is a Record."""
    found = ask(graph, "MATCH (n:Identifier) RETURN n.kind, labels(n) ORDER BY n.kind")
    assert [(kind, set(labels) - {"Dirty"}) for kind, labels in found] == [
        ("device", {"Identifier", "Device"}),
        ("external:crm", {"Identifier", "External"}),
        ("login", {"Identifier", "Login"}),
    ]
    assert ask(graph, "MATCH (r:Record) RETURN r.key") == [[RECORD]]
    assert kind_label("customer_id") == "CustomerId"


def test_a_person_has_identifiers_that_were_seen_together(graph: Driver) -> None:
    """Who has what, and what was seen with what, is one readable path."""
    query = (
        "MATCH (p:Person)-[:HAS]->(:Login)-[:SEEN_WITH]-(:Device)<-[:HAS]-(p) RETURN DISTINCT p.id"
    )
    assert ask(graph, query) == [[P]]


def test_first_and_last_seen_are_dates(graph: Driver) -> None:
    """Identifiers, records, links and months tell first and last seen as dates."""
    first, last = (date.fromisoformat(date_of(day)) for day in (FIRST_DAY, FIRST_DAY + LATER))
    both = "RETURN x.first_seen, x.last_seen"
    for query in (
        f"MATCH (x:Login) {both}",
        f"MATCH (x:Device) {both}",
        f"MATCH (:Device)-[x:SEEN_WITH]-(:Login) {both}",
    ):
        ((first_seen, last_seen),) = ask(graph, query)
        assert (first_seen.to_native(), last_seen.to_native()) == (first, last)
    for query in (
        f"MATCH (:Login)-[x:ACTIVE_IN]->(:Activity) {both}",
        f"MATCH (:Login)-[:ACTIVE_IN]->(x:Activity) {both}",
    ):
        ((first_seen, last_seen),) = ask(graph, query)
        assert (first_seen.to_native(), last_seen.to_native()) == (first, first)
    for query in (f"MATCH (x:Record) {both}", f"MATCH (:Record)-[x:SEEN_WITH]-(:Login) {both}"):
        ((first_seen, last_seen),) = ask(graph, query)
        assert (first_seen.to_native(), last_seen.to_native()) == (last, last)


def test_links_tell_how_often(graph: Driver) -> None:
    """A link says how often it was seen and whether anybody vouched for it."""
    query = "MATCH (:Device)-[r:SEEN_WITH]-(:Login) RETURN r.count, r.authenticated"
    assert ask(graph, query) == [[3, False]]


def test_facts_are_called_by_what_they_are(graph: Driver) -> None:
    """A purchase is about a login, an asserted record about its record, a decision names ends."""
    assert ask(graph, "MATCH (s:Purchase)-[:ABOUT]->(n) RETURN s.id, n.key") == [[3, ANN]]
    assert ask(graph, "MATCH (s:RecordAsserted)-[:ABOUT]->(n) RETURN s.id, n.key") == [[4, RECORD]]
    query = "MATCH (s:Decision) RETURN s.left, s.right, s.same"
    assert ask(graph, query) == [[ANN, PHONE, True]]


def test_former_people_lead_to_present_ones(graph: Driver) -> None:
    """A merged id points at the person it was merged into."""
    query = (
        "MATCH (old:Person:Former)-[r:MERGED_INTO]->(p:Person) RETURN old.id, p.id, r.resolution"
    )
    assert ask(graph, query) == [[Q, P, 2]]


def test_schema_is_versioned_and_constrained(graph: Driver) -> None:
    """Migrations are numbered nodes, and keys are unique by constraint."""
    numbers = [number for [number] in ask(graph, "MATCH (m:Migration) RETURN m.number")]
    assert sorted(numbers) == [migration.number for migration in MIGRATIONS]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    constrained = {
        (labels[0], properties[0])
        for labels, properties in ask(
            graph,
            "SHOW CONSTRAINTS YIELD labelsOrTypes, properties RETURN labelsOrTypes, properties",
        )
    }
    expected = {("Identifier", "key"), ("Record", "key"), ("Signal", "id"), ("Person", "id")}
    assert expected <= constrained


def test_no_sealed_or_raw_value_is_text(graph: Driver) -> None:
    """Whatever is kept of a value is bytes; keys and names hold nothing but kind and token."""
    texts = ask(
        graph,
        "MATCH (n) UNWIND keys(n) AS name WITH name, n[name] AS value "
        "WHERE value IS :: STRING RETURN DISTINCT name",
    )
    assert {name for (name,) in texts} <= {
        *("key", "kind", "person", "id", "name", "month", "left", "right"),
        *("merged_into", "partition", "owner", "model", "names", "folding"),
    }

"""Nothing that kinfold leaves behind, anywhere, holds a raw identifier or personal value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

import grpc
import neo4j
import orjson
import pulsar
import pytest

from kinfold.generate.spec import CohortSpec
from profiles.v1.profile_service_pb2 import (
    BatchGetProfilesRequest,
    BatchGetProfilesResponse,
    Subject,
    SubjectIdentifier,
)
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub
from tests.support.cohort import Personal, Signal, lines, made, personal_values
from tests.support.command_line import CommandLine, Ran
from tests.support.neo4j_graph import empty
from tests.support.scan import MIN_CHARS, Hit, Scanner
from tests.support.servers import Neo4jServer, PulsarServer

SPEC = CohortSpec(people=25, days=3, seed=77, bad=0.02, mistaken=0.05, rewritten=0.01)
PURPOSES = ["service", "personalisation"]
OURS = "Zq7wk"
"""Part of every value on shared servers, where other tests leave raw values of their own."""
OUR_PHONES = "+447720"
"""How phone numbers on shared servers begin: generated cohorts have none like them."""
_NAMES = {"fullName", "givenName", "familyName", "street", "item", "userAgent"}
_IDENTIFIERS = {"login", "customer_id", "loyalty_card", "device", "cookie", "external:chirper"}


@dataclass
class Session:
    """A user at work, of whom every word that the program prints is kept."""

    line: CommandLine
    flags: tuple[str, ...] = ()
    said: list[str] = field(default_factory=list)

    def does(self, *arguments: str) -> Ran:
        """Run a verb that must succeed."""
        return self._heard(self.line.does(*arguments, *self.flags))

    def tries(self, *arguments: str) -> Ran:
        """Run a verb that may fail."""
        return self._heard(self.line.run(*arguments, *self.flags))

    def _heard(self, ran: Ran) -> Ran:
        self.said.append(ran.said)
        return ran

    def looks_up(self, values: Iterable[Personal]) -> BatchGetProfilesResponse:
        """Serve, and ask for these identifiers over gRPC; the answers are the caller's own."""
        named = [(kind, value) for kind, value in sorted(values) if kind in ("login", "email")]
        subjects = [
            Subject(identifier=SubjectIdentifier(kind=kind, value=value)) for kind, value in named
        ]
        with self.line.serving(*self.flags) as address, grpc.insecure_channel(address) as channel:
            request = BatchGetProfilesRequest(subjects=subjects[:200], purposes=PURPOSES)
            answer = ProfileServiceStub(channel).BatchGetProfiles(request, timeout=30)
        assert isinstance(answer, BatchGetProfilesResponse)
        return answer

    def works(self, signals: list[Signal], path: Path) -> None:
        """Take the signals in, twice, and do with them whatever users do."""
        path.write_bytes(b"".join(lines(signals)))
        taken = self.does("ingest", str(path), "--json").json
        assert taken["dead_letters"] > 5
        assert taken["counted"] > 300
        self.does("ingest", "--replay", str(path))
        self.does("dead-letters")
        self.does("dead-letters", "--json")
        self.tries("dead-letters", "--send")
        values = personal_values(signals)
        found = self.looks_up(values)
        shown = [each.response.profile for each in found.results if each.code == 0]
        assert len(shown) > 20
        assert any(known.value for each in shown for known in each.identifiers)
        logins = sorted(value for kind, value in values if kind == "login")
        self.tries("explain", f"login:{logins[0]}", f"login:{logins[1]}")
        self.tries("lineage", f"login:{logins[0]}")
        self.tries("lineage", f"phone:{logins[0]}")
        self.does("expire", "--kind", "activity", "--before", str(SPEC.start.replace(day=7)))
        self.does("ingest", str(path))
        self.does("doctor")
        (self.line.folder / "said.log").write_text("\n".join(self.said))


def test_the_embedded_parts_leave_nothing(tmp_path: Path) -> None:
    """Graph, keys, view, dead letters and all that was printed hold not one personal value."""
    work = tmp_path / "work"
    work.mkdir()
    signals, _ = made(SPEC)
    Session(CommandLine(work)).works(signals, tmp_path / "signals.jsonl")
    scanner = Scanner(personal_values(signals))
    assert scanner.values > 300
    hits = scanner.scan(tmp_path)
    assert {hit.file for hit in hits} == {tmp_path / "signals.jsonl"}, _outside(hits, work)
    found = {hit.kind for hit in hits}
    assert {"email", "phone", "login", "cookie", "context.userAgent", "record.fullName"} <= found
    home = {path.name for path in (work / ".kinfold").rglob("*") if path.stat().st_size > 0}
    assert {"graph.sqlite3", "dead_letters.sqlite3", "data.mdb", "vault.sqlite3"} <= home


def _outside(hits: Iterable[Hit], work: Path) -> list[Hit]:
    return [hit for hit in hits if hit.file.is_relative_to(work)]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_real_servers_are_left_with_nothing(
    tmp_path: Path, empty_neo4j: Neo4jServer, pulsar_server: PulsarServer
) -> None:
    """Neo4j's and Pulsar's files and logs, a replica's view and a dump of the graph hold nothing.

    Signals come from a file here: whoever publishes raw signals to a topic finds
    them in that topic until Pulsar drops them.
    """
    work = tmp_path / "work"
    work.mkdir()
    signals = [_marked(signal) for signal in made(SPEC)[0]]
    flags = _flags(empty_neo4j, pulsar_server, tmp_path)
    try:
        Session(CommandLine(work, timeout_s=400), flags).works(signals, tmp_path / "signals.jsonl")
        with empty_neo4j.driver() as driver:
            _dump(driver, work / "graph.jsonl")
            _leave_in_neo4j(driver)
        # Stopped in order, Neo4j brings all that its log holds into its stores and indexes.
        empty_neo4j.process.stop()
        empty_neo4j.process.restart()
    finally:
        with empty_neo4j.driver() as driver:
            empty(driver)
    _leave_in_pulsar(pulsar_server)
    for topic in ("profiles", "dead-letters"):
        pulsar_server.compact(f"public/default/sealed-scan-{topic}")
    values = {(kind, value) for kind, value in personal_values(signals) if _is_ours(kind, value)}
    scanner = Scanner(values | {("left", LEFT)})
    assert scanner.values > 300
    # What was left there on purpose is found, so the scan sees what these servers write.
    for folder in (empty_neo4j.process.folder, pulsar_server.process.folder):
        hits = scanner.scan(folder)
        assert {hit.kind for hit in hits} == {"left"}, hits
    assert scanner.scan(work) == []
    assert scanner.scan(tmp_path / "signals.jsonl")
    assert (work / "graph.jsonl").stat().st_size > 100_000
    assert (work / ".kinfold" / "view" / "data.mdb").stat().st_size > 0


LEFT = "kinfold-left-this-on-purpose-9f3a1c55d0b24e7e"


def _leave_in_neo4j(driver: neo4j.Driver) -> None:
    driver.execute_query("CREATE (:Left {what: $what})", what=LEFT)


def _leave_in_pulsar(server: PulsarServer) -> None:
    with closing(pulsar.Client(server.service_url)) as client:
        producer = client.create_producer("persistent://public/default/sealed-scan-left")
        producer.send(LEFT.encode())
        producer.close()


def _flags(graph: Neo4jServer, broker: PulsarServer, folder: Path) -> tuple[str, ...]:
    password = folder / "neo4j.password"
    password.write_text(graph.password)
    document = {
        "graph": {
            "url": graph.bolt_url, "user": graph.user, "password_file": str(password),
        },
        "pulsar": {
            "url": broker.service_url,
            "admin_url": broker.admin_url,
            "topic": "persistent://public/default/sealed-scan-signals",
            "feed_topic": "persistent://public/default/sealed-scan-profiles",
            "dead_letters_topic": "persistent://public/default/sealed-scan-dead-letters",
        },
    }  # fmt: skip
    path = folder / "kinfold.toml"
    path.write_text(
        "\n".join(
            f"[{section}]\n" + "\n".join(f"{key} = {json.dumps(of)}" for key, of in body.items())
            for section, body in document.items()
        )
    )
    return ("--settings", str(path))


def _dump(driver: neo4j.Driver, path: Path) -> None:
    """Every property of every node and relationship, as Neo4j's own reader gives it."""
    with path.open("wb") as file:
        for query in (
            "MATCH (n) RETURN labels(n) AS what, properties(n) AS has",
            "MATCH ()-[r]->() RETURN type(r) AS what, properties(r) AS has",
        ):
            with driver.session() as session:
                for record in session.run(query):
                    file.write(orjson.dumps(record.data(), default=_plain) + b"\n")


def _plain(value: object) -> str:
    # Bytes as they are, in so far as they are text: what is sealed is none.
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _marked(signal: Mapping[str, Any]) -> Signal:
    """The signal with values that no other test has."""
    return {
        key: _marked_value(key, value, str(signal.get("kind", ""))) for key, value in signal.items()
    }


def _marked_value(key: str, value: Any, kind: str) -> Any:
    if isinstance(value, Mapping):
        return _marked(value)
    if isinstance(value, list):
        return [_marked_value(key, each, kind) for each in value]
    if not isinstance(value, str):
        return value
    if key == "networkAddress":
        digest = hashlib.blake2b(value.encode(), digest_size=8, key=OURS.encode()).digest()
        return str(IPv6Address(bytes.fromhex("20010db8") + digest + bytes(4)))
    if (key == "phone" or (key == "value" and kind == "phone")) and len(value) >= MIN_CHARS:
        digest = hashlib.blake2b(value[-8:].encode(), digest_size=4, key=OURS.encode()).digest()
        return f"{OUR_PHONES}{int.from_bytes(digest) % 10**6:06d}"
    if key == "email" or (key == "value" and kind == "email"):
        return value.replace("@", f".{OURS}@")
    if key in _NAMES or (key == "value" and kind in _IDENTIFIERS):
        return f"{value}{OURS}"
    return value


def _is_ours(kind: str, value: str) -> bool:
    """Whether no other test has the value: it is marked, or so long a number that none has it."""
    marked = OURS.lower() in value.lower() or value.startswith(OUR_PHONES)
    alone = kind in ("context.networkAddress", "advertising_id")
    return len(value) >= MIN_CHARS and (marked or alone)

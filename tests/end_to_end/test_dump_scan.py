"""After an erasure and a rotation no file anywhere holds a value of the person, raw or openable.

Anywhere is: Neo4j's stores and logs, SQLite, LMDB, the feed and the dead letters
in BookKeeper, all that programs printed, what is exported and reported
afterwards, the audit log as it is shown, and a backup. Each store is first seen
to hold what is looked for. kinfold has no metrics and no traces yet: whoever
adds them, or another place, is told by `test_nothing_else_is_written`.

The topic of signals is raw by nature. Of it the promise is what the receipt
says: once acknowledged and retained no longer, no reader gets it. From the
bookie's files it goes when the bookie collects its garbage. When that is rests
on how it is set up, as docs/compliance.md tells; here it takes seconds.
"""

from __future__ import annotations

import shutil
import sqlite3
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import grpc
import orjson
import polars as pl
import pulsar
import pytest

from identity.model import PersonId
from ingest.dead_letters import Envelopes
from ingest.publish import SignalPublisher
from ingest.source import Form
from kinfold.clusters import cluster_of
from kinfold.generate.spec import CohortSpec
from kinfold.holdings import unclaimed
from kinfold.letters import open_letters
from kinfold.settings import PARTS
from kinfold.wiring import open_sealer, open_vault, open_view
from profiles.pulsar_cluster import PulsarCluster
from profiles.v1.profile_service_pb2 import GetProfileRequest, Subject, SubjectIdentifier
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub
from tests.support.cohort import lines, made
from tests.support.command_line import CommandLine, Ran, as_lines
from tests.support.deployment import ROOT, until
from tests.support.erasing import Home, home_at, record, signal
from tests.support.neo4j_graph import empty
from tests.support.scan import Scanner
from tests.support.sealed_copies import SealedCopies
from tests.support.servers import Neo4jServer, PulsarServer

MARK = uuid4().hex[:10]
ZOE, BEN = f"login:zoe.{MARK}@example.com", "login:ben@example.com"
VALUES = {
    ("login", f"zoe.{MARK}@example.com"),
    ("cookie", f"cookie-of-{MARK}"),
    ("name", f"Zoe Zimmer{MARK}"),
    ("item", f"a book on {MARK}"),
    ("city", f"Zurich{MARK}"),
    ("words", f"I was {MARK} before"),
}
REQUEST = ("--kind", "erasure", "--of", ZOE, "--level", "authenticated", "--staff", "desk")
TO = ("--recipient", "lab", "--expires", "2099-01-31")
Stores = Mapping[str, tuple[str, *tuple[Path, ...]]]
"""By name: of which kind the sealed values are that it holds, and where it rests."""
NOT_YET = ("opentelemetry", "prometheus", "statsd", "sentry", "structlog", "loguru")


def zoes() -> list[dict[str, Any]]:
    """What somebody did, in words that no one else uses; the last becomes a dead letter."""
    bought = {
        "type": "BEHAVIOUR_TYPE_PURCHASE",
        "category": "books",
        "item": f"a book on {MARK}",
        "value": 9.0,
        "unit": "EUR",
    }
    yes = {"decisions": [{"purpose": "analytics", "granted": True}]}
    address: Any = {"city": f"Zurich{MARK}"}
    return [
        signal(f"z1-{MARK}", ZOE, f"cookie:cookie-of-{MARK}"),
        signal(f"z2-{MARK}", ZOE, behaviour=bought),
        record(f"z3-{MARK}", ZOE, fullName=f"Zoe Zimmer{MARK}", address=address),
        signal(f"z4-{MARK}", ZOE, consentDecided=yes),
        {**signal(f"z5-{MARK}", ZOE), "eventTime": "not a time"},
    ]


@dataclass(frozen=True)
class Watched:
    """A home of which every file is scanned, and every word that is printed is one of them."""

    home: Home
    line: CommandLine

    def does(self, *words: str | Path) -> Ran:
        """Run a verb as its users do, which must succeed."""
        ran = self.line.does(*words)
        with (self.line.folder / "said.log").open("a") as said:
            said.write(ran.said)
        return ran

    def serves(self, named: str) -> bool:
        """Whether a replica that starts now finds somebody; what it says is kept."""
        kind, value = named.split(":", 1)
        subject = Subject(identifier=SubjectIdentifier(kind=kind, value=value))
        asked = GetProfileRequest(subject=subject, purposes=["service"])
        with self.line.serving() as address, grpc.insecure_channel(address) as channel:
            try:
                return bool(ProfileServiceStub(channel).GetProfile(asked, timeout=60).person_id)
            except grpc.RpcError as error:
                if cast("grpc.Call", error).code() is grpc.StatusCode.NOT_FOUND:
                    return False
                raise

    def hands_out(self, folder: Path) -> None:
        """All that leaves kinfold in files, unpacked where it is packed."""
        people = folder / "people.parquet"
        folder.mkdir(parents=True)
        self.does("export", "profiles", "--for", "analytics", "--out", people, *TO)
        pl.read_parquet(people).write_ndjson(folder / "people.jsonl")
        self.does("export", "graph", "--out", folder / "graph", *TO)
        self.does("export", "stats", "--format", "csv", "--out", folder / "figures", *TO)
        self.does("report", "--out", folder / "report.html", "--charts", folder / "charts")
        self.does("stats")
        self.does("audit", "show")
        self.does("audit", "show", "--json")

    def sealed(self, person: PersonId) -> Mapping[str, list[bytes]]:
        """Every sealed value that this home holds of somebody, by where it rests."""
        with self.home.store() as store:
            evidence = store.evidence([person])[person]
        graph = [node.sealed for node in evidence.nodes if node.sealed]
        graph += [kept.fact.payload for kept in evidence.facts if kept.fact.payload]
        settings = self.home.settings
        with closing(open_view(settings)) as view:
            stored = view.stored(person)
        assert stored is not None
        with (
            closing(open_vault(settings)) as vault,
            closing(open_letters(settings)) as letters,
        ):
            envelopes = Envelopes(open_sealer(vault), vault.order_key())
            about = [one for one in letters.all() if MARK.encode() in envelopes.open(one)]
        with closing(sqlite3.connect(settings.home_dir / "requests.sqlite3")) as requests:
            asked = requests.execute("SELECT sealed FROM requests").fetchall()
        return {
            "graph": graph,
            "profile": [stored.sealed],
            "letters": [one.sealed for one in about],
            "requests": [one for (one,) in asked],
        }

    def openable(self, sealed: Sequence[bytes], *places: Path) -> list[Path]:
        """The files at these places that hold a copy which one of the keys of now opens."""
        with closing(open_vault(self.home.settings)) as vault:
            return SealedCopies(sealed).openable(open_sealer(vault), *places)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    """A home without settings of its own."""
    return _watched(tmp_path, {})


def _watched(folder: Path, more: Mapping[str, str]) -> Watched:
    """All that is scanned lies in `scanned`; what is in `elsewhere` is not kinfold's."""
    (folder / "elsewhere").mkdir()
    work = folder / "scanned" / "work"
    work.mkdir(parents=True)
    policy = folder / "policy.toml"
    shipped = files("kinfold").joinpath("default_policy.toml").read_text("utf-8")
    # Raw values are in an export that this one makes: if any are left, they are seen there.
    may = 'attributes = ["service", "analytics"]'
    policy.write_text(shipped.replace('attributes = ["service"]', may))
    home = home_at(folder / "scanned" / "home", {**more, "KINFOLD_HOME_POLICY": str(policy)})
    return Watched(home, CommandLine(work, home.deployment.environment, 400.0))


def erase(watched: Watched, stores: Stores, *roots: Path) -> None:
    """Erase and rotate; then nothing below the roots is left that anybody could open.

    `stores` tells by name which kind of sealed values rests where: that it does
    is seen first.
    """
    assert watched.serves(ZOE)
    watched.does("privacy", "submit", "r-1", *REQUEST, "--words", f"I was {MARK} before")
    watched.does("privacy", "approve", "r-1", "--staff", "dpo")
    person = watched.home.person(ZOE)
    assert person is not None
    sealed = watched.sealed(person)
    for store, (kind, *places) in stores.items():
        assert watched.openable(sealed[kind], *places), f"{store}: no copy, or it is not seen"
    watched.does("privacy", "run", "r-1", "--staff", "desk")
    watched.does("keys", "rotate")
    watched.does("privacy", "show", "r-1", "--staff", "desk")
    watched.does("privacy", "receipt", "r-1", "--staff", "dpo")
    watched.does("dead-letters", "--json")
    watched.does("doctor")
    assert not watched.serves(ZOE)
    assert watched.serves(BEN), "what is others' goes on being read"
    everything = [one for kind in sealed.values() for one in kind]
    assert watched.openable(everything, *roots) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_embedded_parts_hold_nothing_of_the_erased(tmp_path: Path, watched: Watched) -> None:
    """Graph, view, letters, requests, ledger, audit log, keys, exports, backup and words."""
    others = [line.rstrip() for line in lines(made(CohortSpec(people=20, days=3, seed=5))[0])]
    raw = tmp_path / "elsewhere" / "signals.jsonl"
    raw.write_bytes(as_lines(*others, signal("b", BEN), *zoes()))
    watched.does("ingest", raw)
    watched.hands_out(tmp_path / "elsewhere" / "handed-out")
    scanned, folder = tmp_path / "scanned", watched.home.deployment.folder
    # A backup of everything but the keys: what is in it is noise once they are gone.
    backup = scanned / "backup"
    shutil.copytree(folder, backup, ignore=shutil.ignore_patterns("keys"))
    stores: Stores = {
        "graph": ("graph", *folder.glob("graph.sqlite3*")),
        "view": ("profile", folder / "view"),
        "dead letters": ("letters", *folder.glob("dead_letters.sqlite3*")),
        "requests": ("requests", folder),
        "graph in the backup": ("graph", *backup.glob("graph.sqlite3*")),
        "view in the backup": ("profile", backup / "view"),
        "dead letters in the backup": ("letters", *backup.glob("dead_letters.sqlite3*")),
    }
    erase(watched, stores, scanned)
    watched.hands_out(scanned / "handed-out")
    scanner = Scanner(VALUES)
    assert scanner.scan(scanned) == []
    assert _kinds(scanner, raw) == {"login", "cookie", "name", "item", "city"}
    assert {"city", "name"} <= _kinds(scanner, tmp_path / "elsewhere" / "handed-out")
    assert (watched.line.folder / "said.log").stat().st_size > 2_000
    assert unclaimed(folder) == []


def test_nothing_else_is_written() -> None:
    """Metrics, traces and logs of their own come with settings or a library: scan them, too."""
    assert set(PARTS) == {"home", "graph", "ingest", "pulsar", "serve", "statistics", "keys"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [project["dependencies"], *project["optional-dependencies"].values()]
    assert [one for some in needed for one in some if one.startswith(NOT_YET)] == []


@pytest.fixture
def on_servers(
    tmp_path: Path, empty_neo4j: Neo4jServer, forgetful_pulsar: PulsarServer
) -> Iterator[Watched]:
    """A home over Neo4j and a Pulsar of its own, whose signals come through a topic."""
    namespace = f"public/dump-scan-{MARK}"
    forgetful_pulsar.admin("PUT", f"namespaces/{namespace}")
    nothing = {"retentionTimeInMinutes": 0, "retentionSizeInMB": 0}
    forgetful_pulsar.admin("POST", f"namespaces/{namespace}/retention", nothing)
    topics = f"persistent://{namespace}/"
    more = {
        "KINFOLD_GRAPH_URL": empty_neo4j.bolt_url,
        "KINFOLD_GRAPH_USER": empty_neo4j.user,
        "KINFOLD_GRAPH_PASSWORD": empty_neo4j.password,
        "KINFOLD_PULSAR_URL": forgetful_pulsar.service_url,
        "KINFOLD_PULSAR_ADMIN_URL": forgetful_pulsar.admin_url,
        "KINFOLD_PULSAR_TOPIC": topics + "signals",
        "KINFOLD_PULSAR_PARTITIONS": "2",
        "KINFOLD_PULSAR_FEED_TOPIC": topics + "profiles",
        "KINFOLD_PULSAR_DEAD_LETTERS_TOPIC": topics + "letters",
    }
    yield _watched(tmp_path, more)
    with empty_neo4j.driver() as driver:
        empty(driver)


@pytest.mark.servers
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_real_servers_hold_nothing_of_the_erased(
    tmp_path: Path, on_servers: Watched, empty_neo4j: Neo4jServer, forgetful_pulsar: PulsarServer
) -> None:
    """Neo4j's files, BookKeeper's, a replica's view, and in time the topic of signals."""
    scanner, scanned, watched = Scanner(VALUES), tmp_path / "scanned", on_servers
    bookie, neo4j = forgetful_pulsar.process.folder, empty_neo4j.process.folder
    folder = watched.home.deployment.folder
    folder.mkdir(mode=0o700)
    consumer = watched.home.deployment.start("run")
    try:
        _publish(watched, signal("b", BEN), *zoes())
        watched.hands_out(tmp_path / "elsewhere" / "handed-out")
        stores: Stores = {
            "graph": ("graph", neo4j),
            "feed": ("profile", bookie),
            "dead letters": ("letters", bookie),
            "view": ("profile", folder / "view"),
            "requests": ("requests", folder),
        }
        erase(watched, stores, scanned, neo4j, bookie)
        watched.hands_out(scanned / "handed-out")
        told = watched.does("privacy", "show", "r-1", "--staff", "desk").out
        assert "forgets what was sent until now when its ledger is closed, by 2" in told
        assert watched.home.deployment.stop(consumer) == 0
    finally:
        watched.home.deployment.close()
    assert {"city", "name"} <= _kinds(scanner, tmp_path / "elsewhere" / "handed-out")
    assert _kinds(scanner, bookie) == {"login", "cookie", "name", "item", "city"}
    _outlast_retention(watched, forgetful_pulsar, scanner)
    # Stopped in order, Neo4j brings all that its log holds into its stores and indexes.
    empty_neo4j.process.stop()
    empty_neo4j.process.restart()
    assert scanner.scan(scanned, bookie, neo4j) == []
    assert (folder / "said.txt").stat().st_size > 0
    assert unclaimed(folder) == [folder / "said.txt"]


def _publish(watched: Watched, *signals: dict[str, Any]) -> None:
    """Send signals through the topic, and return when all of them are taken in and published."""
    home, cluster = watched.home, _cluster(watched)
    topic = home.settings.pulsar.topic
    until(lambda: cluster.partitions(topic), "the consumer has made its topic")
    with closing(SignalPublisher(cluster, topic)) as publisher:
        publisher.publish_as_is([(orjson.dumps(one), Form.JSON) for one in signals])
    with closing(open_letters(home.settings)) as letters:
        until(lambda: list(letters.all()), "what cannot count is a dead letter")
    until(lambda: home.person(ZOE) and home.person(BEN), "people are known")
    with home.store() as store:
        until(lambda: store.totals().signals == len(signals) - 1, "all counts that can")
    home.deployment.wait_until_resolved()


def _outlast_retention(watched: Watched, server: PulsarServer, scanner: Scanner) -> None:
    """Until no reader gets a signal that was sent, and none of BookKeeper's files has it.

    Unloading a topic closes its ledgers, as else time does. What other topics are
    sent meanwhile has the bookie begin files anew: in none that it writes to it looks
    for garbage.
    """
    cluster, topic = _cluster(watched), watched.home.settings.pulsar.topic
    partitions = [f"{topic}-partition-{number}" for number in range(2)]
    for each in partitions:
        server.admin("PUT", f"{each.replace('://', '/')}/unload")
    with closing(cluster.connect()) as client:
        until(lambda: not any(_readable(client, each) for each in partitions), "none can be read")
        noise = client.create_producer(topic.rpartition("/")[0] + "/noise")

        def is_gone() -> bool:
            for _ in range(4):
                noise.send(uuid4().bytes * 32_000)
            return scanner.scan(server.process.folder) == []

        until(is_gone, "the bookie has collected its garbage")


def _readable(client: pulsar.Client, topic: str) -> bool:
    """Whether a reader that begins at the beginning gets anything."""
    reader = client.create_reader(topic, pulsar.MessageId.earliest)
    try:
        return bool(reader.has_message_available())
    finally:
        reader.close()


def _cluster(watched: Watched) -> PulsarCluster:
    cluster = cluster_of(watched.home.settings)
    assert cluster is not None, "only asked where Pulsar is set"
    return cluster


def _kinds(scanner: Scanner, place: Path) -> set[str]:
    return {hit.kind for hit in scanner.scan(place)}

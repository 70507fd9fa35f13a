"""Kill -9 of consumers, resolver and feeder on real Pulsar, on both durable graphs."""

from __future__ import annotations

import random
import subprocess
import time
import urllib.error
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import orjson
import pytest

from ingest.publish import SignalPublisher
from ingest.source import Form
from kinfold.clusters import cluster_of
from kinfold.generate.spec import CohortSpec
from tests.support.cohort import lines, made
from tests.support.deployment import Deployment, Left, assert_same, until, until_begun
from tests.support.intaking import line
from tests.support.servers import Neo4jServer, PulsarServer

PARTITIONS = 2
KILLS = 8
PACE_PER_S = 200
COHORT = CohortSpec(people=60, days=4, seed=5, bad=0.002, mistaken=0.05)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def signals() -> list[bytes]:
    """A cohort with bad lines, signals that come twice, and contents that share an id."""
    told = [each.strip() for each in lines(made(COHORT)[0])]
    drawn = random.Random(3)
    for number in range(40):
        told.insert(drawn.randrange(len(told)), b'{"source":"web","broken":%d' % number)
        told.insert(drawn.randrange(len(told)), drawn.choice(told))
        for category in ("one", "two"):
            said = line(signal_id=f"same-{number}", behaviour={"type": 1, "category": category})
            told.insert(drawn.randrange(len(told)), said)
    return told


@pytest.fixture
def pulsar(pulsar_server: PulsarServer) -> dict[str, str]:
    """Settings for topics of the test's own on the session's Pulsar."""
    names = {
        f"KINFOLD_PULSAR_{name}": f"persistent://public/default/{name.lower()}-{uuid4().hex}"
        for name in ("TOPIC", "FEED_TOPIC", "DEAD_LETTERS_TOPIC")
    }
    return {
        "KINFOLD_PULSAR_URL": pulsar_server.service_url,
        "KINFOLD_PULSAR_ADMIN_URL": pulsar_server.admin_url,
        "KINFOLD_PULSAR_PARTITIONS": str(PARTITIONS),
        "KINFOLD_GRAPH_LEASE_MS": "1500",
        **names,
    }


@contextmanager
def _deployed(folder: Path, more: dict[str, str]) -> Iterator[Deployment]:
    with closing(Deployment(folder, more)) as deployment:
        yield deployment


def _undisturbed(deployment: Deployment, folder: Path, signals: list[bytes]) -> Left:
    """What the same signals come to, embedded, from a file, with the same keys."""
    with _deployed(folder / "undisturbed", {}) as alone:
        deployment.share_keys_with(alone)
        path = folder / "signals.jsonl"
        path.write_bytes(b"\n".join(signals))
        assert alone.start("ingest", str(path)).wait(300) == 0
        return alone.left()


@contextmanager
def _publisher(deployment: Deployment) -> Iterator[SignalPublisher]:
    """A publisher to the deployment's topic, once that is there."""
    cluster, topic = cluster_of(deployment.settings), deployment.settings.pulsar.topic
    assert cluster is not None
    until(lambda: cluster.partitions(topic) is not None, "the topic is there")
    with closing(SignalPublisher(cluster, topic)) as publisher:
        yield publisher


def _publish_at_pace(publisher: SignalPublisher, signals: Sequence[bytes]) -> None:
    for at in range(0, len(signals), PACE_PER_S // 10):
        bit = signals[at : at + PACE_PER_S // 10]
        publisher.publish_as_is((each, Form.JSON) for each in bit)
        time.sleep(0.1)


def _wait_until_consumed(deployment: Deployment, server: PulsarServer) -> None:
    topic = deployment.settings.pulsar.topic.removeprefix("persistent://")

    def consumed() -> bool:
        for number in range(PARTITIONS):
            try:
                stats = server.admin("GET", f"persistent/{topic}-partition-{number}/stats")
            except urllib.error.URLError:
                # A broker that has just started has not loaded every topic yet.
                return False
            assert isinstance(stats, dict)
            if stats["subscriptions"].get("kinfold", {"msgBacklog": 1})["msgBacklog"]:
                return False
        return True

    until(consumed, "all signals are consumed")


def _publish_with_kills(
    deployment: Deployment,
    signals: Sequence[bytes],
    running: list[subprocess.Popen[bytes]],
    roles: Sequence[tuple[str, ...]],
    drawn: random.Random,
    kills: int,
) -> None:
    """While signals come in, now and then one of the processes dies and another one starts.

    A process dies once it has begun and more signals have come, however long
    that takes: a slow machine kills as deep in the work as a fast one.
    """
    cuts = [len(signals) * cut // (kills + 1) for cut in range(kills + 2)]
    with _publisher(deployment) as publisher:
        for kill in range(kills):
            # Each role dies a few times, whatever the draw.
            victim = (kill + drawn.randrange(2)) % len(roles)
            until_begun(running[victim])
            moment = drawn.randrange(cuts[kill], cuts[kill + 1])
            _publish_at_pace(publisher, signals[cuts[kill] : moment])
            publisher.publish_as_is([(signals[moment], Form.JSON)])
            time.sleep(drawn.uniform(0.0, 0.1))
            assert running[victim].poll() is None
            deployment.kill(running[victim])
            running[victim] = deployment.start(*roles[victim])
            _publish_at_pace(publisher, signals[moment + 1 : cuts[kill + 1]])
        _publish_at_pace(publisher, signals[cuts[-2] :])


def _run_with_kills(
    deployment: Deployment, server: PulsarServer, signals: list[bytes], seed: int
) -> None:
    """Two consumers and a resolver, killed while signals come in; until all is done."""
    roles = [("run", "--only", "consume")] * 2 + [("run", "--only", "resolve")]
    running = [deployment.start(*role) for role in roles]
    _publish_with_kills(deployment, signals, running, roles, random.Random(seed), KILLS)
    _wait_until_consumed(deployment, server)
    deployment.wait_until_resolved()
    assert [deployment.stop(each) for each in running] == [0, 0, 0]


def test_kills_leave_no_trace_on_the_embedded_graph(
    pulsar: dict[str, str], pulsar_server: PulsarServer, signals: list[bytes], tmp_path: Path
) -> None:
    """Processes on one SQLite graph are killed again and again; the end is as without."""
    with _deployed(tmp_path / "shaken", pulsar) as deployment:
        _run_with_kills(deployment, pulsar_server, signals, seed=1)
        assert_same(deployment.left(), _undisturbed(deployment, tmp_path, signals))


def test_kills_leave_no_trace_on_neo4j(
    pulsar: dict[str, str],
    pulsar_server: PulsarServer,
    empty_neo4j: Neo4jServer,
    signals: list[bytes],
    tmp_path: Path,
) -> None:
    """Processes on Neo4j are killed again and again; the end is the undisturbed one."""
    graph = {
        "KINFOLD_GRAPH_URL": empty_neo4j.bolt_url,
        "KINFOLD_GRAPH_USER": empty_neo4j.user,
        "KINFOLD_GRAPH_PASSWORD": empty_neo4j.password,
    }
    with _deployed(tmp_path / "shaken", {**pulsar, **graph}) as deployment:
        _run_with_kills(deployment, pulsar_server, signals, seed=2)
        assert_same(deployment.left(), _undisturbed(deployment, tmp_path, signals))


def test_published_twice_and_replayed_changes_nothing(
    pulsar: dict[str, str], pulsar_server: PulsarServer, signals: list[bytes], tmp_path: Path
) -> None:
    """All signals published twice and read again from the beginning count once."""
    with _deployed(tmp_path / "twice", pulsar) as deployment:
        first = deployment.start("run")
        with _publisher(deployment) as publisher:
            for _ in range(2):
                publisher.publish_as_is((each, Form.JSON) for each in signals)
        _wait_until_consumed(deployment, pulsar_server)
        assert deployment.stop(first) == 0
        again = deployment.start("run", "--replay", "--json")
        until(lambda: _read_by_the_last(deployment) >= 2 * len(signals), "all is read again")
        _wait_until_consumed(deployment, pulsar_server)
        deployment.wait_until_resolved()
        assert deployment.stop(again) == 0
        assert_same(deployment.left(), _undisturbed(deployment, tmp_path, signals))


def _read_by_the_last(deployment: Deployment) -> int:
    """How many signals the one process that tells it as JSON has read, by its latest report."""
    said = (deployment.folder / "said.txt").read_bytes().splitlines()
    reports = [orjson.loads(line) for line in said if line.startswith(b"{") and line.endswith(b"}")]
    return int(reports[-1]["read"]) if reports else 0


def test_replicas_that_die_come_to_show_the_same(
    pulsar: dict[str, str], pulsar_server: PulsarServer, signals: list[bytes], tmp_path: Path
) -> None:
    """A server that is killed while it follows the feed ends with the view of a new one."""
    with _deployed(tmp_path / "served", {**pulsar, "KINFOLD_SERVE_LISTEN": "127.0.0.1:0"}) as one:
        feeding, serving = one.start("run"), [one.start("serve")]
        _publish_with_kills(one, signals, serving, [("serve",)], random.Random(5), kills=4)
        _wait_until_consumed(one, pulsar_server)
        one.wait_until_resolved()
        assert [one.stop(serving[0]), one.stop(feeding)] == [0, 0]
        followed = one.shown()
        assert len(followed) > 100
        assert followed == one.left().profiles


class TestBrokerDies:
    """On a broker of its own, since it will not be the same afterwards."""

    @pytest.fixture
    def pulsar_server(self, mortal_pulsar: PulsarServer) -> PulsarServer:
        """The broker that dies."""
        return mortal_pulsar

    def test_a_broker_that_dies_costs_nothing(
        self,
        pulsar: dict[str, str],
        pulsar_server: PulsarServer,
        signals: list[bytes],
        tmp_path: Path,
    ) -> None:
        """The broker dies and starts again under a running process, which goes on by itself."""
        with _deployed(tmp_path / "shaken", pulsar) as deployment:
            running = deployment.start("run")
            half = len(signals) // 2
            with _publisher(deployment) as publisher:
                publisher.publish_as_is((each, Form.JSON) for each in signals[:100])
                _wait_until_consumed(deployment, pulsar_server)
                publisher.publish_as_is((each, Form.JSON) for each in signals[100:half])
                pulsar_server.process.kill()
                pulsar_server.process.restart()
                publisher.publish_as_is((each, Form.JSON) for each in signals[half:])
            _wait_until_consumed(deployment, pulsar_server)
            deployment.wait_until_resolved()
            assert deployment.stop(running) == 0
            assert_same(deployment.left(), _undisturbed(deployment, tmp_path, signals))

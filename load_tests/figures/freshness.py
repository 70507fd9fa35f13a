"""`freshness_p50_ms` and `freshness_p99_ms`: from published to Pulsar until a lookup shows it.

`kinfold run` consumes, resolves into a real Neo4j and publishes; `kinfold serve`
is a replica that follows the feed; both are processes as a team would run them.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from uuid import uuid4

import grpc

from ingest.publish import SignalPublisher
from load_tests.figures.model import Measured
from load_tests.figures.processes import RunningVerb, VerbFailed, running
from load_tests.figures.real_servers import RealServers
from load_tests.figures.watching import Traffic, Waiting, Watch, login_of, send_steadily
from profiles.pulsar_cluster import PulsarCluster

NAMES = ("freshness_p50_ms", "freshness_p99_ms")
START_S = 240.0
"""How long the first signals may take: `kinfold run` is still making itself at home in Neo4j."""


@dataclass(frozen=True, slots=True)
class Size:
    """People known beforehand, signals a second, seconds before and in each run, and runs."""

    people: int
    per_s: int
    warm_s: float
    run_s: float
    runs: int


FULL = Size(people=2_000, per_s=500, warm_s=10.0, run_s=20.0, runs=3)
SHORT = Size(people=100, per_s=50, warm_s=1.0, run_s=4.0, runs=1)


@dataclass(frozen=True, slots=True)
class _Run:
    p50_ms: float
    p99_ms: float
    watched: int
    run_cpu_us: float
    serve_cpu_us: float


def measure(wanted: Collection[str], size: Size, servers: RealServers) -> list[Measured]:
    """Both figures come from the same runs."""
    with tempfile.TemporaryDirectory(prefix="kinfold-load-") as name:
        home = Path(name)
        environment = _environment(home, servers)
        cluster = PulsarCluster(environment["KINFOLD_PULSAR_URL"], servers.pulsar().admin_url)
        cluster.create_partitioned(environment["KINFOLD_PULSAR_TOPIC"], 4)
        with (
            running(["run"], environment, home / "run.log") as consumer,
            running(["serve"], environment, home / "serve.log") as replica,
        ):
            port = replica.wait_for("listening on").split(";")[0].rpartition(":")[2]
            replica.wait_for("ready:")
            with (
                closing(SignalPublisher(cluster, environment["KINFOLD_PULSAR_TOPIC"])) as publisher,
                grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
            ):
                runs = _runs(size, publisher, channel, (consumer, replica))
    beside = {
        "watched": [float(one.watched) for one in runs],
        "run_cpu_us_per_signal": [one.run_cpu_us for one in runs],
        "serve_cpu_us_per_signal": [one.serve_cpu_us for one in runs],
    }
    figures = (
        Measured(NAMES[0], [one.p50_ms for one in runs], beside),
        Measured(NAMES[1], [one.p99_ms for one in runs], beside),
    )
    return [one for one in figures if one.name in wanted]


def _environment(home: Path, servers: RealServers) -> dict[str, str]:
    graph, pulsar = servers.empty_neo4j(), servers.pulsar()
    password = home / "neo4j.password"
    password.touch(0o600)
    password.write_text(graph.password)
    unique = uuid4().hex
    topics = {
        f"KINFOLD_PULSAR_{key}": f"persistent://public/default/load-{name}-{unique}"
        for key, name in (
            ("TOPIC", "signals"),
            ("FEED_TOPIC", "profiles"),
            ("DEAD_LETTERS_TOPIC", "letters"),
        )
    }
    return topics | {
        "KINFOLD_HOME_DIR": str(home / "kinfold"),
        "KINFOLD_GRAPH_URL": graph.bolt_url,
        "KINFOLD_GRAPH_USER": graph.user,
        "KINFOLD_GRAPH_PASSWORD_FILE": str(password),
        "KINFOLD_PULSAR_URL": pulsar.service_url,
        "KINFOLD_PULSAR_ADMIN_URL": pulsar.admin_url,
        "KINFOLD_SERVE_LISTEN": "127.0.0.1:0",
    }


def _runs(
    size: Size,
    publisher: SignalPublisher,
    channel: grpc.Channel,
    processes: tuple[RunningVerb, RunningVerb],
) -> list[_Run]:
    traffic = Traffic(random.Random(5), 0)
    watch = _introduce(size.people, publisher, traffic, channel)
    _check(watch, processes)
    _one_run(size.per_s, size.warm_s, publisher, traffic, channel)
    found = []
    for _ in range(size.runs):
        before = [one.cpu_s() for one in processes]
        watch, sent = _one_run(size.per_s, size.run_s, publisher, traffic, channel)
        cpu_us = [
            (one.cpu_s() - was) / sent * 1e6 for one, was in zip(processes, before, strict=True)
        ]
        _check(watch, processes)
        cuts = quantiles(watch.waits_s, n=100, method="inclusive")
        found.append(_Run(cuts[49] * 1e3, cuts[98] * 1e3, len(watch.waits_s), *cpu_us))
    return found


def _check(watch: Watch, processes: Sequence[RunningVerb]) -> None:
    if watch.lost:
        said = "\n".join(one.tail() for one in processes)
        raise VerbFailed(f"{watch.lost} of the signals watched never showed in a lookup\n{said}")


def _introduce(
    people: int, publisher: SignalPublisher, traffic: Traffic, channel: grpc.Channel
) -> Watch:
    """Have everybody known, and wait until the last of them shows."""
    watch, done = Watch(channel, START_S), threading.Event()
    for _ in range(people):
        person, signal = traffic.new()
        publisher.send(signal)
        if person % 50 == 0:
            event_us = signal.event_time.ToMicroseconds()
            watch.begin(Waiting(login_of(person), event_us, time.monotonic()))
    publisher.flush()
    done.set()
    watch.run(done)
    return watch


def _one_run(
    per_s: int, run_s: float, publisher: SignalPublisher, traffic: Traffic, channel: grpc.Channel
) -> tuple[Watch, int]:
    watch, done = Watch(channel), threading.Event()
    asking = threading.Thread(target=watch.run, args=(done,))
    asking.start()
    try:
        sent = send_steadily(publisher, traffic, watch, per_s, run_s)
    finally:
        done.set()
        asking.join()
    return watch, sent

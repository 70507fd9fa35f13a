"""The doctor: is all that kinfold needs here and reachable, and what to do if not."""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from identity.store import StoreError
from ingest.dead_letters import LettersError
from kinfold.clusters import cluster_of
from kinfold.letters import open_letters
from kinfold.settings import Settings, SettingsError
from kinfold.wiring import now_us, open_policies, open_store, open_vault, open_view
from profiles.read_view import ViewError
from profiles.vault import VaultError

HEALTH_TIMEOUT_S = 2.0
REACH_S = 3.0


@dataclass(frozen=True)
class Finding:
    """What was found of one part. `hint` is the way out, where `state` is not fine.

    `state`: `ok`, `missing` (fine until it is needed) or `wrong`.
    """

    part: str
    state: str
    words: str
    hint: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at every part, one after the other; nothing is raised and nothing changed but made."""
    yield _python()
    for part, look, hint in _LOOKS:
        try:
            yield look(settings)
        except (SettingsError, StoreError, VaultError, ViewError, LettersError, OSError) as error:
            yield Finding(part, "wrong", str(error), hint)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", "ok", version)


def _home(settings: Settings) -> Finding:
    home = settings.home_dir
    if not home.exists():
        return Finding("home", "missing", f"{home} is made at first use")
    mode = stat.S_IMODE(home.stat().st_mode)
    if not os.access(home, os.W_OK):
        return Finding("home", "wrong", f"{home} cannot be written", "choose another with --home")
    if mode & 0o077:
        return Finding("home", "wrong", f"others may enter {home}", f"chmod 700 {home}")
    return Finding("home", "ok", str(home))


def _policy(settings: Settings) -> Finding:
    policies = open_policies(settings)
    kinds, purposes = len(policies.identity.kinds), len(policies.purposes.purposes)
    return Finding("policy", "ok", f"{kinds} kinds of identifier, {purposes} purposes")


def _keys(settings: Settings) -> Finding:
    if not (settings.home_dir / "keys").exists():
        return Finding("keys", "missing", "made at first use")
    with closing(open_vault(settings)) as vault:
        return Finding("keys", "ok", f"epoch {vault.current_epoch()}")


def _graph(settings: Settings) -> Finding:
    embedded = settings.graph.url == "sqlite:"
    if embedded and not (settings.home_dir / "graph.sqlite3").exists():
        return Finding("graph", "missing", "SQLite, made at first use")
    with closing(open_store(settings, patience_s=REACH_S)) as store:
        totals = store.totals()
    waiting = f", {totals.marks:,} marks waiting" if totals.marks else ""
    words = f"{sum(totals.nodes.values()):,} nodes, {totals.people:,} people{waiting}"
    return Finding("graph", "ok", f"{settings.graph.url.partition(':')[0]}: {words}")


def _pulsar(settings: Settings) -> Finding:
    cluster = cluster_of(settings)
    if cluster is None:
        return Finding("pulsar", "missing", "not set; files are read by `kinfold ingest`")
    if not cluster.is_ready():
        hint = "is it running, and are pulsar.url and pulsar.admin_url right?"
        return Finding("pulsar", "wrong", f"{settings.pulsar.admin_url} does not answer", hint)
    partitions = cluster.partitions(settings.pulsar.topic)
    if partitions is None:
        return Finding("pulsar", "missing", "reachable; topics are made by `kinfold run`")
    return Finding("pulsar", "ok", f"{settings.pulsar.topic} has {partitions} partitions")


def _view(settings: Settings) -> Finding:
    if not (settings.home_dir / "view").exists():
        return Finding("view", "missing", "made at first use")
    with closing(open_view(settings, read_only=True)) as view:
        count, heard_ms = view.people_count(), view.heard_ms()
    age_s = max(now_us() // 1_000 - heard_ms, 0) / 1_000
    return Finding("view", "ok", f"{count:,} ids, last heard from the feed {age_s:,.0f} s ago")


def _letters(settings: Settings) -> Finding:
    if settings.pulsar.url:
        return Finding("letters", "ok", f"on {settings.pulsar.dead_letters_topic}")
    if not (settings.home_dir / "dead_letters.sqlite3").exists():
        return Finding("letters", "missing", "made at first use")
    with closing(open_letters(settings)) as letters:
        count = sum(1 for _ in letters.all())
    return Finding("letters", "ok", f"{count:,} dead letters")


def _server(settings: Settings) -> Finding:
    listen = settings.serve.listen
    if listen.startswith("unix:") or listen.endswith(":0") or settings.serve.tls_certificate:
        return Finding("server", "missing", f"not asked: {listen}")
    host, _, port = listen.rpartition(":")
    try:
        socket.create_connection((host, int(port)), HEALTH_TIMEOUT_S).close()
    except OSError:
        return Finding("server", "missing", f"nothing listens on {listen}; `kinfold serve` does")
    try:
        with grpc.insecure_channel(listen) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            ask = health_pb2.HealthCheckRequest()
            # The stub's methods are made at run time; its types do not say so.
            answer = stub.Check(ask, timeout=HEALTH_TIMEOUT_S)  # type: ignore[attr-defined]
    except grpc.RpcError:
        hint = "choose another address with --serve-listen"
        return Finding("server", "wrong", f"{listen} is taken by something else", hint)
    serving = answer.status == health_pb2.HealthCheckResponse.SERVING
    words = "answers and is ready" if serving else "answers and is not ready yet"
    return Finding("server", "ok", f"{listen} {words}")


_LOOKS: tuple[tuple[str, Callable[[Settings], Finding], str], ...] = (
    ("home", _home, "choose another folder with --home"),
    ("policy", _policy, "mend the file that home.policy names"),
    ("keys", _keys, "restore the keys folder from its backup; without it nothing opens"),
    ("graph", _graph, "is the server running, and are graph.url, user and password right?"),
    ("pulsar", _pulsar, "is it running, and are pulsar.url and pulsar.admin_url right?"),
    ("letters", _letters, "restore the file from its backup, or remove it: what it holds is lost"),
    ("view", _view, "remove the view folder: it is built anew"),
    ("server", _server, "choose another address with --serve-listen"),
)

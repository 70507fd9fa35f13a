"""What receipts say of the topic of signals is what its broker says of its ledgers."""

from __future__ import annotations

import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import pytest

from kinfold.privacy_places import elsewhere
from kinfold.settings import load
from profiles.pulsar_cluster import LOOKS_S, MOST_OPEN_MIN, Forgetting, PulsarCluster
from tests.support.servers import PulsarServer

NAMESPACE = f"public/forgetting-{uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def topic(pulsar_server: PulsarServer) -> str:
    """A topic in a namespace of its own, which says nothing of retention."""
    pulsar_server.admin("PUT", f"namespaces/{NAMESPACE}")
    name = f"persistent://{NAMESPACE}/signals"
    _cluster(pulsar_server).create_partitioned(name, 2)
    return name


def _cluster(server: PulsarServer) -> PulsarCluster:
    return PulsarCluster(server.service_url, server.admin_url)


def test_a_topic_of_which_nothing_is_said(pulsar_server: PulsarServer, topic: str) -> None:
    """Pulsar's defaults, told by the broker itself: nothing is kept once a ledger is closed."""
    told = _cluster(pulsar_server).forgetting(topic)
    assert told == Forgetting(0, 0, MOST_OPEN_MIN, LOOKS_S, is_told=True)


@pytest.mark.parametrize(
    ("minutes", "megabytes", "said"),
    [
        (0, 0, "forgets what was sent until now when its ledger is closed, by 2"),
        (60, -1, "forgets what was sent until now by 2"),
        (-1, -1, "keeps everything for good"),
        (-1, 8, "keeps the last 8 MB of what was acknowledged, however old"),
    ],
)
def test_the_receipt_goes_by_the_namespace(
    tmp_path: Path,
    pulsar_server: PulsarServer,
    topic: str,
    minutes: int,
    megabytes: int,
    said: str,
) -> None:
    """A retention of the namespace is the topic's, and a receipt says what it comes to."""
    policy = {"retentionTimeInMinutes": minutes, "retentionSizeInMB": megabytes}
    pulsar_server.admin("POST", f"namespaces/{NAMESPACE}/retention", policy)
    assert said in _told_of_input(tmp_path, pulsar_server.admin_url, topic)


def test_a_broker_that_cannot_be_asked(tmp_path: Path) -> None:
    """A receipt is made all the same, and says so."""
    told = _told_of_input(tmp_path, "http://127.0.0.1:1", f"persistent://{NAMESPACE}/signals")
    assert "could not be asked for" in told


def test_a_broker_that_tells_nothing_of_itself(tmp_path: Path) -> None:
    """Who may ask of a topic alone gets a day that rests on Pulsar's defaults, and is told so."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Guarded)
    with closing(server.socket):
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            told = _told_of_input(tmp_path, url, f"persistent://{NAMESPACE}/signals")
        finally:
            server.shutdown()
            thread.join()
    assert "closed within 240 minutes, as is Pulsar's default" in told


class _Guarded(BaseHTTPRequestHandler):
    """Answers as a broker does whose own settings only its operators may read."""

    def do_GET(self) -> None:
        """The retention of any topic; of the broker, nothing."""
        of_topic = "/retention" in self.path
        self.send_response(200 if of_topic else 403)
        self.end_headers()
        if of_topic:
            self.wfile.write(b'{"retentionTimeInMinutes": 60, "retentionSizeInMB": -1}')

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Says nothing of it among the tests' output."""


def _told_of_input(home: Path, admin_url: str, topic: str) -> str:
    settings = load(
        {},
        {
            "KINFOLD_HOME_DIR": str(home),
            "KINFOLD_PULSAR_URL": "pulsar://127.0.0.1:1",
            "KINFOLD_PULSAR_ADMIN_URL": admin_url,
            "KINFOLD_PULSAR_TOPIC": topic,
        },
    )
    return {one.store: one.reason for one in elsewhere(settings, 0)}["input"]

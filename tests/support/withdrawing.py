"""How long a withdrawal or an erasure takes until no replica answers as if it had not been made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import cast
from uuid import uuid4

import grpc
from google.protobuf.json_format import Parse

from ingest.publish import SignalPublisher
from ingest.v1.signal_pb2 import Signal
from kinfold.wiring import open_vault
from profiles.pulsar_cluster import PulsarCluster
from profiles.v1.consent_service_pb2 import PurposeChoice, RecordConsentRequest
from profiles.v1.consent_service_pb2_grpc import ConsentServiceStub
from profiles.v1.profile_service_pb2 import GetProfileRequest, Subject, SubjectIdentifier
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub
from tests.support.command_line import CommandLine, as_lines, login
from tests.support.deployment import Deployment
from tests.support.erasing import Home
from tests.support.servers import Neo4jServer, PulsarServer

POLL_S = 0.004
PATIENCE_S = 90.0
PURPOSE = "personalisation"
VIEWED = {"behaviour": {"type": "BEHAVIOUR_TYPE_PAGE_VIEW", "category": "sport"}}


def login_of(number: int) -> str:
    """Somebody's login."""
    return f"user.{number}"


def everybody(people: int) -> bytes:
    """A page view of each, as lines."""
    return as_lines(*(login(n, ("login", login_of(n)), **VIEWED) for n in range(people)))


def settings_on(pulsar: PulsarServer, graph: Neo4jServer) -> dict[str, str]:
    """Settings, by their variables' names, for topics of one's own and the graph."""
    unique = uuid4().hex
    topic = "persistent://public/default/withdraw"
    return {
        "KINFOLD_PULSAR_URL": pulsar.service_url,
        "KINFOLD_PULSAR_ADMIN_URL": pulsar.admin_url,
        "KINFOLD_PULSAR_TOPIC": f"{topic}-signals-{unique}",
        "KINFOLD_PULSAR_FEED_TOPIC": f"{topic}-profiles-{unique}",
        "KINFOLD_PULSAR_DEAD_LETTERS_TOPIC": f"{topic}-letters-{unique}",
        "KINFOLD_GRAPH_URL": graph.bolt_url,
        "KINFOLD_GRAPH_USER": graph.user,
        "KINFOLD_GRAPH_PASSWORD": graph.password,
    }


@contextmanager
def two_replicas(
    folder: Path, settings: Mapping[str, str], people: int
) -> Iterator[tuple[Deployment, list[grpc.Channel]]]:
    """Everybody known, consumed and kept up by one process and served by two more."""
    first, second = (Deployment(folder / name, settings) for name in ("first", "second"))
    cluster = PulsarCluster(settings["KINFOLD_PULSAR_URL"], settings["KINFOLD_PULSAR_ADMIN_URL"])
    with ExitStack() as stack:
        stack.callback(first.close)
        # Making its keys is the first thing that a home does.
        stack.enter_context(closing(open_vault(first.settings)))
        first.share_keys_with(second)
        cluster.create_partitioned(first.settings.pulsar.topic, 4)
        first.start("run")
        with closing(SignalPublisher(cluster, first.settings.pulsar.topic)) as publisher:
            publisher.publish(Parse(line, Signal()) for line in everybody(people).splitlines())
        first.wait_until_resolved()
        channels = []
        for each in (first, second):
            line = CommandLine(each.folder, {**settings, "KINFOLD_HOME_DIR": str(each.folder)})
            address = stack.enter_context(line.serving())
            channels.append(stack.enter_context(grpc.insecure_channel(address)))
        yield first, channels


def withdrawals_s(
    desk: ConsentServiceStub, replicas: Sequence[ProfileServiceStub], people: int
) -> list[float]:
    """Seconds from each withdrawal's recording until the last replica withholds, one by one.

    Everybody of `user.0` … must be known with an interest, and grants it first: it may be
    measured again and again.
    """
    for number in range(people):
        _decide(desk, number, granted=True)
    for number in range(people):
        for replica in replicas:
            _until(lambda one=replica, who=number: _shows(one, who))  # type: ignore[misc]
    waits = []
    for number in range(people):
        begun_s = time.monotonic()
        _decide(desk, number, granted=False)
        for replica in replicas:
            _until(lambda one=replica, who=number: not _shows(one, who))  # type: ignore[misc]
        waits.append(time.monotonic() - begun_s)
    return waits


def erasures_s(
    home: Home, replicas: Sequence[ProfileServiceStub], people: Iterable[int]
) -> list[float]:
    """Seconds from asking for each erasure until the last replica knows nobody, one by one."""
    waits = []
    for number in people:
        for replica in replicas:
            _until(lambda one=replica, who=number: _knows(one, who))  # type: ignore[misc]
        named = f"login:{login_of(number)}"
        begun_s = time.monotonic()
        with ThreadPoolExecutor(1) as desk:
            erased = desk.submit(home.erase, named, f"r-{number}")
            for replica in replicas:
                _until(lambda one=replica, who=number: not _knows(one, who))  # type: ignore[misc]
            waits.append(time.monotonic() - begun_s)
            erased.result()
    return waits


def _knows(replica: ProfileServiceStub, number: int) -> bool:
    identifier = SubjectIdentifier(kind="login", value=login_of(number))
    request = GetProfileRequest(subject=Subject(identifier=identifier), purposes=["service"])
    try:
        return bool(replica.GetProfile(request, timeout=PATIENCE_S).person_id)
    except grpc.RpcError as error:
        if cast("grpc.Call", error).code() is grpc.StatusCode.NOT_FOUND:
            return False
        raise


def _decide(desk: ConsentServiceStub, number: int, *, granted: bool) -> None:
    desk.RecordConsent(
        RecordConsentRequest(
            identifier=SubjectIdentifier(kind="login", value=login_of(number)),
            choices=[PurposeChoice(purpose=PURPOSE, granted=granted)],
            source="web",
        ),
        timeout=PATIENCE_S,
    )


def _shows(replica: ProfileServiceStub, number: int) -> bool:
    identifier = SubjectIdentifier(kind="login", value=login_of(number))
    request = GetProfileRequest(subject=Subject(identifier=identifier), purposes=[PURPOSE])
    try:
        return bool(replica.GetProfile(request, timeout=PATIENCE_S).profile.affinities)
    except grpc.RpcError as error:
        # Not known there yet: nothing is shown either.
        if cast("grpc.Call", error).code() is grpc.StatusCode.NOT_FOUND:
            return False
        raise


def _until(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end_s, "it never came"
        time.sleep(POLL_S)

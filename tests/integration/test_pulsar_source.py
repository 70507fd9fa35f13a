"""Real Pulsar under the contract of SignalSource, and what only Pulsar promises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from uuid import uuid4

import pytest

from ingest.publish import SignalPublisher, key_of
from ingest.source import Form, ReadLimits, SourceMissing
from ingest.source_pulsar import PulsarSource, TopicReader
from ingest.v1.signal_pb2 import Identifier, Signal
from profiles.pulsar_cluster import PulsarCluster
from tests.contracts.signal_source import (
    LIMITS,
    SignalSourceContract,
    SourceUnderTest,
    held,
    payloads,
    read,
)
from tests.support.deployment import until
from tests.support.servers import PulsarServer


@pytest.fixture
def cluster(pulsar_server: PulsarServer) -> PulsarCluster:
    """The session's Pulsar, as kinfold names it."""
    return PulsarCluster(pulsar_server.service_url, pulsar_server.admin_url)


@pytest.fixture
def topic(cluster: PulsarCluster) -> str:
    """A topic of two partitions of its own."""
    name = f"persistent://public/default/signals-{uuid4().hex}"
    cluster.create_partitioned(name, 2)
    return name


def _opened(cluster: PulsarCluster, topic: str, limits: ReadLimits = LIMITS) -> PulsarSource:
    return PulsarSource(cluster, topic, limits=limits)


def _fill(
    cluster: PulsarCluster,
    topic: str,
    number: int,
    lines: Sequence[bytes],
    *,
    in_batches: bool = True,
) -> None:
    """Send in batches of 99, so that positions lie within batches and at their ends."""
    with closing(cluster.connect()) as client:
        producer = client.create_producer(
            f"{topic}-partition-{number}",
            batching_enabled=in_batches,
            batching_max_messages=99,
            batching_max_publish_delay_ms=5_000,
        )
        for line in lines:
            producer.send_async(line, None)
        producer.flush()


class TestPulsar(SignalSourceContract):
    """A partitioned topic on a real broker."""

    @pytest.fixture
    def made(
        self, cluster: PulsarCluster, topic: str, pulsar_server: PulsarServer
    ) -> SourceUnderTest:
        """Two partitions, written in batches; unloading them has all delivered again."""

        def unload() -> None:
            for number in range(2):
                name = topic.removeprefix("persistent://")
                pulsar_server.admin("PUT", f"persistent/{name}-partition-{number}/unload")

        return SourceUnderTest(
            partial(_fill, cluster, topic), partial(_opened, cluster, topic), unload
        )


@pytest.fixture
def source(cluster: PulsarCluster, topic: str) -> Iterator[PulsarSource]:
    """The topic as a source."""
    with closing(_opened(cluster, topic)) as source:
        yield source


def _backlog(server: PulsarServer, topic: str) -> int:
    """How many entries of the first partition are not acknowledged."""
    name = topic.removeprefix("persistent://")
    stats = server.admin("GET", f"persistent/{name}-partition-0/stats")
    assert isinstance(stats, dict)
    return int(stats["subscriptions"]["kinfold"]["msgBacklog"])


def test_a_broker_holds_back_what_is_not_read(
    cluster: PulsarCluster, topic: str, source: PulsarSource, pulsar_server: PulsarServer
) -> None:
    """A reader that does not read takes no more than its queue from the broker."""
    _fill(cluster, topic, 0, payloads(40_000))
    reader = held(source, source.partitions()[0])
    read(reader, 1)
    name = topic.removeprefix("persistent://")
    stats = pulsar_server.admin("GET", f"persistent/{name}-partition-0/stats")
    assert isinstance(stats, dict)
    taken = stats["subscriptions"]["kinfold"]["consumers"][0]["msgOutCounter"]
    # The broker reads up to a hundred batches of 99 at once, and counts what they hold afterwards.
    assert 0 < taken <= 20_000
    reader.close()


def test_all_acknowledged_leaves_no_backlog(
    cluster: PulsarCluster, topic: str, source: PulsarSource, pulsar_server: PulsarServer
) -> None:
    """What is acknowledged read by read is forgotten to the last message."""
    _fill(cluster, topic, 0, payloads(250))
    reader = held(source, source.partitions()[0])
    done = 0
    while done < 250:
        received = reader.read(500)
        done += len(received)
        if received:
            reader.acknowledge(received[-1].position)
    until(lambda: _backlog(pulsar_server, topic) == 0, "no backlog is left")
    reader.close()


@pytest.mark.parametrize(
    ("number", "in_batches"), [(1, True), (99, True), (100, True), (198, True), (3, False)]
)
def test_resumed_at_the_end_leaves_no_backlog(
    cluster: PulsarCluster,
    topic: str,
    source: PulsarSource,
    pulsar_server: PulsarServer,
    number: int,
    in_batches: bool,
) -> None:
    """Where a reader died before it acknowledged, the next one does, though nothing follows."""
    _fill(cluster, topic, 0, payloads(number), in_batches=in_batches)
    partition = source.partitions()[0]
    reader = held(source, partition)
    end = read(reader, number)[-1].position
    reader.close()
    assert _backlog(pulsar_server, topic) > 0
    reader = held(source, partition, end)
    assert reader.read(500) == []
    until(lambda: _backlog(pulsar_server, topic) == 0, "no backlog is left")
    reader.close()


def test_acknowledged_once_more_when_it_comes_again(
    cluster: PulsarCluster, topic: str, source: PulsarSource, pulsar_server: PulsarServer
) -> None:
    """An acknowledgement that got lost is made up for when the broker delivers once more."""
    _fill(cluster, topic, 0, payloads(99))
    reader = held(source, source.partitions()[0])
    end = read(reader, 99)[-1].position
    # As a position from a former process, which alone acknowledges nothing.
    assert isinstance(reader, TopicReader)
    reader._ends.clear()
    reader.acknowledge(end)
    name = topic.removeprefix("persistent://")
    pulsar_server.admin("PUT", f"persistent/{name}-partition-0/unload")

    def is_forgotten() -> bool:
        assert reader.read(200) == []
        return _backlog(pulsar_server, topic) == 0

    until(is_forgotten, "it is acknowledged")
    reader.close()


def test_resumed_midway_keeps_what_follows(
    cluster: PulsarCluster, topic: str, source: PulsarSource, pulsar_server: PulsarServer
) -> None:
    """Resumed within a batch, a reader that dies at once leaves the rest of it to the next."""
    # So few that what was passed and what follows come in one read.
    _fill(cluster, topic, 0, payloads(40))
    partition = source.partitions()[0]
    reader = held(source, partition)
    half = read(reader, 40)[19].position
    reader.close()
    for _ in range(2):
        reader = held(source, partition, half)
        assert [each.payload for each in read(reader, 20)] == payloads(40)[20:]
        reader.close()
        assert _backlog(pulsar_server, topic) > 0


def test_forms_follow_the_content_type(
    cluster: PulsarCluster, topic: str, source: PulsarSource
) -> None:
    """A message that says so is JSON; any other is protobuf."""
    with closing(SignalPublisher(cluster, topic)) as publisher:
        publisher.publish_as_is([(b"{}", Form.JSON), (b"\x0a\x01a", Form.PROTOBUF)])
    received = []
    for partition in source.partitions():
        reader = held(source, partition)
        received += reader.read(500)
        reader.close()
    assert {(each.payload, each.form) for each in received} == {
        (b"{}", Form.JSON),
        (b"\x0a\x01a", Form.PROTOBUF),
    }
    assert all(each.published_us is not None for each in received)


def test_what_is_published_twice_goes_to_one_partition(
    cluster: PulsarCluster, topic: str, source: PulsarSource
) -> None:
    """A signal's key is a hash of its name: nothing of whom it is about, the same every time."""
    signals = [
        Signal(
            source="web",
            signal_id=f"s{each}",
            identifiers=[Identifier(kind="email", value=f"somebody{each}@example.org")],
        )
        for each in range(40)
    ]
    with closing(SignalPublisher(cluster, topic)) as publisher:
        publisher.publish(signals)
        publisher.publish(signals)
    where: dict[bytes, set[str]] = {}
    for partition in source.partitions():
        reader = held(source, partition)
        while received := reader.read(500):
            for each in received:
                where.setdefault(each.payload, set()).add(partition)
        reader.close()
    assert len(where) == 40
    assert {len(partitions) for partitions in where.values()} == {1}
    assert len(set().union(*where.values())) == 2
    assert len({key_of(each) for each in signals}) == 40


def test_a_topic_without_partitions_is_one(cluster: PulsarCluster) -> None:
    """A plain topic is a source with one partition, its own name."""
    topic = f"persistent://public/default/plain-{uuid4().hex}"
    with closing(cluster.connect()) as client:
        client.create_producer(topic).send(b"one")
    with closing(_opened(cluster, topic)) as source:
        assert source.partitions() == [topic]
        reader = held(source, topic)
        assert [each.payload for each in read(reader, 1)] == [b"one"]
        reader.close()


def test_a_missing_topic_is_named(cluster: PulsarCluster) -> None:
    """A topic that is not there is told as such, and not made in passing."""
    topic = f"persistent://public/default/missing-{uuid4().hex}"
    with closing(_opened(cluster, topic)) as source, pytest.raises(SourceMissing, match="missing-"):
        source.partitions()
    assert cluster.partitions(topic) is None


class TestBrokerDies:
    """On a broker of its own, since it will not be the same afterwards."""

    @pytest.fixture
    def pulsar_server(self, mortal_pulsar: PulsarServer) -> PulsarServer:
        """The broker that dies."""
        return mortal_pulsar

    @pytest.mark.slow
    @pytest.mark.timeout(600)
    def test_a_reader_outlives_its_broker(
        self, cluster: PulsarCluster, topic: str, source: PulsarSource, pulsar_server: PulsarServer
    ) -> None:
        """After kill -9 and a new start, a reader gives the rest, once and in order."""
        _fill(cluster, topic, 0, payloads(300))
        reader = held(source, source.partitions()[0])
        received = read(reader, 120)
        pulsar_server.process.kill()
        pulsar_server.process.restart()
        _fill(cluster, topic, 0, payloads(50, "later"))
        received += read(reader, 350 - len(received))
        assert [each.payload for each in received] == payloads(300) + payloads(50, "later")
        reader.close()

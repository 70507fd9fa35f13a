"""The real servers that other tests stand on do what those tests take for granted."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count

import pulsar
import pytest

from tests.support.servers import Neo4jServer, PulsarServer

RECEIVE_TIMEOUT_MS = 60_000
_numbers = count()


@pytest.fixture
def topic() -> str:
    """A topic that no other test uses, as `TENANT/NAMESPACE/TOPIC`."""
    return f"public/default/servers-{next(_numbers)}"


def connect(server: PulsarServer) -> closing[pulsar.Client]:
    """A client that is closed at the end of the block."""
    logger = pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)
    return closing(pulsar.Client(server.service_url, logger=logger))


@pytest.fixture
def client(pulsar_server: PulsarServer) -> Iterator[pulsar.Client]:
    """A client of the session's Pulsar."""
    with connect(pulsar_server) as client:
        yield client


def test_a_message_that_is_published_is_received(client: pulsar.Client, topic: str) -> None:
    """What a producer sends, a consumer of the same topic receives."""
    consumer = client.subscribe(f"persistent://{topic}", "reader")
    client.create_producer(f"persistent://{topic}").send(b"seen", partition_key="device-1")
    message = consumer.receive(RECEIVE_TIMEOUT_MS)
    assert (message.partition_key(), message.data()) == ("device-1", b"seen")


def test_a_compacted_topic_keeps_the_last_value_of_each_key(
    client: pulsar.Client, pulsar_server: PulsarServer, topic: str
) -> None:
    """A compacted topic, written without batching, reads back one message a key: its last."""
    producer = client.create_producer(f"persistent://{topic}", batching_enabled=False)
    for number in range(100):
        producer.send(str(number).encode(), partition_key=f"key-{number % 10}")
    pulsar_server.compact(topic)

    reader = client.create_reader(
        f"persistent://{topic}", pulsar.MessageId.earliest, is_read_compacted=True
    )
    read = []
    while reader.has_message_available():
        message = reader.read_next(RECEIVE_TIMEOUT_MS)
        read.append((message.partition_key(), int(message.data())))
    assert sorted(read) == [(f"key-{last}", 90 + last) for last in range(10)]


def test_what_neo4j_has_written_is_read_back(empty_neo4j: Neo4jServer) -> None:
    """A committed node is found by a later session."""
    with empty_neo4j.driver() as driver:
        driver.execute_query("CREATE (:Device {name: $name})", name="device-1")
        found = driver.execute_query("MATCH (d:Device) RETURN d.name AS name")
    assert [record["name"] for record in found.records] == ["device-1"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_neo4j_has_committed_outlives_a_kill(empty_neo4j: Neo4jServer) -> None:
    """After kill -9 and a new start on the same data, a committed node is still there."""
    with empty_neo4j.driver() as driver:
        driver.execute_query("CREATE (:Device {name: $name})", name="device-2")
    empty_neo4j.process.kill()
    empty_neo4j.process.restart()
    with empty_neo4j.driver() as driver:
        found = driver.execute_query("MATCH (d:Device) RETURN d.name AS name")
    assert [record["name"] for record in found.records] == ["device-2"]


class TestKilledPulsar:
    """On a broker of its own, since it will not be the same afterwards."""

    @pytest.fixture
    def pulsar_server(self, mortal_pulsar: PulsarServer) -> PulsarServer:
        """The broker that dies."""
        return mortal_pulsar

    @pytest.mark.slow
    @pytest.mark.timeout(600)
    def test_what_pulsar_has_acknowledged_outlives_a_kill(
        self, pulsar_server: PulsarServer, topic: str
    ) -> None:
        """After kill -9 and a new start, an acknowledged message is still there."""
        with connect(pulsar_server) as before:
            before.create_producer(f"persistent://{topic}").send(b"kept")
        pulsar_server.process.kill()
        pulsar_server.process.restart()
        with connect(pulsar_server) as after:
            reader = after.create_reader(f"persistent://{topic}", pulsar.MessageId.earliest)
            assert reader.read_next(RECEIVE_TIMEOUT_MS).data() == b"kept"


def test_an_empty_neo4j_has_neither_nodes_nor_constraints(neo4j_server: Neo4jServer) -> None:
    """Wiping takes away nodes, constraints and indexes, so that migrations start from nothing."""
    with neo4j_server.driver() as driver:
        driver.execute_query("CREATE CONSTRAINT one IF NOT EXISTS FOR (d:D) REQUIRE d.k IS UNIQUE")
        driver.execute_query("CREATE INDEX two IF NOT EXISTS FOR (d:D) ON (d.name)")
        driver.execute_query("CREATE (:D {k: 1})")
    neo4j_server.wipe()
    with neo4j_server.driver() as driver:
        nodes = driver.execute_query("MATCH (n) RETURN count(n) AS number").records[0]["number"]
        indexes = driver.execute_query("SHOW INDEXES YIELD type WHERE type <> 'LOOKUP' RETURN type")
    assert (nodes, indexes.records) == (0, [])

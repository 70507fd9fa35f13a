"""Signals from a topic of Apache Pulsar, partitioned or not.

Each partition is held by an Exclusive subscription: whoever holds it is the
only reader, and when its process dies the broker lets the next one in. A
position is the driver's serialized message id, place within a batch included.

A payload is a serialized ``ingest.v1.Signal``; one with the message property
``content-type: application/json`` is a JSON text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pulsar
from pulsar import exceptions

from ingest.roster import Roster
from ingest.source import (
    Extent,
    Form,
    PartitionTaken,
    ReadLimits,
    Received,
    SourceMissing,
    SourceUnavailable,
)
from profiles.pulsar_cluster import PulsarCluster, PulsarRefused

CONTENT_TYPE = "content-type"
JSON = "application/json"
BATCH_BYTES = 32 * 1024 * 1024

Place = tuple[int, int, int]
"""Ledger, entry and place within the batch: the order of messages in a partition."""


class PulsarSource:
    """A topic's partitions under one subscription; readers share a connection."""

    def __init__(
        self,
        cluster: PulsarCluster,
        topic: str,
        subscription: str = "kinfold",
        limits: ReadLimits | None = None,
    ) -> None:
        self._cluster = cluster
        self._topic = topic
        self._subscription = subscription
        self._limits = limits or ReadLimits()
        self._client = cluster.connect()
        self._roster = Roster(cluster, self._client, topic, subscription)

    def partitions(self) -> list[str]:
        """As the port says: the full names of the partitions' own topics."""
        try:
            number = self._cluster.partitions(self._topic)
        except PulsarRefused as refusal:
            raise SourceUnavailable(str(refusal)) from None
        if number is None:
            raise SourceMissing(f"there is no topic {self._topic}")
        if number == 0:
            return [self._topic]
        return [f"{self._topic}-partition-{each}" for each in range(number)]

    def wants(self, partition: str) -> bool:
        """As the port says: processes under one subscription share the partitions evenly."""
        number = partition.rpartition("-partition-")[2]
        return self._roster.wants(int(number) if number.isdecimal() else 0)

    def open(self, partition: str) -> TopicReader:
        """As the port says."""
        policy = pulsar.ConsumerBatchReceivePolicy(
            max(1, self._limits.signals - 1), BATCH_BYTES, max(1, self._limits.linger_ms)
        )
        with _told(partition):
            consumer = self._client.subscribe(
                partition,
                self._subscription,
                consumer_type=pulsar.ConsumerType.Exclusive,
                initial_position=pulsar.InitialPosition.Earliest,
                receiver_queue_size=2 * self._limits.signals,
                batch_receive_policy=policy,
            )
        return TopicReader(consumer, partition, self._limits)

    def close(self) -> None:
        """As the port says."""
        self._roster.close()
        with suppress(exceptions.PulsarException):
            self._client.close()


class TopicReader:
    """One partition's subscription, held alone."""

    def __init__(self, consumer: pulsar.Consumer, partition: str, limits: ReadLimits) -> None:
        self._limits = limits
        self._consumer = consumer
        self._partition = partition
        self._last: Place | None = None
        self._forgotten: Place | None = None
        self._ends: dict[bytes, Any] = {}

    def resume(self, position: bytes) -> None:
        """As the port says. Moves the subscription, forward or back.

        Whatever lies before is acknowledged, should a former reader not have lived to.
        Where the position is in a batch, reading begins with all of that: only ids that
        came with messages can acknowledge it.
        """
        after = pulsar.MessageId.deserialize(position) if position else pulsar.MessageId.earliest
        whole = pulsar.MessageId(after.partition(), after.ledger_id(), after.entry_id(), -1)
        with _told(self._partition):
            self._consumer.seek(whole if position else after)
            if position and after.batch_index() < 0:
                self._consumer.acknowledge_cumulative(after)
        self._last = self._forgotten = _place(after) if position else None
        self._ends.clear()

    def read(self, wait_ms: int) -> list[Received]:
        """As the port says."""
        while messages := self._next(wait_ms):
            new = [each for each in messages if self._is_new(each.message_id())]
            if len(new) < len(messages):
                self._forget([each.message_id() for each in messages])
            if new:
                received = [self._received(each) for each in new]
                self._ends[received[-1].position] = new[-1].message_id()
                return received
        return []

    def acknowledge(self, position: bytes) -> None:
        """As the port says."""
        # An id that was serialized does not know that the rest of its batch is acknowledged.
        message_id = self._ends.get(position) or pulsar.MessageId.deserialize(position)
        self._forgotten = _place(message_id)
        with _told(self._partition):
            self._consumer.acknowledge_cumulative(message_id)
        if position in self._ends:
            for end in list(self._ends):
                del self._ends[end]
                if end == position:
                    break

    @property
    def ended(self) -> bool:
        """As the port says: a topic never ends."""
        return False

    def extent(self) -> Extent | None:
        """As the port says: a topic has no end."""
        return None

    def close(self) -> None:
        """As the port says."""
        with suppress(exceptions.PulsarException):
            self._consumer.close()

    def _next(self, wait_ms: int) -> list[pulsar.Message]:
        """What the driver has next, new or not.

        One call for the first message and one for all that follow: every call
        to the driver hands the interpreter's lock to other threads, so one call
        a message would stand still while they compute.
        """
        with _told(self._partition):
            try:
                messages = [self._consumer.receive(wait_ms)]
            except exceptions.Timeout:
                return []
            if self._limits.signals > 1:
                # What the first call gave must not get lost by a failure of the second.
                with suppress(exceptions.PulsarException):
                    messages += self._consumer.batch_receive()
        return messages

    def _forget(self, message_ids: list[Any]) -> None:
        """Acknowledge what comes again although nobody will resume before it any more."""
        up_to = self._forgotten
        again = [each for each in message_ids if up_to is not None and _place(each) <= up_to]
        if again:
            # Should this fail, a later acknowledgement covers it.
            with suppress(exceptions.PulsarException):
                self._consumer.acknowledge_cumulative(again[-1])

    def _is_new(self, message_id: Any) -> bool:
        """Whether it comes after all given: a lost connection brings some of them back."""
        place = _place(message_id)
        if self._last is not None and place <= self._last:
            return False
        self._last = place
        return True

    @staticmethod
    def _received(message: pulsar.Message) -> Received:
        is_json = message.properties().get(CONTENT_TYPE) == JSON
        return Received(
            message.data(),
            Form.JSON if is_json else Form.PROTOBUF,
            message.message_id().serialize(),
            message.publish_timestamp() * 1_000,
        )


def _place(message_id: Any) -> Place:
    return message_id.ledger_id(), message_id.entry_id(), message_id.batch_index()


@contextmanager
def _told(partition: str) -> Iterator[None]:
    """Turns what the driver says into the port's words."""
    try:
        yield
    except exceptions.ConsumerBusy:
        raise PartitionTaken(f"{partition} is held by another reader") from None
    except exceptions.TopicNotFound:
        raise SourceMissing(f"there is no topic {partition}") from None
    except exceptions.PulsarException as refusal:
        kind = type(refusal).__name__
        raise SourceUnavailable(f"{partition} is not reachable ({kind})") from None

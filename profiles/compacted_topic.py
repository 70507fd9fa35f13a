"""A compacted Pulsar topic: of every key, the last message is kept for good.

Written without batching: compaction keeps or drops whole batches, and hands out
what it should have dropped of one that it keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

import pulsar
from pulsar import exceptions

from profiles.pulsar_cluster import Position, PulsarCluster, PulsarRefused
from profiles.pulsar_sending import Pending

SEND_TIMEOUT_MS = 30_000
READ_TIMEOUT_MS = 5_000
_TAKEN = "another writer has taken {} over"


class TopicTaken(PulsarRefused):
    """Another writer has taken the topic over; this one can write nothing more."""


class CompactedWriter:
    """Writes to one compacted topic, which it makes when it is not there.

    With `alone`, opening takes the topic over from whoever else writes to it:
    their next write raises `TopicTaken`. Threads may share a writer.
    """

    def __init__(self, cluster: PulsarCluster, topic: str, *, alone: bool = False) -> None:
        self._topic = topic
        cluster.ensure_compacted(topic)
        mode = pulsar.ProducerAccessMode
        self._client = cluster.connect()
        with told(topic):
            self._producer = self._client.create_producer(
                topic,
                batching_enabled=False,
                block_if_queue_full=True,
                send_timeout_millis=SEND_TIMEOUT_MS,
                access_mode=mode.ExclusiveWithFencing if alone else mode.Shared,
            )

    def write(
        self, messages: Iterable[tuple[str, bytes]], properties: Mapping[str, str] | None = None
    ) -> None:
        """Write (key, value) in order; returns when all are durable. An empty value removes a key.

        Raises:
            TopicTaken: another writer has taken over.
            PulsarRefused: some may have been written; write all of them again.
        """
        pending = Pending()
        given = dict(properties or {})
        with told(self._topic):
            for key, value in messages:
                answered = pending.one_more()
                self._producer.send_async(
                    # Pulsar's own mark of a removed key; compaction may keep the bare mark.
                    value or None,
                    answered,
                    properties=given,
                    partition_key=key,
                )
        failed = pending.wait()
        if failed == pulsar.Result.ProducerFenced:
            raise TopicTaken(_TAKEN.format(self._topic))
        if failed is not None:
            raise PulsarRefused(f"{self._topic} took not all messages ({failed})")

    def close(self) -> None:
        """Let go of the topic. The writer cannot be used afterwards."""
        with suppress(exceptions.PulsarException):
            self._client.close()


class CompactedReader:
    """Reads one compacted topic after a position (b"": all), or with `last` its last message."""

    def __init__(
        self, cluster: PulsarCluster, topic: str, position: bytes = b"", *, last: bool = False
    ) -> None:
        self._topic = topic
        start = pulsar.MessageId.latest if last else pulsar.MessageId.earliest
        if position:
            start = pulsar.MessageId.deserialize(position)
        self._client = cluster.connect()
        try:
            with told(topic):
                self._reader = self._client.create_reader(
                    topic,
                    start,
                    is_read_compacted=True,
                    receiver_queue_size=5_000,
                    start_message_id_inclusive=last,
                )
        except PulsarRefused:
            self._client.close()
            raise

    def next(self, timeout_ms: int) -> pulsar.Message | None:
        """The next message, or None when none came within the time.

        Raises:
            PulsarRefused: nothing was read; try again.
        """
        with told(self._topic):
            try:
                return self._reader.read_next(timeout_ms)
            except exceptions.Timeout:
                return None

    def rest(self) -> Iterator[pulsar.Message]:
        """The messages up to the end of the topic as it is when it is reached.

        Raises:
            PulsarRefused: not all was read.
        """
        while self._has_more():
            message = self.next(READ_TIMEOUT_MS)
            if message is not None:
                yield message

    def close(self) -> None:
        """Stop reading. The reader cannot be used afterwards."""
        with suppress(exceptions.PulsarException):
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _has_more(self) -> bool:
        with told(self._topic):
            return bool(self._reader.has_message_available())


def place_of(position: bytes) -> Position:
    """The ledger and entry of a serialized position."""
    message_id = pulsar.MessageId.deserialize(position)
    return message_id.ledger_id(), message_id.entry_id()


@contextmanager
def told(topic: str) -> Iterator[None]:
    """Turns what the driver says into `PulsarRefused` and `TopicTaken`."""
    try:
        yield
    except (exceptions.ProducerFenced, exceptions.ProducerBusy):
        raise TopicTaken(_TAKEN.format(topic)) from None
    except exceptions.PulsarException as refusal:
        raise PulsarRefused(f"{topic} is not reachable ({type(refusal).__name__})") from None

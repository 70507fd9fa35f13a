"""Publishes signals to the topic that consumers read."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b

from pulsar import exceptions

from ingest.source import Form, SourceUnavailable
from ingest.source_pulsar import CONTENT_TYPE, JSON
from ingest.v1.signal_pb2 import Signal
from profiles.pulsar_cluster import PulsarCluster
from profiles.pulsar_sending import Pending

SEND_TIMEOUT_MS = 30_000


class SignalPublisher:
    """Publishes to one topic. A signal published again goes to the same partition.

    Messages are keyed by a hash of source and signal id, never by an identifier:
    keys show in Pulsar's administration. Threads may share a publisher.
    """

    def __init__(self, cluster: PulsarCluster, topic: str, *, linger_ms: int = 5) -> None:
        self._topic = topic
        self._pending = Pending()
        self._client = cluster.connect()
        try:
            self._producer = self._client.create_producer(
                topic,
                batching_enabled=True,
                batching_max_messages=1_000,
                batching_max_publish_delay_ms=linger_ms,
                block_if_queue_full=True,
                max_pending_messages=10_000,
                send_timeout_millis=SEND_TIMEOUT_MS,
            )
        except exceptions.PulsarException as refusal:
            self._client.close()
            raise self._unavailable(refusal) from None

    def publish(self, signals: Iterable[Signal]) -> None:
        """Publish signals; returns when all are durable.

        Raises:
            SourceUnavailable: some may have been published; publish all again,
                they count once.
        """
        for each in signals:
            self.send(each)
        self.flush()

    def publish_as_is(self, inputs: Iterable[tuple[bytes, Form]]) -> None:
        """Publish input that may be no signal, spread over the partitions; else as `publish`."""
        for payload, form in inputs:
            self._send(payload, None, form)
        self.flush()

    def send(self, signal: Signal) -> None:
        """Hand over one signal and return at once; `flush` says whether it got there.

        Raises:
            SourceUnavailable: it was not taken.
        """
        self._send(signal.SerializeToString(), key_of(signal), Form.PROTOBUF)

    def flush(self) -> None:
        """Return when all that was handed over is durable.

        Raises:
            SourceUnavailable: some of it may be missing.
        """
        try:
            self._producer.flush()
        except exceptions.PulsarException as refusal:
            raise self._unavailable(refusal) from None
        failed = self._pending.wait()
        if failed is not None:
            raise SourceUnavailable(f"{self._topic} took not all signals ({failed})")

    def close(self) -> None:
        """Release what is held. The publisher cannot be used afterwards."""
        with suppress(exceptions.PulsarException):
            self._client.close()

    def _send(self, payload: bytes, key: str | None, form: Form) -> None:
        properties = {CONTENT_TYPE: JSON} if form is Form.JSON else None
        answered = self._pending.one_more()
        try:
            self._producer.send_async(payload, answered, properties=properties, partition_key=key)
        except exceptions.PulsarException as refusal:
            self._pending.none_after_all()
            raise self._unavailable(refusal) from None

    def _unavailable(self, refusal: Exception) -> SourceUnavailable:
        return SourceUnavailable(f"{self._topic} is not reachable ({type(refusal).__name__})")


def key_of(signal: Signal) -> str:
    """A message's key: 11 characters that say nothing of whom the signal is about."""
    name = f"{signal.source}\0{signal.signal_id}".encode()
    return base64.urlsafe_b64encode(blake2b(name, digest_size=8).digest()).rstrip(b"=").decode()

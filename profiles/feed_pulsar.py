"""The ProfileFeed over a compacted Pulsar topic: one message per person id, for every replica.

The topic keeps the last record of every id ever published, so a replica can
start from nothing at any time. A feeder that opens the feed takes it over: what
a former one still tries to publish is refused, so nothing old covers what is new.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest

from google.protobuf.message import DecodeError

from profiles.compacted_topic import CompactedReader, CompactedWriter, TopicTaken, place_of
from profiles.feed import Delivered, FeedDamaged, FeedUnavailable, beat_record
from profiles.pulsar_cluster import PulsarCluster, PulsarRefused
from profiles.v1.feed_pb2 import FeedRecord

BEAT_KEY = "beat"
HIGHEST = "highest"
"""Message property: the highest sequence published up to there."""
POLLED_AT_MOST = 5_000


class PulsarFeed:
    """As the port says, over `topic`, which is made when it is not there.

    Taking over happens at the first publication or beat, and again at the first
    after another feeder took over: publish only while holding the lease.
    """

    def __init__(self, cluster: PulsarCluster, topic: str) -> None:
        self._cluster = cluster
        self._topic = topic
        self._writer: CompactedWriter | None = None
        self._highest = 0

    def publish(self, records: Sequence[FeedRecord]) -> None:
        """As the port says."""
        if not records:
            return
        with self._told():
            writer = self._opened()
            if records[0].sequence < self._highest:
                records = list(self._still_newest(records))
            highest = max([self._highest, *(each.sequence for each in records)])
            messages = ((each.person_id, each.SerializeToString()) for each in records)
            writer.write(messages, {HIGHEST: str(highest)})
            self._highest = highest

    def beat(self) -> None:
        """As the port says; of all beats compaction keeps one."""
        with self._told():
            beat = (BEAT_KEY, beat_record().SerializeToString())
            self._opened().write([beat], {HIGHEST: str(self._highest)})

    def compact(self) -> None:
        """Have the broker compact the topic now; it does so by itself as the topic grows."""
        with self._told():
            self._cluster.compact(self._topic)

    def close(self) -> None:
        """As the port says."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _opened(self) -> CompactedWriter:
        if self._writer is None:
            writer = CompactedWriter(self._cluster, self._topic, alone=True)
            try:
                with CompactedReader(self._cluster, self._topic, last=True) as reader:
                    for message in reader.rest():
                        self._highest = int(message.properties().get(HIGHEST, "0"))
            except BaseException:
                writer.close()
                raise
            self._writer = writer
        return self._writer

    def _still_newest(self, records: Sequence[FeedRecord]) -> Iterator[FeedRecord]:
        """The records that nothing newer was published about, each sequence closed by its last.

        Reads the whole topic: only a sequence that comes late takes this way.
        """
        newest = dict.fromkeys((each.person_id for each in records), 0)
        with CompactedReader(self._cluster, self._topic) as reader:
            for message in reader.rest():
                person = message.partition_key()
                if person in newest:
                    newest[person] = max(newest[person], _parsed(message.data()).sequence)
        kept = [each for each in records if newest[each.person_id] <= each.sequence]
        for record, following in zip_longest(kept, kept[1:]):
            if following is None or following.sequence != record.sequence:
                closing = FeedRecord()
                closing.CopyFrom(record)
                closing.last_of_sequence = True
                yield closing
            else:
                yield record

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turns what Pulsar says into the port's words."""
        try:
            yield
        except TopicTaken as refusal:
            # The next publication takes the feed over anew, should this feeder be the right one.
            self.close()
            raise FeedUnavailable(str(refusal)) from None
        except PulsarRefused as refusal:
            raise FeedUnavailable(str(refusal)) from None


class PulsarFeedReader:
    """As the port says, over `topic`, from a position on; b"" is the beginning."""

    def __init__(self, cluster: PulsarCluster, topic: str, position: bytes = b"") -> None:
        self._cluster = cluster
        self._topic = topic
        self._read = 0
        self._place = place_of(position) if position else None
        with _reading():
            # Here too: what the broker makes for a replica that comes first would forget.
            cluster.ensure_compacted(topic)
            self._reader = CompactedReader(cluster, topic, position)

    def poll(self, timeout_ms: int) -> list[Delivered]:
        """As the port says.

        Raises:
            FeedUnavailable: nothing was taken; try again.
            FeedDamaged: the topic holds what this version cannot read.
        """
        delivered: list[Delivered] = []
        with _reading():
            message = self._reader.next(timeout_ms)
            while message is not None:
                position = message.message_id().serialize()
                self._place = place_of(position)
                record = _parsed(message.data())
                delivered.append(Delivered(record, position, message.publish_timestamp()))
                # Only what is here already, and not without end.
                message = self._reader.next(0) if len(delivered) < POLLED_AT_MOST else None
        self._read += len(delivered)
        return delivered

    def backlog(self) -> int | None:
        """As the port says."""
        try:
            return self._cluster.extent(self._topic).ahead(self._place, self._read)
        except PulsarRefused:
            return None

    def close(self) -> None:
        """As the port says."""
        self._reader.close()


def _parsed(data: bytes) -> FeedRecord:
    try:
        return FeedRecord.FromString(data)
    except DecodeError:
        raise FeedDamaged("a record that this version cannot read") from None


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except PulsarRefused as refusal:
        raise FeedUnavailable(str(refusal)) from None

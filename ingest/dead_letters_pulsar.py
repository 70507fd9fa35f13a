"""Dead letters in a compacted Pulsar topic, keyed by their ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, replace

import msgpack

from ingest.dead_letters import DeadLetter, LetterId, LettersDamaged, LettersUnavailable
from profiles.compacted_topic import CompactedReader, CompactedWriter
from profiles.pulsar_cluster import PulsarCluster, PulsarRefused

_APPLIED = "kinfold-deletions-applied"


class PulsarLetters:
    """As the port says, in `topic`, which is made when it is not there.

    Listing reads the topic from its beginning; a removal starts a compaction. Which
    deletions were applied is a property of the topic: it goes back to what it was with
    the cluster's metadata, is gone with the topic, and does not notice old letters that
    are published anew into a topic that stayed.
    """

    def __init__(self, cluster: PulsarCluster, topic: str) -> None:
        self._cluster = cluster
        self._topic = topic
        with _told():
            self._writer = CompactedWriter(cluster, topic)

    def keep(self, letters: Sequence[DeadLetter]) -> None:
        """As the port says."""
        if not letters:
            return
        with _told():
            self._writer.write((each.id, msgpack.packb(astuple(each))) for each in letters)

    def all(self) -> Iterator[DeadLetter]:
        """As the port says. Holds the letters in memory, each under 5 MB."""
        letters = self._read().values()
        yield from sorted(letters, key=lambda each: (each.received_us, each.id))

    def find(self, letter: LetterId) -> DeadLetter | None:
        """As the port says."""
        return self._read().get(letter)

    def remove(self, letters: Iterable[DeadLetter]) -> None:
        """As the port says, but for what is kept anew in the moment between reading and writing."""
        kept = self._read()
        unchanged = [each.id for each in letters if kept.get(each.id) == each]
        with _told():
            self._writer.write((each, b"") for each in unchanged)
            self._cluster.compact(self._topic)

    def rewrap(self, rewrap: Callable[[bytes], bytes]) -> int:
        """As the port says, but for what changes in the moment between reading and writing."""
        fresh = [
            replace(each, sealed=new)
            for each in self._read().values()
            if each.sealed and (new := rewrap(each.sealed)) != each.sealed
        ]
        self.keep(fresh)
        if fresh:
            with _told():
                self._cluster.compact(self._topic)
        return len(fresh)

    def applied(self) -> str:
        """As the port says."""
        with _told():
            return self._cluster.properties(self._topic).get(_APPLIED, "")

    def set_applied(self, deletions: str) -> None:
        """As the port says."""
        with _told():
            self._cluster.set_property(self._topic, _APPLIED, deletions)

    def close(self) -> None:
        """As the port says."""
        self._writer.close()

    def _read(self) -> dict[LetterId, DeadLetter]:
        letters: dict[LetterId, DeadLetter] = {}
        with _told(), CompactedReader(self._cluster, self._topic) as reader:
            for message in reader.rest():
                letters.pop(message.partition_key(), None)
                if message.data():
                    letters[message.partition_key()] = _letter(message.data())
        return letters


def _letter(data: bytes) -> DeadLetter:
    try:
        return DeadLetter(*msgpack.unpackb(data))
    except (ValueError, TypeError, msgpack.UnpackException):
        raise LettersDamaged("a dead letter that this version cannot read") from None


@contextmanager
def _told() -> Iterator[None]:
    """Turns what Pulsar says into the port's words."""
    try:
        yield
    except PulsarRefused as refusal:
        raise LettersUnavailable(str(refusal)) from None

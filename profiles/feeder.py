"""The feeder: from the graph's outbox to the profile feed.

Promises
--------
- *Whoever changed is published.* An entry leaves the outbox only after its
  record is durable in the feed.
- *Resumable.* Killed at any moment, the next run publishes the same again, or
  newer; what a sequence says stays whole.

Runs under the resolver's lease: one feeder at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, zip_longest

from identity.evidence import is_kept_out
from identity.model import OutboxEntry, PersonEvidence, PersonId
from identity.store import GraphStore, Lease, Resolution
from profiles import consent
from profiles.build import Builder
from profiles.feed import ProfileFeed
from profiles.read_view import ReadView
from profiles.v1.feed_pb2 import FeedRecord

_PEOPLE_AT_ONCE = 1_000


class Feeder:
    """Builds and publishes the profiles of whoever changed. One object per thread."""

    def __init__(self, store: GraphStore, builder: Builder, feed: ProfileFeed) -> None:
        self._store = store
        self._builder = builder
        self._feed = feed

    def drain(self, lease: Lease, limit: int = 2_000) -> int:
        """Publish the lowest resolutions of the outbox, about `limit` entries; how many there were.

        1. Read the outbox, whole resolutions.
        2. Read cutoffs, then the evidence of everybody in it who still stands for a person.
        3. Publish all records, in order of resolution, and wait until they are durable.
        4. Clear the entries, unless a newer resolution has put a newer one in place.

        Raises:
            Fenced: another has taken over the lease; nothing was cleared.
            FeedError, StoreError: nothing was cleared; call again.
        """
        entries = self._store.outbox(limit)
        if not entries:
            return 0
        self._feed.publish(self._records(entries))
        self._store.clear_outbox(lease, entries)
        return len(entries)

    def beat(self) -> None:
        """Tell every follower that the feeder lives."""
        self._feed.beat()

    def use(self, feed: ProfileFeed) -> None:
        """Publish to this feed from now on."""
        self._feed = feed

    def enqueue_all(self, lease: Lease) -> int:
        """Put every id ever given out into the outbox, as it stands now; how many there are.

        For a view that was lost where the feed keeps no log, and for a new
        topic. `drain` does the rest; killed half way, do it all again.

        Raises:
            Fenced: another has taken over the lease.
        """
        return sum(self.enqueuing(lease))

    def enqueuing(self, lease: Lease) -> Iterator[int]:
        """As `enqueue_all`, some thousand at a time as they are asked for; how many each time."""
        ids = iter(list(self._store.all_ids()))
        while batch := [self._as_it_is(person) for person in islice(ids, _PEOPLE_AT_ONCE)]:
            self._store.commit_resolution(lease, Resolution({}, {}, (), batch, ()))
            yield len(batch)

    def refill(self, lease: Lease, view: ReadView) -> int:
        """Enqueue everybody for a view that is new; for one that is not, a no-op. Raises: as above.

        Call it before the first `drain` into a view of this process.
        """
        if view.is_whole():
            return 0
        enqueued = self.enqueue_all(lease)
        view.mark_whole()
        return enqueued

    def refolding(self, lease: Lease) -> Iterator[int]:
        """As `enqueuing`, once after profiles have come to be folded by something else.

        By what they are folded stands in the store once everybody is in the
        outbox: cut short before, it is all done again. A policy that changed
        reaches everybody so, not only whoever changes next.
        """
        folding = self._builder.folding
        if self._store.folding() == folding:
            return
        yield from self.enqueuing(lease)
        self._store.commit_resolution(lease, Resolution({}, {}, (), (), (), folding=folding))

    def _as_it_is(self, person: PersonId) -> OutboxEntry:
        current = self._store.current(person)
        if current is None:
            return OutboxEntry(person, 0, gone=True)
        return OutboxEntry(person, 0, None if current == person else current)

    def _records(self, entries: Sequence[OutboxEntry]) -> list[FeedRecord]:
        """One record per entry, by resolution; the last of each resolution says so."""
        alive = [entry.person for entry in entries if not (entry.gone or entry.merged_into)]
        cutoffs = self._store.cutoffs()
        evidence, unseen = self._read(alive)
        records: list[FeedRecord] = []
        for entry in sorted(entries, key=lambda entry: entry.resolution):
            record = FeedRecord(person_id=entry.person, sequence=entry.resolution)
            if entry.gone or entry.person in unseen:
                record.gone = True
            elif entry.merged_into is not None:
                record.merged_into = entry.merged_into
            elif (known := evidence.get(entry.person)) is not None:
                record.profile.CopyFrom(self._builder.build(known, entry.resolution, cutoffs))
            else:
                # All nodes have gone on to others: a later resolution's entry says whereto.
                continue
            records.append(record)
        for record, following in zip_longest(records, records[1:]):
            record.last_of_sequence = following is None or following.sequence != record.sequence
        return records

    def _read(
        self, people: Sequence[PersonId]
    ) -> tuple[dict[PersonId, PersonEvidence], set[PersonId]]:
        """The evidence of people, and who of them nobody may see.

        Those are people who are about to be erased, and people under a
        restriction or a legal hold, of whom all that is held stays.
        """
        evidence: dict[PersonId, PersonEvidence] = {}
        unseen: set[PersonId] = set()
        for batch in _batches(people):
            found = self._store.evidence(batch)
            evidence.update(found)
            fences = self._store.fences(node.key for one in found.values() for node in one.nodes)
            unseen.update(
                one
                for one, held in found.items()
                if is_kept_out(held, fences) or consent.set_apart(held)
            )
        return evidence, unseen


def _batches(people: Sequence[PersonId]) -> Iterable[Sequence[PersonId]]:
    return (people[at : at + _PEOPLE_AT_ONCE] for at in range(0, len(people), _PEOPLE_AT_ONCE))

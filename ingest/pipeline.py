"""The pipeline of one partition: signals in, evidence committed, nothing lost or counted twice.

What a signal changes, it changes once, whatever is redelivered, replayed from
the beginning or published twice: the store counts a signal by its id, in the
transaction that moves the checkpoint. The checkpoint lags one batch behind, on
purpose: it passes a batch only when the dead letters of that batch are durable,
those included that only the commit made known. A process that dies in between
does its last batch again, which changes nothing.

Not promised: that the letter of a content that was *replaced* survives a crash
at that very moment; its own bytes were gone before anyway.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from identity.model import Contribution
from identity.store import (
    NO_KEYS,
    Batch,
    Checkpoint,
    Fenced,
    GraphStore,
    Outcome,
    Outdated,
    StoreUnavailable,
)
from ingest.dead_letters import DeadLetter, DeadLetters, LettersUnavailable
from ingest.forms import Understanding
from ingest.keys import Renewing
from ingest.letter_writing import LetterWriter
from ingest.source import (
    Extent,
    PartitionReader,
    PartitionTaken,
    Received,
    SignalSource,
    SourceUnavailable,
    TakenOver,
)
from profiles.audit import AuditUnavailable

FENCED_AT_MOST = 5
OUTDATED_AT_MOST = 100
LOOK_US = 1_000_000
"""So often a pipeline looks whether keys were rotated."""
_Answer = TypeVar("_Answer")
Audit = Callable[[Sequence[Contribution], Sequence[Outcome]], None]
Blank = Callable[[Sequence[DeadLetter], Sequence[Received]], list[DeadLetter]]
"""Logs what a commit counted (`ingest.auditing.Auditor`)."""


class _Stopped(Exception):
    """Told to stop while waiting; what was not committed is untouched."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait: for signals when there are none, between tries, and for a partition."""

    idle_ms: int = 200
    retry_ms: int = 50
    retry_most_ms: int = 5_000
    taken_ms: int = 1_000


@dataclass(frozen=True, slots=True)
class Step:
    """What one batch came to.

    - `read`: signals read; `rejected`: how many of them cannot count.
    - `outcomes`: how many contributions met which outcome.
    - `extent`: how far the partition is, where that is known.
    """

    partition: str
    read: int
    rejected: int
    outcomes: Mapping[Outcome, int]
    extent: Extent | None


class Tally:
    """Counts of one pipeline since it began; another thread may read them."""

    def __init__(self) -> None:
        self.read = 0
        self.rejected = 0
        self.batches = 0
        self.retries = 0
        self.fenced = 0
        self.outcomes: Counter[Outcome] = Counter()

    def add(self, step: Step) -> None:
        """Count a step."""
        self.read += step.read
        self.rejected += step.rejected
        self.batches += 1
        self.outcomes.update(step.outcomes)


class Pipeline:
    """Consumes one partition of a source into a store; one thread, which owns store and letters.

    `now_us` gives the time, microseconds since 1970 UTC. `stop`, once set, ends
    `run` after the batch at hand. `replay` begins at the partition's beginning
    instead of its checkpoint. `audit` hears of every commit before it is settled.
    `blank` takes what the erased said out of letters. `keys` are those that
    `understand` and `writer` use: renewed within a second of a rotation, and at once
    where the store says so.
    """

    def __init__(
        self,
        source: SignalSource,
        partition: str,
        store: GraphStore,
        understand: Understanding,
        letters: DeadLetters,
        writer: LetterWriter,
        *,
        now_us: Callable[[], int],
        stop: threading.Event,
        patience: Patience | None = None,
        replay: bool = False,
        audit: Audit | None = None,
        keys: Renewing | None = None,
        blank: Blank | None = None,
    ) -> None:
        self.partition = partition
        self.tally = Tally()
        self._source = source
        self._store = store
        self._understand = understand
        self._letters = letters
        self._writer = writer
        self._now_us = now_us
        self._stop = stop
        self._patience = patience or Patience()
        self._replay = replay
        self._audit = audit
        self._keys = keys
        self._blank = blank
        self._look_us = 0
        self._reader: PartitionReader | None = None
        self._checkpoint = Checkpoint(partition, b"", 0)
        self._settled = b""
        self._fenced_in_a_row = 0

    def run(self, after: Callable[[Step], None] | None = None) -> None:
        """Consume until told to stop or the source has ended; `after` hears of every batch.

        Raises:
            TakenOver: another consumer keeps taking the partition.
            SourceMissing, SourceDamaged, StoreDamaged: nothing but repair helps.
            Outdated: the graph asks for newer keys than this key store has.
        """
        try:
            while not (self._stop.is_set() or self.ended):
                step = self.step()
                if step is not None and after is not None:
                    after(step)
        finally:
            self.close()

    def step(self) -> Step | None:
        """Do one batch; None when there was nothing to do or the partition is not ours.

        Raises: as `run`.
        """
        if not self._source.wants(self.partition):
            self.close()
            self._stop.wait(self._patience.taken_ms / 1_000)
            return None
        try:
            if self._reader is None:
                self._hold()
            return self._batch()
        except _Stopped:
            return None
        except Fenced:
            self._lose()
            return None

    @property
    def ended(self) -> bool:
        """Whether the source has ended and all of it is settled."""
        reader = self._reader
        return reader is not None and reader.ended and self._is_settled

    def close(self) -> None:
        """Settle what is done, as far as that works at once, and let go of the partition."""
        if self._reader is None:
            return
        reader = self._reader
        try:
            # Should this fail, whoever comes next does the last batch again: that changes nothing.
            with suppress(Fenced, StoreUnavailable):
                self._settle()
        finally:
            self._reader = None
            reader.close()

    def _hold(self) -> None:
        """Take hold of the partition.

        1. At the source, where no other reader can be then.
        2. In the store: from here on a former holder cannot commit.
        3. Go on where the store says, not where the source thinks.
        """
        reader = self._patiently(lambda: self._source.open(self.partition))
        try:
            self._checkpoint = self._patiently(lambda: self._store.claim(self.partition))
            start = b"" if self._replay else self._checkpoint.position
            self._patiently(lambda: reader.resume(start))
        except BaseException:
            reader.close()
            raise
        self._reader, self._settled, self._replay = reader, start, False

    def _lose(self) -> None:
        self.tally.fenced += 1
        self._fenced_in_a_row += 1
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self._fenced_in_a_row > FENCED_AT_MOST:
            raise TakenOver(f"{self.partition} is consumed by someone else, too")
        self._stop.wait(self._patience.taken_ms / 1_000)

    def _batch(self) -> Step | None:
        """One batch.

        1. Read it, and understand each signal.
        2. Commit what counts; the checkpoint moves past the batch before.
        3. Make the dead letters durable, and what was decided known to the audit log.
        4. Only now is the batch settled; the next commit says so.
        5. Let the source forget what the checkpoint has passed.
        """
        reader = self._reader
        assert reader is not None
        received = self._patiently(lambda: reader.read(self._patience.idle_ms))
        if not received:
            self._patiently(self._settle)
            return None
        received_us = self._now_us()
        contributions, origins, rejected, outcomes = self._count(received, received_us)
        self._writer.outcomes(outcomes, contributions, origins, received_us)
        written = self._writer.take()
        blank = self._blank
        if written and blank is not None:
            letters = written
            written = self._patiently(lambda: blank(letters, received))
        if written:
            self._patiently(lambda: self._letters.keep(written))
        audit = self._audit
        if audit is not None:
            self._patiently(lambda: audit(contributions, outcomes))
        self._settled = received[-1].position
        self._acknowledge()
        counts = Counter(outcomes)
        step = Step(self.partition, len(received), rejected, counts, reader.extent())
        self.tally.add(step)
        return step

    def _count(
        self, received: Sequence[Received], received_us: int
    ) -> tuple[list[Contribution], list[Received], int, list[Outcome]]:
        """Understand and commit; anew, where keys were rotated in between."""
        if self._keys is not None and received_us >= self._look_us:
            self._look_us = received_us + LOOK_US
            self._keys.look()
        tries = OUTDATED_AT_MOST
        while True:
            contributions, origins, rejected = self._understood(received, received_us)
            try:
                outcomes = self._commit(contributions) if contributions else []
            except Outdated:
                self._writer.take()
                # The new keys may be agreed upon a moment after the graph asks for them.
                if self._keys is None or not (self._keys.renew() or tries):
                    raise
                tries -= 1
                if self._stop.wait(self._patience.retry_ms / 1_000):
                    raise _Stopped from None
                continue
            return contributions, origins, rejected, outcomes

    def _understood(
        self, received: Sequence[Received], received_us: int
    ) -> tuple[list[Contribution], list[Received], int]:
        """What counts, the input each came from, and how many cannot count."""
        contributions: list[Contribution] = []
        origins: list[Received] = []
        rejected = 0
        for each in received:
            try:
                understood = self._understand(each, received_us)
            except Exception as fault:  # noqa: BLE001 - one input must not stop all that follow
                self._writer.unexpected(each, type(fault).__name__, received_us)
                rejected += 1
                continue
            for outcome in understood:
                if isinstance(outcome, Contribution):
                    contributions.append(outcome)
                    origins.append(each)
                else:
                    self._writer.rejected(each, outcome, received_us)
                    rejected += 1
        return contributions, origins, rejected

    def _commit(self, contributions: Sequence[Contribution]) -> list[Outcome]:
        age = NO_KEYS if self._keys is None else self._keys.age()
        batch = Batch(contributions, self._checkpoint, self._settled, age)
        outcomes = self._patiently(lambda: self._store.commit(batch))
        self._moved(batch)
        return outcomes

    def _settle(self) -> None:
        """Move the checkpoint past all that is done, when no batch follows that would."""
        if not self._is_settled:
            batch = Batch((), self._checkpoint, self._settled)
            self._store.commit(batch)
            self._moved(batch)
            self._acknowledge()

    def _moved(self, batch: Batch) -> None:
        self._checkpoint = Checkpoint(self.partition, batch.position, self._checkpoint.epoch)
        self._fenced_in_a_row = 0

    @property
    def _is_settled(self) -> bool:
        return self._checkpoint.position == self._settled

    def _acknowledge(self) -> None:
        if self._reader is None or not self._checkpoint.position:
            return
        # Should this one fail, a later one covers it.
        with suppress(SourceUnavailable):
            self._reader.acknowledge(self._checkpoint.position)

    def _patiently(self, action: Callable[[], _Answer]) -> _Answer:
        """The action's answer, however long it takes to get one.

        Raises:
            _Stopped: told to stop while waiting.
        """
        pause_ms = self._patience.retry_ms
        while True:
            try:
                return action()
            except PartitionTaken:
                wait_ms = self._patience.taken_ms
            except (StoreUnavailable, SourceUnavailable, LettersUnavailable, AuditUnavailable):
                self.tally.retries += 1
                wait_ms = pause_ms
                pause_ms = min(2 * pause_ms, self._patience.retry_most_ms)
            if self._stop.wait(wait_ms / 1_000):
                raise _Stopped

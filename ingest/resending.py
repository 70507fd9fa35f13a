"""Sends dead letters again, once what stood in their way is mended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from identity.model import Contribution
from identity.store import NO_KEYS, Batch, Checkpoint, GraphStore, Outcome, Outdated
from ingest.dead_letters import DeadLetter, DeadLetters, Envelopes
from ingest.forms import Understanding
from ingest.keys import Renewing
from ingest.letter_writing import LetterWriter
from ingest.pipeline import Audit
from ingest.rejected import Rejected
from ingest.source import Form, Received
from profiles.sealing import Unreadable
from profiles.vault import KeyDestroyed

PARTITION = "dead-letters"
_AT_ONCE = 500
_DEAD = frozenset({Outcome.OUTDONE, Outcome.EXPIRED})


@dataclass(slots=True)
class Resent:
    """What became of letters that were sent again.

    `counted` ones are letters no more; `refused` names the letters that still
    cannot count, with the reason as it is now; `empty` hold no input any more.
    """

    counted: int = 0
    empty: int = 0
    refused: list[tuple[DeadLetter, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Read:
    """A contribution with the letter that holds it."""

    letter: DeadLetter
    received: Received
    understand: Understanding
    contribution: Contribution


class Resender:
    """Sends letters again straight to the store, through the same checks as at first.

    `understanding` gives what reads a letter's form, or None when the form is
    unknown here. Killed at any moment, a letter is either still there or its
    signal counts; sent twice it counts once.
    """

    def __init__(
        self,
        store: GraphStore,
        letters: DeadLetters,
        envelopes: Envelopes,
        understanding: Callable[[str], Understanding | None],
        now_us: Callable[[], int],
        audit: Audit | None = None,
        keys: Renewing | None = None,
    ) -> None:
        self._store = store
        self._letters = letters
        self._envelopes = envelopes
        self._understanding = understanding
        self._now_us = now_us
        self._audit = audit
        self._keys = keys
        self._checkpoint: Checkpoint | None = None

    def send(self, letters: Iterable[DeadLetter]) -> Resent:
        """Send letters again; those that count now are removed.

        Raises:
            StoreError, LettersError: what was counted stays counted; call again.
        """
        resent = Resent()
        waiting = iter(letters)
        while batch := list(islice(waiting, _AT_ONCE)):
            self._send(batch, resent)
        return resent

    def _send(self, letters: Sequence[DeadLetter], resent: Resent) -> None:
        read = [each for letter in letters for each in self._read(letter, resent)]
        contributions = [each.contribution for each in read]
        try:
            outcomes = self._commit(contributions)
        except Outdated:
            if self._keys is None or not self._keys.renew():
                raise
            read = [each for letter in letters for each in self._read(letter, Resent())]
            contributions = [each.contribution for each in read]
            outcomes = self._commit(contributions)
        if self._audit is not None:
            self._audit(contributions, outcomes)
        dead: dict[str, str] = {}
        replacing: list[DeadLetter] = []
        for each, outcome in zip(read, outcomes, strict=True):
            if outcome in _DEAD:
                dead[each.letter.id] = outcome.name.lower()
            elif outcome is Outcome.REPLACED:
                replacing += self._replaced(each)
        # Durable before anything is removed: what was replaced is never dropped in silence.
        self._letters.keep(replacing)
        origins = {each.letter.id: each.letter for each in read}
        done = [letter for letter in origins.values() if letter.id not in dead]
        self._letters.remove(done)
        resent.counted += len(done)
        resent.refused += [(origins[letter_id], why) for letter_id, why in dead.items()]

    def _replaced(self, read: _Read) -> list[DeadLetter]:
        writer = LetterWriter(self._envelopes, read.understand, PARTITION)
        writer.outcomes((Outcome.REPLACED,), (read.contribution,), (read.received,), self._now_us())
        return writer.take()

    def _read(self, letter: DeadLetter, resent: Resent) -> list[_Read]:
        """The contributions of a letter, or none when any part of it cannot count yet."""
        if not letter.sealed:
            resent.empty += 1
            return []
        understand = self._understanding(letter.form)
        if understand is None:
            resent.refused.append((letter, f"nothing here reads {letter.form}"))
            return []
        form = Form.PROTOBUF if letter.form == "protobuf" else Form.JSON
        try:
            payload = self._envelopes.open(letter)
        except KeyDestroyed:
            words = f"its key is destroyed: kinfold dead-letters --remove {letter.id}"
            resent.refused.append((letter, words))
            return []
        except Unreadable:
            resent.refused.append((letter, "does not open with the keys that are here"))
            return []
        received = Received(payload, form, letter.position, letter.received_us)
        found = understand(received, self._now_us())
        wrong = [each for each in found if isinstance(each, Rejected)]
        if wrong:
            resent.refused.append((letter, f"{wrong[0].field}: {wrong[0].rule}"))
            return []
        return [
            _Read(letter, received, understand, each)
            for each in found
            if isinstance(each, Contribution)
        ]

    def _commit(self, contributions: Sequence[Contribution]) -> list[Outcome]:
        if not contributions:
            return []
        if self._checkpoint is None:
            self._checkpoint = self._store.claim(PARTITION)
        age = NO_KEYS if self._keys is None else self._keys.age()
        at = self._checkpoint
        return self._store.commit(Batch(contributions, at, at.position, age))

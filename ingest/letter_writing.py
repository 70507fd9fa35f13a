"""Writes dead letters: for input that cannot count, and for what the store would not count."""

from __future__ import annotations

from collections.abc import Sequence

from identity.model import Contribution
from identity.store import Outcome
from ingest.dead_letters import DeadLetter, Envelopes
from ingest.forms import Understanding
from ingest.rejected import Rejected
from ingest.source import Received

_REASONS = {Outcome.OUTDONE: "outdone", Outcome.EXPIRED: "expired", Outcome.REPLACED: "replaced"}
_HINTS = {
    "outdone": "give every signal an id of its own",
    "replaced": "give every signal an id of its own; the replaced content is not at hand any more",
    "expired": "send signals before their evidence expires",
}


class LetterWriter:
    """Collects the letters of a batch, sealed, one per input; one object per partition."""

    def __init__(self, envelopes: Envelopes, understand: Understanding, partition: str) -> None:
        self._envelopes = envelopes
        self._understand = understand
        self._partition = partition
        self._letters: dict[str, DeadLetter] = {}

    def rejected(self, received: Received, why: Rejected, received_us: int) -> None:
        """A letter for input that cannot count."""
        self._write(received, why.rule, why.field, why.hint, received_us)

    def unexpected(self, received: Received, fault: str, received_us: int) -> None:
        """A letter for input that met a fault of the program; `fault` is its kind, nothing else."""
        self._write(received, "unexpected", "signal", f"report {fault}", received_us, blind=True)

    def outcomes(
        self,
        outcomes: Sequence[Outcome],
        contributions: Sequence[Contribution],
        origins: Sequence[Received],
        received_us: int,
    ) -> None:
        """Letters for contributions that do not count, or in whose place another does."""
        for outcome, contribution, origin in zip(outcomes, contributions, origins, strict=True):
            reason = _REASONS.get(outcome)
            if reason == "replaced":
                self._replaced(contribution, origin, received_us)
            elif reason is not None:
                self._write(origin, reason, "signal", _HINTS[reason], received_us)

    def take(self) -> list[DeadLetter]:
        """The letters since the last call, one per input."""
        letters, self._letters = list(self._letters.values()), {}
        return letters

    def _write(
        self,
        received: Received,
        reason: str,
        field: str,
        hint: str,
        received_us: int,
        *,
        blind: bool = False,
    ) -> None:
        letter = self._envelopes.id_of(received.payload)
        # Of several faults in one input the first is told.
        if letter in self._letters:
            return
        self._letters[letter] = DeadLetter(
            id=letter,
            reason=reason,
            field=field,
            hint=hint,
            source="" if blind else self._understand.source(received),
            form=self._understand.form(received),
            partition=self._partition,
            position=received.position,
            received_us=received_us,
            sealed=self._envelopes.close(letter, received.payload),
        )

    def _replaced(self, contribution: Contribution, origin: Received, received_us: int) -> None:
        letter = self._envelopes.id_of(b"replaced\0%d" % contribution.signal)
        self._letters[letter] = DeadLetter(
            id=letter,
            reason="replaced",
            field="signal",
            hint=_HINTS["replaced"],
            source=contribution.source,
            form=self._understand.form(origin),
            partition=self._partition,
            position=origin.position,
            received_us=received_us,
            sealed=b"",
        )

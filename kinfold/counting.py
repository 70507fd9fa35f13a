"""Counts what became of signals, for the command line."""

from __future__ import annotations

from collections import Counter

from identity.store import Outcome
from ingest.pipeline import Step

_LETTERS = (Outcome.OUTDONE, Outcome.REPLACED, Outcome.EXPIRED)


class Count:
    """What became of the signals read, over all partitions."""

    def __init__(self) -> None:
        self.read = 0
        self.rejected = 0
        self.outcomes: Counter[Outcome] = Counter()

    def add(self, step: Step) -> None:
        """Count a batch."""
        self.read += step.read
        self.rejected += step.rejected
        self.outcomes.update(step.outcomes)

    @property
    def counted(self) -> int:
        """Signals whose content counts, retractions included."""
        return sum(
            self.outcomes[o] for o in (Outcome.COUNTED, Outcome.REPLACED, Outcome.RETRACTION)
        )

    @property
    def known(self) -> int:
        """Signals that were there already, or are retracted."""
        return self.outcomes[Outcome.DUPLICATE] + self.outcomes[Outcome.WITHHELD]

    @property
    def erased(self) -> int:
        """Signals that name somebody erased or suppressed: nothing of them is kept."""
        return self.outcomes[Outcome.ERASED]

    @property
    def letters(self) -> int:
        """Dead letters written."""
        return self.rejected + sum(self.outcomes[outcome] for outcome in _LETTERS)

    def as_json(self) -> dict[str, int]:
        """Everything counted, as plain data."""
        by_outcome = {outcome.name.lower(): self.outcomes[outcome] for outcome in Outcome}
        return {"read": self.read, "rejected": self.rejected, "dead_letters": self.letters,
                **by_outcome}  # fmt: skip

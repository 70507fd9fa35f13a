"""What figures need beside a snapshot: models by fingerprint, and keys to open records with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from identity.model import NodeKey
from profiles.deletions import Erasure

RECORDS_READ = 20_000
"""So many records are opened for figures, those whose keys come first: a fair sample."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """A model that a snapshot's scored links are of.

    `name` says what it compares, `kinds` which kinds of nodes these are. A pair
    from `link_mbits` on is linked, from `review_mbits` on in doubt at least.
    """

    name: str
    kinds: frozenset[str]
    pin: str
    link_mbits: int
    review_mbits: int
    probability: Callable[[int], float]
    card: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The model as figures name it."""
        return f"{self.name} {self.pin[:8]}"


@dataclass(frozen=True, slots=True)
class Insight:
    """How to read what a snapshot alone does not tell; the default reads nothing.

    - `models`: the models that `Moment.model` names, as far as they are there.
    - `opened`: a record's attributes, from its key and sealed payload; None: not to be opened.
    - `erasures`: every erasure in the deletion ledger.
    - `group`: the attribute whose groups are compared for bias; "" for none.
    """

    models: Callable[[str], tuple[Scoring, ...]] = lambda _: ()
    opened: Callable[[NodeKey, bytes], Mapping[str, str]] | None = None
    group: str = ""
    erasures: Callable[[], Sequence[Erasure]] = tuple


NO_INSIGHT = Insight()

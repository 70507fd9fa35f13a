"""The records that a model is made from or tried on: of a file, or of the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from identity.model import EvidenceKind, KeptFact, NodeKey
from identity.store import GraphStore
from ingest.payloads import comparable
from kinfold.evaluate.reading import Given, NotEvaluable, read_records
from profiles import contexts
from profiles.sealing import Sealer, Unreadable
from profiles.vault import KeyDestroyed

_PEOPLE = 500
"""People whose evidence is read at once."""


@dataclass(frozen=True, slots=True)
class Source:
    """Records as attributes, and what each is called where it is shown: a row, or a token.

    `decided` are pairs of places that staff have decided, with what they said.
    """

    name: str
    records: list[dict[str, str]]
    names: list[str]
    given: Given | None = None
    decided: Mapping[tuple[int, int], bool] = field(default_factory=dict)

    def column(self, name: str) -> list[str]:
        """A column of the file, record by record.

        Raises:
            NotEvaluable: there is no file, or no such column in it.
        """
        if self.given is None:
            raise NotEvaluable("the graph has no columns; give a file")
        return self.given.column(name)


def file_source(path: Path, mapped: Mapping[str, str]) -> Source:
    """The records of a CSV, JSON Lines or Parquet file, called by their row, from 1.

    Raises:
        NotEvaluable: it cannot be read, or holds no known attribute.
    """
    given = read_records(path, mapped)
    names = [f"row {row}" for row in range(1, len(given.records) + 1)]
    return Source(path.name, given.records, names, given)


def graph_source(
    store: GraphStore, sealer: Sealer, advance: Callable[[int], None] = lambda _: None
) -> Source:
    """The live records of the graph, opened, by node key, and what staff decided of them.

    A record whose key is destroyed is left out. Raw values are held in memory
    as long as the source is.
    """
    opened: dict[NodeKey, dict[str, str]] = {}
    people = iter(store.all_people())
    done = 0
    while chunk := list(islice(people, _PEOPLE)):
        for evidence in store.evidence(chunk).values():
            opened.update(_opened(evidence.facts, sealer))
        done += len(chunk)
        advance(done)
    keys = sorted(opened)
    place = {key: number for number, key in enumerate(keys)}
    latest = sorted(store.decisions(keys), key=lambda own: (own.decided_us, not own.same))
    decided = {
        (min(place[own.left], place[own.right]), max(place[own.left], place[own.right])): own.same
        for own in latest
        if own.left in place and own.right in place
    }
    return Source("the graph", [opened[key] for key in keys], keys, decided=decided)


def _opened(
    facts: tuple[KeptFact, ...], sealer: Sealer
) -> Iterator[tuple[NodeKey, dict[str, str]]]:
    records = [kept for kept in facts if kept.fact.kind is EvidenceKind.RECORD]
    # Of several contents under one record the latest comes last, and counts.
    for kept in sorted(records, key=lambda kept: (kept.event_us, kept.digest)):
        (key, *_) = kept.fact.subjects
        try:
            attributes = comparable(sealer.open(kept.fact.payload, contexts.of_record(key)))
        except (KeyDestroyed, Unreadable):
            continue
        if attributes:
            yield key, attributes

"""What is true of a cohort: whose each identifier is, and what went wrong on purpose."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from kinfold.generate.spec import CohortSpec
from kinfold.generate.world import EVERYBODY, Tag

COLUMNS = ("kind", "value", "person", "shared", "part")


@dataclass(frozen=True, slots=True)
class TruthRow:
    """One identifier of one person.

    - `person`: the person's number; None for something shared that was never seen
      beside anybody's own identifier.
    - `shared`: more than one person uses it; then there is a row for each that
      left a trace beside it.
    - `part`: a person's own identifiers that signals tie together, at best, have
      one number; a cookie that was never seen with anything is a part of its own.
    """

    kind: str
    value: str
    person: int | None
    shared: bool
    part: int | None


class Truth:
    """The truth of one cohort; whole once all its signals were taken.

    `share_done` goes from 0 to 1 as they are. Memory grows with identifiers, not
    with signals. One thread.
    """

    def __init__(self, spec: CohortSpec) -> None:
        self.spec = spec
        self.people = 0
        self.households = 0
        self.share_done = 0.0
        self.counts: Counter[str] = Counter()
        self.bad: Counter[str] = Counter()
        self._tags: list[Tag] = []

    def saw(self, tags: Sequence[Tag]) -> None:
        """Take in that a good signal named these together."""
        for tag in tags:
            if not tag.seen:
                tag.seen = True
                self._tags.append(tag)
        if len(tags) > 1:
            self._tie(tags)

    def _tie(self, tags: Sequence[Tag]) -> None:
        own = next((tag for tag in tags if tag.owner != EVERYBODY), None)
        if own is None:
            return
        root = own.root()
        for tag in tags:
            if tag.owner == own.owner:
                tag.root().parent = root
            elif tag.owner == EVERYBODY:
                tag.beside.add(own.owner)

    def rows(self) -> Iterator[TruthRow]:
        """Every identifier that was seen, in order of first sight."""
        parts: dict[int, dict[int, int]] = {}
        for tag in self._tags:
            if tag.owner == EVERYBODY:
                for person in sorted(tag.beside) or (None,):
                    yield TruthRow(tag.kind, tag.value, person, True, None)
            else:
                mine = parts.setdefault(tag.owner, {})
                part = mine.setdefault(id(tag.root()), len(mine))
                yield TruthRow(tag.kind, tag.value, tag.owner, False, part)

    def summary(self) -> dict[str, Any]:
        """What a program wants to know: sizes, what went wrong on purpose, identifiers by kind.

        `dead_letters` is how many signals must end among the dead letters: the
        bad ones, and one of each two contents under one id.
        """
        own = [tag for tag in self._tags if tag.owner != EVERYBODY]
        counted = ("signals", "distinct", "late", "duplicates", "rewritten", "placeholders",
                   "mistaken", "retractions", "decisions", "withdrawals")  # fmt: skip
        return {
            "people": self.people,
            "people_seen": len({tag.owner for tag in own}),
            "parts": len({id(tag.root()) for tag in own}),
            "households": self.households,
            **{name: self.counts[name] for name in counted},
            "bad": dict(sorted(self.bad.items())),
            "dead_letters": self.bad.total() + self.counts["rewritten"],
            "identifiers": dict(sorted(Counter(tag.kind for tag in self._tags).items())),
            "shared": len(self._tags) - len(own),
        }


def write_rows(rows: Iterable[TruthRow], file: TextIO) -> None:
    """Write truth as CSV: kind, value, person, shared (yes or no), part; empty for None."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        shared = "yes" if row.shared else "no"
        writer.writerow((row.kind, row.value, row.person, shared, row.part))


def read_rows(path: Path) -> Iterator[TruthRow]:
    """Read what `write_rows` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield TruthRow(
                row["kind"],
                row["value"],
                int(row["person"]) if row["person"] else None,
                row["shared"] == "yes",
                int(row["part"]) if row["part"] else None,
            )

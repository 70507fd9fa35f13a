"""How long things are kept or used: days, from the policy's `[retention]`.

What is kept stays a function of evidence, horizons and cutoffs: dated facts
that only move forward, and this only says which move is due on a day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from identity.model import EvidenceKind, Expiring
from identity.nearest import meant, unknown

ATTRIBUTE: Final = "attribute."
PURPOSE: Final = "purpose."
"""What the names of cutoffs begin with: until when an attribute is kept, evidence used for a
purpose."""
_KINDS = {kind.name.lower(): kind for kind in EvidenceKind}
_PARTS = {"identifiers": "kinds", "purposes": "purposes", "attributes": None}
"""What is kept by name, and the policy's table that has the names; those of attributes are known to
who reads records."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Days for which things are kept, those without a number for good.

    - `days`: by kind of evidence or of identifier.
    - `attributes`: of records, by name; `address` for all its parts.
    - `purposes`: for how long evidence is used for a purpose.
    """

    days: Mapping[Expiring, int] = field(default_factory=dict)
    attributes: Mapping[str, int] = field(default_factory=dict)
    purposes: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything is kept for less than for good."""
        return bool(self.days or self.attributes or self.purposes)

    def due(self, today: int, horizons: Mapping[Expiring, int]) -> dict[Expiring, int]:
        """The horizons that are to move, each to the first day that is kept.

        Days are counted since 1970 UTC. What happened `days` days before
        `today` is kept still, what happened earlier is not.
        """
        moved = {kind: today - days for kind, days in self.days.items()}
        return {
            kind: before
            for kind, before in moved.items()
            if kind not in horizons or before > horizons[kind]
        }

    def cutoffs_due(self, today: int, cutoffs: Mapping[str, int]) -> dict[str, int]:
        """The cutoffs that are to move, as `due`."""
        moved = {PURPOSE + name: today - days for name, days in self.purposes.items()}
        moved |= {ATTRIBUTE + name: day for name, day in self.attributes_from(today).items()}
        return {
            name: before
            for name, before in moved.items()
            if name not in cutoffs or before > cutoffs[name]
        }

    def attributes_from(self, today: int) -> dict[str, int]:
        """The first day that each attribute is kept; those kept for good are left out."""
        return {name: today - days for name, days in self.attributes.items()}


def verify(document: Mapping[str, Any]) -> list[str]:
    """Every problem of the document's `[retention]`, each naming its key; [] when sound."""
    told = document.get("retention", {})
    if not isinstance(told, Mapping):
        return ["retention: must be a table of days by kind, for example link = 730"]
    problems = []
    for name, body in told.items():
        where = f"retention.{name}"
        if name in _PARTS:
            problems += _part_problems(where, name, body, document)
        elif name not in _KINDS:
            problems.append(unknown(where, name, (*_KINDS, *_PARTS)))
        else:
            problems += _day_problems(where, body)
    return problems


def _part_problems(where: str, part: str, body: object, document: Mapping[str, Any]) -> list[str]:
    if not isinstance(body, Mapping):
        return [f"{where}: must be a table of days by name"]
    problems = []
    table = _PARTS[part]
    named = document.get(table, {}) if table else None
    known = named if isinstance(named, Mapping) else {}
    for name, days in body.items():
        if table and name not in known:
            at = f"{where}.{name}"
            problems.append(
                f"{at}: unknown{meant(name, known)}; [{table}.{name}] is not in the policy"
            )
        problems += _day_problems(f"{where}.{name}", days)
    return problems


def _day_problems(where: str, days: object) -> list[str]:
    if isinstance(days, bool) or not isinstance(days, int) or days < 1:
        return [f"{where}: must be 1 day or more; leave it out for good"]
    return []


def parse(document: Mapping[str, Any]) -> Retention:
    """The retention of a document in which `verify` found nothing."""
    told = document.get("retention", {})
    days: dict[Expiring, int] = dict(told.get("identifiers", {}))
    days |= {_KINDS[name]: number for name, number in told.items() if name in _KINDS}
    return Retention(days, dict(told.get("attributes", {})), dict(told.get("purposes", {})))

"""How long evidence of each kind is kept: days, from the policy's `[retention]`.

What is kept stays a function of evidence and horizons: a horizon is a dated
fact that only moves forward, and this only says which move is due on a day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from identity.model import EvidenceKind

_KINDS = {kind.name.lower(): kind for kind in EvidenceKind}


@dataclass(frozen=True, slots=True)
class Retention:
    """Days for which evidence is kept, by kind; kinds without a number are kept for good."""

    days: Mapping[EvidenceKind, int] = field(default_factory=dict)

    def due(self, today: int, horizons: Mapping[EvidenceKind, int]) -> dict[EvidenceKind, int]:
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


def verify(document: Mapping[str, Any]) -> list[str]:
    """Every problem of the document's `[retention]`, each naming its key; [] when sound."""
    told = document.get("retention", {})
    if not isinstance(told, Mapping):
        return ["retention: must be a table of days by kind, for example link = 730"]
    problems = []
    for name, days in told.items():
        if name not in _KINDS:
            problems.append(f"retention.{name}: unknown; known are {', '.join(_KINDS)}")
        elif isinstance(days, bool) or not isinstance(days, int) or days < 1:
            problems.append(f"retention.{name}: must be 1 day or more; leave it out for good")
    return problems


def parse(document: Mapping[str, Any]) -> Retention:
    """The retention of a document in which `verify` found nothing."""
    told = document.get("retention", {})
    return Retention({_KINDS[name]: days for name, days in told.items()})

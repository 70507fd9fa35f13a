"""What a made-up cohort is to be like."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

MOST_PEOPLE = 5_000_000
"""So many phone numbers are there without one coming twice."""


@dataclass(frozen=True, slots=True)
class CohortSpec:
    """Same spec, same bytes: nothing else goes into a cohort.

    - `people`, `days`, `seed`, `start`: how many, over how many days from midnight UTC of `start`.
    - `pace`: 1 gives about eight signals a person a day; behaviour goes with it, records do not.
    - `purposes`: those that consent is given or refused for; the policy must know them.
    - `late`, `duplicate`, `rewritten`, `bad`: which part of signals arrives hours to days
      late, arrives twice, arrives a second time with another content, cannot be used.
    - `placeholder`: which part of records holds `unknown`, `0000` or the like.
    - `mistaken`: which part of records names somebody else's identifier, and is retracted.
    """

    people: int = 1_000
    days: int = 14
    seed: int = 1
    start: date = date(2026, 1, 5)
    pace: float = 1.0
    purposes: tuple[str, ...] = ("personalisation", "marketing", "analytics")
    late: float = 0.03
    duplicate: float = 0.02
    rewritten: float = 0.0003
    bad: float = 0.001
    placeholder: float = 0.02
    mistaken: float = 0.01

    def verify(self) -> list[str]:
        """Every problem, each naming its field; [] when sound."""
        problems = []
        if not 1 <= self.people <= MOST_PEOPLE:
            problems.append(f"people: must be between 1 and {MOST_PEOPLE:,}")
        if not 1 <= self.days <= 3_660:
            problems.append("days: must be between 1 and 3660")
        if not 0 <= self.seed < 2**63:
            problems.append("seed: must be a whole number of at most 63 bits, not negative")
        if not 1971 <= self.start.year <= 2050:
            problems.append("start: must be between 1971 and 2050")
        if not 0.01 <= self.pace <= 100:
            problems.append("pace: must be between 0.01 and 100")
        parts = ("late", "duplicate", "rewritten", "bad", "placeholder", "mistaken")
        wrong = [name for name in parts if not 0 <= getattr(self, name) <= 0.5]
        return problems + [f"{name}: must be between 0 and 0.5" for name in wrong]

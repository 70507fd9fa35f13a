"""What the report says first, and in which chapters the figures stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kinfold.statistics.figure import ALL
from kinfold.statistics.release import Released

CHAPTERS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "people",
        "Who is there",
        (
            "people_by_kind", "known", "first_login", "cross_device", "size",
            "identifiers_per_person", "devices_per_person", "records_per_person",
            "per_person_spread",
        ),
    ),
    (
        "matching",
        "How sure it is",
        ("match_rate", "cross_source", "links_by_basis", "shared", "changes_by_week"),
    ),
    (
        "models",
        "How well the model does",
        (
            "score_distribution", "calibration", "decided_pairs", "drift", "record_attributes",
            "match_by_group", "withheld_by_group",
        ),
    ),
    (
        "consent",
        "Who may be reached",
        ("reach", "consent", "consent_by_jurisdiction", "restricted", "erased"),
    ),
    ("doings", "What people do", ("last_seen", "affinities", "hours")),
    (
        "signals",
        "What comes in",
        ("signals_by_source", "lateness", "repeated", "dead_letters"),
    ),
)  # fmt: skip
"""Id, title and figures of each chapter; a figure that none names stands under the last."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter with its figures."""

    id: str
    title: str
    figures: tuple[Released, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """One of the numbers at the top: what it is called, in words, and which figure it is from."""

    number: str
    words: str
    figure: str


def chapters(figures: Sequence[Released]) -> list[Chapter]:
    """Every figure in its chapter; chapters without figures are left out."""
    by_id = {each.spec.id: each for each in figures}
    found = []
    for name, title, wanted in CHAPTERS:
        mine = [by_id.pop(each) for each in wanted if each in by_id]
        found.append(Chapter(name, title, tuple(mine)))
    found.append(Chapter("more", "More", tuple(by_id.values())))
    return [chapter for chapter in found if chapter.figures]


def facts(figures: Sequence[Released]) -> list[Fact]:
    """What is told of the most asked questions; what is withheld is left out."""
    told = {
        each.spec.id: {(g, p): v for g, p, v, *_ in each.cells.rows() if v is not None}
        for each in figures
    }
    found = []
    people = told.get("people_by_kind", {}).get(("", ALL))
    if people:
        found.append(Fact(f"{people:,}", "people", "people_by_kind"))
    shares = (
        ("known", "", ("has an account",), "have an account"),
        ("identifiers_per_person", "", ("1",), "are known by one identifier alone"),
        ("last_seen", "", ("within a day", "within 7 days"), "were seen within 7 days"),
    )
    for figure, group, parts, words in shares:
        share = _share(told.get(figure, {}), group, parts)
        if share is not None:
            found.append(Fact(f"{share:.0%}", words, figure))
    for (group, part), value in told.get("reach", {}).items():
        if part == "reachable":
            found.append(Fact(f"{value:,}", f"can be reached by {group}", "reach"))
    return found[:6]


def _share(cells: dict[tuple[str, str], int], group: str, parts: tuple[str, ...]) -> float | None:
    """Of a group's told parts, the share of some; None when one of those is not told."""
    whole = sum(value for (name, _), value in cells.items() if name == group)
    if not whole or any((group, part) not in cells for part in parts):
        return None
    return sum(cells[group, part] for part in parts) / whole

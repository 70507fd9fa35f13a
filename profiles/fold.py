"""From all evidence of a person to plain totals: what each holder did, and all together. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from identity.model import DAY_US, ActivityDay, EvidenceKind, LinkDay, NodeKey, PersonEvidence
from profiles.consent import is_reserved

Daily = list[tuple[int, int]]
"""(day, count), in no order; a day may come more than once."""
_TYPE = "type:"
_OF_DEVICES = ("slot", "site")
"""What only devices are compared by."""
_COUNTED_FACTS = (EvidenceKind.RECORD, EvidenceKind.CONSENT)


@dataclass(slots=True)
class Span:
    """First and last moment of something, in microseconds; the last before the first when never."""

    first_us: int = 1 << 62
    last_us: int = -(1 << 62)

    def widen(self, first_us: int, last_us: int) -> None:
        """Take in a stretch of time."""
        self.first_us = min(self.first_us, first_us)
        self.last_us = max(self.last_us, last_us)


@dataclass(slots=True)
class Holder:
    """What one node held: signals, first and last, and daily counts per cell."""

    signals: int
    seen: Span
    cells: dict[str, Daily]


@dataclass(slots=True)
class Folded:
    """A person's totals.

    - `holders`: per node with activity.
    - `daily`: per dimension and value the daily counts over all nodes.
    - `hours`: signals that did something, per hour of the day in UTC.
    - `signals`: signals that did something, records and consents.
    - `paired`: per node the span in which it was seen with others, and in how
      many signals with the partner it was seen with most.
    - `seen`: over all evidence.
    """

    holders: dict[NodeKey, Holder] = field(default_factory=dict)
    daily: dict[str, dict[str, Daily]] = field(default_factory=dict)
    hours: list[int] = field(default_factory=lambda: [0] * 24)
    signals: int = 0
    paired: dict[NodeKey, tuple[Span, int]] = field(default_factory=dict)
    seen: Span = field(default_factory=Span)

    def of(self, dimension: str) -> dict[str, Daily]:
        """The daily counts per value of one dimension."""
        return self.daily.get(dimension, {})


def fold(evidence: PersonEvidence) -> Folded:
    """Total up a person's evidence; the order of anything in it makes no difference.

    A signal that names both an account and a device counts with the account for
    what was done and with the device for where: only cells of dimension `type`,
    of which each behaviour has one, say how many signals there were.
    """
    folded = Folded()
    for node, days in evidence.activity.items():
        if days:
            folded.holders[node] = _fold_holder(folded, days)
    for low, high, sightings in evidence.links:
        _fold_link(folded, low, high, sightings)
    for kept in evidence.facts:
        # That staff set somebody apart, or no longer, is nothing that they did.
        if is_reserved(kept):
            continue
        if kept.fact.kind is not EvidenceKind.DECISION:
            folded.seen.widen(kept.event_us, kept.event_us)
        if kept.fact.kind in _COUNTED_FACTS:
            folded.signals += 1
    return folded


def since(evidence: PersonEvidence, first_day: int) -> PersonEvidence:
    """What of a person's evidence is of this day or later; no consents and no decisions of staff.

    Of nodes those are left that something is known of since.
    """
    links = [
        (low, high, tuple([seen for seen in days if seen.day >= first_day]))
        for low, high, days in evidence.links
    ]
    activity = {
        node: {day: done for day, done in days.items() if day >= first_day}
        for node, days in evidence.activity.items()
    }
    facts = tuple(
        kept
        for kept in evidence.facts
        if kept.fact.kind in (EvidenceKind.RECORD, EvidenceKind.PURCHASE)
        and kept.event_us // DAY_US >= first_day
    )
    named = {node for low, high, days in links if days for node in (low, high)}
    named |= {node for node, days in activity.items() if days}
    named |= {subject for kept in facts for subject in kept.fact.subjects}
    return replace(
        evidence,
        nodes=tuple(node for node in evidence.nodes if node.key in named),
        links=tuple(link for link in links if link[2]),
        activity={node: days for node, days in activity.items() if days},
        facts=facts,
    )


def _fold_holder(folded: Folded, days: Mapping[int, ActivityDay]) -> Holder:
    cells: defaultdict[str, Daily] = defaultdict(list)
    for day, activity in days.items():
        for cell, n in activity.cells.items():
            cells[cell].append((day, n))
    activities = days.values()
    signals = sum([activity.count for activity in activities])
    first_us = min([activity.first_us for activity in activities])
    last_us = max([activity.last_us for activity in activities])
    acted = 0
    for cell, daily in cells.items():
        dimension, _, value = cell.partition(":")
        if dimension in _OF_DEVICES:
            continue
        if dimension == "type":
            acted += sum([n for _, n in daily])
        values = folded.daily.setdefault(dimension, {})
        values[value] = values[value] + daily if value in values else daily
    if acted:
        _fold_hours(folded.hours, days, whole=acted == signals)
    folded.signals += acted
    folded.seen.widen(first_us, last_us)
    return Holder(signals, Span(first_us, last_us), cells)


def _fold_hours(hours: list[int], days: Mapping[int, ActivityDay], *, whole: bool) -> None:
    for activity in days.values():
        by_hour = activity.hours if whole else _acted_by_hour(activity)
        for hour, n in by_hour.items():
            hours[hour] += n


def _acted_by_hour(activity: ActivityDay) -> Mapping[int, int]:
    """The day's hours, scaled down to the signals that did something (largest remainders).

    On a day on which a device was both, alone and beside an account, its hours
    do not say which was which.
    """
    acted = sum(n for cell, n in activity.cells.items() if cell.startswith(_TYPE))
    if acted >= activity.count:
        return activity.hours
    shares = {hour: divmod(n * acted, activity.count) for hour, n in activity.hours.items()}
    scaled = {hour: share for hour, (share, _) in shares.items()}
    missing = acted - sum(scaled.values())
    for hour in sorted(shares, key=lambda hour: (-shares[hour][1], hour))[:missing]:
        scaled[hour] += 1
    return scaled


def _fold_link(folded: Folded, low: NodeKey, high: NodeKey, sightings: Sequence[LinkDay]) -> None:
    if not sightings:
        return
    first_us = min([sighting.first_us for sighting in sightings])
    last_us = max([sighting.last_us for sighting in sightings])
    count = sum([sighting.count for sighting in sightings])
    folded.seen.widen(first_us, last_us)
    for node in (low, high):
        span, most = folded.paired.get(node) or (Span(), 0)
        span.widen(first_us, last_us)
        folded.paired[node] = (span, max(most, count))

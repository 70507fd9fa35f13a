"""Evidence derived from all that is known, and the difference between two such states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TypeVar

from identity.evidence import Known, fold, kept_fact
from identity.horizons import Horizons
from identity.model import (
    ActivityDay,
    Assurance,
    Changed,
    Contribution,
    Decision,
    EvidenceKind,
    KeptFact,
    LinkDay,
    Node,
    NodeEvidence,
    NodeKey,
    PersonEvidence,
    PersonId,
    Tie,
)

Pair = tuple[NodeKey, NodeKey]
K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class Evidence:
    """All live evidence: links by (low key, high key), activity by holder, facts by subject."""

    nodes: dict[NodeKey, Node] = field(default_factory=dict)
    links: dict[Pair, tuple[LinkDay, ...]] = field(default_factory=dict)
    beside: dict[NodeKey, set[NodeKey]] = field(default_factory=dict)
    activity: dict[NodeKey, dict[int, ActivityDay]] = field(default_factory=dict)
    facts: dict[NodeKey, dict[int, KeptFact]] = field(default_factory=dict)
    decisions: dict[int, Decision] = field(default_factory=dict)

    def link(self, key: NodeKey, other: NodeKey) -> tuple[LinkDay, ...]:
        """The days of a link that exists, whichever end comes first."""
        return self.links[(key, other) if key < other else (other, key)]

    def ties(self, key: NodeKey, shared: AbstractSet[NodeKey]) -> tuple[Tie, ...]:
        """A node's links as it sees them, by the other end's key."""
        ties = []
        for other in sorted(self.beside.get(key, ())):
            days = self.link(key, other)
            ties.append(
                Tie(
                    other=other,
                    other_order=self.nodes[other].order,
                    other_shared=other in shared,
                    days=tuple(sorted({day.day for day in days})),
                    count=sum(day.count for day in days),
                    first_us=min(day.first_us for day in days),
                    last_us=max(day.last_us for day in days),
                    authenticated=_authenticated(days),
                )
            )
        return tuple(ties)

    def at_nodes(self, keys: Iterable[NodeKey]) -> dict[NodeKey, NodeEvidence]:
        """What each node holds of its own, for nodes that have evidence."""
        return {
            key: NodeEvidence(
                self.nodes[key],
                tuple(fact for _, fact in sorted(self.facts.get(key, {}).items())),
                self.activity.get(key, {}),
            )
            for key in keys
            if key in self.nodes
        }

    def of_person(self, person: PersonId, keys: AbstractSet[NodeKey]) -> PersonEvidence:
        """All evidence among the nodes of one person."""
        present = sorted(key for key in keys if key in self.nodes)
        facts: dict[int, KeptFact] = {}
        for key in present:
            facts.update(self.facts.get(key, {}))
        return PersonEvidence(
            person=person,
            nodes=tuple(self.nodes[key] for key in present),
            links=tuple(
                (low, high, self.links[low, high])
                for low in present
                for high in sorted(self.beside.get(low, ()))
                if low < high and high in keys
            ),
            activity={key: self.activity[key] for key in present if key in self.activity},
            facts=tuple(fact for _, fact in sorted(facts.items())),
        )


def _authenticated(days: Iterable[LinkDay]) -> bool:
    return any(day.assurance is Assurance.AUTHENTICATED for day in days)


def derive(everything: Iterable[Known], horizons: Horizons) -> Evidence:
    """The evidence in all that counts now; parts before their horizon are left out."""
    counting = [live for known in everything if (live := known.live) is not None]
    evidence = Evidence()
    deltas = fold(counting, (), horizons)
    cells: dict[Pair, list[LinkDay]] = {}
    for (low, high, day, source, assurance), (count, first_us, last_us) in deltas.links.items():
        link_day = LinkDay(day, source, Assurance(assurance), count, first_us, last_us)
        cells.setdefault((low, high), []).append(link_day)
        evidence.beside.setdefault(low, set()).add(high)
        evidence.beside.setdefault(high, set()).add(low)
    for pair, days in cells.items():
        days.sort(key=lambda day: (day.day, day.source, day.assurance))
        evidence.links[pair] = tuple(days)
    for (holder, day), entry in deltas.activity.items():
        evidence.activity.setdefault(holder, {})[day] = ActivityDay(*entry)
    for content in counting:
        _keep_fact(evidence, content, horizons)
    for content in counting:
        for node in content.nodes:
            if (
                node.key in evidence.beside
                or node.key in evidence.activity
                or (node.key in evidence.facts)
            ):
                held = evidence.nodes.get(node.key)
                if held is None or (node.sealed and not held.sealed):
                    evidence.nodes[node.key] = node
    return evidence


def _keep_fact(evidence: Evidence, content: Contribution, horizons: Horizons) -> None:
    fact = content.fact
    if fact is None or content.day < horizons.get(fact.kind, content.day):
        return
    if fact.kind is EvidenceKind.DECISION:
        left, right = fact.subjects
        evidence.decisions[content.signal] = Decision(
            left, right, bool(fact.same), content.event_us, content.digest
        )
        return
    kept = kept_fact(content)
    for subject in fact.subjects:
        evidence.facts.setdefault(subject, {})[content.signal] = kept


def changes(before: Evidence, after: Evidence) -> dict[NodeKey, Changed]:
    """Every node whose evidence differs, and why it must be marked.

    A link that is seen again on a day it was already seen is activity; a new
    day, a first authenticated sighting and a node that had nothing so far are
    `ADDED`, their loss is `REMOVED`.
    """
    marks: dict[NodeKey, Changed] = {}
    for pair in _differing(before.links, after.links):
        changed = _link_change(before.links.get(pair, ()), after.links.get(pair, ()))
        for key in pair:
            marks[key] = marks.get(key, Changed(0)) | changed
    for key in [
        *_differing(before.activity, after.activity),
        *_differing(before.facts, after.facts),
    ]:
        marks[key] = marks.get(key, Changed(0)) | Changed.ACTIVITY
    for signal in _differing(before.decisions, after.decisions):
        for state in (before, after):
            if signal in state.decisions:
                for key in (state.decisions[signal].left, state.decisions[signal].right):
                    marks[key] = marks.get(key, Changed(0)) | Changed.DECIDED
    for key in before.nodes.keys() ^ after.nodes.keys():
        changed = Changed.ADDED if key in after.nodes else Changed.REMOVED
        marks[key] = marks.get(key, Changed(0)) | changed
    return marks


def _differing(before: Mapping[K, V], after: Mapping[K, V]) -> list[K]:
    return [key for key in {*before, *after} if before.get(key) != after.get(key)]


def _link_change(before: tuple[LinkDay, ...], after: tuple[LinkDay, ...]) -> Changed:
    changed = Changed.ACTIVITY
    days_before, days_after = {day.day for day in before}, {day.day for day in after}
    if days_after - days_before or (_authenticated(after) and not _authenticated(before)):
        changed |= Changed.ADDED
    if days_before - days_after or (_authenticated(before) and not _authenticated(after)):
        changed |= Changed.REMOVED
    return changed

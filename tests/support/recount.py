"""Every figure counted again the plainest way: by walking over people, one after the other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from identity.model import (
    DAY_US,
    Assurance,
    Contribution,
    EvidenceKind,
    LineageChange,
    LineageEntry,
    NodeKey,
    NodeView,
    PersonEvidence,
    PersonId,
    kind_of,
)
from identity.policy import IdentityPolicy
from identity.resolve import in_force
from identity.store import GraphStore
from kinfold.statistics.insight import Scoring
from profiles import consent
from profiles.purposes import PurposePolicy

Cells = Counter[tuple[str, str]]
ENDS = (0, 1, 2, 3, 4, 5, 10, 20, 50)


def band(number: int, ends: Iterable[int]) -> str:
    """A number's band."""
    start = 0
    for end in ends:
        if number <= end:
            return str(end) if start == end else f"{start}-{end}"
        start = end + 1
    return f"{start}+"


@dataclass
class Recount:
    """A store's people with their evidence and the signals that count."""

    store: GraphStore
    signals: list[Contribution]
    identity: IdentityPolicy
    purposes: PurposePolicy
    as_of_us: int
    models: tuple[Scoring, ...] = ()
    opened: Callable[[NodeKey, bytes], Mapping[str, str]] | None = None
    repeated: Container[tuple[int, bytes]] = ()

    def __post_init__(self) -> None:
        """Read everybody."""
        people = list(self.store.all_people())
        self.members: Mapping[PersonId, frozenset[NodeKey]] = self.store.members(people)
        self.person = {key: one for one, keys in self.members.items() for key in keys}
        self.evidence: Mapping[PersonId, PersonEvidence] = self.store.evidence(people)
        self.views = self.store.views(self.person)
        self.named: dict[PersonId, list[Contribution]] = defaultdict(list)
        for signal in self.signals:
            for one in {self.person[n.key] for n in signal.nodes if n.key in self.person}:
                self.named[one].append(signal)

    def is_account(self, key: NodeKey) -> bool:
        """Whether a node is an account."""
        kind = self.identity.kind(kind_of(key))
        return kind is not None and kind.account

    def is_device(self, key: NodeKey) -> bool:
        """Whether a node is a device."""
        kind = self.identity.kind(kind_of(key))
        return kind is not None and kind.device

    def all(self) -> dict[str, dict[tuple[str, str], int]]:
        """Every figure by its id; parts that nobody is in are left out."""
        told: dict[str, Cells] = {}
        for count in (
            self.sizes, self.knowledge, self.sources, self.links, self.sharing,
            self.changes, self.arrivals, self.consents, self.doings, self.scores, self.records,
        ):  # fmt: skip
            told |= count()
        return _without_nothing(told)

    def sizes(self) -> dict[str, Cells]:
        """How much there is, and per person."""
        told: dict[str, Cells] = defaultdict(Counter)
        spreads: dict[str, list[int]] = defaultdict(list)
        for keys in self.members.values():
            told["people_by_kind"]["", "all"] += 1
            for kind in {kind_of(key) for key in keys}:
                told["people_by_kind"]["", kind] += 1
            for key in keys:
                told["size"]["", kind_of(key)] += 1
            numbers = {
                "identifiers": sum(kind_of(key) != "record" for key in keys),
                "devices": sum(self.is_device(key) for key in keys),
                "records": sum(kind_of(key) == "record" for key in keys),
            }
            for name, n in numbers.items():
                told[f"{name}_per_person"]["", band(n, ENDS)] += 1
                spreads[name].append(n)
        for name, values in spreads.items():
            for part, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
                told["per_person_spread"][name, part] = min(
                    v for v in values if sum(w <= v for w in values) >= share * len(values) - 1e-9
                )
        return told

    def known(self, keys: Iterable[NodeKey]) -> str:
        """How well somebody with these nodes is known."""
        if any(self.is_account(key) for key in keys):
            return "has an account"
        if all(self.is_device(key) for key in keys):
            return "anonymous"
        return "has an address or record"

    def knowledge(self) -> dict[str, Cells]:
        """Known and anonymous, first logins, devices, ages."""
        told: dict[str, Cells] = defaultdict(Counter)
        for person, keys in self.members.items():
            known = self.known(keys)
            told["known"]["", known] += 1
            devices = sum(self.is_device(key) for key in keys)
            told["cross_device"][known, band(devices, (0, 1))] += 1
            signals = self.named[person]
            if known == "has an account":
                told["first_login"]["", self._first_login(signals, keys)] += 1
            told["last_seen"]["", self._age(signals)] += 1
        return told

    def _first_login(self, signals: list[Contribution], keys: frozenset[NodeKey]) -> str:
        logins = [
            s.event_us
            for s in signals
            if s.assurance is Assurance.AUTHENTICATED
            and any(self.is_account(n.key) and n.key in keys for n in s.nodes)
        ]
        if not logins:
            return "never"
        hours = (min(logins) - min(s.event_us for s in signals)) / 3_600_000_000
        limits = {"within an hour": 1, "within a day": 24, "within a week": 168,
                  "within 30 days": 720, "within 90 days": 2160}  # fmt: skip
        return next((name for name, limit in limits.items() if hours <= limit), "later")

    def _age(self, signals: list[Contribution]) -> str:
        if not signals:
            return "not remembered"
        days = (self.as_of_us - max(s.event_us for s in signals)) / DAY_US
        limits = {"within a day": 1, "within 7 days": 7, "within 30 days": 30,
                  "within 90 days": 90, "within a year": 365}  # fmt: skip
        return next((name for name, limit in limits.items() if days < limit), "longer ago")

    def sources(self) -> dict[str, Cells]:
        """Who knows whom."""
        told: dict[str, Cells] = defaultdict(Counter)
        for person, keys in self.members.items():
            pairs = {
                (s.source, kind_of(n.key))
                for s in self.named[person]
                for n in s.nodes
                if n.key in keys
            }
            for source, kind in pairs:
                matched = "matched" if len(keys) > 1 else "alone"
                told["match_rate"][f"{source} {kind}", matched] += 1
            sources = len({source for source, _ in pairs})
            if sources:
                told["cross_source"]["", band(sources, (0, 1, 2, 3, 4))] += 1
        return told

    def links(self) -> dict[str, Cells]:
        """What people rest on."""
        cells: Cells = Counter()
        for key, view in self.views.items():
            for tie in view.ties:
                if key > tie.other or tie.other not in self.person:
                    continue
                if self.person[key] != self.person[tie.other]:
                    cells["", "joins nobody"] += 1
                elif tie.authenticated and self.is_account(key) and self.is_account(tie.other):
                    cells["", "authenticated"] += 1
                else:
                    cells["", "observed"] += 1
        for decision in in_force(self.store.decisions(self.person)):
            left, right = self.person.get(decision.left), self.person.get(decision.right)
            if decision.same and left is not None and left == right:
                cells["", "decided"] += 1
        for model in self.models:
            for low, high, mbits in self.scored(model):
                cells["", "scored"] += (
                    self.person[low] == self.person[high] and mbits >= model.link_mbits
                )
        return {"links_by_basis": cells}

    def scored(self, model: Scoring) -> list[tuple[NodeKey, NodeKey, int]]:
        """Pairs of somebody's nodes that a model scored, the lesser key first."""
        return [
            (low, high, mbits)
            for low, others in self.store.scored(self.person).items()
            for high, mbits in others.items()
            if low < high and high in self.person and kind_of(low) in model.kinds
        ]

    def scores(self) -> dict[str, Cells]:
        """Scored links, and what decisions say of them."""
        told: dict[str, Cells] = defaultdict(Counter)
        for model in self.models:
            name = f"{model.name} {model.pin[:8]}"
            weight = {}
            for low, high, mbits in self.scored(model):
                weight[low, high] = mbits
                one = self.person[low] == self.person[high]
                whose = "of one person" if one else "of two people"
                bits = mbits // 2_000 * 2
                part = "20+" if bits >= 20 else f"{bits}-{bits + 1}"
                told["score_distribution"][f"{name}, {whose}", part] += 1
            for decision in in_force(self.store.decisions(self.person)):
                pair = (min(decision.left, decision.right), max(decision.left, decision.right))
                if not all(end in self.person and kind_of(end) in model.kinds for end in pair):
                    continue
                answer = "the same" if decision.same else "not the same"
                found = weight.get(pair)
                linked = "linked" if found is not None and found >= model.link_mbits else ""
                told["decided_pairs"][f"{name}, {linked or 'not linked'}", answer] += 1
                if found is not None:
                    tenth = min(int(model.probability(found) * 10), 9) * 10
                    told["calibration"][f"{name}, {tenth:02}-{tenth + 10} %", answer] += 1
        return told

    def records(self) -> dict[str, Cells]:
        """What records hold, where a model compares them."""
        cells: Cells = Counter()
        if self.opened is None or not any("record" in model.kinds for model in self.models):
            return {}
        for evidence in self.store.evidence_at(self.person, activity=False).values():
            for kept in evidence.facts:
                if kept.fact.kind is EvidenceKind.RECORD:
                    cells["", "all"] += 1
                    for name in self.opened(evidence.node.key, kept.fact.payload):
                        cells["", name] += 1
        return {"record_attributes": cells}

    def sharing(self) -> dict[str, Cells]:
        """Shared identifiers by the highest kind that too many values of stand beside them."""
        cells: Cells = Counter()
        for key, view in self.views.items():
            if view.shared and view.person is not None:
                over = [kind for kind in self._kinds_above(key) if self._too_many(view, kind)]
                cells[kind_of(key), over[-1] if over else "no longer"] += 1
        return {"shared": cells}

    def _kinds_above(self, key: NodeKey) -> list[str]:
        """Kinds of higher priority, the highest last."""
        own, kinds = self.identity.kinds[kind_of(key)], self.identity.kinds
        above = [name for name, kind in kinds.items() if kind.priority > own.priority]
        return sorted(above, key=lambda name: (kinds[name].priority, name))

    def _too_many(self, view: NodeView, kind: str) -> bool:
        own = self.identity.kinds[kind_of(view.key)]
        limit = own.shared_beside.get(kind, own.shared_beside.get(""))
        ties = [tie for tie in view.ties if kind_of(tie.other) == kind]
        width = own.shared_window_days or 10**6
        windows = [{day - back for back in range(min(width, 400))} for t in ties for day in t.days]
        most = max(
            (sum(not within.isdisjoint(t.days) for t in ties) for within in windows), default=0
        )
        return limit is not None and most > limit

    def changes(self) -> dict[str, Cells]:
        """What became of ids."""
        entries: dict[tuple[int, PersonId, PersonId | None, LineageChange], LineageEntry] = {}
        for person in self.store.all_ids():
            for one in self.store.lineage(person):
                entries[one.resolution, one.person, one.other, one.change] = one
        cells: Cells = Counter()
        split = {
            (one.person, one.resolution)
            for one in entries.values()
            if one.change is LineageChange.SPLIT
        }
        for one in entries.values():
            week = monday(one.at_us)
            if one.change is LineageChange.CREATED and (one.person, one.resolution) in split:
                parents = [
                    each.other
                    for each in entries.values()
                    if each.change is LineageChange.SPLIT and each.person == one.person
                ]
                before = any(
                    each.change is LineageChange.MERGED
                    and each.other in parents
                    and each.resolution < one.resolution
                    for each in entries.values()
                )
                cells[week, "reversed" if before else "split"] += 1
            elif one.change is not LineageChange.SPLIT:
                cells[week, one.change.name.lower()] += 1
        return {"changes_by_week": cells}

    def arrivals(self) -> dict[str, Cells]:
        """Signals by source and lateness."""
        told: dict[str, Cells] = defaultdict(Counter)
        for signal in self.signals:
            late_s = (signal.published_us - signal.event_us) / 1_000_000
            limits = {"a minute": 60, "an hour": 3_600, "a day": 86_400, "a week": 604_800}
            late = next((name for name, limit in limits.items() if late_s < limit), "more")
            if not any(node.key in self.person for node in signal.nodes):
                continue
            told["signals_by_source"]["", signal.source] += 1
            told["repeated"]["", signal.source] += (signal.signal, signal.digest) in self.repeated
            told["lateness"][signal.source, late] += 1
        return told

    def consents(self) -> dict[str, Cells]:
        """What holds for each purpose, as a lookup would have it."""
        told: dict[str, Cells] = defaultdict(Counter)
        for person, keys in self.members.items():
            evidence = self.evidence.get(person)
            holds: dict[str, consent.ConsentDecision] = {}
            if evidence is not None:
                made = consent.decisions(evidence.facts, keys)
                holds = consent.standing(made, consent.joins(evidence))
            told["restricted"]["", "all"] += 1
            if evidence is not None:
                for reserved in consent.set_apart(evidence):
                    told["restricted"]["", reserved.replace("_", " ")] += 1
            seen = consent.Circumstances(self._places(person))
            for purpose in self.purposes.purposes:
                verdict = consent.judge(purpose, holds.get(purpose.name), seen)
                told["consent"][purpose.name, verdict.why.value] += 1
                where = f"{self._country(person)}, {verdict.why.value}"
                told["consent_by_jurisdiction"][purpose.name, where] += 1
                for part, bits in self.purposes.serves.items():
                    field, _, kind = part.partition(".")
                    if field != "identifiers" or not kind or not bits & purpose.bit:
                        continue
                    has = any(
                        kind_of(k) == kind and not (k in self.views and self.views[k].shared)
                        for k in keys
                    )
                    reach = "reachable" if verdict.granted else "no consent"
                    if evidence is not None and consent.set_apart(evidence):
                        reach = "restricted"
                    name = f"{kind} for {purpose.name}"
                    told["reach"][name, reach if has else "no address"] += 1
        return told

    def _country(self, person: PersonId) -> str:
        countries = {place.partition("-")[0] for place in self._places(person) if place}
        return "several" if len(countries) > 1 else next(iter(countries), "unknown")

    def _places(self, person: PersonId) -> frozenset[str]:
        places = {cell.partition(":")[2] for cell in self._cells(person, "place")}
        if any(kind_of(key) == "record" for key in self.members[person]):
            places.add("")
        return frozenset(places)

    def _cells(self, person: PersonId, dimension: str) -> dict[str, int]:
        """Cells of one dimension with their last day."""
        last: dict[str, int] = {}
        evidence = self.evidence.get(person)
        for days in evidence.activity.values() if evidence else ():
            for day, did in days.items():
                cells = {f"hour:{hour:02d}" for hour in did.hours} | set(did.cells)
                for cell in cells:
                    if cell.partition(":")[0] == dimension:
                        last[cell] = max(last.get(cell, day), day)
        return last

    def doings(self) -> dict[str, Cells]:
        """Categories and hours."""
        told: dict[str, Cells] = defaultdict(Counter)
        told["affinities"]["ever", "all"] += 0
        for person in self.members:
            for dimension, figure in (("category", "affinities"), ("hour", "hours")):
                cells = self._cells(person, dimension)
                lately = {c for c, day in cells.items() if day > self.as_of_us // DAY_US - 30}
                when = (("ever", set(cells)), ("last 30 days", lately))
                for group, some in when if figure == "affinities" else (("", set(cells)),):
                    told[figure][group, "all"] += bool(some)
                    for cell in some:
                        told[figure][group, cell.partition(":")[2]] += 1
        return told


def monday(at_us: int) -> str:
    """The Monday of a moment's week."""
    day = datetime.fromtimestamp(at_us / 1_000_000, UTC).date()
    return (day - timedelta(days=day.weekday())).isoformat()


def told_by(figures: Iterable[Any]) -> dict[str, dict[tuple[str, str], int]]:
    """What figures say, in the words of a recount."""
    return _without_nothing({figure.spec.id: figure.exact() for figure in figures})


def _without_nothing(
    told: Mapping[str, Mapping[tuple[str, str], int]],
) -> dict[str, dict[tuple[str, str], int]]:
    counted = {name: {c: n for c, n in cells.items() if n} for name, cells in told.items()}
    return {name: cells for name, cells in counted.items() if cells}

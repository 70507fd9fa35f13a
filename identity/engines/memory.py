"""The reference engine: every answer is derived anew from what is known of each signal.

It keeps nothing that could go stale: links, activity and facts are folded from
all live contributions after each change, and what to mark is the difference
between before and after. Slow by design; other engines are compared with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import RLock

from identity.engines.memory_evidence import Evidence, changes, derive
from identity.engines.memory_matching import MatchingState
from identity.engines.memory_rotating import rekey_all, rewrap_some
from identity.evidence import Known, erase, expire, named_by, settle
from identity.horizons import NO_DAY
from identity.model import (
    BlockKey,
    Changed,
    Decision,
    Expiring,
    LineageChange,
    LineageEntry,
    LinkDay,
    Mark,
    NodeEvidence,
    NodeKey,
    NodeView,
    OutboxEntry,
    PersonEvidence,
    PersonId,
    kind_of,
)
from identity.rotating import Rekey, Rewrap, Trim, cut
from identity.store import (
    NO_KEYS,
    Batch,
    Checkpoint,
    Fenced,
    KeyAge,
    Lease,
    Outcome,
    Resolution,
    Rewrapped,
    Swept,
    Totals,
)


@dataclass(slots=True)
class MemoryGraph:
    """What several store objects share; holding `lock` is being in a transaction."""

    lock: RLock = field(default_factory=RLock)
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    horizons: dict[Expiring, int] = field(default_factory=dict)
    cutoffs: dict[str, int] = field(default_factory=dict)
    fences: dict[NodeKey, int] = field(default_factory=dict)
    keys: KeyAge = NO_KEYS
    known: dict[int, Known] = field(default_factory=dict)
    evidence: Evidence = field(default_factory=Evidence)
    marks: dict[NodeKey, tuple[int, Changed]] = field(default_factory=dict)
    markings: int = 0
    people: dict[NodeKey, PersonId] = field(default_factory=dict)
    shared: set[NodeKey] = field(default_factory=set)
    lease: Lease = field(default_factory=lambda: Lease("", 0))
    lease_until_ms: int = 0
    resolution: int = 0
    lineage: list[LineageEntry] = field(default_factory=list)
    stands_for: dict[PersonId, PersonId | None] = field(default_factory=dict)
    outbox: dict[PersonId, OutboxEntry] = field(default_factory=dict)
    matching: MatchingState = field(default_factory=MatchingState)
    folding: str = ""

    def remember(self, known: Mapping[int, Known], forgotten: Iterable[int] = ()) -> None:
        """Replace what is known of some signals, and mark every node whose evidence changed."""
        self.known.update(known)
        for signal in forgotten:
            del self.known[signal]
        before, self.evidence = self.evidence, derive(self.known.values(), self.horizons)
        for key, changed in changes(before, self.evidence).items():
            if key in self.evidence.nodes or key in before.nodes or key in self.people:
                self.mark(key, changed)

    def mark(self, key: NodeKey, changed: Changed) -> None:
        """Mark a node once more."""
        self.markings += 1
        _, so_far = self.marks.get(key, (0, Changed(0)))
        self.marks[key] = (self.markings, so_far | changed)


class MemoryGraphStore:
    """`GraphStore` in this process's memory; gone with it. Stores given one graph share it."""

    def __init__(self, graph: MemoryGraph | None = None) -> None:
        self._graph = graph if graph is not None else MemoryGraph()

    def close(self) -> None:
        """Nothing is held."""

    # ---- consumers -------------------------------------------------------

    def claim(self, partition: str) -> Checkpoint:
        """Become the owner of a partition: raise its epoch by one and return the checkpoint."""
        with self._graph.lock:
            held = self._checkpoint(partition)
            return self._set(replace(held, epoch=held.epoch + 1))

    def _checkpoint(self, partition: str) -> Checkpoint:
        return self._graph.checkpoints.get(partition, Checkpoint(partition, b"", 0))

    def _set(self, checkpoint: Checkpoint) -> Checkpoint:
        self._graph.checkpoints[checkpoint.partition] = checkpoint
        return checkpoint

    def commit(self, batch: Batch) -> list[Outcome]:
        """Count a batch, see `GraphStore.commit`."""
        graph = self._graph
        with graph.lock:
            if self._checkpoint(batch.expected.partition) != batch.expected:
                raise Fenced("another consumer has taken over the partition")
            if batch.contributions:
                graph.keys.admit(batch.keys)
            settled = settle(graph.known, batch.contributions, graph.horizons, graph.fences)
            graph.remember(settled.known)
            self._set(replace(batch.expected, position=batch.position))
            return settled.outcomes

    def fence(self, fences: Mapping[NodeKey, int]) -> None:
        """Keep out whatever names one of the nodes and happened up to its moment."""
        graph = self._graph
        with graph.lock:
            for key, until_us in fences.items():
                graph.fences[key] = max(until_us, graph.fences.get(key, 0))
            people = {graph.people[key] for key in fences if key in graph.people}
            if people:
                graph.resolution += 1
            for person in people:
                graph.outbox[person] = OutboxEntry(person, graph.resolution)

    def fences(self, keys: Iterable[NodeKey]) -> dict[NodeKey, int]:
        """The moment up to which each node is fenced."""
        with self._graph.lock:
            fences = self._graph.fences
            return {key: fences[key] for key in keys if key in fences}

    def lift(self, fences: Mapping[NodeKey, int]) -> None:
        """Lower fences to these moments."""
        held = self._graph.fences
        with self._graph.lock:
            for key in fences.keys() & held.keys():
                held[key] = min(fences[key], held[key])
                if not held[key]:
                    del held[key]

    def sweep(self, keys: Iterable[NodeKey]) -> Swept:
        """Remove all that the fences of these nodes keep out."""
        graph = self._graph
        with graph.lock:
            fences = self.fences(keys)
            left = {
                signal: after
                for signal, known in graph.known.items()
                if (after := erase(known, fences)) is not known
            }
            before = sum(len(graph.known[signal].seen) for signal in left)
            kept = {signal: known for signal, known in left.items() if known is not None}
            graph.remember(kept, left.keys() - kept.keys())
            return Swept(before - sum(len(known.seen) for known in kept.values()))

    def keys(self) -> KeyAge:
        """How old keys may be for a batch to be taken in."""
        with self._graph.lock:
            return self._graph.keys

    def require(self, keys: KeyAge) -> None:
        """From now on take in no contribution made under older keys."""
        with self._graph.lock:
            self._graph.keys = self._graph.keys.newest(keys)

    def rewrap(self, rewrap: Rewrap, after: bytes, limit: int) -> Rewrapped:
        """Put the sealed values of about `limit` signals through `rewrap`."""
        with self._graph.lock:
            return rewrap_some(self._graph, rewrap, after, limit)

    def rekey(self, lease: Lease, rekey: Rekey, keys: KeyAge) -> bool:
        """Give every node the key that `rekey` makes of its own."""
        graph = self._graph
        with graph.lock:
            self._hold(lease)
            if not graph.keys.is_older(keys):
                return False
            rekey_all(graph, rekey)
            graph.keys = graph.keys.newest(keys)
            return True

    def horizons(self) -> dict[Expiring, int]:
        """Per kind the day before which evidence has expired."""
        with self._graph.lock:
            return dict(self._graph.horizons)

    def move_horizon(self, kind: Expiring, before_day: int) -> None:
        """Expire all evidence of the kind with a day before `before_day`."""
        graph = self._graph
        with graph.lock:
            if before_day <= graph.horizons.get(kind, before_day - 1):
                return
            graph.horizons[kind] = before_day
            left = {signal: expire(known, graph.horizons) for signal, known in graph.known.items()}
            graph.remember(
                {signal: known for signal, known in left.items() if known is not None},
                [signal for signal, known in left.items() if known is None],
            )

    def cutoffs(self) -> dict[str, int]:
        """Per use the day before which nothing is used for it."""
        with self._graph.lock:
            return dict(self._graph.cutoffs)

    def move_cutoff(self, name: str, before_day: int, trim: Trim | None = None) -> None:
        """Mark whoever has evidence of the days left behind, with `trim` whose records changed."""
        graph = self._graph
        with graph.lock:
            from_day = graph.cutoffs.get(name, NO_DAY)
            if before_day <= from_day:
                return
            cuts = {
                signal: cut(known, from_day, before_day, trim)
                for signal, known in graph.known.items()
            }
            graph.cutoffs[name] = before_day
            graph.remember({signal: made.known for signal, made in cuts.items()})
            for key in sorted(set().union(*(made.marked for made in cuts.values()))):
                if key in graph.evidence.nodes:
                    graph.mark(key, Changed.ACTIVITY)

    # ---- the resolver ----------------------------------------------------

    def acquire_lease(self, owner: str, now_ms: int, lease_ms: int) -> Lease | None:
        """Take or renew the lease; None while another owner's has not run out."""
        graph = self._graph
        with graph.lock:
            if graph.lease.owner != owner or graph.lease.epoch == 0:
                if now_ms < graph.lease_until_ms:
                    return None
                graph.lease = Lease(owner, graph.lease.epoch + 1)
            graph.lease_until_ms = now_ms + lease_ms
            return graph.lease

    def _hold(self, lease: Lease) -> None:
        if self._graph.lease != lease:
            raise Fenced("another resolver has taken over the lease")

    def marks(self, limit: int) -> list[Mark]:
        """At most `limit` dirty nodes, longest marked first."""
        graph = self._graph
        with graph.lock:
            marks = list(graph.marks.items())[:limit]
            return [
                Mark(key, count, changed, key in graph.shared) for key, (count, changed) in marks
            ]

    def views(self, keys: Iterable[NodeKey]) -> dict[NodeKey, NodeView]:
        """The nodes that have live evidence, with their ties."""
        graph = self._graph
        with graph.lock:
            return {
                key: NodeView(
                    key=key,
                    order=graph.evidence.nodes[key].order,
                    shared=key in graph.shared,
                    person=graph.people.get(key),
                    ties=graph.evidence.ties(key, graph.shared),
                )
                for key in keys
                if key in graph.evidence.nodes
            }

    def decisions(self, keys: Iterable[NodeKey]) -> list[Decision]:
        """Live decisions of staff with an end among the keys, each once."""
        wanted = set(keys)
        with self._graph.lock:
            return [
                decision
                for decision in self._graph.evidence.decisions.values()
                if decision.left in wanted or decision.right in wanted
            ]

    def members(self, people: Iterable[PersonId]) -> dict[PersonId, frozenset[NodeKey]]:
        """The nodes assigned to each person; people with none are left out."""
        found: dict[PersonId, set[NodeKey]] = {person: set() for person in people}
        with self._graph.lock:
            for key, person in self._graph.people.items():
                if person in found:
                    found[person].add(key)
        return {person: frozenset(keys) for person, keys in found.items() if keys}

    def commit_resolution(self, lease: Lease, resolution: Resolution) -> int:
        """Write a resolution in one transaction and return its number, else `Fenced`."""
        graph = self._graph
        with graph.lock:
            self._hold(lease)
            graph.resolution += 1
            self._assign(resolution)
            for entry in resolution.lineage:
                graph.lineage.append(replace(entry, resolution=graph.resolution))
                stands_for = {
                    LineageChange.MERGED: entry.other,
                    LineageChange.RETIRED: None,
                }.get(entry.change, entry.person)
                graph.stands_for[entry.person] = stands_for
            for waiting in resolution.outbox:
                graph.outbox[waiting.person] = replace(waiting, resolution=graph.resolution)
            for mark in resolution.cleared:
                if graph.marks.get(mark.key, (0, 0))[0] == mark.count:
                    del graph.marks[mark.key]
            graph.matching.apply(resolution.matching)
            if resolution.folding is not None:
                graph.folding = resolution.folding
            for key in resolution.matching.marked:
                if key in graph.evidence.nodes or key in graph.people:
                    graph.mark(key, Changed.ADDED)
            return graph.resolution

    def _assign(self, resolution: Resolution) -> None:
        graph = self._graph
        for key, person in resolution.people.items():
            if person is not None:
                graph.people[key] = person
            else:
                graph.people.pop(key, None)
        for key, shared in resolution.shared.items():
            if shared and key in graph.evidence.nodes:
                graph.shared.add(key)
            else:
                graph.shared.discard(key)
        graph.shared.intersection_update(graph.evidence.nodes.keys() | graph.people.keys())

    # ---- matching --------------------------------------------------------

    def evidence_at(
        self, keys: Iterable[NodeKey], *, activity: bool = True
    ) -> dict[NodeKey, NodeEvidence]:
        """What each node holds of its own."""
        del activity
        with self._graph.lock:
            return self._graph.evidence.at_nodes(keys)

    def nodes_of(self, kind: str, after: NodeKey, limit: int) -> list[NodeKey]:
        """At most `limit` nodes of a kind with a greater key than `after`, by key."""
        with self._graph.lock:
            graph = self._graph
            # Whoever is gone stays in the index until it is resolved.
            nodes = graph.evidence.nodes.keys() | graph.matching.keys.keys()
            return sorted(key for key in nodes if kind_of(key) == kind and key > after)[:limit]

    def model(self) -> str:
        """What the index of matching is of."""
        with self._graph.lock:
            return self._graph.matching.model

    def block_keys(self, keys: Iterable[NodeKey]) -> dict[NodeKey, tuple[BlockKey, ...]]:
        """The block keys of each node in ascending order."""
        with self._graph.lock:
            known = self._graph.matching.keys
            return {key: known[key] for key in keys if key in known}

    def blocks(
        self, keys: Iterable[BlockKey], at_most: int
    ) -> dict[BlockKey, tuple[int, tuple[NodeKey, ...]]]:
        """Size and members of each block; of larger ones than `at_most` the size alone."""
        with self._graph.lock:
            return self._graph.matching.members(keys, at_most)

    def scored(self, keys: Iterable[NodeKey]) -> dict[NodeKey, dict[NodeKey, int]]:
        """The scored links of each node."""
        with self._graph.lock:
            links = self._graph.matching.links
            return {key: dict(links[key]) for key in keys if links.get(key)}

    # ---- the feeder ------------------------------------------------------

    def outbox(self, limit: int) -> list[OutboxEntry]:
        """At least all entries of the lowest resolutions, up to about `limit`, never cut in two."""
        with self._graph.lock:
            waiting = sorted(
                self._graph.outbox.values(), key=lambda entry: (entry.resolution, entry.person)
            )
        if len(waiting) <= limit:
            return waiting
        last = waiting[max(limit, 1) - 1].resolution
        return [entry for entry in waiting if entry.resolution <= last]

    def evidence(self, people: Iterable[PersonId]) -> dict[PersonId, PersonEvidence]:
        """All live evidence of each person; people with no node are left out."""
        with self._graph.lock:
            return {
                person: self._graph.evidence.of_person(person, keys)
                for person, keys in self.members(people).items()
            }

    def folding(self) -> str:
        """By what profiles are folded."""
        with self._graph.lock:
            return self._graph.folding

    def clear_outbox(self, lease: Lease, entries: Sequence[OutboxEntry]) -> None:
        """Remove entries whose resolution is still the one given, else `Fenced`."""
        graph = self._graph
        with graph.lock:
            self._hold(lease)
            for entry in entries:
                held = graph.outbox.get(entry.person)
                if held is not None and held.resolution == entry.resolution:
                    del graph.outbox[entry.person]

    # ---- readers ---------------------------------------------------------

    def link_days(
        self, pairs: Iterable[tuple[NodeKey, NodeKey]]
    ) -> dict[tuple[NodeKey, NodeKey], tuple[LinkDay, ...]]:
        """Daily sightings of each pair as given, ordered by day, source, assurance."""
        with self._graph.lock:
            links = self._graph.evidence.links
            found = {(left, right): links.get(_low_high(left, right)) for left, right in pairs}
            return {pair: days for pair, days in found.items() if days is not None}

    def named_by(self, signals: Iterable[int]) -> dict[int, frozenset[NodeKey]]:
        """Every node that each signal that counts says something of."""
        with self._graph.lock:
            known = self._graph.known
            return named_by({one: known[one] for one in signals if one in known})

    def person_of(self, keys: Iterable[NodeKey]) -> dict[NodeKey, PersonId]:
        """The person each node is assigned to; unassigned nodes are left out."""
        with self._graph.lock:
            people = self._graph.people
            return {key: people[key] for key in keys if key in people}

    def current(self, person: PersonId) -> PersonId | None:
        """The id that an id stands for now; None when never given out or nobody's."""
        with self._graph.lock:
            stands_for = self._graph.stands_for
            at: PersonId | None = person
            while at is not None and stands_for.get(at) != at:
                at = stands_for.get(at)
            return at

    def lineage(self, person: PersonId) -> list[LineageEntry]:
        """Entries of the id and of all ids connected with it, oldest first."""
        connected = {person}
        with self._graph.lock:
            while True:
                found = [
                    entry
                    for entry in self._graph.lineage
                    if entry.person in connected or entry.other in connected
                ]
                wider = connected.union(*(_ids_of(entry) for entry in found))
                if wider == connected:
                    return found
                connected = wider

    def all_people(self) -> Iterator[PersonId]:
        """Every current person id, in no promised order."""
        with self._graph.lock:
            return iter(set(self._graph.people.values()))

    def all_ids(self) -> Iterator[PersonId]:
        """Every id ever given out."""
        with self._graph.lock:
            return iter(list(self._graph.stands_for))

    def totals(self) -> Totals:
        """Counts over the whole graph."""
        graph = self._graph
        with graph.lock:
            kinds: dict[str, int] = {}
            for key in {*graph.evidence.nodes, *graph.people}:
                kinds[kind_of(key)] = kinds.get(kind_of(key), 0) + 1
            return Totals(
                nodes=kinds,
                links=len(graph.evidence.links),
                people=len(set(graph.people.values())),
                signals=sum(bool(known.seen) for known in graph.known.values()),
                marks=len(graph.marks),
                outbox=len(graph.outbox),
            )


def _low_high(left: NodeKey, right: NodeKey) -> tuple[NodeKey, NodeKey]:
    return (left, right) if left < right else (right, left)


def _ids_of(entry: LineageEntry) -> set[PersonId]:
    return {entry.person} if entry.other is None else {entry.person, entry.other}

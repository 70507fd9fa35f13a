"""The resolver: turns marks into people, one neighbourhood at a time.

It is the only writer of people, under a fenced lease. It clears a mark only at
the count it read, so whatever a consumer committed meanwhile is resolved again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from identity.allowing import Facts
from identity.lineage import Assignment, assign
from identity.matching.comparing import Comparer
from identity.matching.index import NOTHING, MatchIndex, kinds_of
from identity.model import Changed, LineageChange, Mark, NodeKey, OutboxEntry, PersonId
from identity.neighbourhood import Neighbourhood, gather
from identity.policy import IdentityPolicy, is_account
from identity.resolve import apart_of, partition
from identity.store import GraphStore, Lease, Matching, Resolution, StoreError

_CLOCKS_APART_US = 60_000_000
"""By how much the clocks of who resolves and of who erases may differ."""


@dataclass(frozen=True, slots=True)
class Drained:
    """What one run of the resolver did. `resolution` is its number."""

    resolution: int
    marks: int
    nodes: int
    created: int
    merged: int
    split: int
    published: int


class Resolver:
    """Drains marks of one store under one policy and, where there are any, match models.

    `new_id` gives a new person id at each call; it must never repeat one.
    `comparers` bring a model each; see `use`. `index` is what they make of the
    store's evidence, for readers that leave it as it is.
    """

    def __init__(
        self,
        store: GraphStore,
        policy: IdentityPolicy,
        new_id: Callable[[], PersonId],
        comparers: Sequence[Comparer] = (),
    ) -> None:
        self._store = store
        self._policy = policy
        self._new_id = new_id
        self.use(comparers)

    def use(self, comparers: Sequence[Comparer]) -> None:
        """Match by other models from now on.

        Before the next marks are drained the index is made anew, with people
        as they were; then whoever differs under the new models is resolved.
        """
        self.index = MatchIndex(self._store, comparers)
        self._facts = Facts(self._store)
        self._asked = any(own.may_join is not None for own in comparers)
        self._lease: Lease | None = None

    def drain(self, lease: Lease, now_us: int, limit: int = 5_000) -> Drained | None:
        """Resolve at most `limit` marks in one resolution; None when there are none.

        1. Read the marks.
        2. Weigh whatever is marked and compared anew.
        3. Gather the neighbourhood of what concerns identity; where facts say who
           may be joined, of whatever has others, too.
        4. Cluster it and give the blocks their ids.
        5. Commit people, ids, outbox, index and cleared marks together.

        Raises `Fenced` when the lease was taken over and `StoreUnavailable`
        when the store stayed out of reach; either way nothing was written.
        """
        try:
            if lease != self._lease:
                self._catch_up(lease, limit)
            marks = self._store.marks(limit)
            return self._resolve(lease, marks, now_us) if marks else None
        except StoreError:
            self._lease = None
            raise

    def _resolve(self, lease: Lease, marks: Sequence[Mark], now_us: int) -> Drained:
        updated = self.index.update(mark.key for mark in marks) if self.index.model else NOTHING
        changed = _concerning_identity(marks) | updated.touched
        if self._asked:
            changed |= self._facts.changed(marks)
        area = gather(self._store, self._policy, changed, self.index)
        removed = {mark.key for mark in marks if mark.changed & Changed.REMOVED}
        assignment = self._cluster(area, now_us, removed)
        self._publish_marked(area, assignment, marks)
        resolution = Resolution(
            people=assignment.people,
            shared=area.flips(),
            lineage=assignment.entries,
            outbox=assignment.outbox,
            cleared=marks,
            matching=updated.matching,
        )
        number = self._store.commit_resolution(lease, resolution)
        return _drained(number, resolution, area)

    def forget(self) -> None:
        """Let go of what is kept in memory of nodes, after keys were rotated."""
        self.index.forget()
        self._facts.forget()

    def _catch_up(self, lease: Lease, limit: int) -> None:
        """Make the index one of the present models, with a mark on all that it changed.

        Cut short, it begins again: what is done already changes nothing.
        """
        # Whoever held the lease in between may have changed the index.
        self.index.forget()
        self._facts.forget()
        former = self._store.model()
        if former != self.index.model:
            for kind in sorted({*self.index.kinds, *kinds_of(former)}):
                self._index_anew(lease, kind, limit)
            self._write(lease, Matching(model=self.index.model))
        self._lease = lease

    def _index_anew(self, lease: Lease, kind: str, limit: int) -> None:
        after = ""
        while keys := self._store.nodes_of(kind, after, limit):
            after = keys[-1]
            updated = self.index.update(keys, anew=True)
            changed = updated.matching
            self._write(lease, Matching(changed.keys, changed.links, sorted(updated.touched)))

    def _write(self, lease: Lease, matching: Matching) -> None:
        self._store.commit_resolution(lease, Resolution({}, {}, [], [], [], matching))

    def _cluster(
        self, area: Neighbourhood, now_us: int, removed: AbstractSet[NodeKey]
    ) -> Assignment:
        links = area.links(self._policy)
        apart = apart_of(area.decisions)
        scored = area.scored(self.index, self._store, self._facts.used)
        blocks = partition(area.views, links, apart, self._policy, scored)
        blocks.sort(key=min)
        erased = self._erased(area, removed)
        return assign(blocks, area.held, self._policy, self._new_id, now_us, erased)

    def _erased(self, area: Neighbourhood, removed: AbstractSet[NodeKey]) -> set[PersonId]:
        """People of whom evidence of fenced nodes was swept and no account is left but what was
        theirs: their ids end here.

        What is left of them, for example a household's phone, may go to others,
        and they must not be found by an erased person's id. Nor must they
        themselves when they are back already while they are swept.
        """
        views = area.views
        gone = {key for members in area.held.values() for key in members if key not in views}
        swept = self._store.fences(gone | removed) if gone or removed else {}
        if not swept:
            return set()
        suspects = {
            person: members
            for person, members in area.held.items()
            if not swept.keys().isdisjoint(members)
        }
        fences = self._store.fences(key for members in suspects.values() for key in members)
        return {
            person
            for person, members in suspects.items()
            if self._is_from_before(person, [fences[key] for key in members if key in swept])
            and not any(
                key in views and key not in fences and is_account(key, self._policy)
                for key in members
            )
        }

    def _is_from_before(self, person: PersonId, fences_us: Sequence[int]) -> bool:
        """Whether an id was given out before a fence was raised: who came back since has another,
        which lasts like any.
        """
        given_us = [
            entry.at_us
            for entry in self._store.lineage(person)
            if entry.person == person and entry.change is LineageChange.CREATED
        ]
        return min(given_us, default=0) <= max(fences_us) + _CLOCKS_APART_US

    def _publish_marked(
        self, area: Neighbourhood, assignment: Assignment, marks: Sequence[Mark]
    ) -> None:
        """Whoever has a marked member is published, changed as a person or not."""
        published = {entry.person for entry in assignment.outbox}
        elsewhere = self._store.person_of(mark.key for mark in marks if mark.key not in area.views)
        for mark in marks:
            person = assignment.people.get(mark.key)
            if person is None and mark.key in assignment.people:
                continue
            if person is None:
                view = area.views.get(mark.key)
                person = view.person if view is not None else elsewhere.get(mark.key)
            if person is not None and person not in published:
                published.add(person)
                assignment.outbox.append(OutboxEntry(person, 0))


def _concerning_identity(marks: Sequence[Mark]) -> set[NodeKey]:
    """Nodes to resolve from. A shared identifier stays shared whatever is added beside it;

    the other end of what was added is marked too and finds it where it must.
    """
    concerned = set()
    for mark in marks:
        identity = mark.changed & ~Changed.ACTIVITY
        if identity and not (mark.shared and identity == Changed.ADDED):
            concerned.add(mark.key)
    return concerned


def _drained(number: int, resolution: Resolution, area: Neighbourhood) -> Drained:
    changes = [entry.change for entry in resolution.lineage]
    return Drained(
        resolution=number,
        marks=len(resolution.cleared),
        nodes=len(area.views),
        created=changes.count(LineageChange.CREATED),
        merged=changes.count(LineageChange.MERGED),
        split=changes.count(LineageChange.SPLIT),
        published=len(resolution.outbox),
    )

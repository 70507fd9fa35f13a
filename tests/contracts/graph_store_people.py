"""Promises about people: ids last and resolve; outbox groups are never cut; nobody's nodes go."""

from __future__ import annotations

from dataclasses import replace

import pytest

from identity.model import LineageChange, LineageEntry, OutboxEntry, PersonId
from identity.store import Fenced, GraphStore, Resolution
from tests.contracts.engine import Engine
from tests.support.evidence_strategies import contribution, node, retraction
from tests.support.store_driver import Consumer, assign, lease_of

ANN, PHONE, TABLET = (node(name).key for name in ("login:a", "device:a", "device:b"))
P, Q, R, S = ("p" * 26, "q" * 26, "r" * 26, "s" * 26)


def entry(
    change: LineageChange, person: PersonId, other: PersonId | None = None, at_us: int = 0
) -> LineageEntry:
    """A lineage entry as the resolver hands it in."""
    return LineageEntry(change, person, other, 0, at_us)


def write(store: GraphStore, *entries: LineageEntry) -> int:
    """Commit a resolution that has only lineage."""
    return store.commit_resolution(lease_of(store), Resolution({}, {}, entries, [], []))


def publish(store: GraphStore, *people: PersonId) -> int:
    """Commit a resolution that has only outbox entries."""
    waiting = [OutboxEntry(person, 0) for person in people]
    return store.commit_resolution(lease_of(store), Resolution({}, {}, [], waiting, []))


class PeopleContract:
    """What resolutions write is there for feeder and readers."""

    def test_resolutions_are_numbered(self, engine: Engine) -> None:
        """Numbers count from one without a gap."""
        with engine.fresh() as store:
            assert [write(store), write(store), publish(store, P)] == [1, 2, 3]
            assert [waiting.resolution for waiting in store.outbox(10)] == [3]

    def test_nodes_know_their_person(self, engine: Engine) -> None:
        """An assignment holds until another names the node; unknown keys are left out."""
        with engine.fresh() as store:
            Consumer(store).take(contribution(1, "login:a", "device:a", "device:b"))
            assign(store, {ANN: P, PHONE: P, TABLET: Q})
            assert store.person_of([ANN, TABLET, node("login:b").key]) == {ANN: P, TABLET: Q}
            assert store.members([P, Q, R]) == {P: frozenset({ANN, PHONE}), Q: frozenset({TABLET})}
            assign(store, {TABLET: P})
            assert store.members([P, Q]) == {P: frozenset({ANN, PHONE, TABLET})}
            assert store.views([TABLET])[TABLET].person == P
            assert set(store.all_people()) == {P}
            assert store.totals().people == 1

    def test_shared_is_told_to_both_sides(self, engine: Engine) -> None:
        """A shared node says so in its view, in its neighbours' ties and in its marks."""
        with engine.fresh() as store:
            Consumer(store).take(contribution(1, "login:a", "device:a"))
            lease = lease_of(store)
            store.commit_resolution(lease, Resolution({}, {PHONE: True}, [], [], []))
            views = store.views([ANN, PHONE])
            assert (views[ANN].shared, views[PHONE].shared) == (False, True)
            assert [tie.other_shared for tie in views[ANN].ties] == [True]
            assert [tie.other_shared for tie in views[PHONE].ties] == [False]
            assert {mark.key: mark.shared for mark in store.marks(9)} == {ANN: False, PHONE: True}
            store.commit_resolution(lease, Resolution({}, {PHONE: False}, [], [], []))
            assert not store.views([PHONE])[PHONE].shared

    def test_a_shared_node_alone_has_evidence(self, engine: Engine) -> None:
        """A person of one node whose links all lead to others is still somebody to publish."""
        with engine.fresh() as store:
            Consumer(store).take(contribution(1, "login:a", "device:a"))
            assign(store, {ANN: P, PHONE: Q})
            found = store.evidence([P, Q, R])
            assert {person: [one.key for one in told.nodes] for person, told in found.items()} == {
                P: [ANN],
                Q: [PHONE],
            }
            assert [told.links for told in found.values()] == [(), ()]

    def test_nobodys_nodes_without_evidence_go(self, engine: Engine) -> None:
        """A node keeps its person until it is unassigned, then it is gone; seen again it is new."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(contribution(1, "login:a"), contribution(2, "device:a"))
            assign(store, {ANN: P, PHONE: P}, clear=10)
            consumer.take(retraction(9, 1, at_us=9))
            assert store.views([ANN]) == {}
            assert store.members([P]) == {P: frozenset({ANN, PHONE})}
            assign(store, {ANN: None}, clear=10)
            assert store.members([P]) == {P: frozenset({PHONE})}
            assert store.totals().nodes == {"device": 1}
            consumer.take(contribution(3, "login:a"))
            assert store.views([ANN])[ANN].person is None
            assert [mark.key for mark in store.marks(10)] == [ANN]

    def test_outbox_groups_are_never_cut(self, engine: Engine) -> None:
        """Entries come by resolution, each resolution's together, also beyond the limit."""
        with engine.fresh() as store:
            first = publish(store, P, Q, R)
            second = publish(store, S)
            assert {waiting.person for waiting in store.outbox(1)} == {P, Q, R}
            assert [waiting.resolution for waiting in store.outbox(4)] == [first] * 3 + [second]
            assert len(store.outbox(2)) == 3
            assert store.totals().outbox == 4

    def test_an_outbox_entry_replaces_the_older(self, engine: Engine) -> None:
        """A person waits once, for the latest resolution that changed it, as it stands now."""
        with engine.fresh() as store:
            first = publish(store, P, Q)
            merged = OutboxEntry(P, 0, merged_into=Q)
            gone = OutboxEntry(R, 0, gone=True)
            second = store.commit_resolution(
                lease_of(store), Resolution({}, {}, [], [merged, gone], [])
            )
            assert store.outbox(10)[0] == OutboxEntry(Q, first)
            assert sorted(store.outbox(10)[1:], key=lambda waiting: waiting.person) == [
                replace(merged, resolution=second),
                replace(gone, resolution=second),
            ]

    def test_a_changed_outbox_entry_is_not_cleared(self, engine: Engine) -> None:
        """Clearing what was published leaves entries that changed since."""
        with engine.fresh() as store:
            publish(store, P, Q)
            published = store.outbox(10)
            second = publish(store, P)
            store.clear_outbox(lease_of(store), published)
            assert store.outbox(10) == [OutboxEntry(P, second)]

    def test_what_profiles_are_folded_by_is_remembered(self, engine: Engine) -> None:
        """It is what the last resolution that named it said; who lost the lease says nothing."""
        with engine.fresh() as store:
            assert store.folding() == ""
            lost = store.acquire_lease("one", 0, 1)
            assert lost is not None
            store.commit_resolution(lost, Resolution({}, {}, [], [], [], folding="by this"))
            held = store.acquire_lease("two", 5, 1)
            assert held is not None
            with pytest.raises(Fenced):
                store.commit_resolution(lost, Resolution({}, {}, [], [], [], folding="by that"))
            store.commit_resolution(held, Resolution({}, {}, [], [], []))
            assert store.folding() == "by this"

    def test_every_id_resolves(self, engine: Engine) -> None:
        """An id stands for whom it was merged into, at any distance; for nobody when retired."""
        with engine.fresh() as store:
            write(store, *(entry(LineageChange.CREATED, person) for person in (P, Q, R, S)))
            write(store, entry(LineageChange.MERGED, P, Q))
            write(store, entry(LineageChange.MERGED, Q, R))
            write(store, entry(LineageChange.RETIRED, S))
            assert [store.current(person) for person in (P, Q, R, S)] == [R, R, R, None]
            assert store.current("z" * 26) is None
            assert set(store.all_ids()) == {P, Q, R, S}
            write(store, entry(LineageChange.RETIRED, R))
            assert store.current(P) is None

    def test_lineage_collects_connected_ids(self, engine: Engine) -> None:
        """Merges and splits connect ids; entries come oldest first with their resolution."""
        with engine.fresh() as store:
            created = [entry(LineageChange.CREATED, person, at_us=1) for person in (P, Q, S)]
            first = write(store, *created)
            split = entry(LineageChange.SPLIT, R, Q, at_us=2)
            second = write(store, entry(LineageChange.CREATED, R, at_us=2), split)
            third = write(store, entry(LineageChange.MERGED, P, R, at_us=3))
            found = store.lineage(P)
            assert [one.resolution for one in found] == [first, first, second, second, third]
            assert found == store.lineage(Q) == store.lineage(R)
            assert replace(split, resolution=second) in found
            assert store.lineage(S) == [replace(created[2], resolution=first)]
            assert store.lineage("z" * 26) == []

    def test_totals_count_everything(self, engine: Engine) -> None:
        """Nodes by kind, links, people, signals, marks and outbox are counted over the graph."""
        with engine.fresh() as store:
            Consumer(store).take(
                contribution(1, "login:a", "external:crm:a", "device:a"),
                contribution(2, "device:b"),
            )
            assign(store, {ANN: P})
            publish(store, P)
            totals = store.totals()
            assert dict(totals.nodes) == {"login": 1, "external:crm": 1, "device": 2}
            assert (totals.links, totals.people, totals.signals) == (3, 1, 2)
            assert (totals.marks, totals.outbox) == (4, 1)

"""Promises about the index of matching: what nodes hold, blocks, scored links, whose they are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from identity.model import Changed, EvidenceKind, Fact, Node
from identity.store import Fenced, GraphStore, Lease, Matching, Resolution
from tests.contracts.engine import Engine
from tests.support.evidence_strategies import contribution, node, retraction
from tests.support.store_driver import Consumer, assign, lease_of

ANN, BOB, CAT = (node(name).key for name in ("login:a", "login:b", "login:c"))
RECORD = Node("record:" + "r" * 22, 77)
WIDE = (1 << 62) + 5
"""A block key that needs all its 63 bits."""


def index(store: GraphStore, matching: Matching, lease: Lease | None = None) -> int:
    """Commit a resolution that changes only the index."""
    return store.commit_resolution(
        lease or lease_of(store), Resolution({}, {}, [], [], [], matching)
    )


def three(store: GraphStore) -> Consumer:
    """Three nodes with evidence."""
    consumer = Consumer(store)
    consumer.take(
        *(contribution(n, name) for n, name in enumerate(("login:a", "login:b", "login:c")))
    )
    return consumer


class MatchingContract:
    """The resolver's index rests with people, in the same transaction, under the same lease."""

    def test_evidence_at_a_node_is_its_own(self, engine: Engine) -> None:
        """Facts and activity come by the node that holds them; nodes without evidence do not."""
        with engine.fresh() as store:
            said = Fact(EvidenceKind.RECORD, (RECORD.key,), b"sealed")
            told = contribution(1, "login:a")
            record = replace(told, signal=2, nodes=(*told.nodes, RECORD), fact=said)
            Consumer(store).take(told, record, contribution(3, "login:b", "login:c"))
            found = store.evidence_at([ANN, RECORD.key, "login:" + "z" * 22])
            assert found[RECORD.key].node == RECORD
            assert [kept.fact for kept in found[RECORD.key].facts] == [said]
            assert [kept.digest for kept in found[RECORD.key].facts] == [record.digest]
            assert found[RECORD.key].activity == {}
            assert found[ANN].facts == ()
            assert {day: one.count for day, one in found[ANN].activity.items()} == {told.day: 2}
            assert set(found) == {ANN, RECORD.key}

    def test_nodes_of_a_kind_come_by_key(self, engine: Engine) -> None:
        """A kind's nodes are paged through in the order of their keys."""
        with engine.fresh() as store:
            three(store)
            Consumer(store, "other").take(contribution(9, "device:a"))
            keys = sorted([ANN, BOB, CAT])
            assert store.nodes_of("login", "", 2) == keys[:2]
            assert store.nodes_of("login", keys[1], 9) == keys[2:]
            assert store.nodes_of("login", keys[2], 9) == []
            assert store.nodes_of("loyalty_card", "", 9) == []

    def test_whoever_is_gone_is_of_a_kind_until_it_left_the_index(self, engine: Engine) -> None:
        """A new model finds what the former one left in the index, evidence or not."""
        with engine.fresh() as store:
            consumer = three(store)
            assign(store, {ANN: "a" * 26})
            index(store, Matching(keys={ANN: [7], BOB: [7]}))
            consumer.take(retraction(9, 0, at_us=9))
            assert ANN in store.nodes_of("login", "", 9)
            index(store, Matching(keys={ANN: []}))
            assert store.blocks([7], 3) == {7: (1, (BOB,))}

    def test_blocks_have_whom_the_index_put_there(self, engine: Engine) -> None:
        """A node is in the blocks of its keys from then on, and in no other."""
        with engine.fresh() as store:
            three(store)
            index(store, Matching(keys={ANN: [WIDE, 7], BOB: [7], CAT: [7]}))
            assert store.block_keys([ANN, BOB, "login:" + "z" * 22]) == {ANN: (7, WIDE), BOB: (7,)}
            everybody = tuple(sorted([ANN, BOB, CAT]))
            assert store.blocks([7, WIDE, 8], 3) == {7: (3, everybody), WIDE: (1, (ANN,))}
            index(store, Matching(keys={ANN: [8], BOB: []}))
            assert store.block_keys([ANN, BOB]) == {ANN: (8,)}
            assert store.blocks([7, WIDE, 8], 3) == {7: (1, (CAT,)), 8: (1, (ANN,))}

    def test_a_large_block_tells_its_size_alone(self, engine: Engine) -> None:
        """Beyond so many members they are not read, so that a public place costs nothing."""
        with engine.fresh() as store:
            three(store)
            index(store, Matching(keys={ANN: [7], BOB: [7], CAT: [7]}))
            assert store.blocks([7], 2) == {7: (3, ())}
            assert store.blocks([], 2) == {}

    def test_scored_links_are_seen_from_both_ends(self, engine: Engine) -> None:
        """A link has one weight, which a later one replaces, until it is taken away."""
        with engine.fresh() as store:
            three(store)
            index(store, Matching(links={(ANN, BOB): 5_000, (BOB, CAT): 1}))
            assert store.scored([ANN, BOB]) == {ANN: {BOB: 5_000}, BOB: {ANN: 5_000, CAT: 1}}
            index(store, Matching(links={(ANN, BOB): 6_000, (BOB, CAT): None}))
            assert store.scored([ANN, BOB, CAT]) == {ANN: {BOB: 6_000}, BOB: {ANN: 6_000}}
            index(store, Matching(links={(ANN, BOB): None}))
            assert store.scored([ANN, BOB]) == {}

    def test_the_index_says_what_it_is_of(self, engine: Engine) -> None:
        """The model is what was named last; other changes leave it."""
        with engine.fresh() as store:
            assert store.model() == ""
            index(store, Matching(model="record=1"))
            index(store, Matching(keys={}))
            assert store.model() == "record=1"

    def test_marked_by_the_index(self, engine: Engine) -> None:
        """Nodes that it marks are dirty again, above any mark that was read before."""
        with engine.fresh() as store:
            three(store)
            before = {mark.key: mark for mark in store.marks(9)}
            index(store, Matching(marked=[ANN]))
            store.commit_resolution(
                lease_of(store), Resolution({}, {}, [], [], list(before.values()))
            )
            (mark,) = store.marks(9)
            assert mark.key == ANN
            assert mark.changed & Changed.ADDED
            assert mark.count > before[ANN].count

    def test_a_fenced_index_is_not_written(self, engine: Engine) -> None:
        """Who lost the lease changes nothing of the index."""
        with engine.fresh() as store:
            three(store)
            lost = store.acquire_lease("one", 0, 1)
            assert lost is not None
            assert store.acquire_lease("two", 5, 1) is not None
            with pytest.raises(Fenced):
                index(store, Matching(keys={ANN: [7]}, links={(ANN, BOB): 1}, model="x"), lost)
            assert store.block_keys([ANN]) == {}
            assert store.scored([ANN]) == {}
            assert store.model() == ""

    def test_a_node_that_goes_leaves_the_index(self, engine: Engine) -> None:
        """A node without evidence is taken out in the resolution that drops it."""
        with engine.fresh() as store:
            consumer = three(store)
            assign(store, {}, clear=9)
            index(store, Matching(keys={ANN: [7], BOB: [7]}, links={(ANN, BOB): 5}))
            consumer.take(retraction(9, 0, at_us=9))
            marks = store.marks(9)
            gone = Matching(keys={ANN: []}, links={(ANN, BOB): None})
            store.commit_resolution(lease_of(store), Resolution({}, {}, [], [], marks, gone))
            assert store.blocks([7], 9) == {7: (1, (BOB,))}
            assert store.scored([ANN, BOB]) == {}
            assert store.totals().nodes == {"login": 2}

"""Promise: keys move on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.engines.memory import MemoryGraphStore
from identity.model import DAY_US, Contribution, EvidenceKind, Fact, NodeKey
from identity.rotating import rekeyed_content
from identity.store import (
    FOREVER_US,
    NO_KEYS,
    Batch,
    Fenced,
    GraphStore,
    KeyAge,
    Matching,
    Outcome,
    Outdated,
    Resolution,
    Swept,
)
from identity.tokens import rekeying
from tests.contracts.engine import Engine
from tests.support.evidence_strategies import (
    FIRST_DAY,
    KEYS,
    PAIRS,
    Commit,
    MoveHorizon,
    Step,
    contribution,
    histories,
    node,
    retraction,
)
from tests.support.store_driver import Consumer, assign, lease_of, run, settle_everybody, snapshot

SECOND = KeyAge(1, 2)
REKEY = rekeying([b"second token key of 32 bytes...."])
NEW = b"wrapped anew: "
NEW_KEYS = tuple(map(REKEY, KEYS))
NEW_PAIRS = tuple((REKEY(left), REKEY(right)) for left, right in PAIRS)
PERSON = "p" * 26


def wrap(sealed: bytes) -> bytes:
    """Stands in for wrapping a data key anew."""
    return sealed if sealed.startswith(NEW) else NEW + sealed


def rewrap_all(store: GraphStore, limit: int = 2) -> int:
    """Go through everything once; how many values' places changed."""
    position, changed = b"", 0
    while True:
        step = store.rewrap(wrap, position, limit)
        position, changed = step.position, changed + step.changed
        if not position:
            return changed


def sealed_in(store: GraphStore, *keys: NodeKey) -> list[bytes]:
    """Every sealed value that these nodes and their facts hold."""
    assign(store, dict.fromkeys(keys, PERSON))
    evidence = store.evidence([PERSON])[PERSON]
    held = [one.sealed for one in evidence.nodes if one.sealed]
    return held + [kept.fact.payload for kept in evidence.facts if kept.fact.kind in _SEALED]


_SEALED = (EvidenceKind.RECORD, EvidenceKind.PURCHASE)


def mapped(step: Step) -> Step:
    """The step as whoever names nodes under the longer chain takes it."""
    if not isinstance(step, Commit):
        return step
    return Commit(tuple(rekeyed_content(one, REKEY) for one in step.contributions))


def as_if_wrapped(one: Contribution) -> Contribution:
    """The contribution with its sealed values wrapped anew."""
    nodes = tuple(replace(n, sealed=n.sealed and wrap(n.sealed)) for n in one.nodes)
    fact = one.fact
    if fact is not None and fact.kind in _SEALED:
        fact = replace(fact, payload=wrap(fact.payload))
    return replace(one, nodes=nodes, fact=fact)


class RotatingContract:
    """Rotations change keys and wraps, and nothing else."""

    def test_rewrapping_reaches_every_sealed_value(self, engine: Engine) -> None:
        """After any history all is as if every value had come wrapped anew, and stays so."""

        @engine.examples
        @given(steps=histories())
        def check(steps: list[Step]) -> None:
            reference = MemoryGraphStore()
            run(
                reference,
                [
                    Commit(tuple(map(as_if_wrapped, step.contributions)))
                    if isinstance(step, Commit)
                    else step
                    for step in steps
                ],
            )
            with engine.fresh() as store:
                run(store, steps)
                marks = {(mark.key, mark.count) for mark in store.marks(1_000)}
                rewrap_all(store)
                assert {(mark.key, mark.count) for mark in store.marks(1_000)} == marks
                assert rewrap_all(store) == 0
                assert snapshot(store) == snapshot(reference)

        check()

    def test_rewrapping_reaches_contents_that_do_not_count(self, engine: Engine) -> None:
        """A disputed content and a retracted one, should they count again, are wrapped anew."""
        bought = Fact(EvidenceKind.PURCHASE, (node("login:a").key,), b"sealed one")
        other = replace(bought, payload=b"sealed two")
        first = contribution(1, "login:a", fact=bought, day=FIRST_DAY)
        second = contribution(1, "login:a", fact=other, day=FIRST_DAY + 3)
        # The content of the smaller digest counts; the other, of a later day, outlives it.
        low, high = replace(first, digest=b"a" * 8), replace(second, digest=b"b" * 8)
        third = contribution(2, "login:b", fact=replace(bought, subjects=(node("login:b").key,)))
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(low, high, third, retraction(3, 2, at_us=5))
            rewrap_all(store)
            for kind in EvidenceKind:
                store.move_horizon(kind, FIRST_DAY + 2)
            assert sealed_in(store, node("login:a").key)[1:] == [NEW + b"sealed two"]
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(third, retraction(3, 2, at_us=5))
            rewrap_all(store)
            consumer.take(replace(third, published_us=third.published_us + DAY_US))
            assert sealed_in(store, node("login:b").key)[1:] == [NEW + b"sealed one"]

    def test_rewrapping_loses_no_concurrent_write(self, engine: Engine) -> None:
        """What is committed between two steps is kept, and the next pass reaches it."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(*(contribution(n, "login:a", "device:a") for n in range(1, 6)))
            step = store.rewrap(wrap, b"", 2)
            assert step.position
            consumer.take(contribution(6, "login:b", "email:a"), contribution(7, "login:a"))
            while step.position:
                step = store.rewrap(wrap, step.position, 2)
            rewrap_all(store)
            named = [node(name).key for name in ("login:a", "login:b", "email:a")]
            assert all(sealed.startswith(NEW) for sealed in sealed_in(store, *named))
            assert store.totals().signals == 7

    def test_older_keys_are_refused(self, engine: Engine) -> None:
        """Once required, what was made under older keys is not taken in; nothing is written."""
        with engine.fresh() as store, engine.store() as other:
            assert store.keys() == KeyAge(0, 0)
            consumer = Consumer(store)
            other.require(KeyAge(2, 1))
            other.require(KeyAge(1, 1))
            assert store.keys() == KeyAge(2, 1)
            for keys in (KeyAge(1, 1), KeyAge(2, 0), KeyAge(1, 9)):
                with pytest.raises(Outdated):
                    store.commit(Batch([contribution(1, "login:a")], consumer.at, b"1", keys))
            assert store.totals().signals == 0
            store.commit(Batch([contribution(1, "login:a")], consumer.at, b"1", KeyAge(2, 1)))
            assert store.totals().signals == 1

    def test_a_checkpoint_moves_under_any_keys(self, engine: Engine) -> None:
        """A batch that says nothing was made under no keys, and is settled."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            store.require(KeyAge(2, 2))
            assert store.commit(Batch([], consumer.at, b"9")) == []
            assert store.claim(consumer.partition).position == b"9"

    def test_rekeying_is_as_if_named_so_from_the_beginning(self, engine: Engine) -> None:
        """Any history, cut by a rotation, gives what it gives under the longer chain throughout."""

        @engine.examples
        @given(steps=histories(), cut=st.integers(0, 12))
        def check(steps: list[Step], cut: int) -> None:
            reference = MemoryGraphStore()
            run_under(reference, NO_KEYS, [mapped(step) for step in steps])
            with engine.fresh() as store:
                run(store, steps[:cut])
                people = store.person_of(KEYS)
                marks = {(REKEY(mark.key), mark.count) for mark in store.marks(1_000)}
                assert store.rekey(lease_of(store), REKEY, SECOND)
                assert {(mark.key, mark.count) for mark in store.marks(1_000)} == marks
                assert store.person_of(NEW_KEYS) == {REKEY(k): p for k, p in people.items()}
                run_under(store, SECOND, [mapped(step) for step in steps[cut:]])
                found = snapshot(store, NEW_KEYS, NEW_PAIRS)
                assert found == snapshot(reference, NEW_KEYS, NEW_PAIRS)

        check()

    def test_sweeping_goes_by_the_new_names(self, engine: Engine) -> None:
        """What was counted before a rotation is swept after it, and what is late stays out."""
        with engine.fresh() as store:
            before = [
                contribution(1, "login:a", "device:a", at_us=1),
                contribution(2, "login:b", "device:a", at_us=5),
                contribution(3, "login:a", "device:a", at_us=9),
            ]
            consumer = Consumer(store)
            store.fence({node("email:a").key: FOREVER_US})
            consumer.take(*before, contribution(4, "email:a"))
            assert store.rekey(lease_of(store), REKEY, SECOND)
            reference = MemoryGraphStore()
            Consumer(reference).take(rekeyed_content(before[1], REKEY))
            gone = REKEY(node("login:a").key)
            store.fence({gone: FOREVER_US})
            assert store.sweep([gone]) == Swept(2)
            late = [contribution(5, "email:a", "device:a"), contribution(6, "login:a")]
            again = Consumer(store, keys=SECOND)
            told = again.take(*(rekeyed_content(one, REKEY) for one in late))
            assert told == [Outcome.ERASED, Outcome.ERASED]
            found = snapshot(store, NEW_KEYS, NEW_PAIRS)
            assert found == snapshot(reference, NEW_KEYS, NEW_PAIRS)

    def test_rekeying_happens_once(self, engine: Engine) -> None:
        """The same rotation again changes nothing, and older names are refused."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(contribution(1, "login:a", "device:a"))
            assert store.rekey(lease_of(store), REKEY, SECOND)
            assert not store.rekey(lease_of(store), REKEY, SECOND)
            assert set(store.views([*KEYS, *NEW_KEYS])) == {
                REKEY(node("login:a").key),
                REKEY(node("device:a").key),
            }
            with pytest.raises(Outdated):
                consumer.take(contribution(2, "login:a"))

    def test_rekeying_takes_the_index_of_matching_along(self, engine: Engine) -> None:
        """Block keys and scored links are those of the nodes under their new keys."""
        left, right = sorted((node("device:a").key, node("device:b").key))
        with engine.fresh() as store:
            Consumer(store).take(contribution(1, "device:a"), contribution(2, "device:b"))
            index = Matching({left: [5, 7], right: [7]}, {(left, right): 4_000}, (), "model")
            store.commit_resolution(lease_of(store), Resolution({}, {}, [], [], [], index))
            store.rekey(lease_of(store), REKEY, SECOND)
            new = {left: REKEY(left), right: REKEY(right)}
            assert store.block_keys(new.values()) == {new[left]: (5, 7), new[right]: (7,)}
            assert store.blocks([7], 9) == {7: (2, tuple(sorted(new.values())))}
            assert store.scored([new[left]]) == {new[left]: {new[right]: 4_000}}
            gone = Matching({}, {(min(new.values()), max(new.values())): None})
            store.commit_resolution(lease_of(store), Resolution({}, {}, [], [], [], gone))
            assert store.scored(new.values()) == {}

    def test_key_rotation_suppression_still_matches(self, engine: Engine) -> None:
        """Who asked to be suppressed is kept out under new names as under the old."""
        with engine.fresh() as store:
            store.fence({node("login:a").key: FOREVER_US, node("login:b").key: 7})
            store.rekey(lease_of(store), REKEY, SECOND)
            consumer = Consumer(store, keys=SECOND)
            named = contribution(1, "login:a"), contribution(2, "login:b")
            renamed = [rekeyed_content(one, REKEY) for one in named]
            assert consumer.take(*renamed) == [Outcome.ERASED, Outcome.COUNTED]
            assert store.fences([*NEW_KEYS, *KEYS]) == {
                REKEY(node("login:a").key): FOREVER_US,
                REKEY(node("login:b").key): 7,
            }

    def test_rekeying_needs_the_lease(self, engine: Engine) -> None:
        """Whoever lost the lease names nothing anew."""
        with engine.fresh() as store:
            Consumer(store).take(contribution(1, "login:a"))
            lost = store.acquire_lease("one", 0, 10)
            assert lost is not None
            assert store.acquire_lease("two", 20, 10) is not None
            with pytest.raises(Fenced):
                store.rekey(lost, REKEY, SECOND)
            assert set(store.views(KEYS)) == {node("login:a").key}


def run_under(store: GraphStore, keys: KeyAge, steps: list[Step]) -> None:
    """Carry out a history of the longer chain whose contributions were made under these keys."""
    consumer = Consumer(store, keys=keys)
    for step in steps:
        match step:
            case Commit():
                consumer.take(*step.contributions)
            case MoveHorizon():
                store.move_horizon(step.kind, step.before_day)
            case _:
                settle_everybody(store, NEW_KEYS)

"""The contract of people: for any history, on any engine, what a rebuild gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import count, product

from identity.model import (
    Assurance,
    Contribution,
    EvidenceKind,
    Expiring,
    Fact,
    NodeKey,
    PersonId,
)
from identity.resolver import Resolver
from identity.store import Batch, Checkpoint, GraphStore, Lease
from tests.support import histories, match_world, oracle
from tests.support.evidence_strategies import retraction
from tests.support.histories import Drain, Fence, Horizon, Step

POLICY = histories.policy()
BOUND = 3
"""Blocks of matching with more records than this are too full; small worlds get there."""


class World:
    """One empty store under test with its resolver, and all that ever arrived for the oracle."""

    def __init__(self, store: GraphStore) -> None:
        ids = count()
        self.store = store
        comparers = [match_world.comparer(BOUND)]
        self.resolver = Resolver(store, POLICY, lambda: f"{next(ids):026d}", comparers)
        self.arrived: list[Contribution] = []
        self.horizons: dict[Expiring, int] = {}
        self.fences: dict[NodeKey, int] = {}
        self.checkpoint: Checkpoint = store.claim("p0")
        lease = store.acquire_lease("test", 0, 10**9)
        assert lease is not None
        self.lease: Lease = lease

    def commit(self, contributions: Sequence[Contribution]) -> None:
        """Commit one batch and move the checkpoint along."""
        position = str(int(self.checkpoint.position or b"0") + len(contributions)).encode()
        self.store.commit(Batch(contributions, self.checkpoint, position))
        self.checkpoint = Checkpoint("p0", position, self.checkpoint.epoch)
        self.arrived += contributions

    def take(self, step: Step | Fence) -> None:
        """Do one step of a history."""
        if isinstance(step, Drain):
            self.resolver.drain(self.lease, 0, step.limit)
        elif isinstance(step, Horizon):
            self.store.move_horizon(step.kind, step.before_day)
            held = self.horizons.get(step.kind, 0)
            self.horizons[step.kind] = max(held, step.before_day)
        elif isinstance(step, Fence):
            self.store.fence(dict(step.fences))
            self.store.sweep(key for key, _ in step.fences)
            for key, until_us in step.fences:
                self.fences[key] = max(until_us, self.fences.get(key, 0))
        else:
            self.commit(step)

    def settle(self) -> None:
        """Resolve until no mark is left; a resolver that never ends fails."""
        for _ in range(1_000):
            if self.resolver.drain(self.lease, 0) is None:
                return
        raise AssertionError("the resolver does not come to rest")

    def people(self) -> set[frozenset[NodeKey]]:
        """The people that the store holds."""
        return set(self.store.members(self.store.all_people()).values())

    def expected(self) -> set[frozenset[NodeKey]]:
        """The people by definition."""
        arrived = oracle.let_through(self.arrived, self.fences)
        return oracle.people(arrived, self.horizons, POLICY, BOUND)


def check_rebuild(world: World, steps: Iterable[Step]) -> None:
    """After any history the people are those of a rebuild from scratch."""
    for step in steps:
        world.take(step)
    world.settle()
    assert oracle.sorted_people(world.people()) == oracle.sorted_people(world.expected())


def check_goes_while_others_wait(make: Callable[[], GraphStore]) -> None:
    """A record that is taken back leaves its blocks, also where others are resolved first."""
    said = match_world.payload(match_world.RECORDS[0])
    for gone, limit in product((1, 2, 3), (1, 2)):
        *three, fourth = (_record(signal, said) for signal in (1, 2, 3, 4))
        taken_back = (retraction(9, gone), fourth)
        steps: list[Step] = [tuple(three), Drain(limit), taken_back, Drain(limit)]
        check_rebuild(World(make()), steps)


def _record(signal: int, said: bytes) -> Contribution:
    node = histories.record_node(signal)
    return Contribution(
        signal=signal,
        digest=signal.to_bytes(8, "big"),
        event_us=0,
        published_us=0,
        source="crm",
        assurance=Assurance.NONE,
        nodes=(node,),
        activity=((node.key, ("type:record",)),),
        fact=Fact(EvidenceKind.RECORD, (node.key,), said),
    )


def check_every_step(world: World, steps: Iterable[Step | Fence]) -> None:
    """After every single commit, resolving just what it marked gives what a rebuild gives."""
    for step in steps:
        world.take(step)
        world.settle()
        assert oracle.sorted_people(world.people()) == oracle.sorted_people(world.expected())


def check_erasing(world: World, steps: Sequence[Step], fence: Fence, place: int) -> None:
    """People erased at any point: everybody else is as if their signals had never come.

    That they do not come back with a replay is seen at the end.
    """
    check_every_step(world, [*steps[:place], fence, *steps[place:]])
    for step in steps:
        if not isinstance(step, Drain | Horizon):
            world.commit(step)
    world.settle()
    assert oracle.sorted_people(world.people()) == oracle.sorted_people(world.expected())


def check_ids_resolve(world: World, steps: Iterable[Step]) -> None:
    """Every id ever handed out stands for a person with nodes, or for nobody, and has a lineage."""
    given: set[PersonId] = set()
    for step in steps:
        world.take(step)
        given |= set(world.store.all_people())
    world.settle()
    now = set(world.store.all_people())
    assert given <= set(world.store.all_ids())
    for person in world.store.all_ids():
        current = world.store.current(person)
        assert current is None or current in now
        assert world.store.lineage(person)
        if person in now:
            assert current == person
    assert set(world.store.members(now)) == now


def check_orders_agree(
    make: Callable[[], GraphStore], contributions: Sequence[Contribution], orders: int
) -> None:
    """All at once, one at a time, rotated, backwards, repeated: the same people."""
    world = World(make())
    world.commit(contributions)
    world.settle()
    at_once = oracle.sorted_people(world.people())
    for order in range(orders):
        world = World(make())
        arranged = list(contributions) if order % 2 == 0 else list(reversed(contributions))
        for contribution in arranged[order // 2 :] + arranged[: order // 2]:
            world.commit([contribution])
            if order % 3 == 0:
                world.take(Drain(2))
        if order % 4 == 1:
            world.commit(contributions)
        world.settle()
        assert oracle.sorted_people(world.people()) == at_once

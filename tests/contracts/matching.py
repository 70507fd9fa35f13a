"""The contract of matching: the same people in whatever order and company records arrive."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import count

from identity.model import Assurance, Contribution, EvidenceKind, Fact, Node, NodeKey
from identity.resolver import Resolver
from identity.store import GraphStore
from tests.support import histories, lives, match_world
from tests.support.evidence_strategies import retraction
from tests.support.lives import settle
from tests.support.store_driver import Consumer, lease_of

BOUND = 12
DAY_US = 86_400_000_000
_ids = count()
People = frozenset[frozenset[NodeKey]]
Open = Callable[[], GraphStore]


def arrivals(records: int) -> list[Contribution]:
    """So many records: some of one person, some with an identifier that others have as well."""
    drawn = random.Random(11)
    made = []
    for number in range(records):
        node = histories.record_node(number)
        said = match_world.payload(_record(drawn))
        nodes: tuple[Node, ...] = (node,)
        if drawn.random() < 0.2:
            nodes = (histories.node("email", drawn.randrange(6)), node)
        made.append(
            Contribution(
                signal=number,
                digest=number.to_bytes(8, "big"),
                event_us=DAY_US,
                published_us=DAY_US,
                source="crm",
                assurance=Assurance.CLAIMED,
                nodes=nodes,
                activity=((nodes[0].key, ("type:record",)),),
                fact=Fact(EvidenceKind.RECORD, (node.key,), said),
            )
        )
    return made


def _record(drawn: random.Random) -> dict[str, str]:
    record = dict(drawn.choice(match_world.RECORDS))
    if drawn.random() < 0.3:
        record.pop(drawn.choice(sorted(record)))
    if "birth_date" in record and drawn.random() < 0.3:
        record["birth_date"] = record["birth_date"][:-1] + str(drawn.randrange(10))
    return record or {"given_name": "ann"}


def resolver(store: GraphStore, bound: int = BOUND) -> Resolver:
    """A resolver that matches."""
    comparers = [match_world.comparer(bound)]
    return Resolver(store, histories.policy(), lambda: f"{next(_ids):026d}", comparers)


def people(store: GraphStore) -> People:
    """Who is one person."""
    return frozenset(store.members(store.all_people()).values())


def together(store: GraphStore, arrived: Sequence[Contribution]) -> People:
    """Everything in one batch, then resolved."""
    Consumer(store).take(*arrived)
    settle(resolver(store), store)
    return people(store)


def check_orders(fresh: Open, records: int, orders: int) -> None:
    """In so many orders, one at a time or a few, the people are those of all at once."""
    arrived = arrivals(records)
    wanted = together(fresh(), arrived)
    assert 1 < len(wanted) < records * 0.8
    for seed in range(orders):
        store = fresh()
        own, consumer, drawn = resolver(store), Consumer(store), random.Random(seed)
        mixed = drawn.sample(arrived, len(arrived))
        at_once = [1, 1, 7, 20][seed % 4]
        for start in range(0, records, at_once):
            consumer.take(*mixed[start : start + at_once])
            own.drain(lease_of(store), 0)
        settle(own, store)
        assert people(store) == wanted


def check_two_consumers(fresh: Open, more: Open, records: int, orders: int) -> None:
    """Two consumers at once while a third resolves: the people of all at once."""
    arrived = arrivals(records)
    wanted = together(fresh(), arrived)
    for seed in range(orders):
        store = fresh()
        own, drawn = resolver(store), random.Random(seed)
        mixed = drawn.sample(arrived, len(arrived))

        def consume(part: int, mixed: Sequence[Contribution] = mixed) -> None:
            consumer = Consumer(more(), f"partition-{part}")
            for one in mixed[part::2]:
                consumer.take(one)

        with ThreadPoolExecutor(2) as pool:
            done = [pool.submit(consume, part) for part in range(2)]
            lease = lease_of(store)
            while not all(one.done() for one in done):
                own.drain(lease, 0, limit=3)
            for one in done:
                one.result()
        settle(own, store)
        assert people(store) == wanted


def check_models_follow(fresh: Open, records: int) -> None:
    """A model put in force late, and taken out, gives the people of either from the start."""
    arrived = arrivals(records)
    matched = together(fresh(), arrived)
    store = fresh()
    own, lease = resolver(store), lease_of(store)
    own.use(())
    Consumer(store).take(*arrived)
    settle(own, store)
    exact = people(store)
    assert exact != matched
    own.use([match_world.comparer(BOUND)])
    while own.drain(lease, 0, limit=7) is not None:
        pass
    assert people(store) == matched
    own.use(())
    while own.drain(lease, 0, limit=7) is not None:
        pass
    assert people(store) == exact
    assert store.model() == ""
    assert store.scored([one.nodes[-1].key for one in arrived]) == {}
    assert store.block_keys([one.nodes[-1].key for one in arrived]) == {}


def check_histories(fresh: Open, number: int) -> None:
    """Marks that wait, resolvers and models that come and go, erasures, horizons: as at once."""
    for seed in range(number):
        drawn = random.Random(seed)
        bound = drawn.choice([3, 5, BOUND])
        arrived = _some_taken_back(drawn, arrivals(drawn.choice([20, 60, 110])))
        life = lives.drawn(drawn, arrived, lives.KINDS, range(1, 9))
        records = [key for key in _keys(arrived) if key.startswith("record:")]

        def changes(own: Resolver, drawn: random.Random = drawn, bound: int = bound) -> None:
            if drawn.random() < 0.15:
                own.use([match_world.comparer(n) for n in drawn.choice([[], [3], [12], [bound]])])

        def found(store: GraphStore, records: Sequence[NodeKey] = records) -> object:
            return people(store), store.block_keys(records), store.scored(records)

        store = fresh()
        lives.at_once(store, arrived, life, resolver(store, bound))
        wanted = found(store)
        store = fresh()
        lives.live_through(store, drawn, arrived, life, partial(resolver, store, bound), changes)
        assert found(store) == wanted, seed


def _keys(arrived: Sequence[Contribution]) -> set[NodeKey]:
    return {node.key for signal in arrived for node in signal.nodes}


def _some_taken_back(drawn: random.Random, arrived: Sequence[Contribution]) -> list[Contribution]:
    """Over a week; one in five is retracted a day later."""
    found = []
    for one in arrived:
        day = drawn.randrange(1, 9)
        found.append(replace(one, event_us=day * DAY_US, published_us=day * DAY_US))
        if drawn.random() < 0.2:
            found.append(retraction(10_000 + one.signal, one.signal, day=day + 1))
    return found

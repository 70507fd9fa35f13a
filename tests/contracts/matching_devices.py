"""The contract of linking devices: the same people in any order, and only where it is allowed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import blake2b
from itertools import count

from identity.matching.devices.comparer import DeviceComparer
from identity.matching.devices.device import Sighting
from identity.matching.devices.model import DeviceModel
from identity.matching.devices.training import train
from identity.model import DAY_US, HOUR_US, Assurance, Contribution, Node, NodeEvidence
from identity.resolver import Resolver
from identity.store import GraphStore
from tests.contracts.matching import People, people
from tests.support import histories
from tests.support.devices import KEY, Seen, city, seen_in
from tests.support.lives import settle
from tests.support.store_driver import Consumer, lease_of

PEOPLE = 12
Open = Callable[[], GraphStore]


@cache
def model() -> DeviceModel:
    """Learnt from a city of its own."""
    return train(city(24, seed=1), name="city", seed=1, key=KEY)


def node(seen: Seen) -> Node:
    """The device's node."""
    digest = blake2b(seen.key.encode(), digest_size=8).digest()
    return Node(f"device:{seen.key[7:]:022}".replace(" ", "0"), int.from_bytes(digest) >> 1)


def arrivals(limit: int) -> list[Contribution]:
    """Every sighting of the city's devices as a signal, as ingest counts it."""
    return [
        one
        for number, seen in enumerate(seen_in(PEOPLE, seed=5))
        for place, sighting in enumerate(seen.sightings[:limit])
        for one in [_signal(number * 1_000 + place, seen, sighting)]
    ]


def _signal(signal: int, seen: Seen, sighting: Sighting) -> Contribution:
    network = (sighting.network or "").replace(" ", "_")
    slot = sighting.at_us % DAY_US // (2 * HOUR_US)
    cells = (
        f"device_type:{seen.type}", f"network:{network}", f"slot:{network}@{slot}",
        "locale:en", "zone:-5",
    )  # fmt: skip
    own = node(seen)
    return Contribution(
        signal=signal,
        digest=signal.to_bytes(8, "big"),
        event_us=sighting.at_us,
        published_us=sighting.at_us,
        source="web",
        assurance=Assurance.NONE,
        nodes=(own,),
        activity=((own.key, cells),),
    )


def resolver(store: GraphStore, may_link: Callable[[NodeEvidence], bool]) -> Resolver:
    """A resolver that links devices which may be linked."""
    ids = count()
    comparer = DeviceComparer(model(), KEY, ["device", "cookie"], may_link)
    return Resolver(store, histories.policy(), lambda: f"{next(ids):026d}", [comparer])


def everybody(_: NodeEvidence) -> bool:
    """All may be linked."""
    return True


def together(store: GraphStore, arrived: Sequence[Contribution]) -> People:
    """All at once."""
    Consumer(store).take(*arrived)
    settle(resolver(store, everybody), store)
    return people(store)


def check_orders(fresh: Open, orders: int, limit: int) -> None:
    """In any order, in batches of any size, the people are those of all at once."""
    arrived = arrivals(limit)
    wanted = together(fresh(), arrived)
    assert sum(len(person) == 2 for person in wanted) > PEOPLE / 2
    assert max(map(len, wanted)) == 2
    for seed in range(orders):
        store, drawn = fresh(), random.Random(seed)
        own, consumer = resolver(store, everybody), Consumer(store)
        mixed = drawn.sample(arrived, len(arrived))
        at_once = [5, 17, 60][seed % 3]
        for start in range(0, len(mixed), at_once):
            consumer.take(*mixed[start : start + at_once])
            own.drain(lease_of(store), 0)
        settle(own, store)
        assert people(store) == wanted


def check_only_where_allowed(fresh: Open, limit: int) -> None:
    """A device that may not be linked is with nobody, and its blocks do not know it."""
    arrived = arrivals(limit)
    linked = {key for person in together(fresh(), arrived) if len(person) == 2 for key in person}
    refused = min(linked)
    store = fresh()
    Consumer(store).take(*arrived)
    settle(resolver(store, lambda evidence: evidence.node.key != refused), store)
    assert frozenset({refused}) in people(store)
    assert store.block_keys([refused]) == {}
    assert store.scored([refused]) == {}

"""The contract of linking devices by consent: whom a no, or an age, keeps apart, in any order."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any, cast

import msgpack

from identity.matching.comparing import MayJoin
from identity.matching.devices.comparer import DeviceComparer
from identity.model import (
    DAY_US,
    HOUR_US,
    Assurance,
    Contribution,
    EvidenceKind,
    Fact,
    Mark,
    Node,
    NodeKey,
)
from identity.resolver import Resolver
from identity.store import GraphStore
from ingest.v1.signal_pb2 import RecordAsserted
from kinfold.comparing import joining
from profiles import contexts
from profiles.consent import RESTRICTION, said_of
from profiles.purposes import DEVICE_LINKING, Purpose, PurposePolicy, Rule
from tests.contracts.matching import Open, People, people
from tests.contracts.matching_devices import PEOPLE, arrivals, everybody, model, node
from tests.support import histories, lives
from tests.support.devices import KEY, START_US, seen_in
from tests.support.lives import settle
from tests.support.profile_parts import new_sealer
from tests.support.store_driver import Consumer, lease_of

LAX = Rule(needs_consent=False, opt_out=True, minimum_age=16)
PURPOSES = PurposePolicy(
    (Purpose("recognition", 1, "tell devices apart", LAX, age_may_be_unknown=True),),
    {DEVICE_LINKING: 1},
)
SEALER = new_sealer()
MAY_JOIN = joining(PURPOSES, SEALER)
_numbers, _ids = count(1_000_000), count()


def resolver(store: GraphStore, may_join: MayJoin | None = MAY_JOIN) -> Resolver:
    """A resolver that joins whole groups only where what they say lets it."""
    kinds = ["device", "cookie"]
    comparer = DeviceComparer(model(), KEY, kinds, everybody, may_join)
    return Resolver(store, histories.policy(), lambda: f"{next(_ids):026d}", [comparer])


def at_once(
    store: GraphStore, arrived: Iterable[Contribution], may_join: MayJoin | None = MAY_JOIN
) -> People:
    """Everybody, resolved in one go."""
    Consumer(store).take(*arrived)
    settle(resolver(store, may_join), store)
    return people(store)


def login(number: int) -> Node:
    """Somebody's login."""
    return Node(f"login:{number:022d}", number)


def seen_together(at_us: int, *nodes: Node, fact: Fact | None = None) -> Contribution:
    """A signal under these nodes."""
    number = next(_numbers)
    return Contribution(
        signal=number,
        digest=number.to_bytes(8, "big"),
        event_us=at_us,
        published_us=at_us,
        source="web",
        assurance=Assurance.CLAIMED,
        nodes=nodes,
        activity=((nodes[0].key, ("type:login",)),),
        fact=fact,
    )


def decision(at_us: int, who: Node, granted: bool, purpose: str = "recognition") -> Contribution:
    """A yes or a no."""
    payload = msgpack.packb(said_of({purpose: granted}, "1", ""))
    fact = Fact(EvidenceKind.CONSENT, (who.key,), payload)
    return seen_together(at_us, who, fact=fact)


def born(at_us: int, who: Node, birth_date: str) -> Contribution:
    """A record of somebody that has a birth date."""
    record = histories.record_node(next(_numbers))
    said = RecordAsserted(birth_date=birth_date).SerializeToString(deterministic=True)
    payload = SEALER.seal(said, contexts.of_record(record.key))
    fact = Fact(EvidenceKind.RECORD, (record.key,), payload)
    return seen_together(at_us, who, record, fact=fact)


def retracted(one: Contribution) -> Contribution:
    """Takes back what a signal said."""
    bare = seen_together(one.event_us, one.nodes[0])
    return replace(bare, nodes=(), activity=(), retracts=one.signal)


def told(seed: int) -> list[Contribution]:
    """Logins on some devices of the city, and what was decided under them or taken back."""
    drawn, found = random.Random(seed), list[Contribution]()
    for number, seen in enumerate(seen_in(PEOPLE, seed=5)):
        if drawn.random() < 0.3:
            continue
        device, own = node(seen), login(number)
        for _ in range(drawn.randint(1, 2)):
            found.append(seen_together(_some_time(drawn), own, device))
        for _ in range(drawn.randint(0, 6)):
            who = drawn.choice([own, own, device])
            found.append(decision(_some_time(drawn), who, drawn.random() < 0.6))
        if drawn.random() < 0.2:
            found.append(decision(_some_time(drawn), own, drawn.random() < 0.5, RESTRICTION))
        if drawn.random() < 0.2:
            found.append(born(_some_time(drawn), own, drawn.choice(["2005", "1970"])))
    return found + [retracted(one) for one in found if drawn.random() < 0.15]


def _some_time(drawn: random.Random) -> int:
    return START_US + drawn.randrange(14 * DAY_US // HOUR_US) * HOUR_US


def check_orders(fresh: Open, orders: int, limit: int) -> None:
    """In any order, in batches of any size, the people are those of all at once."""
    for seed in range(orders):
        arrived = arrivals(limit) + told(seed)
        wanted = at_once(fresh(), arrived)
        assert pairs(wanted) < pairs(at_once(fresh(), arrived, may_join=None))
        assert pairs(wanted)
        store, drawn = fresh(), random.Random(seed)
        own, consumer = resolver(store), Consumer(store)
        mixed = drawn.sample(arrived, len(arrived))
        if seed % 2:
            # What is decided finds everybody joined already.
            mixed.sort(key=lambda one: one.fact is not None or one.retracts is not None)
        taken = 0
        while taken < len(mixed):
            size = drawn.choice([1, 3, 20])
            consumer.take(*mixed[taken : taken + size])
            taken += size
            own.drain(lease_of(store), 0)
        settle(own, store)
        assert people(store) == wanted


def check_histories(fresh: Open, number: int) -> None:
    """Marks that wait, resolvers that come and go, erasures and horizons: all end as at once."""
    for seed in range(number):
        drawn = random.Random(seed)
        arrived = arrivals(drawn.choice([8, 20])) + told(seed)
        first_day = START_US // DAY_US
        kinds = (EvidenceKind.CONSENT, *lives.KINDS)
        life = lives.drawn(drawn, arrived, kinds, range(first_day, first_day + 14))
        store = fresh()
        lives.at_once(store, arrived, life, resolver(store))
        wanted = people(store)
        store = fresh()
        lives.live_through(store, drawn, arrived, life, partial(resolver, store))
        assert people(store) == wanted, seed


def pairs(found: People) -> set[frozenset[NodeKey]]:
    """The devices of whoever has several."""
    devices = (frozenset(key for key in one if key.startswith("device:")) for one in found)
    return {one for one in devices if len(one) > 1}


def check_a_no_parts_them(fresh: Open, limit: int) -> None:
    """Each fact that comes or goes joins or parts two devices, at once, whoever it was said by."""
    arrived = arrivals(limit)
    phone, desktop = _a_pair(at_once(fresh(), arrived))
    at_us = START_US + 20 * DAY_US
    no = decision(at_us, login(1), False)
    yes = decision(at_us + 1, login(1), True)
    under = decision(at_us, login(2), False)
    child = born(at_us, login(2), "2005")
    apart = decision(at_us, login(2), False, RESTRICTION)
    day_us = START_US + 15 * DAY_US
    steps: list[tuple[Contribution, bool]] = [
        (seen_together(START_US, login(2), desktop), True),
        (seen_together(day_us + 13 * HOUR_US, login(1), phone), True),
        (decision(day_us + 10 * HOUR_US, phone, False), False),
        # Nobody knew yet that it is the phone's person who says yes; then somebody did.
        (decision(day_us + 12 * HOUR_US, login(1), True), False),
        (seen_together(day_us + 11 * HOUR_US, login(1), phone), True),
        (no, False),
        (yes, True),
        (retracted(yes), False),
        (retracted(no), True),
        (under, False),
        (retracted(under), True),
        (child, False),
        (retracted(child), True),
        (apart, False),
        (decision(at_us + 2, login(2), True, RESTRICTION), True),
    ]
    store = fresh()
    own, consumer = resolver(store), Consumer(store)
    consumer.take(*arrived)
    settle(own, store)
    for number, (one, joined) in enumerate(steps):
        consumer.take(one)
        settle(own, store)
        person = store.person_of([phone.key, desktop.key])
        assert (person[phone.key] == person[desktop.key]) is joined, number
    everything = [*arrived, *(one for one, _ in steps)]
    assert people(store) == at_once(fresh(), everything)


class Holding:
    """A store whose marks of some nodes are not come to yet, as those beyond a drain's limit."""

    def __init__(self, store: GraphStore) -> None:
        self._store = store
        self.held: set[NodeKey] = set()

    def __getattr__(self, name: str) -> Any:
        """Whatever else it does."""
        return getattr(self._store, name)

    def marks(self, limit: int) -> list[Mark]:
        """Those that are come to."""
        return [mark for mark in self._store.marks(limit) if mark.key not in self.held]


def check_a_no_taken_back_before_its_turn(fresh: Open, limit: int) -> None:
    """A no that parts two devices while its own mark waits, and is taken back before that comes."""
    arrived = arrivals(limit)
    phone, desktop = _a_pair(at_once(fresh(), arrived))
    day_us = START_US + 15 * DAY_US
    arrived += [
        seen_together(day_us, login(1), phone),
        seen_together(day_us, login(2), desktop),
        decision(day_us + HOUR_US, login(1), True),
    ]
    no = decision(day_us + 2 * HOUR_US, login(1), False)
    store = fresh()
    holding, consumer = Holding(store), Consumer(store)
    own = resolver(cast(GraphStore, holding))
    consumer.take(*arrived)
    settle(own, store)
    holding.held = {login(1).key}
    later = seen_together(day_us + DAY_US, login(2), desktop)
    consumer.take(no, later)
    assert own.drain(lease_of(store), 0) is not None
    person = store.person_of([phone.key, desktop.key])
    assert person[phone.key] != person[desktop.key]
    back = retracted(no)
    consumer.take(back)
    holding.held.clear()
    settle(own, store)
    found = people(store)
    assert found == at_once(fresh(), [*arrived, no, later, back])


def _a_pair(found: People) -> Sequence[Node]:
    """Two devices that are one person."""
    wanted = min(pairs(found), key=min)
    nodes = {node(seen).key: node(seen) for seen in seen_in(PEOPLE, seed=5)}
    return [nodes[key] for key in sorted(wanted)]

"""What a graph may live through: marks that wait, resolvers that die, erasures and horizons."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from identity.model import DAY_US, Contribution, EvidenceKind, NodeKey
from identity.resolver import Resolver
from identity.store import FOREVER_US, GraphStore
from tests.support import oracle
from tests.support.store_driver import Consumer, lease_of

KINDS = (EvidenceKind.ACTIVITY, EvidenceKind.LINK, EvidenceKind.RECORD)


@dataclass(frozen=True)
class Life:
    """Nodes fenced, each up to a moment, and horizons moved, each to a day."""

    fences: Mapping[NodeKey, int]
    horizons: Mapping[EvidenceKind, int]


def drawn(
    draw: random.Random,
    arrived: Iterable[Contribution],
    kinds: Sequence[EvidenceKind],
    days: Sequence[int],
) -> Life:
    """None or some nodes of those that arrived, up to some day or for good; none or some kinds."""
    keys = sorted({one.key for signal in arrived for one in signal.nodes})
    fences = {
        key: draw.choice([FOREVER_US, draw.choice(days) * DAY_US])
        for key in draw.sample(keys, draw.choice([0, 1, 4]))
    }
    day = draw.choice(days[: len(days) // 2 + 1])
    return Life(fences, dict.fromkeys(draw.sample(kinds, draw.choice([0, 0, 1, 2])), day))


def settle(own: Resolver, store: GraphStore) -> None:
    """Until no mark is left."""
    lease = lease_of(store)
    while own.drain(lease, 0) is not None:
        pass


def at_once(store: GraphStore, arrived: Iterable[Contribution], life: Life, own: Resolver) -> None:
    """All that is not erased in one batch; then the horizons; then everything is resolved."""
    Consumer(store).take(*oracle.let_through(arrived, life.fences))
    _move(store, life)
    settle(own, store)


def live_through(
    store: GraphStore,
    draw: random.Random,
    arrived: Sequence[Contribution],
    life: Life,
    new: Callable[[], Resolver],
    meanwhile: Callable[[Resolver], None] = lambda _: None,
) -> None:
    """In any order and batches, a few marks at a time, by one resolver after the other.

    `new` gives a resolver; `meanwhile` happens to it now and then.
    """
    arriving = draw.sample(arrived, len(arrived))
    own, consumer, taken = new(), Consumer(store), 0
    erased_at, moved_at = (draw.randrange(len(arriving)) for _ in range(2))
    while taken < len(arriving):
        before, taken = taken, taken + draw.choice([1, 3, 20, 60])
        consumer.take(*arriving[before:taken])
        for _ in range(draw.randrange(3)):
            own.drain(lease_of(store), 0, limit=draw.choice([1, 2, 7, 50]))
        if draw.random() < 0.1:
            own = new()
        meanwhile(own)
        if before <= erased_at < taken:
            store.fence(life.fences)
            own.drain(lease_of(store), 0, limit=5)
            store.sweep(life.fences)
        if before <= moved_at < taken:
            _move(store, life)
    settle(new(), store)


def _move(store: GraphStore, life: Life) -> None:
    for kind, day in life.horizons.items():
        store.move_horizon(kind, day)

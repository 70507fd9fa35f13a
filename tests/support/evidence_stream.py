"""A seeded stream of colliding evidence, and a program that commits it until it is killed.

    python -m tests.support.evidence_stream PATH SEED SIZE [UNTIL]

commits from the checkpoint on, and before each commit says how many it has
taken. Once that is UNTIL or more it waits to be killed.
"""

from __future__ import annotations

import random
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from identity.engines.sqlite import SqliteGraphStore
from identity.model import DAY_US, HOUR_US, Assurance, Contribution, EvidenceKind, Fact
from identity.store import GraphStore
from tests.support.evidence_strategies import (
    CELLS,
    DAYS,
    FIRST_DAY,
    SOURCES,
    contribution,
    decision,
    retraction,
)
from tests.support.store_driver import Consumer, settle_everybody

NAMES = ("login:a", "login:b", "external:crm:a", "email:a", "device:a", "device:b", "record:a")
HORIZON_EVERY = 60
MOVED_KINDS = (EvidenceKind.LINK, EvidenceKind.ACTIVITY, EvidenceKind.PURCHASE)


def stream(seed: int, size: int) -> list[Contribution]:
    """So many contributions; one in five under an id that came before."""
    drawn = random.Random(seed)
    return [_one(drawn, place) for place in range(size)]


def _one(drawn: random.Random, place: int) -> Contribution:
    signal = drawn.randrange(place + 1) + 1 if drawn.random() < 0.2 else place + 1
    day, at_us = drawn.choice(DAYS), drawn.randrange(24) * HOUR_US
    sort = drawn.random()
    if sort < 0.1:
        return retraction(signal, drawn.randrange(place + 1) + 1, day=day, at_us=at_us)
    if sort < 0.15:
        left, right = drawn.sample(NAMES, 2)
        return decision(signal, left, right, drawn.random() < 0.5, day=day, at_us=at_us)
    names = sorted(drawn.sample(NAMES, drawn.randint(1, 3)), key=NAMES.index)
    made = contribution(signal, *names)
    bought = Fact(EvidenceKind.PURCHASE, (made.nodes[0].key,), b"sealed" * drawn.randint(1, 40))
    return contribution(
        signal,
        *names,
        day=day,
        at_us=at_us,
        source=drawn.choice(SOURCES),
        assurance=drawn.choice(list(Assurance)),
        cells=drawn.sample(CELLS, drawn.randint(0, 3)),
        fact=bought if sort > 0.8 else None,
        published_us=(FIRST_DAY + drawn.randrange(9)) * DAY_US,
    )


def horizons_at(taken: int) -> Iterator[tuple[EvidenceKind, int]]:
    """The horizons to move once so many were taken."""
    if taken and taken % HORIZON_EVERY == 0:
        moves = taken // HORIZON_EVERY
        yield MOVED_KINDS[moves % len(MOVED_KINDS)], FIRST_DAY + min(moves // 3, 3)


def drain(
    store: GraphStore, seed: int, size: int, before: Callable[[int], None] = lambda _: None
) -> None:
    """Commit the rest of the stream; every batch's size follows from its position.

    `before` hears before each commit how many were taken.
    """
    consumer = Consumer(store)
    signals = stream(seed, size)
    taken = int(consumer.at.position or b"0")
    while taken < size:
        before(taken)
        step = random.Random(taken).choice((1, 3, 10))
        step = min(step, size - taken, HORIZON_EVERY - taken % HORIZON_EVERY)
        consumer.take(*signals[taken : taken + step])
        taken += step
        for kind, before_day in horizons_at(taken):
            store.move_horizon(kind, before_day)
            settle_everybody(store)
    # A kill may have come between the last commit and its horizon.
    for done in range(0, size + 1, HORIZON_EVERY):
        for kind, before_day in horizons_at(done):
            store.move_horizon(kind, before_day)


def main() -> None:
    """Drain a stream into a file."""
    store = SqliteGraphStore(Path(sys.argv[1]))
    seed, size, until = [*map(int, sys.argv[2:]), sys.maxsize][:3]

    def tell(taken: int) -> None:
        print(taken, flush=True)
        while taken >= until:
            signal.pause()

    drain(store, seed, size, tell)
    store.close()


if __name__ == "__main__":
    main()

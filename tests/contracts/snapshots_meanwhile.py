"""Totals of a snapshot agree while signals come, people merge and somebody is erased."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event

import polars as pl

from identity.model import DAY_US, Assurance, Contribution
from identity.resolver import Resolver
from identity.snapshot import IDS, KEYS, Snapshot, Snapshots
from kinfold.statistics.figures import figures
from kinfold.statistics.gathered import Gathered, gather
from profiles.purposes import PurposePolicy
from tests.contracts.engine import Engine
from tests.support.histories import _number, _ordered, node
from tests.support.histories import policy as histories_policy
from tests.support.store_driver import Consumer, lease_of

POLICY = histories_policy()
LEAST_TURNS = 12
MOMENTS = 4
"""Moments that snapshots are taken of while the writer is at work."""
OF_ALL_PEOPLE = ("known", "identifiers_per_person", "devices_per_person", "records_per_person")


class MeanwhileContract:
    """A snapshot is one moment, whatever goes on."""

    def test_totals_agree_meanwhile(
        self, engine: Engine, open_snapshots: Callable[[], Snapshots]
    ) -> None:
        """Every sum over all people is the same, and nothing names what is not there."""
        with engine.fresh() as store:
            Consumer(store).take(*_visits(random.Random(0), 0))
        snapshots, enough = open_snapshots(), Event()
        moments: set[tuple[int, int]] = set()
        with ThreadPoolExecutor(1) as pool:
            writer = pool.submit(_go_on, engine, enough)
            try:
                while len(moments) < MOMENTS and not writer.done():
                    with snapshots.take() as snapshot:
                        moments.add(_agreed(snapshot))
            finally:
                enough.set()
            turns = writer.result()
        with snapshots.take() as snapshot:
            moments.add(_agreed(snapshot))
        snapshots.close()
        assert turns >= LEAST_TURNS
        assert len(moments) >= MOMENTS


def _go_on(engine: Engine, enough: Event) -> int:
    """Signals, merges, splits and every few turns an erasure, until it is enough; the turns."""
    chance = random.Random(1)
    numbers = count()
    with engine.store() as store:
        consumer = Consumer(store)
        resolver = Resolver(store, POLICY, lambda: f"{next(numbers):026d}")
        lease = lease_of(store)
        turn = 0
        while turn < LEAST_TURNS or not enough.is_set():
            turn += 1
            consumer.take(*_visits(chance, turn))
            if turn % 3 == 0:
                retracted = chance.randrange(turn * 10)
                consumer.take(_retraction(10_000 + turn, retracted, turn))
            if turn % 5 == 0:
                gone = {node("login", chance.randrange(6)).key: turn * DAY_US}
                store.fence(gone)
                store.sweep(gone)
            while resolver.drain(lease, turn * DAY_US) is not None:
                pass
    return turn


def _visits(chance: random.Random, turn: int) -> Iterator[Contribution]:
    for place in range(10):
        number = turn * 10 + place
        device = node("device", chance.randrange(12))
        login = node("login", chance.randrange(6))
        nodes = _ordered([device, login] if chance.random() < 0.5 else [device])
        at_us = turn * DAY_US + place
        yield Contribution(
            number, number.to_bytes(8, "big"), at_us, at_us, "web", Assurance.CLAIMED, nodes,
            ((nodes[0].key, ("category:sport",)),),
        )  # fmt: skip


def _retraction(number: int, retracted: int, turn: int) -> Contribution:
    at_us = turn * DAY_US
    digest = _number(str(number)).to_bytes(8, "big")
    return Contribution(number, digest, at_us, at_us, "web", Assurance.NONE, retracts=retracted)


def _agreed(snapshot: Snapshot) -> tuple[int, int]:
    """Resolution and people of a snapshot in which all that must agree does."""
    gathered = gather(snapshot, POLICY)
    keys = pl.concat([pl.DataFrame(schema=KEYS), *snapshot.keys()])["node"]
    ids = pl.concat([pl.DataFrame(schema=IDS), *snapshot.ids()])["person"]
    told = {
        each.spec.id: each.exact()
        for each in figures(gathered, POLICY, PurposePolicy(), as_of_us=0, minimum=3)
    }
    people = told["people_by_kind"].get(("", "all"), 0)
    assert people == gathered.nodes["person"].n_unique()
    assert [sum(told[name].values()) for name in OF_ALL_PEOPLE] == [people] * len(OF_ALL_PEOPLE)
    assert sum(told["size"].values()) == gathered.nodes.height
    assert gathered.nodes["node"].is_in(keys.implode()).all()
    assert gathered.nodes["person"].is_in(ids.implode()).all()
    for end in ("left", "right"):
        assert gathered.links[end].is_in(keys.implode()).all()
    assert gathered.scored.is_empty()
    assert _living(gathered) == people
    return gathered.moment.resolution, people


def _living(gathered: Gathered) -> int:
    """Ids that the lineage says were created and neither merged nor retired."""
    changes = gathered.lineage.with_columns(pl.col("change").cast(pl.Int64))
    made = changes.filter(pl.col("change") == 1)["person"].unique()
    ended = pl.concat(
        [
            changes.filter(pl.col("change") == 2)["person"],
            changes.filter(pl.col("change") == 4)["person"],
        ]
    )
    return made.filter(~made.is_in(ended.unique().implode())).len()

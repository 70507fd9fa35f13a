"""Profiles are a pure function of the evidence: order, batching and repetition leave no trace."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.engines.memory import MemoryGraphStore
from identity.engines.sqlite import SqliteGraphStore
from identity.model import (
    DAY_US,
    Assurance,
    Contribution,
    EvidenceKind,
    Fact,
    KeptFact,
    Node,
    NodeKey,
)
from identity.store import GraphStore
from ingest.v1.signal_pb2 import RecordAsserted
from profiles.read_view import ReadView
from profiles.v1.profile_pb2 import Profile
from tests.support.profile_parts import DAY, new_sealer, node, purchase, record
from tests.support.profile_works import Works

SEALER = new_sealer()
LOGINS = [node(SEALER, "login", name, name) for name in "abc"]
DEVICES = [node(SEALER, kind, name) for kind in ("device", "cookie") for name in "xy"]
MOST_DAYS = 6


@dataclass(frozen=True)
class World:
    """Signals in two orders, the second with repetitions and its own batches, and a horizon."""

    signals: list[Contribution]
    again: list[list[Contribution]]
    before_day: int


def _contribution(
    number: int,
    nodes: tuple[Node, ...],
    at_us: int,
    *,
    cells: tuple[str, ...] = (),
    fact: Fact | None = None,
    assurance: Assurance = Assurance.CLAIMED,
    retracts: int | None = None,
) -> Contribution:
    activity = ((nodes[0].key, cells),) if cells else ()
    digest = number.to_bytes(8)
    return Contribution(
        number, digest, at_us, at_us, "web", assurance, nodes, activity, fact, retracts
    )


def _made(number: int, drawn: random.Random) -> Contribution:
    """One signal of the small world."""
    at_us = (DAY + drawn.randrange(MOST_DAYS)) * DAY_US + drawn.randrange(DAY_US)
    login, device = drawn.choice(LOGINS), drawn.choice(DEVICES)
    match drawn.randrange(8):
        case 0:
            said = {drawn.choice(["marketing", "personalisation"]): drawn.random() < 0.5}
            payload = msgpack.packb({"decisions": said, "text_version": "", "place": ""})
            subjects = (login, device) if drawn.random() < 0.5 else (device,)
            fact = Fact(EvidenceKind.CONSENT, tuple(one.key for one in subjects), payload)
            return _contribution(number, subjects, at_us, fact=fact)
        case 1:
            asserted = RecordAsserted(given_name=drawn.choice(["Ada", "Bea"]))
            named, kept = record(SEALER, f"r{number}", at_us, "web", asserted)
            return _contribution(number, (login, named), at_us, fact=kept.fact)
        case 2:
            bought: KeptFact = purchase(SEALER, login.key, at_us, f"item {number}")
            return _contribution(
                number, (login,), at_us, cells=("type:purchase",), fact=bought.fact
            )
        case 3:
            fact = Fact(
                EvidenceKind.DECISION, (LOGINS[0].key, LOGINS[1].key), same=drawn.random() < 0.6
            )
            return _contribution(number, (), at_us, fact=fact, assurance=Assurance.AUTHENTICATED)
        case 4:
            return _contribution(number, (), at_us, retracts=drawn.randrange(1, 30))
        case _:
            nodes = (login, device) if drawn.random() < 0.5 else (device,)
            cells = ("type:click", f"category:{drawn.choice('pq')}", "channel:web")
            return _contribution(number, nodes, at_us, cells=cells)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Some signals, and the same again in disorder."""
    drawn = random.Random(draw(st.integers(0, 1 << 32)))
    signals = [_made(number, drawn) for number in range(1, draw(st.integers(2, 25)))]
    disorder = signals + drawn.sample(signals, len(signals) // 3)
    drawn.shuffle(disorder)
    size = draw(st.integers(1, 8))
    batches = [disorder[at : at + size] for at in range(0, len(disorder), size)]
    return World(signals, batches, DAY + draw(st.integers(0, MOST_DAYS)))


def _expire(store: GraphStore, before_day: int) -> None:
    for kind in (EvidenceKind.LINK, EvidenceKind.ACTIVITY, EvidenceKind.PURCHASE):
        store.move_horizon(kind, before_day)


def _from_scratch(world: World, folder: Path) -> dict[NodeKey, Profile]:
    """All evidence at once, resolved and fed once."""
    with closing(ReadView(folder)) as view:
        works = Works(MemoryGraphStore(), SEALER, view)
        works.consumer.take(*world.signals)
        _expire(works.store, world.before_day)
        works.settle()
        return dict(works.shown())


OpenStore = Callable[[Path], GraphStore]


@pytest.mark.parametrize(
    "open_store",
    [lambda _: MemoryGraphStore(), lambda folder: SqliteGraphStore(folder / "graph")],
    ids=["memory", "sqlite"],
)
@given(world=worlds(), seed=st.integers(0, 1 << 16))
@settings(max_examples=25, deadline=None)
def test_profiles_end_as_if_built_from_scratch(
    tmp_path_factory: pytest.TempPathFactory, open_store: OpenStore, world: World, seed: int
) -> None:
    """Any order, batches, repetition, a horizon moved in between: the very same profiles."""
    folder = tmp_path_factory.mktemp("works")
    wanted = _from_scratch(world, folder / "scratch")
    drawn = random.Random(seed)
    with closing(ReadView(folder / "view")) as view, closing(open_store(folder)) as store:
        works = Works(store, SEALER, view)
        moved = drawn.randrange(len(world.again))
        for at, batch in enumerate(world.again):
            if at == moved:
                _expire(store, world.before_day)
            works.consumer.take(*batch)
            if drawn.random() < 0.5:
                works.settle()
        works.settle()
        assert works.shown() == wanted

"""Every figure, against a plain recount of random graphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from identity.engines.memory import MemoryGraph, MemoryGraphStore
from identity.engines.memory_snapshot import MemorySnapshots
from identity.model import (
    DAY_US,
    Assurance,
    Contribution,
    EvidenceKind,
    Expiring,
    Fact,
    NodeKey,
    kind_of,
)
from identity.resolver import Resolver
from identity.store import Batch, Checkpoint, GraphStore, Matching, Resolution
from kinfold.statistics import removed
from kinfold.statistics.figures import SPECS, figures
from kinfold.statistics.gathered import gather
from kinfold.statistics.insight import Insight, Scoring
from profiles import purposes
from profiles.deletions import Erasure
from tests.support import histories, match_world, oracle
from tests.support.histories import Drain, Horizon, Step, record_node
from tests.support.recount import Recount, told_by

POLICY = histories.policy()
PURPOSES = purposes.parse(
    {
        "purposes": {
            "service": {"words": "serve", "basis": "contract", "opt": "out"},
            "ads": {
                "words": "ads",
                "basis": "consent",
                "opt": "in",
                "places": {"US": {"basis": "legitimate_interest", "opt": "out"}},
            },
        },
        "serves": {"identifiers.email": ["ads", "service"], "identifiers.cookie": ["ads"]},
    }
)
AS_OF_US = 40 * DAY_US
MODELS = (
    Scoring(
        "devices",
        frozenset(histories.PRIORITY),
        "d" * 16,
        link_mbits=3_000,
        review_mbits=1_000,
        probability=lambda mbits: 1 / (1 + 2 ** (3 - mbits / 1_000)),
    ),
    Scoring("records", frozenset({"record"}), "r" * 16, 3_000, 1_000, lambda mbits: mbits / 30_000),
)
RECORD_KEYS = [record_node(number).key for number in range(1, 13)]
PLACES = ("", "DE", "US-CA")


@st.composite
def consents(draw: st.DrawFn) -> Contribution:
    """Somebody decides on purposes, somewhere."""
    nodes = draw(st.lists(st.sampled_from(histories.WORLD), min_size=1, max_size=2, unique=True))
    ordered = histories._ordered(nodes)
    decided = st.dictionaries(
        st.sampled_from(["ads", "service", "gone", "restriction", "legal_hold"]),
        st.booleans(),
        min_size=1,
    )
    place = draw(st.sampled_from(PLACES))
    payload = msgpack.packb(
        {"decisions": draw(decided), "text_version": "1", "place": place or None}
    )
    event_us = draw(st.integers(0, 8)) * DAY_US
    signal = draw(st.integers(20, 40))
    return Contribution(
        signal=signal,
        digest=repr((signal, event_us, payload, nodes)).encode().ljust(8)[-8:],
        event_us=event_us,
        published_us=event_us + draw(st.sampled_from([0, DAY_US])),
        source="web",
        assurance=Assurance.CLAIMED,
        nodes=ordered,
        activity=((ordered[0].key, (f"place:{place}",) if place else ()),),
        fact=Fact(EvidenceKind.CONSENT, tuple(node.key for node in ordered), payload),
    )


@st.composite
def worlds(draw: st.DrawFn) -> list[Step]:
    """Batches with consents among them, drains and horizons."""
    one = st.one_of(histories.contributions(), consents())
    batch = st.lists(one, min_size=1, max_size=8).map(tuple)
    drain = st.just(Drain(1_000))
    return draw(
        st.lists(st.one_of(batch, batch, drain, histories.horizons()), min_size=1, max_size=8)
    )


class World:
    """A graph, in memory by default, with its resolver; each step moves the clock by a week."""

    def __init__(self, store: GraphStore | None = None) -> None:
        self.graph = MemoryGraph()
        self.store: GraphStore = store or MemoryGraphStore(self.graph)
        ids = count()
        self.resolver = Resolver(self.store, POLICY, lambda: f"{next(ids):026d}")
        self.arrived: list[Contribution] = []
        self.horizons: dict[Expiring, int] = {}
        self.at: Checkpoint = self.store.claim("p")
        lease = self.store.acquire_lease("test", 0, 10**15)
        assert lease is not None
        self.lease = lease

    def run(self, steps: list[Step]) -> None:
        """Carry out steps, then resolve all that is marked."""
        for week, step in enumerate([*steps, Drain(1_000)]):
            if isinstance(step, Drain):
                while self.resolver.drain(self.lease, week * 7 * DAY_US) is not None:
                    pass
            elif isinstance(step, Horizon):
                self.store.move_horizon(step.kind, step.before_day)
                held = self.horizons.get(step.kind, 0)
                self.horizons[step.kind] = max(held, step.before_day)
            else:
                position = str(len(self.arrived) + len(step)).encode()
                self.store.commit(Batch(step, self.at, position))
                self.at = Checkpoint("p", position, self.at.epoch)
                self.arrived += step

    def score(self, pairs: Mapping[tuple[NodeKey, NodeKey], int]) -> None:
        """Write scored links between nodes that are somebody's, as a resolver with models does."""
        people = self.store.person_of({end for pair in pairs for end in pair})
        links: dict[tuple[NodeKey, NodeKey], int | None] = {
            pair: mbits for pair, mbits in pairs.items() if all(end in people for end in pair)
        }
        matching = Matching(links=links, model=";".join(map(_named, MODELS)))
        self.store.commit_resolution(self.lease, Resolution({}, {}, [], [], [], matching))


def _named(model: Scoring) -> str:
    return f"{','.join(sorted(model.kinds))}={model.pin}"


def models(named: str) -> tuple[Scoring, ...]:
    """Those of `MODELS` that an index is of."""
    return tuple(model for model in MODELS if _named(model) in named.split(";"))


INSIGHT = Insight(models, match_world.opened)


def all_figures(graph: MemoryGraph, minimum: int = 3) -> list[Any]:
    """Every figure of a graph."""
    with MemorySnapshots(graph).take() as snapshot:
        gathered = gather(snapshot, POLICY, insight=INSIGHT)
    return list(
        figures(
            gathered,
            POLICY,
            PURPOSES,
            as_of_us=AS_OF_US,
            minimum=minimum,
            models=INSIGHT.models(gathered.moment.model),
        )
    )


Drawn = list[tuple[int, int, int]]
WEIGHTS = st.one_of(st.integers(1, 25_000), st.sampled_from([2_999, 3_000, 3_000, 20_000]))
SCORED = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), WEIGHTS), max_size=40)
"""Two places among a world's nodes and a match weight, some around the threshold."""


def pairs_of(world: World, drawn: Drawn) -> dict[tuple[NodeKey, NodeKey], int]:
    """Pairs of nodes that one model compares; every other of them one that staff decided."""
    nodes = sorted(world.store.person_of([*(n.key for n in histories.WORLD), *RECORD_KEYS]))
    decided = [(one.left, one.right) for one in world.store.decisions(nodes)]
    found = {}
    for number, (one, other, mbits) in enumerate(drawn):
        if not nodes:
            break
        pair = (nodes[one % len(nodes)], nodes[other % len(nodes)])
        if decided and number % 2:
            pair = decided[one % len(decided)]
        if pair[0] != pair[1] and len({kind_of(end) == "record" for end in pair}) == 1:
            found[min(pair), max(pair)] = mbits
    return found


@pytest.mark.timeout(300)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds(), SCORED)
def test_every_figure_is_what_a_recount_gives(steps: list[Step], drawn: Drawn) -> None:
    """All figures of any graph are what walking over its people one by one gives."""
    world = World()
    world.run(steps)
    world.score(pairs_of(world, drawn))
    live = [
        replace(one, nodes=tuple(n for n in one.nodes if n.key in named))
        for one in first_published(oracle.live(world.arrived, world.horizons), world.arrived)
        if (named := oracle.named(one, world.horizons))
    ]
    told = told_by(all_figures(world.graph))
    repeated = published_again(world.arrived)
    assert (
        told
        == Recount(
            world.store, live, POLICY, PURPOSES, AS_OF_US, MODELS, match_world.opened, repeated
        ).all()
    )


def first_published(live: list[Contribution], arrived: list[Contribution]) -> list[Contribution]:
    """The same with the earliest publication of each content."""
    first: dict[tuple[int, bytes], int] = {}
    for one in arrived:
        same = (one.signal, one.digest)
        first[same] = min(first.get(same, one.published_us), one.published_us)
    return [replace(one, published_us=first[one.signal, one.digest]) for one in live]


def test_what_is_shared_says_the_highest_kind() -> None:
    """Beside too many values of several kinds, an identifier counts under the highest of them."""
    email, world = histories.node("email", 1), World()
    beside = [
        histories.node(kind, number) for kind in ("login", "customer_id") for number in (1, 2)
    ]
    seen = [
        Contribution(number, bytes([number] * 8), 0, 0, "web", Assurance.CLAIMED,
                     histories._ordered([email, other]))
        for number, other in enumerate(beside, 1)
    ]  # fmt: skip
    world.run([tuple(seen)])
    told = told_by(all_figures(world.graph))
    assert told["shared"] == {("email", "customer_id"): 1}


def published_again(arrived: list[Contribution]) -> set[tuple[int, bytes]]:
    """Contents that came with publications of several times."""
    times: dict[tuple[int, bytes], set[int]] = {}
    for one in arrived:
        times.setdefault((one.signal, one.digest), set()).add(one.published_us)
    return {content for content, published in times.items() if len(published) > 1}


def test_every_figure_is_defined_once() -> None:
    """Figures have ids of their own, and words for what they mean and how they are counted."""
    assert len({spec.id for spec in SPECS}) == len(SPECS)
    assert all(spec.meaning and spec.counted and spec.title for spec in SPECS)
    world = World()
    world.run([])
    ids = [figure.spec.id for figure in all_figures(world.graph)]
    assert ids == [spec.id for spec in SPECS if spec.id not in ("erased", "dead_letters")]


def test_the_erased_are_counted_by_age() -> None:
    """Erased people count once each, by their last erasure, apart from those suppressed."""
    began = {"a": 1, "b": 8, "c": 8, "d": 400}
    done = [
        Erasure(f"{one}-{number}", one, AS_OF_US - days * DAY_US, 0, one == "c", 0, 0, None)
        for one, days in began.items()
        for number in range(2)
    ]
    done.append(Erasure("again", "d", AS_OF_US - 2 * DAY_US, 0, False, 0, 0, AS_OF_US))
    assert removed.figure(done, AS_OF_US).exact() == {
        ("not suppressed", "within 7 days"): 2,
        ("not suppressed", "within 30 days"): 1,
        ("suppressed", "within 30 days"): 1,
    }


def test_the_document_defines_every_figure() -> None:
    """docs/statistics.md says of each figure what it means and how it is counted, word for word."""
    text = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text("utf-8")
    for spec in SPECS:
        assert f"**`{spec.id}`**" in text
        assert spec.meaning in text
        assert spec.counted in text

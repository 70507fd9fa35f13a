"""A cohort's signals in any order give the people and profiles of a rebuild from scratch."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from identity.engines.memory import MemoryGraphStore
from identity.engines.neo4j.store import Neo4jGraphStore
from identity.engines.sqlite import SqliteGraphStore
from identity.model import DAY_US, Contribution, EvidenceKind, NodeKey
from identity.store import GraphStore
from kinfold.generate.spec import CohortSpec
from profiles.read_view import ReadView
from profiles.v1.profile_pb2 import Profile
from tests.support.cohort import lines, made
from tests.support.intaking import NOW_US, intake, sealer
from tests.support.neo4j_graph import empty
from tests.support.profile_works import Works
from tests.support.servers import Neo4jServer

SPEC = CohortSpec(people=9, days=4, seed=10, late=0.1, duplicate=0.05, rewritten=0.05, mistaken=0.5)
EXPIRE = (EvidenceKind.LINK, EvidenceKind.ACTIVITY, EvidenceKind.PURCHASE, EvidenceKind.CONSENT)
SEALER = sealer()
OpenStore = Callable[[Path], GraphStore]


@dataclass(frozen=True)
class Outcome:
    """Who is who, and what each identifier's profile says."""

    people: frozenset[frozenset[NodeKey]]
    profiles: dict[NodeKey, Profile]


@pytest.fixture(scope="module")
def cohort() -> list[Contribution]:
    """What a cohort's signals contribute, retractions and contested contents among them."""
    reader = intake()
    taken = [reader.from_json(line, NOW_US) for line in lines(made(SPEC)[0])]
    found = [one for one in taken if isinstance(one, Contribution)]
    assert any(one.retracts for one in found)
    digests = {(one.signal, one.digest) for one in found}
    assert len({signal for signal, _ in digests}) < len(digests) < len(found)
    return found


def _expire(store: GraphStore, before_day: int) -> None:
    for kind in EXPIRE:
        store.move_horizon(kind, before_day)


def _outcome(works: Works) -> Outcome:
    works.settle()
    members = works.store.members(works.store.all_people())
    return Outcome(frozenset(members.values()), dict(works.shown()))


def _from_scratch(chosen: Sequence[Contribution], before_day: int, folder: Path) -> Outcome:
    """All evidence at once in canonical order, resolved and fed once."""
    with closing(ReadView(folder)) as view:
        works = Works(MemoryGraphStore(), SEALER, view)
        works.consumer.take(*sorted(chosen, key=lambda one: (one.signal, one.digest)))
        _expire(works.store, before_day)
        return _outcome(works)


@dataclass(frozen=True)
class Disorder:
    """How signals arrive: which, in what order, how often, in what batches, settled when."""

    seed: int
    batch: int
    share: float
    settled: float
    kept_days: int

    def chosen(self, cohort: Sequence[Contribution]) -> list[Contribution]:
        """Those that arrive at all."""
        drawn = random.Random(self.seed)
        return [one for one in cohort if drawn.random() < self.share] or [cohort[0]]

    def arrives(self, works: Works, chosen: Sequence[Contribution], before_day: int) -> None:
        """They arrive in disorder; at some point the horizon moves."""
        drawn = random.Random(self.seed + 1)
        signals = [*chosen, *drawn.sample(chosen, len(chosen) // 4)]
        drawn.shuffle(signals)
        batches = [signals[at : at + self.batch] for at in range(0, len(signals), self.batch)]
        expires = drawn.randrange(len(batches))
        for number, batch in enumerate(batches):
            if number == expires:
                _expire(works.store, before_day)
            works.consumer.take(*batch)
            if drawn.random() < self.settled:
                works.settle()


disorders = st.builds(
    Disorder,
    seed=st.integers(0, 1 << 32),
    batch=st.sampled_from([3, 20, 77, 1_000]),
    share=st.sampled_from([0.1, 0.5, 1.0]),
    settled=st.sampled_from([0.0, 0.2, 1.0]),
    kept_days=st.integers(1, 6),
)


@pytest.mark.parametrize(
    "open_store",
    [lambda _: MemoryGraphStore(), lambda folder: SqliteGraphStore(folder / "graph")],
    ids=["memory", "sqlite"],
)
@given(disorder=disorders)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_order_ends_like_a_rebuild(
    tmp_path_factory: pytest.TempPathFactory,
    cohort: list[Contribution],
    open_store: OpenStore,
    disorder: Disorder,
) -> None:
    """Order, repetition, batches, resolving in between, a moving horizon leave no trace."""
    _check(cohort, open_store, disorder, tmp_path_factory.mktemp("rebuild"))


@pytest.mark.slow
@pytest.mark.timeout(600)
@given(disorder=disorders)
@settings(
    max_examples=3,
    deadline=None,
    # The graph is emptied at the start of every example, so one fixture may serve all.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_any_order_ends_like_a_rebuild_on_neo4j(
    tmp_path_factory: pytest.TempPathFactory,
    cohort: list[Contribution],
    neo4j_server: Neo4jServer,
    disorder: Disorder,
) -> None:
    """The same on a real Neo4j."""
    server = neo4j_server
    with server.driver() as driver:
        empty(driver)

    def open_store(_: Path) -> GraphStore:
        auth = (server.user, server.password)
        return Neo4jGraphStore(server.bolt_url, auth, server.database)

    _check(cohort, open_store, disorder, tmp_path_factory.mktemp("rebuild"))


def _check(
    cohort: list[Contribution], open_store: OpenStore, disorder: Disorder, folder: Path
) -> None:
    chosen = disorder.chosen(cohort)
    first_day = min(one.event_us for one in cohort) // DAY_US
    before_day = first_day + 5 - disorder.kept_days
    wanted = _from_scratch(chosen, before_day, folder / "scratch")
    with closing(open_store(folder)) as store, closing(ReadView(folder / "view")) as view:
        works = Works(store, SEALER, view)
        disorder.arrives(works, chosen, before_day)
        found = _outcome(works)
    assert found.people == wanted.people
    assert found.profiles == wanted.profiles

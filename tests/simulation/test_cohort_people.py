"""A whole cohort through intake, store and resolver: what is found is what is true."""

import itertools
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import kinfold
from identity import normalize
from identity.engines.memory import MemoryGraph, MemoryGraphStore
from identity.engines.memory_snapshot import MemorySnapshots
from identity.model import RECORD_KIND, Contribution, NodeKey
from identity.policy import IdentityPolicy, parse
from identity.resolver import Resolver
from identity.store import Outcome
from identity.tokens import Tokens
from ingest.intake import Intake
from kinfold.generate.score import Score, score
from kinfold.generate.spec import CohortSpec
from kinfold.generate.truth import Truth
from kinfold.statistics.figure import ALL
from kinfold.statistics.figures import figures
from kinfold.statistics.gathered import gather
from profiles.purposes import PurposePolicy
from tests.support.cohort import is_bad, lines, made
from tests.support.store_driver import Consumer, lease_of

SPEC = CohortSpec(people=150, days=7, seed=21, bad=0.004, mistaken=0.05, rewritten=0.002)
LATER_US = 1_800_000_000_000_000
TOKEN_KEY, ORDER_KEY = b"t" * 32, b"o" * 32
BATCH = 1_000


class Blank:
    """Seals by forgetting: this test opens nothing."""

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Nothing of either."""
        del plaintext, context
        return b""


@dataclass(frozen=True)
class Run:
    """What became of the cohort."""

    truth: Truth
    summary: dict[str, Any]
    refused: Counter[bool]
    outcomes: Counter[Outcome]
    splits: int
    score: Score
    graph: MemoryGraph


@pytest.fixture(scope="module")
def policy() -> IdentityPolicy:
    """The policy that kinfold ships."""
    return parse(tomllib.loads(Path(kinfold.__file__).with_name("default_policy.toml").read_text()))


@pytest.fixture(scope="module")
def run(policy: IdentityPolicy) -> Run:
    """The cohort taken in batch by batch, resolved after each."""
    signals, truth = made(SPEC)
    graph = MemoryGraph()
    store = MemoryGraphStore(graph)
    consumer = Consumer(store)
    numbers = itertools.count()
    resolver = Resolver(store, policy, lambda: f"{next(numbers):026d}")
    lease = lease_of(store)
    intake = Intake(policy, [TOKEN_KEY], ORDER_KEY, Blank())
    refused: Counter[bool] = Counter()
    outcomes: Counter[Outcome] = Counter()
    splits = 0
    for first in range(0, len(signals), BATCH):
        batch = signals[first : first + BATCH]
        taken = [intake.from_json(line, LATER_US) for line in lines(batch)]
        refused.update(
            is_bad(signal)
            for signal, one in zip(batch, taken, strict=True)
            if not isinstance(one, Contribution)
        )
        outcomes.update(consumer.take(*(one for one in taken if isinstance(one, Contribution))))
        while drained := resolver.drain(lease, 0):
            splits += drained.split
    judged = score(truth.rows(), _key_of(Tokens([TOKEN_KEY], ORDER_KEY)), store)
    return Run(truth, truth.summary(), refused, outcomes, splits, judged, graph)


def _key_of(tokens: Tokens) -> Any:
    def key_of(kind: str, value: str) -> NodeKey:
        normalised = normalize.identifier(kind, value)
        assert isinstance(normalised, str)
        return tokens.key(kind, normalised)

    return key_of


def test_only_bad_lines_are_refused(run: Run) -> None:
    """Every broken signal is refused, and no other: odd spellings and placeholders included."""
    assert run.refused == {True: sum(run.summary["bad"].values())}


def test_dead_letters_are_those_the_truth_names(run: Run) -> None:
    """Refused signals, and one of each two contents under one id."""
    contested = run.outcomes[Outcome.REPLACED] + run.outcomes[Outcome.OUTDONE]
    assert contested == run.summary["rewritten"] > 0
    assert run.refused.total() + contested == run.summary["dead_letters"]
    assert run.outcomes[Outcome.DUPLICATE] == run.summary["duplicates"]
    assert run.outcomes[Outcome.RETRACTION] == run.summary["retractions"] > 0


def test_people_are_found(run: Run) -> None:
    """Nearly all that signals tie together is found together, and little else is."""
    assert run.score.true_people == run.summary["people_seen"] == SPEC.people
    assert run.score.recall_tied > 0.98
    assert run.score.precision > 0.9
    assert run.score.exact_parts > 0.95 * run.score.parts
    assert run.score.unassigned == 0


def test_shared_devices_are_told_from_own_ones(run: Run) -> None:
    """No own identifier passes for shared; what several people logged in on does not join them."""
    assert run.score.wrongly_shared == 0
    assert run.score.shared_found > 0.5 * run.score.shared > 0
    assert run.splits > 0


def test_figures_count_what_is_true(run: Run, policy: IdentityPolicy) -> None:
    """Identifiers by kind, signals and people per account are those that the truth names."""
    with MemorySnapshots(run.graph).take() as snapshot:
        gathered = gather(snapshot, policy)
    told = {
        each.spec.id: each.exact()
        for each in figures(gathered, policy, PurposePolicy(), as_of_us=LATER_US, minimum=3)
    }
    sizes = {kind: n for (_, kind), n in told["size"].items() if kind != RECORD_KIND}
    assert sizes == run.summary["identifiers"]
    taken_back = run.summary["retractions"]
    # A decision of staff is a signal of nobody's.
    assert gathered.decisions.height > 0
    signals = run.outcomes[Outcome.COUNTED] - taken_back - gathered.decisions.height
    assert sum(told["signals_by_source"].values()) == signals
    assert sum(told["lateness"].values()) == signals
    accounts = {name for name, kind in policy.kinds.items() if kind.account}
    rows = [row for row in run.truth.rows() if not row.shared]
    parts = {(row.person, row.part) for row in rows}
    known = {(row.person, row.part) for row in rows if row.kind in accounts}
    # What the signals cannot tell apart, and what a mistaken decision tore, is one in fifty.
    people = told["people_by_kind"]["", ALL] - sum(told["shared"].values())
    assert people == pytest.approx(len(parts), rel=0.02)
    assert told["known"]["", "has an account"] == pytest.approx(len(known), rel=0.02)

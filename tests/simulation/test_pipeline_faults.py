"""A pipeline whose store and letters fail, and which is killed, at any call: nothing is lost or
counted twice. One seed reproduces one run.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import orjson
import pytest

from identity.engines.sqlite import SqliteGraphStore
from identity.model import Contribution
from identity.store import Batch, Fenced, GraphStore, Outcome, StoreUnavailable
from ingest.auditing import Auditor
from ingest.dead_letters import DeadLetter, DeadLetters, Envelopes, LettersUnavailable
from ingest.dead_letters_file import FileLetters
from ingest.forms import Signals
from ingest.letter_writing import LetterWriter
from ingest.pipeline import Patience, Pipeline, Step
from ingest.source import ReadLimits, TakenOver
from ingest.source_files import FileSource
from profiles.audit import AuditUnavailable
from profiles.audit_sqlite import SqliteAuditLog
from tests.support.cohort import TINY, lines, made
from tests.support.end_state import EndState, end_state, inputs, resolve_all
from tests.support.intaking import NOW_US, ORDER_KEY, intake, line, policy, sealer

LIMITS = ReadLimits(signals=41, linger_ms=1)
PATIENCE = Patience(idle_ms=1, retry_ms=1, retry_most_ms=2, taken_ms=1)
Answer = TypeVar("Answer")


class Killed(BaseException):
    """Stands for kill -9: from here on nothing this process does has any effect."""


class Fate:
    """Decides by one seed before and after which call what happens."""

    def __init__(self, seed: int, share: float) -> None:
        self._random = random.Random(seed)
        self._share = share
        self._dead = False
        self.kills = 0
        self.failures = 0

    def revive(self) -> None:
        """Another process starts."""
        self._dead = False

    def meets(self, action: Callable[[], Answer], failure: Exception) -> Answer:
        """Do the action, or fail or die before it, or fail or die after it."""
        self._strike(failure)
        answer = action()
        self._strike(failure)
        return answer

    def _strike(self, failure: Exception) -> None:
        drawn = self._random.random()
        if self._dead or drawn < self._share:
            self.kills += not self._dead
            self._dead = True
            raise Killed
        if drawn < 3 * self._share:
            self.failures += 1
            raise failure


class ShakyStore:
    """A real store whose calls fail: before they did anything, or after they did all of it."""

    def __init__(self, store: GraphStore, fate: Fate) -> None:
        self._store = store
        self._fate = fate

    def claim(self, partition: str) -> Any:
        """As the store's, or a failure."""
        return self._fate.meets(lambda: self._store.claim(partition), StoreUnavailable("shaken"))

    def commit(self, batch: Batch) -> list[Outcome]:
        """As the store's, or a failure."""
        return self._fate.meets(lambda: self._store.commit(batch), StoreUnavailable("shaken"))


class ShakyLetters:
    """Real dead letters, likewise."""

    def __init__(self, letters: DeadLetters, fate: Fate) -> None:
        self._letters = letters
        self._fate = fate

    def keep(self, letters: Sequence[DeadLetter]) -> None:
        """As the letters', or a failure."""
        self._fate.meets(lambda: self._letters.keep(letters), LettersUnavailable("shaken"))


class ShakyAudit:
    """A real audit log, likewise."""

    def __init__(self, folder: Path, fate: Fate) -> None:
        self._auditor = Auditor(audit_log(folder), lambda: NOW_US)
        self._fate = fate

    def __call__(self, contributions: Sequence[Contribution], outcomes: Sequence[Outcome]) -> None:
        """As the auditor's, or a failure."""
        self._fate.meets(lambda: self._auditor(contributions, outcomes), AuditUnavailable("shaken"))


def audit_log(folder: Path) -> SqliteAuditLog:
    """The audit log of a folder."""
    return SqliteAuditLog(folder / "audit.db", b"a key of the log's own, 32 bytes")


@dataclass(frozen=True)
class Run:
    """What a run ended in; `logged` is every decision in the audit log."""

    people: EndState
    letters: dict[str, tuple[str, bytes]]
    totals: Any
    logged: list[bytes]


def envelopes() -> Envelopes:
    """Opens and closes letters, whichever process wrote them."""
    return Envelopes(sealer(), ORDER_KEY)


def pipeline(path: Path, store: GraphStore, letters: DeadLetters, **more: Any) -> Pipeline:
    """A pipeline as a fresh process would make it."""
    understand = Signals(intake())
    source = FileSource([path], LIMITS)
    (partition,) = source.partitions()
    writer = LetterWriter(envelopes(), understand, partition)
    return Pipeline(
        source,
        partition,
        store,
        understand,
        letters,
        writer,
        now_us=lambda: NOW_US,
        stop=more.pop("stop", threading.Event()),
        patience=PATIENCE,
        **more,
    )


@pytest.fixture(scope="module")
def signals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort, with signals that came twice, bad ones, and contents that share an id."""
    told = lines(made(TINY)[0])
    drawn = random.Random(1)
    for number in range(25):
        told.insert(drawn.randrange(len(told)), b'{"source":"web","broken":%d\n' % number)
        told.insert(drawn.randrange(len(told)), drawn.choice(told))
        for category in ("one", "two"):
            said = line(signal_id=f"same-{number}", behaviour={"type": 1, "category": category})
            told.insert(drawn.randrange(len(told)), said + b"\n")
    path = tmp_path_factory.mktemp("signals") / "signals.jsonl"
    path.write_bytes(b"".join(told))
    return path


def ended(folder: Path) -> Run:
    """The state of the stores in a folder."""
    store = SqliteGraphStore(folder / "graph.db")
    letters = FileLetters(folder / "letters.db")
    resolve_all(store, policy())
    log = audit_log(folder)
    assert log.damaged_at() is None
    logged = sorted(log.entries())
    log.close()
    found = inputs(letters.all(), envelopes())
    run = Run(end_state(store), found, store.totals().signals, logged)
    store.close()
    letters.close()
    return run


@pytest.fixture(scope="module")
def undisturbed(signals: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """What the signals come to when nothing happens."""
    folder = tmp_path_factory.mktemp("undisturbed")
    store, letters = SqliteGraphStore(folder / "graph.db"), FileLetters(folder / "letters.db")
    audit = ShakyAudit(folder, Fate(0, share=0.0))
    pipeline(signals, store, letters, audit=audit).run()
    store.close()
    letters.close()
    return ended(folder)


def assert_same(run: Run, undisturbed: Run) -> None:
    """Same people, same evidence, every signal counted once, no letter lost, each listed once."""
    assert run.totals == undisturbed.totals
    assert run.people == undisturbed.people
    missing = undisturbed.letters.keys() - run.letters.keys()
    assert not missing
    # A content that was replaced leaves its bytes only when its batch is done again.
    more = run.letters.keys() - undisturbed.letters.keys()
    assert {run.letters[each][0] for each in more} <= {"outdone"}


def test_the_undisturbed_run_has_what_the_others_are_to_keep(undisturbed: Run) -> None:
    """The yardstick has people, decisions in the log, letters of rejected lines and of contents
    outdone.
    """
    reasons = [reason for reason, _ in undisturbed.letters.values()]
    assert len(undisturbed.people) > 20
    assert len(undisturbed.logged) > 10
    assert reasons.count("json") == 25
    assert reasons.count("outdone") > 5


@pytest.mark.parametrize("seed", range(12))
def test_whatever_fails_or_dies_the_end_is_the_same(
    signals: Path, undisturbed: Run, tmp_path: Path, seed: int
) -> None:
    """Failures and kills before and after any call leave the state of the undisturbed run."""
    fate = Fate(seed, share=0.03)
    done = False
    while not done:
        fate.revive()
        store, letters = (
            SqliteGraphStore(tmp_path / "graph.db"),
            FileLetters(tmp_path / "letters.db"),
        )
        shaky = cast("GraphStore", ShakyStore(store, fate))
        try:
            audit = ShakyAudit(tmp_path, fate)
            told = cast("DeadLetters", ShakyLetters(letters, fate))
            pipeline(signals, shaky, told, audit=audit).run()
            done = True
        except Killed:
            pass
        finally:
            store.close()
            letters.close()
    assert fate.kills + fate.failures > 3
    run = ended(tmp_path)
    assert_same(run, undisturbed)
    assert run.logged == undisturbed.logged


def test_a_replay_from_the_beginning_changes_nothing(
    signals: Path, undisturbed: Run, tmp_path: Path
) -> None:
    """Everything read once more, from a checkpoint at the beginning: same state, same letters."""
    store, letters = SqliteGraphStore(tmp_path / "graph.db"), FileLetters(tmp_path / "letters.db")
    pipeline(signals, store, letters).run()
    again = pipeline(signals, store, letters, replay=True)
    again.run()
    assert set(again.tally.outcomes) <= {Outcome.DUPLICATE, Outcome.OUTDONE}
    assert again.tally.read > 600
    store.close()
    letters.close()
    assert_same(ended(tmp_path), undisturbed)


def test_a_restart_goes_on_where_it_stopped(
    signals: Path, undisturbed: Run, tmp_path: Path
) -> None:
    """Told to stop after some batches, the next run reads only the rest."""
    store, letters = SqliteGraphStore(tmp_path / "graph.db"), FileLetters(tmp_path / "letters.db")
    stop = threading.Event()
    first = pipeline(signals, store, letters, stop=stop)
    steps: list[Step] = []

    def after(step: Step) -> None:
        steps.append(step)
        if len(steps) == 5:
            stop.set()

    first.run(after)
    second = pipeline(signals, store, letters)
    second.run()
    assert first.tally.read == 5 * LIMITS.signals
    whole = pipeline(signals, store, letters, replay=True)
    whole.run()
    assert first.tally.read + second.tally.read == whole.tally.read
    store.close()
    letters.close()
    assert_same(ended(tmp_path), undisturbed)


def test_a_consumer_that_lost_its_partition_cannot_commit(signals: Path, tmp_path: Path) -> None:
    """Once another has claimed the partition, the former owner changes nothing and says so."""
    store, letters = SqliteGraphStore(tmp_path / "graph.db"), FileLetters(tmp_path / "letters.db")
    former = pipeline(signals, store, letters)
    assert former.step() is not None
    before = store.totals()
    (partition,) = FileSource([signals]).partitions()
    taken = store.claim(partition)
    assert former.step() is None
    assert former.tally.fenced == 1
    assert store.totals() == before
    with pytest.raises(Fenced):
        store.commit(Batch((), type(taken)(partition, taken.position, taken.epoch - 1), b"9:0:0"))
    store.close()
    letters.close()


def test_a_partition_that_another_keeps_taking_ends_the_run(signals: Path, tmp_path: Path) -> None:
    """Two deployments that fence each other for ever are told, not tolerated."""
    store, letters = SqliteGraphStore(tmp_path / "graph.db"), FileLetters(tmp_path / "letters.db")

    class Taken(ShakyStore):
        """Another owner claims the partition before every commit."""

        def commit(self, batch: Batch) -> list[Outcome]:
            self._store.claim(batch.expected.partition)
            return self._store.commit(batch)

    shaky = cast("GraphStore", Taken(store, Fate(1, share=0.0)))
    with pytest.raises(TakenOver, match="someone else"):
        pipeline(signals, shaky, letters).run()
    assert store.totals().signals == 0
    store.close()
    letters.close()


def test_a_fault_of_the_program_costs_one_input_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An input that makes the program fail becomes a dead letter that names no value."""
    path = tmp_path / "signals.jsonl"
    path.write_bytes(b"\n".join(line(signal_id=f"s{each}") for each in range(3)))
    store, letters = SqliteGraphStore(tmp_path / "graph.db"), FileLetters(tmp_path / "letters.db")
    run = pipeline(path, store, letters)
    sound = Signals.__call__

    def faulty(self: Signals, received: Any, received_us: int) -> Any:
        if orjson.loads(received.payload)["signal_id"] == "s1":
            raise ZeroDivisionError(received.payload)
        return sound(self, received, received_us)

    monkeypatch.setattr(Signals, "__call__", faulty)
    run.run()
    (letter,) = letters.all()
    assert (letter.reason, letter.hint) == ("unexpected", "report ZeroDivisionError")
    assert orjson.loads(envelopes().open(letter))["signal_id"] == "s1"
    assert store.totals().signals == 2
    store.close()
    letters.close()

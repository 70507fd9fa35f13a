"""The embedded engine under the contract of `GraphStore`, and what it promises beyond."""

from __future__ import annotations

import random
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from identity.engines.sqlite import SqliteGraphStore, arrivals, names
from identity.engines.sqlite.arrivals import SignalFilter
from identity.model import DAY_US, EvidenceKind, Node
from identity.store import GraphStore, Outcome, StoreDamaged, StoreUnavailable
from tests.contracts.graph_store import Engine, GraphStoreContract
from tests.support.evidence_strategies import FIRST_DAY, contribution, node, retraction
from tests.support.store_driver import Consumer, assign

ANN, PHONE = node("login:a").key, node("device:a").key


class TestSqlite(GraphStoreContract):
    """Every promise, durability included."""

    @pytest.fixture
    def engine(self, tmp_path: Path) -> Engine:
        """Store objects on one file; each example gets its own."""
        numbers = [0]

        def opened() -> GraphStore:
            return SqliteGraphStore(tmp_path / f"graph-{numbers[-1]}.db")

        def wipe() -> None:
            for left in tmp_path.glob("graph-*"):
                left.unlink()
            numbers.append(numbers[-1] + 1)

        return Engine(open=opened, wipe=wipe, durable=True, max_examples=80)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test keeps its graph."""
    return tmp_path / "graph.db"


def test_the_file_is_its_owners_alone(path: Path) -> None:
    """The file and its write-ahead log are readable and writable by their owner only."""
    store = SqliteGraphStore(path)
    Consumer(store).take(contribution(1, "login:a"))
    modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.glob("graph.db*")}
    assert modes["graph.db"] == modes["graph.db-wal"] == 0o600
    store.close()


def test_a_writer_that_waits_too_long_is_told(path: Path) -> None:
    """Past the limit a busy file is `StoreUnavailable`, and nothing was written."""
    store = SqliteGraphStore(path, wait_s=0.05)
    consumer = Consumer(store)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable) as told:
        consumer.take(contribution(1, "login:a"))
    assert "locked" not in str(told.value)
    other.execute("ROLLBACK")
    other.close()
    assert consumer.take(contribution(1, "login:a")) == [Outcome.COUNTED]
    store.close()


def test_a_writer_waits_for_another(path: Path) -> None:
    """Within the limit a writer waits until the other has finished."""
    store = SqliteGraphStore(path)
    consumer = Consumer(store)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.2, lambda: other.execute("COMMIT"))
    release.start()
    assert consumer.take(contribution(1, "login:a")) == [Outcome.COUNTED]
    release.join()
    other.close()
    store.close()


def test_other_files_are_refused(path: Path) -> None:
    """What is no graph, another program's database or a later version's is `StoreDamaged`."""
    path.write_bytes(b"no database at all " * 500)
    with pytest.raises(StoreDamaged):
        SqliteGraphStore(path)
    for pragma in ("application_id = 7", "user_version = 99"):
        path.unlink()
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE mine (id)")
        other.execute(f"PRAGMA {pragma}")
        other.close()
        with pytest.raises(StoreDamaged):
            SqliteGraphStore(path)


def test_a_later_version_is_refused(path: Path) -> None:
    """A graph that a later version wrote is not touched."""
    SqliteGraphStore(path).close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(StoreDamaged):
        SqliteGraphStore(path)


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    """A file that cannot be made is `StoreUnavailable`."""
    with pytest.raises(StoreUnavailable):
        SqliteGraphStore(tmp_path / "missing" / "graph.db")


@pytest.mark.parametrize("kept", [1, 256])
def test_what_another_committed_is_known(
    path: Path, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal that another store object counted is a duplicate, however far behind one is."""
    monkeypatch.setattr(arrivals, "KEPT_BATCHES", kept)
    one, two = SqliteGraphStore(path), SqliteGraphStore(path)
    first, second = Consumer(one, "first"), Consumer(two, "second")
    second.take(contribution(100, "device:b"))
    for number in range(1, 6):
        first.take(contribution(number, "login:a", "device:a", at_us=number))
    again = [contribution(number, "login:a", "device:a", at_us=number) for number in range(1, 6)]
    assert second.take(*again) == [Outcome.DUPLICATE] * 5
    assert first.take(contribution(100, "device:b")) == [Outcome.DUPLICATE]
    one.close()
    two.close()


def test_a_node_that_another_dropped_is_made_anew(path: Path) -> None:
    """Ids cached by one store object are not used after another dropped their nodes."""
    one, two = SqliteGraphStore(path), SqliteGraphStore(path)
    first, second = Consumer(one, "first"), Consumer(two, "second")
    first.take(contribution(1, "login:a"))
    second.take(retraction(9, 1, at_us=5))
    assign(two, {}, clear=10)
    assert two.totals().nodes == {}
    second.take(contribution(2, "device:b"))
    assert first.take(contribution(3, "login:a", "device:a")) == [Outcome.COUNTED]
    assert set(one.views([ANN, PHONE])) == {ANN, PHONE}
    assert one.link_days([(ANN, PHONE)])[ANN, PHONE][0].count == 1
    one.close()
    two.close()


def test_a_commit_that_fails_leaves_nothing_in_memory(path: Path) -> None:
    """After a failure inside the transaction the same batch counts as if it came first."""
    store = SqliteGraphStore(path)
    consumer = Consumer(store)
    good = contribution(1, "login:a", "device:a", cells=("category:new",))
    bad = replace(contribution(2, "login:b"), digest="no bytes")  # type: ignore[arg-type]
    broken = replace(bad, activity=((ANN, (object(),)),))  # type: ignore[arg-type]
    with pytest.raises((TypeError, AttributeError)):
        consumer.take(good, broken)
    assert store.totals().signals == 0
    assert consumer.take(good) == [Outcome.COUNTED]
    assign(store, {ANN: "p" * 26})
    store.close()
    reader = SqliteGraphStore(path)
    activity = reader.evidence(["p" * 26])["p" * 26].activity[ANN][FIRST_DAY]
    assert dict(activity.cells) == {"category:new": 1}
    reader.close()


def test_crowded_dimensions_keep_their_texts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells beyond the names of a dimension are counted and taken as well as named ones."""
    monkeypatch.setattr(names, "NAMES_PER_DIMENSION", 2)
    one, two = SqliteGraphStore(path), SqliteGraphStore(path)
    first, second = Consumer(one, "first"), Consumer(two, "second")
    cells = tuple(f"network:{number}" for number in range(6))
    first.take(contribution(1, "login:a", cells=cells[:1]))
    second.take(contribution(2, "login:a", cells=cells[:1], at_us=1))
    first.take(contribution(3, "login:a", cells=cells[:4], at_us=2))
    # The other store object still believes that there is room for one name.
    second.take(contribution(4, "login:a", cells=cells[2:] + cells[:2], at_us=3))
    first.take(retraction(9, 1, at_us=9))
    assign(one, {ANN: "p" * 26})
    for store in (one, two):
        day = store.evidence(["p" * 26])["p" * 26].activity[ANN][FIRST_DAY]
        assert dict(day.cells) == dict(zip(cells, (3, 2, 2, 2, 1, 1), strict=True))
    one.close()
    two.close()


def test_a_sealed_value_that_comes_later_is_kept(path: Path) -> None:
    """A node first seen without its sealed value gets it with a later signal, and keeps it."""
    store = SqliteGraphStore(path)
    consumer = Consumer(store)
    full = contribution(2, "login:a", at_us=1)
    bare = replace(contribution(1, "login:a"), nodes=(replace(node("login:a"), sealed=b""),))
    consumer.take(bare)
    assign(store, {ANN: "p" * 26})
    assert store.evidence(["p" * 26])["p" * 26].nodes == (Node(ANN, node("login:a").order),)
    consumer.take(full)
    consumer.take(replace(bare, signal=3, event_us=FIRST_DAY * DAY_US + 2))
    assert store.evidence(["p" * 26])["p" * 26].nodes == (node("login:a"),)
    store.close()


def test_what_was_dropped_is_not_in_the_file(path: Path) -> None:
    """A dropped node's sealed value is overwritten, not only unlinked."""
    store = SqliteGraphStore(path)
    consumer = Consumer(store)
    consumer.take(contribution(1, "login:a"), contribution(2, "login:b", day=FIRST_DAY + 3))
    assign(store, {}, clear=10)
    store.move_horizon(EvidenceKind.ACTIVITY, FIRST_DAY + 2)
    assign(store, {}, clear=10)
    assert store.totals().nodes == {"login": 1}
    store.close()
    held = b"".join(each.read_bytes() for each in path.parent.glob("graph.db*"))
    assert node("login:b").sealed in held
    assert node("login:a").sealed not in held
    assert ANN.encode() not in held


def test_the_filter_never_forgets() -> None:
    """The filter says yes to every signal it was given, and seldom to another, however it grew."""
    drawn = random.Random(7)
    given = [drawn.getrandbits(63) for _ in range(150_000)]
    grown = SignalFilter()
    grown.add(given)
    assert all(signal in grown for signal in given)
    wrong = sum(drawn.getrandbits(63) in grown for _ in range(50_000))
    assert wrong < 50_000 * 0.01


def test_many_open_a_new_graph_at_once(tmp_path: Path) -> None:
    """Whoever opens a file that others are making waits for them, instead of failing."""
    for number in range(10):
        path = tmp_path / f"graph-{number}"
        with ThreadPoolExecutor(8) as pool:
            stores = list(pool.map(lambda _, path=path: SqliteGraphStore(path), range(8)))
        for store in stores:
            store.close()

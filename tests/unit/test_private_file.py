"""Opening a file of SQLite's again must not cost this process the locks that it has on it."""

from __future__ import annotations

import multiprocessing
import stat
from pathlib import Path

import pytest

from identity.engines.sqlite import SqliteGraphStore
from identity.engines.sqlite.private_file import make_private
from identity.model import DAY_US, Assurance, Contribution, Node
from identity.store import Batch, GraphStore
from tests.support.profile_parts import DAY, key

SPAWN = multiprocessing.get_context("spawn")


def seen(number: int) -> Contribution:
    """A sighting of a login of this number."""
    node = Node(key("login", str(number)), number)
    at_us = DAY * DAY_US
    cells = ((node.key, ("type:page_view",)),)
    digest = number.to_bytes(8)
    return Contribution(number, digest, at_us, at_us, "web", Assurance.NONE, (node,), cells)


def commit(store: GraphStore, number: int) -> None:
    """Commit a sighting."""
    checkpoint = store.claim("p")
    store.commit(Batch((seen(number),), checkpoint, b""))


def _commit_elsewhere(path: Path, number: int) -> None:
    store = SqliteGraphStore(path)
    commit(store, number)
    store.close()


def test_others_never_take_themselves_for_the_last(tmp_path: Path) -> None:
    """While a store is open, another object of this process and a whole process come and go: what
    they commit is seen, nothing is lost, and the write-ahead log stays where it is.
    """
    path = tmp_path / "graph.sqlite3"
    store = SqliteGraphStore(path)
    commit(store, 1)
    log = Path(f"{path}-wal")
    before = log.stat().st_ino
    for number in (2, 3):
        other = SqliteGraphStore(path)
        elsewhere = SPAWN.Process(target=_commit_elsewhere, args=(path, number))
        elsewhere.start()
        elsewhere.join()
        assert elsewhere.exitcode == 0
        assert log.stat().st_ino == before
        assert store.totals().signals == number
        other.close()
    commit(store, 4)
    assert store.totals().signals == 4
    store.close()
    again = SqliteGraphStore(path)
    assert again.totals().signals == 4
    again.close()


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    """Made empty with 0600 and nothing beside it; what is there stays as it is."""
    path = tmp_path / "new"
    make_private(path)
    assert (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) == (0o600, b"")
    path.write_bytes(b"kept")
    make_private(path)
    assert path.read_bytes() == b"kept"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(OSError, match="No such file"):
        make_private(tmp_path / "none" / "new")

"""Requests rest sealed, once each, never overtaken, and reach the audit log whoever dies."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import random
import signal
import sqlite3
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path

import msgpack
import pytest

from profiles.audit import AuditUnavailable, Event, Kind
from profiles.audit_sqlite import SqliteAuditLog
from profiles.request_store import Half, Hold, Overtaken, RequestsDamaged, RequestsUnavailable
from profiles.requests import InStore, Request, State, Step, Taken
from profiles.requests_sqlite import SqliteRequests
from profiles.sealing import Sealer, epoch_of
from profiles.vault_memory import MemoryVault
from tests.support.asking import AT_US, SAID, request

WHOLE = replace(
    request(),
    said=SAID._replace(values=(("given_name", "Anna"),), retract=(("crm", "s-1"),)),
    steps=(Taken(Step.SUBMIT, AT_US, "a", "why"),),
    stores=(InStore("graph", "partial", "held", 3),),
    as_one=True,
)


def event(number: int) -> Event:
    """One for the audit log."""
    return Event(Kind.REQUEST, f"r-1:{number}", AT_US, "agent", ("email:x",), {"step": "verify"})


@pytest.fixture
def vault() -> MemoryVault:
    """Keys from a seed."""
    return MemoryVault(random.Random(5).randbytes)


@pytest.fixture
def store(tmp_path: Path, vault: MemoryVault) -> Iterator[SqliteRequests]:
    """A store of requests in a file."""
    opened = SqliteRequests(tmp_path / "requests.sqlite3", Sealer(vault, os.urandom))
    yield opened
    opened.close()


def test_one_request_per_id(store: SqliteRequests) -> None:
    """What was put first under an id is what is kept, word for word."""
    assert store.put(WHOLE, event(0)) == WHOLE
    other = replace(WHOLE, said=SAID._replace(words="something else"))
    assert store.put(other, event(0)) == WHOLE
    assert store.get("r-1") == WHOLE
    assert store.get("r-2") is None


def test_what_was_kept_before_approval_as_one_is_read(
    store: SqliteRequests, tmp_path: Path, vault: MemoryVault
) -> None:
    """A request of an earlier version was approved as nobody's one."""
    store.put(WHOLE, event(0))
    sealer, context = Sealer(vault, os.urandom), b"request:r-1"
    with closing(sqlite3.connect(tmp_path / "requests.sqlite3")) as db, db:
        (sealed,) = db.execute("SELECT sealed FROM requests").fetchone()
        former = msgpack.unpackb(sealer.open(sealed, context))[:-1]
        again = sealer.seal(msgpack.packb(former), context)
        db.execute("UPDATE requests SET sealed = ?", (again,))
    assert store.get("r-1") == replace(WHOLE, as_one=False)


def test_nothing_overtaken(store: SqliteRequests) -> None:
    """Of two changes of one version the second is told that it came too late."""
    store.put(WHOLE, event(0))
    store.change(replace(WHOLE, state=State.VERIFIED, version=1), [event(1)])
    with pytest.raises(Overtaken):
        store.change(replace(WHOLE, state=State.REFUSED, version=1), [event(1)])
    kept = store.get("r-1")
    assert kept is not None
    assert kept.state is State.VERIFIED


def test_what_is_due_first_comes_first(store: SqliteRequests) -> None:
    """By state and by the day they are due."""
    for number, (state, month) in enumerate([("received", 5), ("done", 4), ("verified", 3)]):
        dates = WHOLE.deadlines._replace(due=date(2026, month, 1))
        one = replace(WHOLE, id=f"r-{number}", state=State(state), deadlines=dates)
        store.put(one, event(number))
    assert [one.id for one in store.all()] == ["r-2", "r-1", "r-0"]
    waiting = (State.RECEIVED, State.VERIFIED)
    assert [one.id for one in store.all(waiting)] == ["r-2", "r-0"]
    assert [one.id for one in store.all(waiting, date(2026, 4, 30))] == ["r-2"]
    assert [one.id for one in store.all(limit=1)] == ["r-2"]


def test_sealed(store: SqliteRequests, tmp_path: Path) -> None:
    """No word of a requester, no reason and no half of a key is in the file."""
    store.put(WHOLE, event(0))
    half = b"half of a key, which nobody else may have"
    store.keep_half(Half("r-1", half, AT_US))
    held = Hold(7, "legal_hold", AT_US, "a", "court of Bern", ("login", "ann"))
    store.hold(held)
    path = tmp_path / "requests.sqlite3"
    body = path.read_bytes()
    for word in (b"posteo", b"all of it", b"by post", b"why", b"Anna", half, b"Bern"):
        assert word not in body
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert store.holds([7, 8]) == store.holds() == {7: held}
    assert store.holds([8]) == {}
    store.forget_holds([7, 8])
    assert store.holds() == {}


def test_logged_in_the_end(store: SqliteRequests, tmp_path: Path) -> None:
    """A log that cannot be reached gets everything later, once, in order."""
    store.put(WHOLE, event(0))
    store.change(replace(WHOLE, version=1), [event(1)])

    def fails(_: Sequence[Event]) -> None:
        raise AuditUnavailable("busy")

    with pytest.raises(AuditUnavailable):
        store.log(fails)
    log = SqliteAuditLog(tmp_path / "audit.sqlite3", b"k" * 32)
    store.log(log.append)
    store.log(fails)
    assert log.head().size == 2
    assert log.append([event(0), event(1)]) == 0
    log.close()


def test_destroyed_is_gone(store: SqliteRequests, tmp_path: Path) -> None:
    """Expired or destroyed, a half opens nothing, and its sealed bytes are in no file."""
    path = tmp_path / "requests.sqlite3"
    for number in range(3):
        store.keep_half(Half(f"r-{number}", bytes(32), AT_US + number))
    sealed = [bytes(row[0]) for row in store._db.execute("SELECT sealed FROM halves ORDER BY id")]
    assert store.half("r-0", AT_US) is None
    assert store.half("r-1", AT_US) == Half("r-1", bytes(32), AT_US + 1)
    assert store.expire(AT_US) == 1
    store.destroy("r-1")
    store.destroy("r-1")
    left = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert [body[20:] in left for body in sealed] == [False, False, True]
    assert path.exists()


def once_each(sealer: Sealer) -> Callable[[bytes], bytes]:
    """Wraps anew what is under another epoch than the sealer's."""
    return lambda sealed: sealed if epoch_of(sealed) == sealer.epoch else sealer.rewrap(sealed)


def test_rotation_leaves_everything_readable(store: SqliteRequests, vault: MemoryVault) -> None:
    """Rewrapped under a new epoch all opens; what was not is told as damaged."""
    store.put(WHOLE, event(0))
    store.keep_half(Half("r-1", bytes(32), AT_US))
    old = vault.current_epoch()
    vault.new_epoch()
    store.put(replace(WHOLE, id="r-2"), event(1))
    rewrap = once_each(Sealer(vault, os.urandom))
    assert store.rewrap(rewrap) == 2
    assert store.rewrap(rewrap) == 0
    vault.destroy_epoch(old)
    assert store.get("r-1") == WHOLE
    assert store.get("r-2") == replace(WHOLE, id="r-2")
    lost = vault.current_epoch()
    vault.new_epoch()
    vault.destroy_epoch(lost)
    with pytest.raises(RequestsDamaged):
        store.get("r-1")


def test_what_is_no_store_is_told(tmp_path: Path, vault: MemoryVault) -> None:
    """Neither another file nor a missing folder is taken for a store; no driver's word is told."""
    path = tmp_path / "requests.sqlite3"
    path.write_bytes(b"this is no database, it only looks like a file" * 50)
    with pytest.raises(RequestsDamaged):
        SqliteRequests(path, Sealer(vault, os.urandom))
    with pytest.raises(RequestsUnavailable):
        SqliteRequests(tmp_path / "none" / "requests.sqlite3", Sealer(vault, os.urandom))


def _write_until_killed(folder: Path, written: multiprocessing.connection.Connection) -> None:
    vault = MemoryVault(random.Random(5).randbytes)
    store = SqliteRequests(folder / "requests.sqlite3", Sealer(vault, os.urandom))
    log = SqliteAuditLog(folder / "audit.sqlite3", b"k" * 32)
    for number in range(100_000):
        one = replace(WHOLE, id=f"r-{number}")
        store.put(one, event(number))
        store.log(log.append)
        written.send(number)


def test_durable(tmp_path: Path) -> None:
    """Killed at any moment: what a call returned from is there, and its event gets to the log."""
    spawn = multiprocessing.get_context("spawn")
    reader, writer = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_write_until_killed, args=(tmp_path, writer))
    process.start()
    last = -1
    while last < 40:
        last = reader.recv()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    while reader.poll():
        try:
            last = reader.recv()
        except EOFError:
            break
    vault = MemoryVault(random.Random(5).randbytes)
    store = SqliteRequests(tmp_path / "requests.sqlite3", Sealer(vault, os.urandom))
    kept: list[Request] = store.all(limit=100_000)
    assert {f"r-{number}" for number in range(last + 1)} <= {one.id for one in kept}
    log = SqliteAuditLog(tmp_path / "audit.sqlite3", b"k" * 32)
    store.log(log.append)
    assert log.head().size == len(kept)
    store.close()
    log.close()

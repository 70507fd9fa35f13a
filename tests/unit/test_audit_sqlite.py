"""The audit log keeps its promises: once, append only, durable, no personal data."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Iterator
from multiprocessing.synchronize import Event as Flag
from pathlib import Path

import orjson
import pytest

from identity.model import Assurance, Contribution, EvidenceKind, Fact
from identity.store import Outcome
from ingest.auditing import Auditor
from profiles import merkle
from profiles.audit import AuditDamaged, Event, Kind, token
from profiles.audit_sqlite import SqliteAuditLog
from profiles.consent import said_of

KEY = b"k" * 32
NODE = "email:" + "a" * 22


def event(number: int) -> Event:
    """A consent of somebody's."""
    return Event(Kind.CONSENT, f"s-{number}", number, "web", (NODE,), {"purpose:sale": False})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the test's log is."""
    return tmp_path / "audit.sqlite3"


@pytest.fixture
def log(path: Path) -> Iterator[SqliteAuditLog]:
    """A log of ten entries."""
    made = SqliteAuditLog(path, KEY)
    assert made.append([event(number) for number in range(10)]) == 10
    yield made
    made.close()


def test_an_event_is_logged_once(log: SqliteAuditLog, path: Path) -> None:
    """Again, in any order and from another process, it changes nothing."""
    head = log.head()
    other = SqliteAuditLog(path, KEY)
    assert other.append([event(9), event(3), event(3)]) == 0
    assert log.head() == head
    assert other.append([event(10), event(10), event(3)]) == 1
    assert log.head().size == 11
    assert other.knows(Kind.CONSENT, "s-10")
    assert not other.knows(Kind.CONSENT, "s-11")
    assert not other.knows(Kind.REQUEST, "s-10")
    other.close()


def test_entries_prove_that_they_are_there(log: SqliteAuditLog) -> None:
    """Each has a proof for the list as it is, and the list one for each of its beginnings."""
    head = log.head()
    for index, body in enumerate(log.entries()):
        proof = log.inclusion(index)
        assert (proof.place, proof.entry, proof.head) == (index, body, head)
        assert merkle.includes(merkle.leaf_hash(body), index, head.size, proof.path, head.root)
    log.append([event(number) for number in range(10, 30)])
    grown = log.head()
    assert merkle.extends(head.size, head.root, grown.size, grown.root, log.consistency(head.size))
    assert log.inclusion(4, size=10).head == head
    assert log.damaged_at() is None


@pytest.mark.parametrize("table", ["entries", "subtrees"])
def test_nothing_is_changed_or_removed(log: SqliteAuditLog, path: Path, table: str) -> None:
    """The database itself refuses."""
    del log
    with sqlite3.connect(path) as database:
        for begin in ("DELETE FROM", "UPDATE"):
            statement = f"{begin} {table}" + (" SET place = 99" if begin == "UPDATE" else "")
            with pytest.raises(sqlite3.IntegrityError, match="append only"):
                database.execute(statement)
    database.close()


@pytest.mark.parametrize(
    ("statement", "at"),
    [
        ("UPDATE entries SET body = zeroblob(9) WHERE place = 4", 4),
        ("DELETE FROM entries WHERE place = 4", 4),
        ("DELETE FROM entries WHERE place = 9", 9),
        ("UPDATE subtrees SET hash = zeroblob(32) WHERE level = 1 AND place = 2", 5),
        ("DELETE FROM subtrees WHERE level = 3", 7),
    ],
)
def test_whoever_goes_around_that_is_found_out(
    log: SqliteAuditLog, path: Path, statement: str, at: int
) -> None:
    """Hashing all entries anew tells the first that was changed, taken out or lost its hash."""
    with sqlite3.connect(path) as database:
        for name in ("entries_DELETE", "entries_UPDATE", "subtrees_DELETE", "subtrees_UPDATE"):
            database.execute(f"DROP TRIGGER {name}")
        database.execute(statement)
    database.close()
    assert log.damaged_at() == at


def test_whoever_rewrites_all_of_it_is_found_out_by_who_kept_a_head(
    log: SqliteAuditLog, tmp_path: Path
) -> None:
    """A list made up anew is sound in itself, but does not begin with what was kept elsewhere."""
    kept = log.head()
    forged = SqliteAuditLog(tmp_path / "forged.sqlite3", KEY)
    forged.append([event(number) for number in range(20) if number != 4])
    assert forged.damaged_at() is None
    head = forged.head()
    path = forged.consistency(kept.size)
    assert not merkle.extends(kept.size, kept.root, head.size, head.root, path)
    forged.close()


def test_no_personal_data(log: SqliteAuditLog, path: Path) -> None:
    """People stand in it as tokens under its own key; no node and no signal key is in the file."""
    del log
    (entry, *_) = [orjson.loads(body) for body in SqliteAuditLog(path, KEY).entries()]
    assert entry["about"] == [token(KEY, "node\0" + NODE)]
    stored = b"".join(file.read_bytes() for file in path.parent.iterdir())
    for told in (NODE, NODE.partition(":")[2], "s-0"):
        assert told.encode() not in stored
    assert path.stat().st_mode & 0o077 == 0


def test_what_is_no_log_is_told(tmp_path: Path) -> None:
    """A file of something else, and one of another version."""
    other = tmp_path / "other.sqlite3"
    other.write_bytes(b"not a database at all, but long enough to be looked at" * 20)
    with pytest.raises(AuditDamaged):
        SqliteAuditLog(other, KEY)
    newer = tmp_path / "newer.sqlite3"
    with sqlite3.connect(newer) as database:
        database.execute("PRAGMA user_version=9")
    database.close()
    with pytest.raises(AuditDamaged, match="another version"):
        SqliteAuditLog(newer, KEY)


def _append_until_killed(path: Path, begun: Flag, told: int) -> None:
    log = SqliteAuditLog(path, KEY)
    for number in range(1_000_000):
        log.append([event(3 * number), event(3 * number + 1), event(3 * number + 2)])
        os.write(told, b".")
        begun.set()


def test_what_was_appended_survives_kill_9(path: Path) -> None:
    """Whole appends, at least all that were answered, in a tree that is sound."""
    spawning = multiprocessing.get_context("fork")
    begun = spawning.Event()
    reader, writer = os.pipe()
    process = spawning.Process(target=_append_until_killed, args=(path, begun, writer))
    process.start()
    try:
        assert begun.wait(30)
        os.close(writer)
        answered = len(os.read(reader, 50))
    finally:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    while more := os.read(reader, 65_536):
        answered += len(more)
    os.close(reader)
    log = SqliteAuditLog(path, KEY)
    size = log.head().size
    assert size % 3 == 0
    assert size >= 3 * answered > 0
    assert log.damaged_at() is None
    assert log.append([event(size)]) == 1
    log.close()


def decided(number: int, retracts: int | None = None) -> Contribution:
    """A signal that withdraws consent, or retracts another."""
    payload = said_bytes()
    fact = Fact(EvidenceKind.CONSENT, (NODE,), payload) if retracts is None else None
    digest = number.to_bytes(8, "big")
    return Contribution(
        number, digest, 5, 7, "web", Assurance.CLAIMED, fact=fact, retracts=retracts
    )


def said_bytes() -> bytes:
    """What the fact of a withdrawal holds."""
    import msgpack  # noqa: PLC0415 - here alone

    packed: bytes = msgpack.packb(said_of({"sale": False}, "text 1", "by Ann at the till"))
    return packed


def test_what_signals_decide_is_logged_when_it_counts(path: Path) -> None:
    """Counted and known ones, since the one who counted it may have died; not what is refused."""
    log = SqliteAuditLog(path, KEY)
    auditor = Auditor(log, lambda: 99)
    told = [decided(1), decided(2), decided(3), decided(4), decided(5, retracts=1)]
    outcomes = [
        Outcome.COUNTED,
        Outcome.DUPLICATE,
        Outcome.OUTDONE,
        Outcome.EXPIRED,
        Outcome.RETRACTION,
    ]
    auditor(told, outcomes)
    auditor(told, [Outcome.DUPLICATE] * 3 + [Outcome.EXPIRED, Outcome.DUPLICATE])
    entries = [orjson.loads(body) for body in log.entries()]
    assert [entry["kind"] for entry in entries] == ["consent", "consent", "retraction", "consent"]
    assert entries[0]["what"] == {"effective_us": 5, "purpose:sale": False}
    assert entries[2]["about"][0] in entries[0]["about"]
    assert b"Ann" not in path.read_bytes()
    log.close()

"""Requests in one SQLite file, sealed, with secure delete. Several processes may use it at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from threading import Lock
from typing import Any

import msgpack
import orjson

from identity.engines.sqlite.private_file import make_private
from identity.engines.sqlite.transaction import transaction
from identity.model import Assurance
from profiles.audit import Event, Kind
from profiles.deadlines import Deadlines, Law, RequestKind
from profiles.request_store import (
    FIRST,
    PAGE,
    Half,
    Hold,
    Overtaken,
    Place,
    RequestsDamaged,
    RequestsUnavailable,
)
from profiles.requests import InStore, Request, Said, State, Step, Taken
from profiles.sealing import Sealer, Unreadable
from profiles.vault import KeyDestroyed

_BUSY_S = 10.0
_VERSION = 1
_SCHEMA = (
    """CREATE TABLE requests (
        id TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        state TEXT NOT NULL,
        due TEXT NOT NULL, -- the next day by which something is owed
        sealed BLOB NOT NULL
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX requests_by_due ON requests (due, id)",
    "CREATE TABLE unlogged (place INTEGER PRIMARY KEY, event BLOB NOT NULL) STRICT",
    """CREATE TABLE holds (signal INTEGER PRIMARY KEY, sealed BLOB NOT NULL) STRICT""",
    """CREATE TABLE halves (
        id TEXT PRIMARY KEY,
        expires_us INTEGER NOT NULL,
        sealed BLOB NOT NULL
    ) STRICT, WITHOUT ROWID""",
)
_SEALED = (("requests", "id", "request:"), ("holds", "signal", "hold:"), ("halves", "id", "half:"))


class SqliteRequests:
    """A RequestStore in a file that nobody else may read."""

    def __init__(self, path: Path, sealer: Sealer) -> None:
        self._sealer = sealer
        self._lock = Lock()
        with _told():
            make_private(path)
            self._db = sqlite3.connect(
                path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            # The rollback journal is overwritten with its transaction; a write-ahead log would
            # keep pages with what was destroyed until some later checkpoint.
            self._db.execute("PRAGMA journal_mode=TRUNCATE")
            self._db.execute("PRAGMA secure_delete=ON")
            self._db.execute("PRAGMA synchronous=FULL")
            with transaction(self._db):
                self._prepare()

    def _prepare(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version not in (0, _VERSION):
            raise RequestsDamaged("the store of requests is of another version")
        if version == 0:
            for statement in _SCHEMA:
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version={_VERSION}")

    def put(self, request: Request, event: Event) -> Request:
        """See `RequestStore`."""
        with self._lock, _told(), transaction(self._db):
            made = self._db.execute(
                "INSERT INTO requests VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
                (request.id, *self._row(request)),
            )
            if made.rowcount:
                self._note([event])
        kept = self.get(request.id)
        assert kept is not None, "requests are never removed"
        return kept

    def get(self, request: str) -> Request | None:
        """See `RequestStore`."""
        with self._lock, _told():
            row = self._db.execute(
                "SELECT id, sealed FROM requests WHERE id = ?", (request,)
            ).fetchone()
        return None if row is None else self._opened(*row)

    def change(self, request: Request, events: Sequence[Event]) -> None:
        """See `RequestStore`."""
        with self._lock, _told(), transaction(self._db):
            changed = self._db.execute(
                "UPDATE requests SET version = ?, state = ?, due = ?, sealed = ?"
                " WHERE id = ? AND version = ?",
                (*self._row(request), request.id, request.version - 1),
            )
            if not changed.rowcount:
                raise Overtaken("somebody else changed the request in the meantime")
            self._note(events)

    def all(
        self,
        states: Collection[State] = (),
        due_by: date | None = None,
        limit: int = PAGE,
        *,
        after: Place = FIRST,
        if_readable: bool = False,
    ) -> list[Request]:
        """See `RequestStore`."""
        wanted = [state.value for state in (states or State)]
        with self._lock, _told():
            rows = self._db.execute(
                "SELECT id, sealed FROM requests WHERE state IN (SELECT value FROM json_each(?))"
                " AND (?2 IS NULL OR due <= ?2) AND (due, id) > (?4, ?5)"
                " ORDER BY due, id LIMIT ?3",
                (orjson.dumps(wanted).decode(), due_by and due_by.isoformat(), limit, *after),
            ).fetchall()
        found = []
        for row in rows:
            with suppress(*[_Lost] if if_readable else []):
                found.append(self._opened(*row))
        return found

    def hold(self, hold: Hold) -> None:
        """See `RequestStore`."""
        sealed = self._seal("hold:", hold.signal, list(hold))
        with self._lock, _told(), transaction(self._db):
            self._db.execute(
                "INSERT INTO holds VALUES (?, ?) ON CONFLICT (signal) DO NOTHING",
                (hold.signal, sealed),
            )

    def holds(self, signals: Collection[int] | None = None) -> dict[int, Hold]:
        """See `RequestStore`."""
        wanted = None if signals is None else orjson.dumps(list(signals)).decode()
        with self._lock, _told():
            rows = self._db.execute(
                "SELECT signal, sealed FROM holds"
                " WHERE ?1 IS NULL OR signal IN (SELECT value FROM json_each(?1))",
                (wanted,),
            ).fetchall()
        found = {}
        for signal, sealed in rows:
            with suppress(_Lost):
                number, purpose, since_us, by, reason, whom = self._open("hold:", signal, sealed)
                kind, value = whom
                found[signal] = Hold(number, purpose, since_us, by, reason, (kind, value))
        return found

    def forget_holds(self, signals: Collection[int]) -> None:
        """See `RequestStore`."""
        with self._lock, _told(), transaction(self._db):
            self._db.executemany(
                "DELETE FROM holds WHERE signal = ?", [(signal,) for signal in signals]
            )

    def keep_half(self, half: Half) -> None:
        """See `RequestStore`."""
        sealed = self._seal("half:", half.request, half.half)
        with self._lock, _told(), transaction(self._db):
            self._db.execute(
                "INSERT OR REPLACE INTO halves VALUES (?, ?, ?)",
                (half.request, half.expires_us, sealed),
            )

    def half(self, request: str, now_us: int) -> Half | None:
        """See `RequestStore`."""
        with self._lock, _told():
            row = self._db.execute(
                "SELECT expires_us, sealed FROM halves WHERE id = ? AND expires_us > ?",
                (request, now_us),
            ).fetchone()
        return None if row is None else Half(request, self._open("half:", request, row[1]), row[0])

    def destroy(self, request: str) -> None:
        """See `RequestStore`."""
        with self._lock, _told(), transaction(self._db):
            self._db.execute("DELETE FROM halves WHERE id = ?", (request,))

    def expire(self, now_us: int) -> int:
        """See `RequestStore`."""
        with self._lock, _told(), transaction(self._db):
            return self._db.execute("DELETE FROM halves WHERE expires_us <= ?", (now_us,)).rowcount

    def log(self, append: Callable[[Sequence[Event]], object]) -> None:
        """See `RequestStore`. The log knows what it has: killed in between, it is told again."""
        with self._lock, _told():
            rows = self._db.execute("SELECT place, event FROM unlogged ORDER BY place").fetchall()
        if not rows:
            return
        append([_event(body) for _, body in rows])
        with self._lock, _told(), transaction(self._db):
            self._db.executemany("DELETE FROM unlogged WHERE place = ?", [row[:1] for row in rows])

    def rewrap(self, rewrap: Callable[[bytes], bytes]) -> int:
        """See `RequestStore`."""
        done = 0
        with self._lock, _told(), transaction(self._db):
            for table, key, _ in _SEALED:
                rows = self._db.execute(f"SELECT {key}, sealed FROM {table}").fetchall()  # noqa: S608  names of ours
                wrapped = [(rewrap(sealed), sealed, name) for name, sealed in rows]
                fresh = [(new, name) for new, old, name in wrapped if new != old]
                self._db.executemany(
                    f"UPDATE {table} SET sealed = ? WHERE {key} = ?",  # noqa: S608  names of ours
                    fresh,
                )
                done += len(fresh)
        return done

    def close(self) -> None:
        """See `RequestStore`."""
        self._db.close()

    def _note(self, events: Sequence[Event]) -> None:
        self._db.executemany(
            "INSERT INTO unlogged (event) VALUES (?)", [(_body(event),) for event in events]
        )

    def _row(self, request: Request) -> tuple[int, str, str, bytes]:
        sealed = self._seal("request:", request.id, _packed(request))
        return request.version, request.state.value, request.next_by.isoformat(), sealed

    def _opened(self, request: str, sealed: bytes) -> Request:
        return _unpacked(request, self._open("request:", request, sealed))

    def _seal(self, what: str, name: object, value: object) -> bytes:
        # Nothing may rest under an epoch whose key is about to be destroyed.
        self._sealer.look()
        return self._sealer.seal(msgpack.packb(value), f"{what}{name}".encode())

    def _open(self, what: str, name: object, sealed: bytes) -> Any:
        self._sealer.look()
        try:
            return msgpack.unpackb(self._sealer.open(sealed, f"{what}{name}".encode()))
        except KeyDestroyed:
            raise _Lost(
                "what was said in a request cannot be opened any more: its key is destroyed;"
                " put back a store of requests from after the last rotation"
            ) from None
        except Unreadable:
            raise RequestsDamaged("what was said in a request cannot be opened any more") from None


class _Lost(RequestsDamaged):
    """Its key is destroyed: what was put back is from before a rotation."""


def _packed(request: Request) -> list[Any]:
    return [
        request.kind.value,
        request.law.value,
        request.place,
        request.received_us,
        request.received.isoformat(),
        [day and day.isoformat() for day in request.deadlines],
        int(request.needed),
        list(request.said),
        request.keyed,
        int(request.level),
        request.state.value,
        request.extended,
        [list(taken) for taken in request.steps],
        [list(one) for one in request.stores],
        request.suppress,
        request.version,
        request.as_one,
    ]


def _unpacked(request: str, packed: list[Any]) -> Request:
    kind, law, place, received_us, received, dates, needed, said, keyed, *rest = packed
    # What was kept before there was anything to say of it was approved as nobody's one.
    level, state, extended, steps, stores, suppress, version, as_one = [*rest, False][:8]
    kind_of, value, person, words, contact, values, retract = said
    first, due, by, later = (None if day is None else date.fromisoformat(day) for day in dates)
    assert due is not None, "every request is due some day"
    return Request(
        id=request,
        kind=RequestKind(kind),
        law=Law(law),
        place=place,
        received_us=received_us,
        received=date.fromisoformat(received),
        deadlines=Deadlines(first, due, by, later),
        needed=Assurance(needed),
        said=Said(kind_of, value, person, words, contact, _pairs(values), _pairs(retract)),
        keyed=keyed,
        level=Assurance(level),
        state=State(state),
        extended=extended,
        steps=tuple(Taken(Step(step), at_us, by, why) for step, at_us, by, why in steps),
        stores=tuple(InStore(*one) for one in stores),
        suppress=suppress,
        as_one=as_one,
        version=version,
    )


def _pairs(packed: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in packed)


def _body(event: Event) -> bytes:
    told = [event.kind.value, event.once, event.at_us, event.by, event.about, dict(event.what)]
    body: bytes = msgpack.packb(told)
    return body


def _event(body: bytes) -> Event:
    kind, once, at_us, by, about, what = msgpack.unpackb(body)
    return Event(Kind(kind), once, at_us, by, tuple(about), what)


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong below becomes a RequestsError that names no value."""
    try:
        yield
    except sqlite3.OperationalError:
        raise RequestsUnavailable("the store of requests is busy, full or out of reach") from None
    except sqlite3.DatabaseError:
        raise RequestsDamaged("the store of requests is damaged or is none") from None
    except OSError as error:
        raise RequestsUnavailable(f"cannot open the store of requests: {error.strerror}") from None

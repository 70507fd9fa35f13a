"""Rotated keys in the embedded engine: sealed values wrapped anew, nodes named anew."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import msgpack

from identity.engines.known_bytes import pack_known, unpack_known
from identity.engines.sqlite.database import Database
from identity.engines.sqlite.remembered import _WHOLE
from identity.evidence import Known
from identity.model import EvidenceKind, NodeKey
from identity.rotating import SEALED, Rekey, Rewrap, rekeyed, rewrapped
from identity.store import KeyAge, Rewrapped

_AT_NODE = struct.Struct(">Bq")
_AT_SIGNAL = struct.Struct(">Bqq")
_NODES, _SIGNALS = 1, 2
_FACT = 8
"""Where the fact stands in what is kept short of a signal (`remembered.shorten`)."""
_ROWS = 2_000


def read_keys(database: Database) -> KeyAge:
    """How old keys may be for a batch to be taken in."""
    return KeyAge(*database.execute("SELECT keys_epoch, keys_tokens FROM state").fetchone())


def write_keys(database: Database, keys: KeyAge) -> None:
    """Take in no batch made under older keys from now on."""
    database.execute(
        "UPDATE state SET keys_epoch = max(keys_epoch, ?), keys_tokens = max(keys_tokens, ?)", keys
    )


def rewrap_some(database: Database, rewrap: Rewrap, after: bytes, limit: int) -> Rewrapped:
    """Put the sealed values of `limit` nodes or signals through `rewrap`: nodes come first."""
    if not after or after[0] == _NODES:
        return _rewrap_nodes(database, rewrap, after, limit)
    return _rewrap_signals(database, rewrap, after, limit)


def _rewrap_nodes(database: Database, rewrap: Rewrap, after: bytes, limit: int) -> Rewrapped:
    last = _AT_NODE.unpack(after)[1] if after else 0
    rows = database.execute(
        "SELECT id, sealed FROM node WHERE id > ? ORDER BY id LIMIT ?", (last, limit)
    ).fetchall()
    changed = [
        (fresh, node) for node, sealed in rows if sealed and (fresh := rewrap(sealed)) != sealed
    ]
    database.executemany("UPDATE node SET sealed = ? WHERE id = ?", changed)
    if len(rows) == limit:
        return Rewrapped(_AT_NODE.pack(_NODES, rows[-1][0]), len(rows), len(changed))
    return Rewrapped(_AT_SIGNAL.pack(_SIGNALS, -(2**62), -1), len(rows), len(changed))


def _rewrap_signals(database: Database, rewrap: Rewrap, after: bytes, limit: int) -> Rewrapped:
    _, day, signal = _AT_SIGNAL.unpack(after)
    rows = database.execute(
        "SELECT day, signal, body FROM known WHERE (day, signal) > (?, ?)"
        " ORDER BY day, signal LIMIT ?",
        (day, signal, limit),
    ).fetchall()
    changed = [
        (fresh, day, signal)
        for day, signal, body in rows
        if (fresh := _rewrapped(body, rewrap)) != body
    ]
    database.executemany("UPDATE known SET body = ? WHERE day = ? AND signal = ?", changed)
    position = _AT_SIGNAL.pack(_SIGNALS, *rows[-1][:2]) if len(rows) == limit else b""
    return Rewrapped(position, len(rows), len(changed))


def _rewrapped(body: bytes, rewrap: Rewrap) -> bytes:
    if body[:1] == _WHOLE:
        known = unpack_known(body[1:])
        after = rewrapped(known, rewrap)
        return body if after is known else _WHOLE + pack_known(after)
    row: list[Any] = msgpack.unpackb(body)
    fact = row[_FACT]
    if fact is None or EvidenceKind(fact[0]) not in SEALED:
        return body
    payload = rewrap(fact[2])
    if payload == fact[2]:
        return body
    fact[2] = payload
    packed: bytes = msgpack.packb(row)
    return packed


def rekey_all(database: Database, rekey: Rekey) -> None:
    """Name every node anew. What is kept short of signals names nodes by id and stays."""
    _rekey_nodes(database, rekey)
    rows = database.execute("SELECT signal, left_key, right_key FROM decision").fetchall()
    database.executemany(
        "UPDATE decision SET left_key = ?, right_key = ? WHERE signal = ?",
        [(*sorted((rekey(left), rekey(right))), signal) for signal, left, right in rows],
    )
    fences = database.execute("SELECT key, until_us FROM fence").fetchall()
    database.execute("DELETE FROM fence")
    database.executemany(
        "INSERT INTO fence VALUES (?, ?)", [(rekey(key), until_us) for key, until_us in fences]
    )
    for day, signal, known in _whole(database):
        database.execute(
            "UPDATE known SET body = ? WHERE day = ? AND signal = ?",
            (_WHOLE + pack_known(rekeyed(known, rekey)), day, signal),
        )


def _rekey_nodes(database: Database, rekey: Rekey) -> None:
    # One index written in order of its keys is made faster than by so many moves within it.
    database.execute("DROP INDEX node_by_key")
    last = 0
    while rows := database.execute(
        "SELECT id, key FROM node WHERE id > ? ORDER BY id LIMIT ?", (last, _ROWS)
    ).fetchall():
        last = rows[-1][0]
        named: list[tuple[NodeKey, int]] = [(rekey(key), node) for node, key in rows]
        database.executemany("UPDATE node SET key = ? WHERE id = ?", named)
    database.execute("CREATE UNIQUE INDEX node_by_key ON node (key, is_bare)")


def _whole(database: Database) -> Iterator[tuple[int, int, Known]]:
    rows = database.execute(
        "SELECT day, signal, body FROM known WHERE substr(body, 1, 1) = ?", (_WHOLE,)
    ).fetchall()
    for day, signal, body in rows:
        yield day, signal, unpack_known(body[1:])

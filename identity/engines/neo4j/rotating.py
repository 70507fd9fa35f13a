"""Rotated keys: sealed values wrapped anew, nodes named anew, both in steps of one transaction.

While nodes are named anew nothing is taken in and nothing resolved: `g.rekeying`
of the graph's own node says so, `g.rekeyed_to` how far signals are, `chain` on
an identifier that it has its new key.
"""

from __future__ import annotations

import msgpack

from identity.engines.known_bytes import pack_known, unpack_known
from identity.engines.neo4j.connection import Connection, Tx
from identity.engines.neo4j.consuming import lock_graph
from identity.engines.neo4j.packing import briefs, unpack_signal
from identity.engines.neo4j.required import Required, read_required
from identity.engines.neo4j.resolving import hold
from identity.model import EvidenceKind
from identity.rotating import SEALED, Rekey, Rewrap, rekeyed, rewrapped
from identity.store import KeyAge, Lease, Rewrapped

STEP = 2_000
_NODES, _SIGNALS = b"n", b"s"
_PLAIN = 9
"""So many parts has the body of a plain signal (`packing.pack_signal`)."""
_KEYS, _ACTIVITY, _FACT = 6, 7, 8


def keys(connection: Connection) -> KeyAge:
    """How old keys may be, see `GraphStore.keys`."""
    return connection.read(read_required).keys


def require(connection: Connection, wanted: KeyAge) -> None:
    """Take in nothing made under older keys, see `GraphStore.require`."""

    def work(tx: Tx) -> None:
        lock_graph(tx)
        _set_keys(tx, read_required(tx).keys.newest(wanted))

    connection.write(work)


def _set_keys(tx: Tx, wanted: KeyAge) -> None:
    tx.run(
        "MATCH (g:Graph) SET g.keys_epoch = $epoch, g.keys_tokens = $tokens",
        epoch=wanted.epoch,
        tokens=wanted.tokens,
    )


# ---- epochs --------------------------------------------------------------


def rewrap(connection: Connection, wrap: Rewrap, after: bytes, limit: int) -> Rewrapped:
    """Put sealed values through `wrap`, see `GraphStore.rewrap`; identifiers come first."""
    if after[:1] == _SIGNALS:
        return connection.write(lambda tx: _rewrap_signals(tx, wrap, int(after[1:]), limit))
    return connection.write(lambda tx: _rewrap_nodes(tx, wrap, after[1:].decode(), limit))


def _rewrap_nodes(tx: Tx, wrap: Rewrap, after: str, limit: int) -> Rewrapped:
    rows = tx.rows(
        "MATCH (n:Identifier) WHERE n.key > $after WITH n ORDER BY n.key LIMIT $limit "
        "SET n:Identifier RETURN collect([id(n), n.key, n.sealed])",
        after=after,
        limit=limit,
    )
    changed = [
        [place, fresh] for place, _, sealed in rows if sealed and (fresh := wrap(sealed)) != sealed
    ]
    if changed:
        tx.run(
            "UNWIND $rows AS row MATCH (n) WHERE id(n) = row[0] SET n.sealed = row[1]",
            rows=changed,
        )
    # Node keys are read in their order, so that what is added meanwhile is seen or comes wrapped.
    more = len(rows) == limit
    position = _NODES + max(key for _, key, _ in rows).encode() if more else _SIGNALS + b"-1"
    return Rewrapped(position, len(rows), len(changed))


def _rewrap_signals(tx: Tx, wrap: Rewrap, after: int, limit: int) -> Rewrapped:
    rows = _signals(tx, after, limit)
    changed = [
        [signal, fresh] for signal, body in rows if (fresh := _rewrapped(body, wrap)) != body
    ]
    if changed:
        tx.run(
            "UNWIND $rows AS row MATCH (s:Signal {id: row[0]}) SET s.body = row[1]", rows=changed
        )
    position = _SIGNALS + b"%d" % rows[-1][0] if len(rows) == limit else b""
    return Rewrapped(position, len(rows), len(changed))


def _signals(tx: Tx, after: int, limit: int) -> list[tuple[int, bytes]]:
    """Signals with their bodies, in order and locked."""
    rows = tx.rows(
        "MATCH (s:Signal) WHERE s.id > $after WITH s ORDER BY s.id LIMIT $limit "
        "SET s:Signal RETURN collect([s.id, s.body])",
        after=after,
        limit=limit,
    )
    return sorted((signal, bytes(body)) for signal, body in rows)


def _rewrapped(body: bytes, wrap: Rewrap) -> bytes:
    row = msgpack.unpackb(body)
    if len(row) != _PLAIN:
        known = unpack_known(body)
        after = rewrapped(known, wrap)
        return body if after is known else pack_known(after)
    fact = row[_FACT]
    if fact is None or EvidenceKind(fact[0]) not in SEALED:
        return body
    payload = wrap(fact[2])
    if payload == fact[2]:
        return body
    fact[2] = payload
    packed: bytes = msgpack.packb(row)
    return packed


# ---- tokens --------------------------------------------------------------


def rekey(connection: Connection, lease: Lease, name: Rekey, wanted: KeyAge) -> bool:
    """Name every node anew, see `GraphStore.rekey`; each step needs the lease."""
    if not connection.write(lambda tx: _begin(tx, lease, wanted)):
        return False
    chain = wanted.tokens
    places = connection.read(
        lambda tx: tx.rows(
            "MATCH (n:Identifier) WHERE coalesce(n.chain, 0) < $chain RETURN collect(id(n))",
            chain=chain,
        )
    )
    for start in range(0, len(places), STEP):
        some = places[start : start + STEP]
        connection.write(lambda tx, some=some: _rekey_nodes(tx, lease, name, chain, some))  # type: ignore[misc]
    while connection.write(lambda tx: _rekey_signals(tx, lease, name)):
        pass
    connection.write(lambda tx: _end(tx, lease, name, wanted))
    return True


def _begin(tx: Tx, lease: Lease, wanted: KeyAge) -> bool:
    """Hold up consumers and resolvers; whether there is anything to do, perhaps begun before."""
    hold(tx, lease)
    lock_graph(tx)
    required: Required = read_required(tx)
    if not required.rekeying and not required.keys.is_older(wanted):
        return False
    tx.run("MATCH (g:Graph) SET g.rekeying = true, g.rekeyed_to = coalesce(g.rekeyed_to, -1)")
    return True


def _rekey_nodes(tx: Tx, lease: Lease, name: Rekey, chain: int, places: list[int]) -> None:
    hold(tx, lease)
    rows = tx.rows(
        "UNWIND $places AS each MATCH (n:Identifier) WHERE id(n) = each "
        "AND coalesce(n.chain, 0) < $chain RETURN collect([each, n.key])",
        places=places,
        chain=chain,
    )
    tx.run(
        "UNWIND $rows AS row MATCH (n) WHERE id(n) = row[0] SET n.key = row[1], n.chain = $chain",
        rows=[[place, name(key)] for place, key in rows],
        chain=chain,
    )


def _rekey_signals(tx: Tx, lease: Lease, name: Rekey) -> int:
    hold(tx, lease)
    (after,) = tx.row("MATCH (g:Graph) RETURN g.rekeyed_to")
    rows = _signals(tx, after, STEP)
    if not rows:
        return 0
    fresh = [(signal, _rekeyed(body, name)) for signal, body in rows]
    tx.run(
        "UNWIND $rows AS row MATCH (s:Signal {id: row[0]}) SET s.body = row[1], s.names = row[2]",
        rows=[[signal, body, briefs(unpack_signal(signal, body))] for signal, body in fresh],
    )
    decided = tx.rows(
        "UNWIND $ids AS each MATCH (s:Decision {id: each}) RETURN collect([each, s.left, s.right])",
        ids=[signal for signal, _ in rows],
    )
    tx.run(
        "UNWIND $rows AS row MATCH (s:Signal {id: row[0]}) SET s.left = row[1], s.right = row[2]",
        rows=[[signal, *sorted((name(left), name(right)))] for signal, left, right in decided],
    )
    tx.run("MATCH (g:Graph) SET g.rekeyed_to = $to", to=rows[-1][0])
    return len(rows)


def _rekeyed(body: bytes, name: Rekey) -> bytes:
    row = msgpack.unpackb(body)
    if len(row) != _PLAIN:
        return pack_known(rekeyed(unpack_known(body), name))
    row[_KEYS] = [name(key) for key in row[_KEYS]]
    row[_ACTIVITY] = [
        (holder if isinstance(holder, int) else name(holder), cells)
        for holder, cells in row[_ACTIVITY]
    ]
    if (fact := row[_FACT]) is not None:
        subjects = [name(key) for key in fact[1]]
        fact[1] = sorted(subjects) if fact[0] == EvidenceKind.DECISION else subjects
    packed: bytes = msgpack.packb(row)
    return packed


def _end(tx: Tx, lease: Lease, name: Rekey, wanted: KeyAge) -> None:
    """Only now are the keys those wanted: cut short, the next try goes on from the same chain."""
    hold(tx, lease)
    fenced = tx.rows("MATCH (f:Fence) RETURN collect([id(f), f.key])")
    (change,) = tx.row("MATCH (g:Graph) SET g.fenced = coalesce(g.fenced, 0) + 1 RETURN g.fenced")
    tx.run(
        "UNWIND $rows AS row MATCH (f) WHERE id(f) = row[0] SET f.key = row[1], f.change = $change",
        rows=[[place, name(key)] for place, key in fenced],
        change=change,
    )
    _set_keys(tx, read_required(tx).keys.newest(wanted))
    tx.run("MATCH (g:Graph) REMOVE g.rekeying, g.rekeyed_to")

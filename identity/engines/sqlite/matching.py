"""The index of matching: block keys, members of blocks, scored links, and what nodes hold."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from itertools import groupby

from identity.engines.sqlite.database import Database
from identity.engines.sqlite.feeding import Gathering
from identity.engines.sqlite.names import Names, Nodes
from identity.engines.sqlite.remembered import Remembered
from identity.engines.sqlite.state import State, write_marks
from identity.model import BlockKey, Changed, NodeEvidence, NodeKey
from identity.store import Matching

_NODES_OF = "SELECT key FROM node WHERE key > ? AND key < ? ORDER BY key LIMIT ?"
_KEYS = """
SELECT node.key, matched.keys FROM node JOIN matched ON matched.node = node.id
WHERE node.key IN (SELECT value FROM json_each(?))"""
_SIZES = """
SELECT value, (SELECT count(*) FROM (
    SELECT 1 FROM block WHERE block.key = value LIMIT {limit}
)) FROM json_each(?)"""
_SIZE = "SELECT count(*) FROM block WHERE key = ?"
_MEMBERS = """
SELECT block.key, node.key FROM json_each(?) AS wanted
CROSS JOIN block ON block.key = wanted.value JOIN node ON node.id = block.node"""
_SCORED = """
SELECT one.key, other.key, scored.mbits
FROM node AS one JOIN scored ON scored.node = one.id JOIN node AS other ON other.id = scored.other
WHERE one.key IN (SELECT value FROM json_each(?))"""


def read_nodes_of(database: Database, kind: str, after: NodeKey, limit: int) -> list[NodeKey]:
    """Nodes of a kind by key."""
    start = max(after, f"{kind}:")
    rows = database.execute(_NODES_OF, (start, f"{kind};", limit))
    return [key for (key,) in rows]


def read_model(database: Database) -> str:
    """What the index is of."""
    (model,) = database.execute("SELECT model FROM state").fetchone()
    return str(model)


def read_evidence_at(
    database: Database,
    names: Names,
    remembered: Remembered,
    keys: Iterable[NodeKey],
    activity: bool,
) -> dict[NodeKey, NodeEvidence]:
    """What each node holds of its own."""
    return Gathering(database, names, remembered).at_nodes(keys, activity)


def read_block_keys(
    database: Database, keys: Iterable[NodeKey]
) -> dict[NodeKey, tuple[BlockKey, ...]]:
    """The block keys of nodes, ascending."""
    return {key: tuple(array("q", packed)) for key, packed in database.look_up(_KEYS, keys)}


def read_blocks(
    database: Database, keys: Iterable[BlockKey], at_most: int
) -> dict[BlockKey, tuple[int, tuple[NodeKey, ...]]]:
    """Size and members of blocks; of larger ones than `at_most` the size alone."""
    wanted = list(keys)
    sizes = dict(database.look_up(_SIZES.format(limit=at_most + 1), wanted))
    found: dict[BlockKey, tuple[int, tuple[NodeKey, ...]]] = {}
    for key in wanted:
        if sizes[key] > at_most:
            found[key] = (database.execute(_SIZE, (key,)).fetchone()[0], ())
    small = [key for key in wanted if 0 < sizes[key] <= at_most]
    rows = sorted(database.look_up(_MEMBERS, small))
    for key, group in groupby(rows, key=_block):
        members = tuple(node for _, node in group)
        found[key] = (len(members), members)
    return found


def _block(row: tuple[BlockKey, NodeKey]) -> BlockKey:
    return row[0]


def read_scored(database: Database, keys: Iterable[NodeKey]) -> dict[NodeKey, dict[NodeKey, int]]:
    """The scored links of nodes."""
    found: dict[NodeKey, dict[NodeKey, int]] = {}
    for one, other, mbits in database.look_up(_SCORED, keys):
        found.setdefault(one, {})[other] = mbits
    return found


def write_matching(database: Database, nodes: Nodes, state: State, matching: Matching) -> None:
    """Change the index inside a write transaction, before nodes are dropped."""
    if matching.model is not None:
        database.execute("UPDATE state SET model = ?", (matching.model,))
    ends = {key for pair in matching.links for key in pair}
    ids = nodes.ids({*matching.keys, *ends, *matching.marked})
    _write_keys(database, ids, matching.keys)
    _write_links(database, ids, matching.links)
    if matching.marked:
        state.commits += 1
        reasons = {ids[key]: int(Changed.ADDED) for key in matching.marked if key in ids}
        write_marks(database, reasons, state.commits)


def _write_keys(
    database: Database, ids: Mapping[NodeKey, int], keys: Mapping[NodeKey, Iterable[BlockKey]]
) -> None:
    held = read_block_keys(database, keys) if keys else {}
    less, more, packed, gone = [], [], [], []
    for key, blocks in keys.items():
        node = ids.get(key)
        if node is None:
            continue
        before, after = set(held.get(key, ())), set(blocks)
        less += [(block, node) for block in before - after]
        more += [(block, node) for block in after - before]
        if after and after != before:
            packed.append((node, array("q", sorted(after)).tobytes()))
        elif not after:
            gone.append((node,))
    database.executemany("DELETE FROM block WHERE key = ? AND node = ?", sorted(less))
    database.executemany("INSERT INTO block VALUES (?, ?)", sorted(more))
    database.executemany("INSERT OR REPLACE INTO matched VALUES (?, ?)", sorted(packed))
    database.executemany("DELETE FROM matched WHERE node = ?", gone)


def _write_links(
    database: Database,
    ids: Mapping[NodeKey, int],
    links: Mapping[tuple[NodeKey, NodeKey], int | None],
) -> None:
    less, more = [], []
    for (low, high), mbits in links.items():
        left, right = ids.get(low), ids.get(high)
        if left is None or right is None:
            continue
        if mbits is None:
            less += [(left, right), (right, left)]
        else:
            more += [(left, right, mbits), (right, left, mbits)]
    database.executemany("DELETE FROM scored WHERE node = ? AND other = ?", sorted(less))
    database.executemany("INSERT OR REPLACE INTO scored VALUES (?, ?, ?)", sorted(more))

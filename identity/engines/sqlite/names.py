"""Long keys as small integers: nodes, and the names of sources and cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from identity.engines.sqlite.database import Database
from identity.model import Node, NodeKey
from identity.store import StoreDamaged

NAMES_PER_DIMENSION = 4096
"""Beyond so many values of one dimension a cell keeps its text: some name single households."""
_KEPT_NODES = 500_000
_BY_KEY = """
SELECT key, id, is_bare FROM node WHERE key IN (SELECT value FROM json_each(?))"""
_BY_ID = """
SELECT id, key, digest, sealed FROM node WHERE id IN (SELECT value FROM json_each(?))"""

V = TypeVar("V")


class Recent(Generic[V]):
    """Remembers at least the `size` entries asked for last, at most twice as many."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._young: dict[str, V] = {}
        self._old: dict[str, V] = {}

    def get(self, key: str) -> V | None:
        """What was put under the key, if it is still remembered."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: str, value: V) -> None:
        """Remember an entry."""
        if len(self._young) >= self._size:
            self._old, self._young = self._young, {}
        self._young[key] = value

    def clear(self) -> None:
        """Forget everything."""
        self._young, self._old = {}, {}


class Nodes:
    """Node keys to ids and back. Ids are never given out twice.

    The cache holds only while no node was dropped: `forget` when one was, and
    when a transaction that made nodes was undone.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        # Twice the id, plus one while its sealed value is missing.
        self._ids: Recent[int] = Recent(_KEPT_NODES)

    def forget(self) -> None:
        """Drop what was cached."""
        self._ids.clear()

    def ids(self, keys: Iterable[NodeKey]) -> dict[NodeKey, int]:
        """The ids of the nodes that exist."""
        found: dict[NodeKey, int] = {}
        missing = []
        cached = self._ids.get
        for key in keys:
            node = cached(key)
            if node is None:
                missing.append(key)
            else:
                found[key] = node >> 1
        if missing:
            for key, node, is_bare in self._database.look_up(_BY_KEY, missing):
                found[key] = node
                self._ids.put(key, node << 1 | is_bare)
        return found

    def seal(self, nodes: Iterable[Node]) -> None:
        """Keep the sealed values of nodes, whose ids were just asked for, that came without one."""
        sealed = [node for node in nodes if (self._ids.get(node.key) or 0) & 1]
        self._database.executemany(
            "UPDATE node SET sealed = ?, is_bare = 0 WHERE key = ?",
            [(node.sealed, node.key) for node in sealed],
        )
        for node in sealed:
            self._ids.put(node.key, (self._ids.get(node.key) or 0) & ~1)

    def keys(self, ids: Iterable[int]) -> dict[int, Node]:
        """The nodes of ids; dropped ones are left out."""
        select = (
            "SELECT id, key, digest, sealed FROM node WHERE id IN (SELECT value FROM json_each(?))"
        )
        return {
            node: Node(key, order, sealed)
            for node, key, order, sealed in self._database.look_up(select, ids)
        }

    def make(self, nodes: Mapping[NodeKey, Node], first_id: int) -> dict[NodeKey, int]:
        """Make nodes with ids from `first_id` up."""
        made = {key: first_id + place for place, key in enumerate(nodes)}
        self._database.executemany(
            "INSERT INTO node (id, key, is_bare, digest, sealed) VALUES (?, ?, ?, ?, ?)",
            [
                (made[key], key, not node.sealed, node.order, node.sealed)
                for key, node in nodes.items()
            ],
        )
        for key, node_id in made.items():
            self._ids.put(key, node_id << 1 | (not nodes[key].sealed))
        return made


class _Texts(dict[int | str, str]):
    """Names by id; a text is its own name, an id not seen so far is loaded."""

    def __init__(self, load: Callable[[], None]) -> None:
        super().__init__()
        self._load = load

    def __missing__(self, short: int | str) -> str:
        if isinstance(short, str):
            return short
        self._load()
        return self.get(short) or _unnamed(short)


def _unnamed(short: int) -> str:
    raise StoreDamaged(f"the graph's file has no name of number {short}")


class Names:
    """Sources and cells to integers and back; a cell of a crowded dimension stays as it is.

    `texts` has the text of every id, and of every text itself.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ids: dict[str, int] = {}
        self._crowd: dict[str, int] = {}
        self.texts = _Texts(self._load)

    def forget(self) -> None:
        """Drop what was cached, when the transaction that made names was undone."""
        self._ids, self._crowd = {}, {}
        self.texts.clear()

    def id(self, text: str) -> int:
        """The id of a name, which is made when it is new."""
        known = self._ids.get(text)
        if known is None:
            self._load()
            known = self._ids.get(text)
        if known is None:
            known = len(self._ids) + 1
            self._database.execute("INSERT INTO name (id, text) VALUES (?, ?)", (known, text))
            self._note(known, text)
        return known

    def short(self, cell: str) -> int | str:
        """The id of a cell, or its text when its dimension has too many values."""
        known = self._ids.get(cell)
        if known is not None:
            return known
        dimension = cell.partition(":")[0]
        if self._crowd.get(dimension, 0) < NAMES_PER_DIMENSION:
            # Others may have filled it; two forms of one cell would be counted apart.
            self._load()
            if cell in self._ids or self._crowd.get(dimension, 0) < NAMES_PER_DIMENSION:
                return self.id(cell)
        return cell

    def _load(self) -> None:
        start = len(self._ids)
        for known, text in self._database.execute(
            "SELECT id, text FROM name WHERE id > ?", (start,)
        ):
            self._note(known, text)

    def _note(self, known: int, text: str) -> None:
        self._ids[text] = known
        self.texts[known] = text
        dimension = text.partition(":")[0]
        self._crowd[dimension] = self._crowd.get(dimension, 0) + 1

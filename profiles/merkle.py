"""A Merkle tree over a growing list, with proofs that need no trust in whoever keeps it.

Source: RFC 6962, section 2.1 (hashes and proofs), and RFC 9162, sections
2.1.3.2 and 2.1.4.2 (checking them). SHA-256; a leaf is hashed behind a byte 0,
an inner node behind a byte 1, so that neither passes for the other.

Pure. Whoever keeps the tree keeps the hash of every whole subtree, by level
(0: leaves) and place; from these a root or a proof takes as many steps as the
tree has levels, squared at most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()
Whole = Callable[[int, int], bytes]
"""The hash of the whole subtree at a level and place; only asked about those that are whole."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of an entry of the list."""
    return sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of what two subtrees make together."""
    return sha256(b"\1" + left + right).digest()


def grown(size: int, leaf: bytes, whole: Whole) -> list[tuple[int, int, bytes]]:
    """The subtrees that become whole when a leaf is added to so many: level, place, hash.

    They are to be kept; the first is the leaf itself.
    """
    made = [(0, size, leaf)]
    level, place = 0, size
    while place & 1:
        leaf = node_hash(whole(level, place - 1), leaf)
        level, place = level + 1, place >> 1
        made.append((level, place, leaf))
    return made


def root(size: int, whole: Whole) -> bytes:
    """The root over the first so many entries."""
    return _over(0, size, whole) if size else EMPTY_ROOT


def inclusion(index: int, size: int, whole: Whole) -> list[bytes]:
    """The proof that the entry at an index, from 0, is among the first so many."""
    assert 0 <= index < size, "an entry of the list"
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_over(middle, end, whole))
            end = middle
        else:
            path.append(_over(start, middle, whole))
            start = middle
    return path[::-1]


def consistency(old: int, size: int, whole: Whole) -> list[bytes]:
    """The proof that the first so many entries begin with the old ones, unchanged.

    Nothing needs to be proved of no entries, or of as many as there were.
    """
    assert 0 <= old <= size, "an earlier size"
    if old in (0, size):
        return []
    path: list[bytes] = []
    start, end, inside = 0, size, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_over(middle, end, whole))
            end = middle
        else:
            path.append(_over(start, middle, whole))
            start, inside = middle, False
    if not inside:
        path.append(_over(start, end, whole))
    return path[::-1]


def includes(leaf: bytes, index: int, size: int, path: Sequence[bytes], expected: bytes) -> bool:
    """Whether a proof shows that a leaf is at an index of the list with this size and root."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for step in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(step, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, step)
        at, last = at >> 1, last >> 1
    return last == 0 and found == expected


def extends(old: int, old_root: bytes, size: int, expected: bytes, path: Sequence[bytes]) -> bool:
    """Whether a proof shows that the list with a size and root begins with the old one."""
    if old == 0:
        return not path and old_root == EMPTY_ROOT and size >= 0
    if old >= size:
        return old == size and not path and old_root == expected
    steps = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not steps:
        return False
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            after = node_hash(after, step)
        at, last = at >> 1, last >> 1
    return last == 0 and before == old_root and after == expected


def _split(count: int) -> int:
    """The largest power of two below a count of two or more."""
    return 1 << (count - 1).bit_length() - 1


def _over(start: int, end: int, whole: Whole) -> bytes:
    count = end - start
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return whole(level, start >> level)
    middle = start + _split(count)
    return node_hash(_over(start, middle, whole), _over(middle, end, whole))

"""The tree's roots and proofs are those of RFC 6962, and no proof holds for anything else."""

from __future__ import annotations

import random
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles import merkle

# The RFC's own list of leaves, as the transparency projects test with it, and its roots.
LEAVES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def naive_root(leaves: list[bytes]) -> bytes:
    """The RFC's definition, read aloud."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


class Tree:
    """A tree that keeps its whole subtrees in a dictionary."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.kept: dict[tuple[int, int], bytes] = {}
        for size, leaf in enumerate(leaves):
            for level, place, made in merkle.grown(size, merkle.leaf_hash(leaf), self.whole):
                assert (level, place) not in self.kept
                self.kept[level, place] = made

    def whole(self, level: int, place: int) -> bytes:
        """A whole subtree's hash."""
        return self.kept[level, place]


@pytest.mark.parametrize("size", range(len(ROOTS)))
def test_roots_are_those_of_the_known_lists(size: int) -> None:
    """Eight published roots, and that of no entries."""
    assert merkle.root(size, Tree(LEAVES).whole).hex() == ROOTS[size]


leaves = st.lists(st.binary(max_size=8), max_size=40)


@given(leaves)
def test_every_size_has_the_root_of_the_definition(entries: list[bytes]) -> None:
    """A grown tree still knows the roots of all its earlier sizes."""
    tree = Tree(entries)
    for size in range(len(entries) + 1):
        assert merkle.root(size, tree.whole) == naive_root(entries[:size])


@given(leaves)
@settings(max_examples=30)
def test_every_entry_is_proved_to_be_in_every_list_that_holds_it(entries: list[bytes]) -> None:
    """And by no proof to be at another place, in a list of another size, or to be another entry."""
    tree = Tree(entries)
    size = len(entries)
    root = merkle.root(size, tree.whole)
    for index, entry in enumerate(entries):
        path = merkle.inclusion(index, size, tree.whole)
        leaf = merkle.leaf_hash(entry)
        assert len(path) <= max(size - 1, 0).bit_length()
        assert merkle.includes(leaf, index, size, path, root)
        assert not merkle.includes(merkle.leaf_hash(entry + b"x"), index, size, path, root)
        assert not merkle.includes(leaf, size, size, path, root)
        assert not merkle.includes(leaf, index, size, [*path, root], root)
        if path:
            assert not merkle.includes(leaf, index, size, path[:-1], root)
        for other in range(size):
            if entries[other] != entry and other != index:
                assert not merkle.includes(leaf, other, size, path, root)


@given(leaves, st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_every_list_is_proved_to_begin_with_its_earlier_ones(
    entries: list[bytes], drawn: random.Random
) -> None:
    """And by no proof with anything that was changed, cut or made up."""
    tree = Tree(entries)
    size = len(entries)
    root = merkle.root(size, tree.whole)
    for old in range(size + 1):
        before = naive_root(entries[:old])
        path = merkle.consistency(old, size, tree.whole)
        assert merkle.extends(old, before, size, root, path)
        changed = list(entries[:old])
        if changed:
            changed[drawn.randrange(old)] += b"x"
            assert not merkle.extends(old, naive_root(changed), size, root, path)
            assert not merkle.extends(old, before, size, naive_root([*entries, b"x"]), path)
        if path:
            assert not merkle.extends(old, before, size, root, path[:-1])
            assert not merkle.extends(old, before, size, root, [*path, root])
            at = drawn.randrange(len(path))
            path[at] = sha256(path[at]).digest()
            assert not merkle.extends(old, before, size, root, path)
    assert not merkle.extends(size + 1, root, size, root, [])

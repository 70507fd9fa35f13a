"""What compares nodes of the graph: the seam between a match model and the index."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from identity.matching.score import Bar
from identity.model import BlockKey, KeptFact, NodeEvidence, NodeKey

RULE_BITS = 8
"""A block key ends in so many bits with the number of its blocking rule."""


@dataclass(frozen=True, slots=True)
class Item:
    """A node ready to be compared under one model.

    `digest` tells its evidence from any other's; `keys` are its blocks;
    `prepared` is the comparer's own.
    """

    digest: bytes
    keys: tuple[BlockKey, ...]
    prepared: Any


SizeOf = Callable[[BlockKey], int]
"""How many nodes are in a block that the node at hand is in."""
ItemOf = Callable[[NodeKey], Item | None]


Joined = tuple[int, NodeKey, NodeKey]
"""When two nodes were first seen together, or said to be one, in microseconds, and the two."""


class Group(NamedTuple):
    """What is known of nodes that are one person by all links before scored ones of this kind.

    `facts` are their own, each once, decisions of staff on links left out.
    """

    members: frozenset[NodeKey]
    facts: tuple[KeptFact, ...]
    joined: tuple[Joined, ...]


MayJoin = Callable[[Group], bool]
"""Whether a group may be joined with others by scored links; a pure function."""


class Comparer(Protocol):
    """Compares nodes of some kinds under one frozen model.

    Pure: an item depends on its node's evidence and the model; a match weight
    on two items, the model, and the levels of the blocks that both are in,
    whichever item comes first.
    """

    @property
    def only_positive(self) -> bool:
        """Whether links that are not positive change no group."""

    @property
    def model(self) -> str:
        """The fingerprint of the model."""

    @property
    def kinds(self) -> Collection[str]:
        """The kinds of nodes that it compares, with one another."""

    @property
    def apart_mbits(self) -> int | None:
        """At or below this weight a pair is held apart, whatever links it."""

    @property
    def may_join(self) -> MayJoin | None:
        """What is asked about whole groups before any two are joined; None: nothing is.

        Asked about each of the two and about both as one, and all have to be yes.
        """

    @property
    def reads_activity(self) -> bool:
        """Whether items are made of activity, too; else of facts alone."""

    @property
    def levels(self) -> Mapping[int, Sequence[int]]:
        """By number of blocking rule the sizes that blocks are told apart by, ascending.

        The last is the bound: of a block with more members no two are compared.
        Whenever a block's size passes one of them, its pairs are weighed again.
        No two comparers of one index have a number in common.
        """

    def prepare(self, evidence: NodeEvidence) -> Item | None:
        """The node as it is compared; None when it holds nothing to compare."""

    def weigh(self, item: Item, others: Sequence[Item], size_of: SizeOf) -> list[int]:
        """The match weight with each of the others, in thousandths of a bit, prior included."""

    def explain(self, left: Item, right: Item, size_of: SizeOf) -> list[Bar]:
        """The waterfall behind a match weight; its bars add up to it."""

    def probability(self, mbits: int) -> float:
        """The calibrated probability of a match weight."""

    def group(
        self,
        members: Iterable[NodeKey],
        links: Mapping[NodeKey, Mapping[NodeKey, int]],
        order: Callable[[NodeKey], int],
        joined: Iterable[Collection[NodeKey]],
        join: Callable[[NodeKey, NodeKey], bool],
        item_of: ItemOf,
    ) -> None:
        """Say which groups of members are one person, by calling `join` with a member of each.

        Groups begin as `joined`; `join` answers whether it joined them or
        something forbids it, `may_join` for one. The calls depend on no order of the inputs.
        """

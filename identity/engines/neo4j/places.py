"""Where nodes and links were found last, so that they need no index to be found again."""

from __future__ import annotations

from typing import TypeVar

from identity.model import NodeKey, PersonId

K = TypeVar("K")
CAPACITY = 400_000


class Places:
    """Ids inside the database by key. They may have become wrong: who uses one checks it.

    `sealed` are the nodes known to hold their sealed value. `fenced` are all
    fenced nodes in brief, as of the change `fenced_to`: perhaps too many, never too few.

    An id is not given away again while a transaction is open that could have
    seen its former owner, so a check inside the transaction holds until its end.
    """

    def __init__(self) -> None:
        self.nodes: dict[NodeKey, int] = {}
        self.links: dict[tuple[NodeKey, NodeKey], int] = {}
        self.people: dict[PersonId, int] = {}
        self.sealed: dict[NodeKey, int] = {}
        self.fenced: set[str] = set()
        self.fenced_to = 0

    def trim(self) -> None:
        """Forget the older half of whatever has grown too large."""
        _trim(self.nodes)
        _trim(self.links)
        _trim(self.people)
        _trim(self.sealed)

    def clear(self) -> None:
        """Forget where anything is."""
        self.nodes.clear()
        self.links.clear()
        self.people.clear()
        self.sealed.clear()


def _trim(known: dict[K, int]) -> None:
    if len(known) > CAPACITY:
        for key in list(known)[: CAPACITY // 2]:
            del known[key]

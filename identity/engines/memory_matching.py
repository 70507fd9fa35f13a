"""The index of matching in memory: block keys by node, members by block, scored links."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from identity.model import BlockKey, NodeKey
from identity.store import Matching


@dataclass(slots=True)
class MatchingState:
    """What the last resolutions made of the index."""

    model: str = ""
    keys: dict[NodeKey, tuple[BlockKey, ...]] = field(default_factory=dict)
    blocks: dict[BlockKey, set[NodeKey]] = field(default_factory=dict)
    links: dict[NodeKey, dict[NodeKey, int]] = field(default_factory=dict)

    def apply(self, matching: Matching) -> None:
        """Change the index; marks are the caller's."""
        if matching.model is not None:
            self.model = matching.model
        for key, blocks in matching.keys.items():
            for gone in self.keys.pop(key, ()):
                self.blocks[gone].discard(key)
            for block in blocks:
                self.blocks.setdefault(block, set()).add(key)
            if blocks:
                self.keys[key] = tuple(sorted(blocks))
        for (low, high), mbits in matching.links.items():
            for one, other in ((low, high), (high, low)):
                if mbits is None:
                    self.links.get(one, {}).pop(other, None)
                else:
                    self.links.setdefault(one, {})[other] = mbits

    def members(
        self, keys: Iterable[BlockKey], at_most: int
    ) -> dict[BlockKey, tuple[int, tuple[NodeKey, ...]]]:
        """Size and members of blocks that have any."""
        found = {}
        for key in keys:
            members = self.blocks.get(key)
            if members:
                told = tuple(sorted(members)) if len(members) <= at_most else ()
                found[key] = (len(members), told)
        return found

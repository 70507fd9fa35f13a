"""The index of matching: which nodes share a block, and the scored links that follow.

It is a function of the live evidence and the models: two nodes are compared
when they share a key whose block is within its bound. Keys and positive links
rest in the store, for the resolver that comes next; items and weights are kept
in memory as long as one resolver holds the lease, since nobody else writes them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from identity.matching.comparing import RULE_BITS, Comparer, Item
from identity.matching.score import Bar
from identity.model import BlockKey, NodeEvidence, NodeKey, kind_of
from identity.store import NO_MATCHING, GraphStore, Matching

KEPT_ITEMS = 60_000
"""So many items, with their links, are kept in memory before the index starts anew."""
_RULE = (1 << RULE_BITS) - 1
_SLACK = 50
"""A block that is over its bound by no more than this is kept with its members."""


@dataclass(slots=True)
class _Block:
    """`members` is None where only the size is known."""

    levels: Sequence[int]
    size: int
    members: set[NodeKey] | None

    @property
    def bound(self) -> int:
        return self.levels[-1]

    @property
    def live(self) -> bool:
        return self.size <= self.levels[-1]

    @property
    def level(self) -> int:
        return bisect_left(self.levels, self.size)


@dataclass(frozen=True, slots=True)
class Updated:
    """What an update changed.

    `touched` are the nodes whose links may be others than before, and the
    other ends of links that went.
    """

    matching: Matching
    touched: frozenset[NodeKey]


NOTHING = Updated(NO_MATCHING, frozenset())


@dataclass(slots=True)
class _Round:
    """One update while it is worked out."""

    before: dict[NodeKey, tuple[BlockKey, ...]]
    after: dict[NodeKey, Item | None]
    dirty: set[NodeKey] = field(default_factory=set)


class MatchIndex:
    """The index of one store under some comparers, none of which share a kind.

    Whoever holds the resolver's lease may update it, and must `forget` when an
    update was not committed. Not thread-safe.
    """

    def __init__(self, store: GraphStore, comparers: Sequence[Comparer]) -> None:
        self._store = store
        self.comparers = tuple(comparers)
        self._of_kind = {kind: comparer for comparer in comparers for kind in comparer.kinds}
        self._reads_activity = any(own.reads_activity for own in comparers)
        self._levels = {rule: n for own in comparers for rule, n in own.levels.items()}
        self._items: dict[NodeKey, Item | None] = {}
        self._keys: dict[NodeKey, tuple[BlockKey, ...]] = {}
        self._settled: dict[NodeKey, bytes] = {}
        self._blocks: dict[BlockKey, _Block] = {}
        self._links: dict[NodeKey, dict[NodeKey, int]] = {}

    @property
    def model(self) -> str:
        """What the index is of: kinds and fingerprint of each of its models; "" without any."""
        return ";".join(f"{','.join(sorted(own.kinds))}={own.model}" for own in self.comparers)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of nodes that are compared."""
        return tuple(self._of_kind)

    def comparer(self, key: NodeKey) -> Comparer | None:
        """What compares a node; None when nothing does."""
        return self._of_kind.get(kind_of(key))

    def forget(self) -> None:
        """Drop all that is kept in memory."""
        for kept in (self._items, self._keys, self._settled, self._blocks, self._links):
            kept.clear()

    # ---- updating --------------------------------------------------------

    def update(self, keys: Iterable[NodeKey], *, anew: bool = False) -> Updated:
        """Bring nodes whose evidence may have changed up to date; the caller commits it.

        Kinds that nothing compares are left as they are, or when making the
        index `anew` taken out of it.

        1. Prepare them anew; leave out those that are as they were.
        2. Take them out of blocks and put them into blocks. A block whose size
           passes a level, either way, changes the links of every member.
        3. Weigh them against all they share a live block with.
        4. Compare positive links with those that the store holds.
        """
        if len(self._items) > KEPT_ITEMS:
            self.forget()
        wanted = sorted(key for key in set(keys) if anew or self.comparer(key) is not None)
        if not wanted:
            return NOTHING
        changed = self._prepared(wanted)
        if not changed:
            return NOTHING
        before = self._indexed(changed)
        work = _Round({key: before.get(key, ()) for key in changed}, changed)
        self._move(work)
        work.dirty |= changed.keys()
        links = self._differences(work)
        matching = Matching(keys=self._new_keys(work), links=links)
        ends = {end for pair in links for end in pair}
        all_count = {key for key in work.dirty if not self._only_positive(key)}
        return Updated(matching, frozenset(all_count | ends))

    def _only_positive(self, key: NodeKey) -> bool:
        comparer = self.comparer(key)
        return comparer is not None and comparer.only_positive

    def _prepared(self, keys: Sequence[NodeKey]) -> dict[NodeKey, Item | None]:
        """The nodes whose item is not the one that was indexed, with their items."""
        evidence = self._store.evidence_at(keys, activity=self._reads_activity)
        found: dict[NodeKey, Item | None] = {}
        for key in keys:
            item = self._item(key, evidence.get(key))
            if item is None or self._settled.get(key) != item.digest:
                found[key] = item
        return found

    def _indexed(self, keys: Iterable[NodeKey]) -> dict[NodeKey, tuple[BlockKey, ...]]:
        """The block keys under which nodes stand in the index."""
        unknown = [key for key in keys if key not in self._keys]
        if unknown:
            held = self._store.block_keys(unknown)
            self._keys.update((key, held.get(key, ())) for key in unknown)
        return {key: self._keys[key] for key in keys}

    def _new_keys(self, work: _Round) -> dict[NodeKey, tuple[BlockKey, ...]]:
        return {
            key: item.keys if item is not None else ()
            for key, item in work.after.items()
            if (item.keys if item is not None else ()) != work.before[key]
        }

    def _move(self, work: _Round) -> None:
        """Steps 2 and 3."""
        concerned = {block for keys in work.before.values() for block in keys}
        concerned |= {block for item in work.after.values() if item for block in item.keys}
        self._load_blocks(concerned, len(work.after) + _SLACK)
        was_at = {block: self._blocks[block].level for block in concerned}
        for key, item in work.after.items():
            self._detach(key, work.before[key])
            self._attach(key, item)
        for block in sorted(concerned):
            now = self._blocks[block]
            if now.level == was_at[block]:
                continue
            if now.live:
                self._reweigh(now)
            else:
                self._close(now)
            # Whoever left it is among those that changed.
            work.dirty |= now.members or set()
        for block in concerned:
            self._shrink(block)
        self._weigh_anew(work.after)

    def _detach(self, key: NodeKey, blocks: Iterable[BlockKey]) -> None:
        self._links.pop(key, None)
        for block in blocks:
            held = self._blocks[block]
            if held.members is not None:
                # Whoever shares a block may have weighed it, whether that block is live or not.
                for other in held.members:
                    mine = self._links.get(other)
                    if mine is not None:
                        mine.pop(key, None)
                held.members.discard(key)
            held.size -= 1

    def _attach(self, key: NodeKey, item: Item | None) -> None:
        self._items[key] = item
        self._keys[key] = item.keys if item is not None else ()
        self._settled.pop(key, None)
        if item is None:
            return
        self._settled[key] = item.digest
        for block in item.keys:
            held = self._blocks[block]
            held.size += 1
            if held.members is not None:
                held.members.add(key)

    def _reweigh(self, block: _Block) -> None:
        """At another level, or back within its bound: its members are weighed when asked for."""
        for key in block.members or ():
            self._links.pop(key, None)

    def _close(self, block: _Block) -> None:
        """Over its bound: links between members that share no other live block go."""
        members = sorted(block.members or ())
        self._indexed(members)
        for number, left in enumerate(members):
            mine = self._links.get(left)
            for right in members[:number]:
                theirs = self._links.get(right)
                if (mine and right in mine) or (theirs and left in theirs):
                    if self._share_live(left, right):
                        continue
                    if mine:
                        mine.pop(right, None)
                    if theirs:
                        theirs.pop(left, None)

    def _share_live(self, left: NodeKey, right: NodeKey) -> bool:
        others = self._keys[right]
        # Whose links are in memory, its blocks are too.
        return any(block in others and self._blocks[block].live for block in self._keys[left])

    def _shrink(self, block: BlockKey) -> None:
        held = self._blocks[block]
        if held.members is not None and held.size > held.bound + _SLACK:
            held.members = None

    def _weigh_anew(self, after: Mapping[NodeKey, Item | None]) -> None:
        """Weigh what changed, and tell those that were weighed before."""
        met = self._met([key for key, item in after.items() if item is not None])
        known = self._links
        done: set[NodeKey] = set()
        for key, others in met.items():
            # Of two that are new each pair is weighed once.
            mine = self._weighed(key, [other for other in others if other not in done])
            for other, mbits in mine.items():
                theirs = known.get(other)
                if theirs is not None:
                    theirs[key] = mbits
            for other in done.intersection(others):
                weighed = known[other].get(key)
                if weighed is not None:
                    mine[other] = weighed
            known[key] = mine
            done.add(key)

    def _differences(self, work: _Round) -> dict[tuple[NodeKey, NodeKey], int | None]:
        """Positive links that are not what the store holds."""
        held = self._store.scored(work.dirty)
        found = self.links(work.dirty)
        links: dict[tuple[NodeKey, NodeKey], int | None] = {}
        for key in work.dirty:
            now, former = found.get(key, {}), held.get(key, {})
            for other in former:
                if now.get(other, 0) <= 0:
                    links[_pair(key, other)] = None
            for other, mbits in now.items():
                if mbits > 0 and former.get(other) != mbits:
                    links[_pair(key, other)] = mbits
        return links

    # ---- reading ---------------------------------------------------------

    def links(self, keys: Iterable[NodeKey]) -> dict[NodeKey, dict[NodeKey, int]]:
        """Every link of the nodes, positive or not: match weights in thousandths of a bit.

        The dictionaries are the index's own: read them before the next update.
        """
        wanted = list(dict.fromkeys(keys))
        unknown = [key for key in wanted if key not in self._links]
        if unknown:
            self._weigh(unknown)
        return {key: self._links[key] for key in wanted}

    def explain(self, left: NodeKey, right: NodeKey) -> list[Bar]:
        """The waterfall of a scored link; none when the two cannot be compared."""
        comparer = self.comparer(left)
        self._load_items([left, right])
        one, other = self._items.get(left), self._items.get(right)
        if comparer is None or comparer is not self.comparer(right) or one is None or other is None:
            return []
        self._load_blocks(one.keys, _SLACK)
        return comparer.explain(one, other, self._size)

    def item(self, key: NodeKey) -> Item | None:
        """A node as it is compared, if its links were asked for."""
        return self._items.get(key)

    def _weigh(self, keys: Sequence[NodeKey]) -> None:
        for key, others in self._met(keys).items():
            self._links[key] = self._weighed(key, others)

    def _met(self, keys: Sequence[NodeKey]) -> dict[NodeKey, list[NodeKey]]:
        """Whom each node shares a live block with, all of them ready to be compared."""
        indexed = self._indexed(keys)
        self._load_blocks({block for blocks in indexed.values() for block in blocks}, _SLACK)
        found: dict[NodeKey, list[NodeKey]] = {}
        everybody = set(keys)
        for key in keys:
            met: set[NodeKey] = set()
            for block in indexed[key]:
                held = self._blocks[block]
                if held.live and held.members:
                    met |= held.members
            met.discard(key)
            everybody |= met
            found[key] = list(met)
        self._load_items(everybody)
        return found

    def _weighed(self, key: NodeKey, others: Sequence[NodeKey]) -> dict[NodeKey, int]:
        item, comparer, items = self._items[key], self.comparer(key), self._items
        if item is None or comparer is None:
            return {}
        ready = [(other, held) for other in others if (held := items[other]) is not None]
        weights = comparer.weigh(item, [held for _, held in ready], self._size)
        return {other: mbits for (other, _), mbits in zip(ready, weights, strict=True)}

    def _load_items(self, keys: Iterable[NodeKey]) -> None:
        unknown = [key for key in keys if key not in self._items]
        if not unknown:
            return
        evidence = self._store.evidence_at(unknown, activity=self._reads_activity)
        self._items.update((key, self._item(key, evidence.get(key))) for key in unknown)

    def _item(self, key: NodeKey, evidence: NodeEvidence | None) -> Item | None:
        comparer = self.comparer(key)
        return comparer.prepare(evidence) if comparer is not None and evidence is not None else None

    def _load_blocks(self, keys: Iterable[BlockKey], slack: int) -> None:
        """Load blocks with their members, if they exceed their bound by no more than the slack."""
        unknown = [key for key in keys if key not in self._blocks or self._hidden(key, slack)]
        by_levels: dict[Sequence[int], list[BlockKey]] = {}
        for key in unknown:
            by_levels.setdefault(self._levels_of(key), []).append(key)
        for levels, some in by_levels.items():
            most = levels[-1] + slack
            held = self._store.blocks(some, most)
            for key in some:
                size, members = held.get(key, (0, ()))
                self._blocks[key] = _Block(levels, size, set(members) if size <= most else None)

    def _size(self, key: BlockKey) -> int:
        if key not in self._blocks:
            # Of a node that has a mark yet, and whose evidence is ahead of its blocks.
            self._load_blocks([key], _SLACK)
        return self._blocks[key].size

    def _hidden(self, key: BlockKey, slack: int) -> bool:
        held = self._blocks[key]
        return held.members is None and held.size <= held.bound + slack

    def _levels_of(self, key: BlockKey) -> Sequence[int]:
        # A rule that only a former model had: its blocks are being emptied.
        return self._levels.get(key & _RULE, (0,))


def kinds_of(model: str) -> list[str]:
    """The kinds of nodes that an index of this model compares."""
    return [kind for own in model.split(";") if own for kind in own.partition("=")[0].split(",")]


def _pair(left: NodeKey, right: NodeKey) -> tuple[NodeKey, NodeKey]:
    return (left, right) if left < right else (right, left)

"""Records of the graph under the match model: opened, prepared, compared, grouped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from hashlib import blake2b

from identity.matching.cluster import clusters
from identity.matching.comparing import RULE_BITS, Item, ItemOf, MayJoin, SizeOf
from identity.matching.model import HELD_APART_MBITS, fingerprint
from identity.matching.score import Bar, Prepared, Scorer
from identity.model import RECORD_KIND, BlockKey, EvidenceKind, NodeEvidence, NodeKey

OpenRecord = Callable[[NodeKey, bytes], Mapping[str, str]]
"""The attributes in a record's sealed payload; none when it can no longer be opened."""


class RecordComparer:
    """A `Comparer` of record nodes. `key` is the secret that block keys and terms are keyed with.

    Holds raw values in memory, as long as its caller holds the items it gave out.
    """

    kinds: Collection[str] = (RECORD_KIND,)
    only_positive = False
    reads_activity = False
    apart_mbits: int | None = HELD_APART_MBITS
    may_join: MayJoin | None = None

    def __init__(self, scorer: Scorer, key: bytes, open_record: OpenRecord) -> None:
        self.model = fingerprint(scorer.model)
        self.levels = {rule: (own.bound,) for rule, own in enumerate(scorer.model.blocking)}
        self._scorer = scorer
        self._open = open_record
        self._keyed = blake2b(self.model.encode(), digest_size=8, key=key)

    def prepare(self, evidence: NodeEvidence) -> Item | None:
        """As the port says: the record as its source last counted it."""
        facts = [fact for fact in evidence.facts if fact.fact.kind is EvidenceKind.RECORD]
        if not facts:
            return None
        newest = max(facts, key=lambda fact: (fact.event_us, fact.digest))
        attributes = self._open(evidence.node.key, newest.fact.payload)
        if not attributes:
            return None
        prepared = self._scorer.prepare(attributes)
        # A record that lost an attribute is another, under the digest it was sent with.
        digest = newest.digest + "\0".join(sorted(attributes)).encode()
        return Item(digest, self._block_keys(prepared), prepared)

    def _block_keys(self, prepared: Prepared) -> tuple[BlockKey, ...]:
        found = []
        for rule, value in prepared.keys:
            keyed = self._keyed.copy()
            keyed.update(f"{rule}\0{value}".encode())
            number = int.from_bytes(keyed.digest(), "big") >> 1
            found.append(number >> RULE_BITS << RULE_BITS | rule)
        return tuple(sorted(set(found)))

    def weigh(self, item: Item, others: Sequence[Item], size_of: SizeOf) -> list[int]:
        """As the port says."""
        del size_of
        return self._scorer.weigh_many(item.prepared, [other.prepared for other in others])

    def explain(self, left: Item, right: Item, size_of: SizeOf) -> list[Bar]:
        """As the port says."""
        del size_of
        return self._scorer.explain(left.prepared, right.prepared)

    def probability(self, mbits: int) -> float:
        """As the port says."""
        return self._scorer.model.probability(mbits)

    def group(
        self,
        members: Iterable[NodeKey],
        links: Mapping[NodeKey, Mapping[NodeKey, int]],
        order: Callable[[NodeKey], int],
        joined: Iterable[Collection[NodeKey]],
        join: Callable[[NodeKey, NodeKey], bool],
        item_of: ItemOf,
    ) -> None:
        """As the port says, by average weight."""
        del item_of
        clusters(members, links, order, self._scorer.model.clustering, joined, join)

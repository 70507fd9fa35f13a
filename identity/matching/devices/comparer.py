"""Devices of the graph under the device model: folded, prepared, compared, grouped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import msgpack

from identity.matching.comparing import RULE_BITS, Item, ItemOf, MayJoin, SizeOf
from identity.matching.devices.activity import device_of_activity
from identity.matching.devices.blocking import BlockKey as TextKey
from identity.matching.devices.cluster import cluster_devices
from identity.matching.devices.model import DeviceModel, fingerprint
from identity.matching.devices.prepared import PreparedDevice
from identity.matching.devices.score import DeviceScorer
from identity.matching.model import APART_MBITS
from identity.matching.score import Bar
from identity.model import BlockKey, NodeEvidence, NodeKey

MayLink = Callable[[NodeEvidence], bool]
"""What policy and consent say about linking a device by how it is used."""
FIRST_RULE = 1 << RULE_BITS - 1
"""Rules of devices are numbered from here on, those of records before."""
_pack = msgpack.Packer().pack


class _Ready(NamedTuple):
    """A prepared device and the block keys behind its own."""

    device: PreparedDevice
    blocks: Mapping[TextKey, BlockKey]


@dataclass(frozen=True, slots=True)
class _Typed:
    """The types of devices that a group has."""

    types: set[str]


class DeviceComparer:
    """A `Comparer` of device nodes. `key` is the secret that tokens and block keys are keyed with.

    The model asks `may_link` of every device; the answer is part of the
    evidence: who may not be linked is in no block. Before two devices are joined
    `may_join` is asked of all that either is one with.
    """

    only_positive = True
    reads_activity = True
    apart_mbits: int | None = None
    """Nothing of how devices are used speaks against an exact link."""

    def __init__(
        self,
        model: DeviceModel,
        key: bytes,
        kinds: Collection[str],
        may_link: MayLink,
        may_join: MayJoin | None = None,
    ) -> None:
        self.may_join = may_join
        self.model = fingerprint(model)
        self.kinds = tuple(sorted(kinds))
        self.levels = {
            FIRST_RULE + number: rule.levels for number, rule in enumerate(model.blocking)
        }
        self._model = model
        self._scorer = DeviceScorer(model, key)
        self._may_link = may_link
        self._keyed = blake2b(self.model.encode(), digest_size=8, key=key)

    def prepare(self, evidence: NodeEvidence) -> Item | None:
        """As the port says: the device with all its days."""
        if not evidence.activity:
            return None
        key, may_link = evidence.node.key, self._may_link(evidence)
        device = device_of_activity(key, evidence.activity, may_link=may_link)
        prepared = self._scorer.prepare(device)
        blocks = {own: self._block_key(own) for own in prepared.keys}
        digest = blake2b(_pack(_content(evidence, may_link)), digest_size=8).digest()
        return Item(digest, tuple(sorted(set(blocks.values()))), _Ready(prepared, blocks))

    def _block_key(self, own: TextKey) -> BlockKey:
        keyed = self._keyed.copy()
        keyed.update(f"{own[0]}\0{own[1]}".encode())
        number = int.from_bytes(keyed.digest(), "big") >> 1
        return number >> RULE_BITS << RULE_BITS | FIRST_RULE + own[0]

    def weigh(self, item: Item, others: Sequence[Item], size_of: SizeOf) -> list[int]:
        """As the port says; two devices of one type are held apart."""
        mine: _Ready = item.prepared
        return [self._weigh(mine, other.prepared, size_of) for other in others]

    def _weigh(self, left: _Ready, right: _Ready, size_of: SizeOf) -> int:
        if left.device.device.type == right.device.device.type:
            return APART_MBITS
        return self._scorer.weigh(left.device, right.device, self._sizes(left, right, size_of))

    def _sizes(self, left: _Ready, right: _Ready, size_of: SizeOf) -> dict[TextKey, int]:
        counted = self._scorer.counted(left.device, right.device)
        return {own: size_of(left.blocks[own]) for own in counted}

    def explain(self, left: Item, right: Item, size_of: SizeOf) -> list[Bar]:
        """As the port says, before rivals compete."""
        one, other = left.prepared, right.prepared
        if one.device.device.type == other.device.device.type:
            return [Bar("type", "the same: a person's other device", APART_MBITS)]
        return self._scorer.explain(one.device, other.device, self._sizes(one, other, size_of))

    def probability(self, mbits: int) -> float:
        """As the port says, before rivals compete."""
        return self._model.probability(mbits)

    def group(
        self,
        members: Iterable[NodeKey],
        links: Mapping[NodeKey, Mapping[NodeKey, int]],
        order: Callable[[NodeKey], int],
        joined: Iterable[Collection[NodeKey]],
        join: Callable[[NodeKey, NodeKey], bool],
        item_of: ItemOf,
    ) -> None:
        """As the port says: rivals compete, then the strongest first, one device of a type."""
        present = list(members)
        types = {key: _type(item_of(key)) for key in present}
        found = cluster_devices(present, links, types, order, self._model.clustering)
        home = {key: _Typed({types[key]} - {""}) for key in present}
        for group in joined:
            whole = _Typed({types[key] for key in group} - {""})
            home.update(dict.fromkeys(group, whole))
        for link in found.links:
            left, right = home[link.left], home[link.right]
            if left is right or left.types & right.types or not join(link.left, link.right):
                continue
            whole = _Typed(left.types | right.types)
            merged = [key for key, own in home.items() if own is left or own is right]
            home.update(dict.fromkeys(merged, whole))


def _type(item: Item | None) -> str:
    return item.prepared.device.device.type if item is not None else ""


def _content(evidence: NodeEvidence, may_link: bool) -> list[object]:
    """All that a device is made of, in one order."""
    days = [
        (day, own.first_us, own.last_us, sorted(own.hours.items()), sorted(own.cells.items()))
        for day, own in sorted(evidence.activity.items())
    ]
    return [may_link, days]

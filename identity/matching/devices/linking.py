"""All devices at once: blocks, weights of the pairs that meet in one, links and people.

Nothing is decided here: each pair is weighed by `score.DeviceScorer` and each
component clustered by `cluster.cluster_devices`, as they are one device at a
time. The same for any order of the devices given.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from identity.matching.devices.blocking import BlockKey
from identity.matching.devices.cluster import Decided, cluster_devices
from identity.matching.devices.device import Device
from identity.matching.devices.model import DeviceModel
from identity.matching.devices.prepared import PreparedDevice
from identity.matching.devices.score import DeviceScorer

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pairs to compare, as places in the devices given, and what blocking left out.

    `sizes` has the blocks of two devices or more; `skipped` counts those over
    their bound.
    """

    pairs: tuple[tuple[int, int], ...]
    sizes: Mapping[BlockKey, int]
    skipped: int


@dataclass(frozen=True, slots=True)
class Linked:
    """What was found among devices.

    - `weights`: per pair compared, the lesser key first, its match weight
      before competition in thousandths of a bit.
    - `links`, `below`: pairs of positive weight that reach the threshold after
      competition, and those that do not; strongest first.
    - `people`: the groups, each by key.
    - `chances`: per pair compared the probability that it matches, what rivals
      of positive weight leave of it.
    - `withheld`: devices that may not be linked; nothing about them was compared.
    """

    weights: Mapping[Pair, int]
    links: tuple[Decided[str], ...]
    below: tuple[Decided[str], ...]
    people: tuple[frozenset[str], ...]
    chances: Mapping[Pair, float]
    withheld: tuple[str, ...]
    skipped_blocks: int


def link(devices: Iterable[Device], model: DeviceModel, key: bytes) -> Linked:
    """Weigh all candidate pairs, let those that want one device compete, and cluster."""
    ordered = sorted(devices, key=lambda device: device.key)
    scorer = DeviceScorer(model, key)
    ready = [scorer.prepare(device) for device in ordered]
    found = candidates(ready, scorer)
    weights: dict[Pair, int] = {}
    links: dict[str, dict[str, int]] = defaultdict(dict)
    for left, right in found.pairs:
        mbits = scorer.weigh(ready[left], ready[right], found.sizes)
        low, high = ordered[left].key, ordered[right].key
        weights[low, high] = links[low][high] = links[high][low] = mbits
    types = {device.key: device.type for device in ordered}
    groups = cluster_devices(types, links, types, order_of, model.clustering)
    return Linked(
        weights=weights,
        links=groups.links,
        below=groups.below,
        people=groups.groups,
        chances=_chances(weights, (*groups.links, *groups.below), types, model),
        withheld=tuple(device.key for device in ordered if not device.may_link),
        skipped_blocks=found.skipped,
    )


def candidates(ready: Sequence[PreparedDevice], scorer: DeviceScorer) -> Candidates:
    """Pairs of devices of different types that meet in some block within its bound."""
    blocks: dict[BlockKey, list[int]] = defaultdict(list)
    for place, own in enumerate(ready):
        for key in own.keys:
            blocks[key].append(place)
    found: set[tuple[int, int]] = set()
    sizes = Counter({key: len(members) for key, members in blocks.items() if len(members) > 1})
    skipped = 0
    for key, size in sizes.items():
        if size > scorer.model.blocking[key[0]].bound:
            skipped += 1
        else:
            found.update(_pairs(blocks[key], ready))
    return Candidates(tuple(sorted(found)), sizes, skipped)


def _chances(
    weights: Mapping[Pair, int],
    decided: Iterable[Decided[str]],
    types: Mapping[str, str],
    model: DeviceModel,
) -> dict[Pair, float]:
    """A device is free for a pair of no positive weight as far as no other pair has taken it."""
    found: dict[Pair, float] = {}
    free: dict[tuple[str, str], float] = defaultdict(lambda: 1.0)
    for own in decided:
        found[min(own.left, own.right), max(own.left, own.right)] = own.probability
        free[own.left, types[own.right]] -= own.probability
        free[own.right, types[own.left]] -= own.probability
    for (low, high), mbits in weights.items():
        if (low, high) not in found:
            both_free = max(free[low, types[high]], 0.0) * max(free[high, types[low]], 0.0)
            found[low, high] = model.probability(mbits, both_free)
    return found


def order_of(key: str) -> int:
    """A device's place in canonical order where no graph gives one: 63 bits of its key's digest."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") >> 1


def _pairs(members: Sequence[int], ready: Sequence[PreparedDevice]) -> Iterable[tuple[int, int]]:
    for at, left in enumerate(members):
        for right in members[at + 1 :]:
            if ready[left].device.type != ready[right].device.type:
                yield left, right

"""Match weights of devices: what two have in common, in bits, one pair at a time.

Pure: a weight reads its two devices, the frozen model, and the levels of the
blocks of networks that both used. No third device has a say before competition
(`cluster.cluster_devices`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

from identity.matching.devices.blocking import NETWORK, BlockKey
from identity.matching.devices.comparisons import COMPARISONS, Met
from identity.matching.devices.device import Device
from identity.matching.devices.model import DeviceModel
from identity.matching.devices.prepared import PreparedDevice, prepare
from identity.matching.score import Bar

UNTOLD = -1
"""Level of a comparison of which nothing can be told."""
BY_NAME = {own.name: own for own in COMPARISONS}
NO_SIZES: Mapping[BlockKey, int] = {}


class DeviceScorer:
    """Compares devices under a model. `key` is the secret that the model's tokens are keyed with.

    `weigh` and `explain` take `sizes`: how many devices are in each block that
    both are in and whose size is evidence (`counted`). A block that is left
    out, or that is over its bound, tells nothing. Of a size only its level
    counts (`level`), so a pair has to be weighed again exactly when

    - the evidence of one of its two devices changes, or
    - the level of a block in `counted` of both changes: by a device that comes
      or goes, the size passes one of `levels` of the block's rule. The pairs
      to weigh again are all pairs of that block; beyond its bound none of its
      pairs is a candidate through this block.
    """

    def __init__(self, model: DeviceModel, key: bytes) -> None:
        self.model = model
        self._key = key
        self._scores = [BY_NAME[own.name].score for own in model.comparisons]
        self._edges = [own.edges for own in model.comparisons]
        self._mbits = [(*own.mbits, 0) for own in model.comparisons]

    def prepare(self, device: Device) -> PreparedDevice:
        """Ready a device once; without keys when it may not be linked or its type is unknown."""
        return prepare(device, self.model.population, self.model.blocking, self._key)

    def level(self, key: BlockKey, size: int) -> int:
        """The level of a block with so many devices; a pair reads nothing else of a size."""
        return self.model.blocking[key[0]].level(size)

    def counted(self, left: PreparedDevice, right: PreparedDevice) -> frozenset[BlockKey]:
        """The blocks of both whose sizes `weigh` needs."""
        return left.counted & right.counted

    def weigh(
        self, left: PreparedDevice, right: PreparedDevice, sizes: Mapping[BlockKey, int] = NO_SIZES
    ) -> int:
        """The match weight with the prior, before competition; thousandths of a bit, symmetric."""
        total = self.model.prior_mbits
        for level, mbits in zip(self.levels(left, right, sizes), self._mbits, strict=True):
            total += mbits[level]
        return total

    def levels(
        self, left: PreparedDevice, right: PreparedDevice, sizes: Mapping[BlockKey, int]
    ) -> list[int]:
        """The level of every comparison in the model's order, `UNTOLD` where nothing is told."""
        met = self.met(left, right, sizes)
        found = []
        for score, edges in zip(self._scores, self._edges, strict=True):
            value = score(left, right, met)
            found.append(UNTOLD if value is None else bisect_left(edges, value))
        return found

    def explain(
        self, left: PreparedDevice, right: PreparedDevice, sizes: Mapping[BlockKey, int] = NO_SIZES
    ) -> list[Bar]:
        """The waterfall behind `weigh`: its bars add up to it exactly."""
        bars = [Bar("prior", "before any evidence", self.model.prior_mbits)]
        levels = self.levels(left, right, sizes)
        for own, level in zip(self.model.comparisons, levels, strict=True):
            if level != UNTOLD:
                words = BY_NAME[own.name].level_name(level)
                bars.append(Bar(own.name, words, own.mbits[level]))
        return bars

    def met(
        self, left: PreparedDevice, right: PreparedDevice, sizes: Mapping[BlockKey, int]
    ) -> Met:
        """Per network that both used, within bounds, the levels of its block and its days'."""
        networks: dict[str, int | None] = {}
        days: dict[str, list[int]] = {}
        rules = self.model.blocking
        for key in left.counted & right.counted:
            blocking = rules[key[0]]
            size = sizes.get(key, blocking.bound + 1)
            if size > blocking.bound:
                continue
            if blocking.rule == NETWORK:
                networks[key[1]] = blocking.level(size)
            else:
                days.setdefault(key[1].rpartition("@")[0], []).append(blocking.level(size))
        return {
            name: (networks.get(name), tuple(days.get(name, ())))
            for name in networks.keys() | days.keys()
        }

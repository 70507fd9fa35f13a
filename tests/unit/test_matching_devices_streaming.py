"""Devices that come one at a time are weighed again only where the scorer says they must be."""

import random
from collections import defaultdict
from itertools import combinations

import pytest

from identity.matching.devices.blocking import BlockKey
from identity.matching.devices.device import Device, Sighting, device_of
from identity.matching.devices.linking import link
from identity.matching.devices.prepared import PreparedDevice
from identity.matching.devices.score import DeviceScorer
from identity.matching.devices.training import train
from identity.model import DAY_US, HOUR_US
from tests.support.devices import KEY, START_US, city

Pair = tuple[str, str]
MODEL = train(city(10, seed=1), name="city", seed=1, key=KEY)


class Stream:
    """Blocks and weights as a store keeps them: a weight stays until it has to be weighed again."""

    def __init__(self) -> None:
        self.scorer = DeviceScorer(MODEL, KEY)
        self.ready: dict[str, PreparedDevice] = {}
        self.blocks: dict[BlockKey, set[str]] = defaultdict(set)
        self.weights: dict[Pair, int] = {}
        self.weighed = 0

    def put(self, device: Device) -> None:
        """A device with new evidence takes the place of what it was."""
        again: set[Pair] = set()
        before, after = self.ready.get(device.key), self.scorer.prepare(device)
        old = set(before.keys) if before is not None else set()
        self.ready[device.key] = after
        for key in old - set(after.keys):
            again |= self.resized(key, device.key, add=False)
        for key in set(after.keys) - old:
            again |= self.resized(key, device.key, add=True)
        for key in after.keys:
            again |= {_pair(device.key, other) for other in self.blocks[key] - {device.key}}
        self.weigh(again)

    def resized(self, key: BlockKey, device: str, *, add: bool) -> set[Pair]:
        """Pairs that the block's change concerns: all of it, if it has passed a level."""
        block = self.blocks[key]
        before = self.scorer.level(key, len(block))
        pairs = {_pair(device, other) for other in block - {device}}
        (block.add if add else block.discard)(device)
        if self.scorer.level(key, len(block)) != before:
            pairs |= {_pair(*ends) for ends in combinations(block, 2)}
        return pairs

    def weigh(self, pairs: set[Pair]) -> None:
        """Each pair's weight, or none if no live block holds both."""
        for low, high in pairs:
            left, right = self.ready[low], self.ready[high]
            shared = set(left.keys) & set(right.keys)
            sizes = {key: len(self.blocks[key]) for key in shared}
            self.weights.pop((low, high), None)
            rules = self.scorer.model.blocking
            live = any(size <= rules[key[0]].bound for key, size in sizes.items())
            if live and left.device.type != right.device.type:
                self.weighed += 1
                self.weights[low, high] = self.scorer.weigh(left, right, sizes)


def _pair(one: str, other: str) -> Pair:
    return (one, other) if one < other else (other, one)


def crowd(seed: int) -> list[Device]:
    """A city, and guests who fill its networks up to and past their levels."""
    draw = random.Random(seed)
    guests = [
        device_of(
            f"device:g{number}",
            draw.choice(["phone", "desktop", "tv"]),
            devices[0].traits,
            [
                Sighting(
                    START_US + draw.randrange(14) * DAY_US + draw.randrange(24) * HOUR_US,
                    draw.choice(["home 0", "home 1", "office 0", "cafe"]),
                    draw.choice([None, "site:club", "site:news"]),
                )
                for _ in range(draw.randrange(1, 12))
            ],
            may_link=draw.random() < 0.9,
        )
        for devices in [city(6, seed)]
        for number in range(20)
    ]
    return [*city(6, seed), *guests]


@pytest.mark.parametrize("seed", range(4))
def test_one_device_at_a_time_is_all_at_once(seed: int) -> None:
    """In any order, half of each device's evidence first, every weight is that of the whole."""
    devices = crowd(seed)
    draw = random.Random(seed)
    stream = Stream()
    halves = [_half(device) for device in devices]
    for device in draw.sample(halves, len(halves)) + draw.sample(devices, len(devices)):
        stream.put(device)
    expected = link(devices, MODEL, KEY)
    assert stream.weights == expected.weights
    assert expected.skipped_blocks > 0, "some block is over its bound"


def test_a_device_that_changes_no_level_has_nobody_else_weighed_again() -> None:
    """The work of one more device is its own pairs, however many others there are."""
    stream = Stream()
    for device in crowd(1):
        stream.put(device)
    seen = [Sighting(START_US + 40 * DAY_US, "a new home"), Sighting(START_US + 41 * DAY_US)]
    stream.weighed = 0
    stream.put(device_of("device:new", "phone", city(1, 1)[0].traits, seen, may_link=True))
    own = [pair for pair in stream.weights if "device:new" in pair]
    assert stream.weighed == len(own)


def _half(device: Device) -> Device:
    kept = sorted(device.network_days)[::2]
    return device_of(
        device.key,
        device.type,
        device.traits,
        [
            Sighting(day * DAY_US + 9 * HOUR_US, network)
            for network in kept
            for day in device.network_days[network]
        ],
        may_link=device.may_link,
    )

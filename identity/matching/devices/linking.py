"""Links between devices, each explained bit by bit, and the people that they make.

Pure: the same for any order of the devices given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import log2

from identity.matching.devices.blocking import candidates
from identity.matching.devices.device import Device
from identity.matching.devices.model import MBITS, DeviceModel, fingerprint
from identity.matching.devices.population import Population, population_of
from identity.matching.devices.scoring import compete, levels_of, mbits_of, seats_of

_SUREST = 1 - 1e-9


@dataclass(frozen=True, slots=True)
class DeviceLink:
    """A scored pair of devices, both of which may be linked.

    `prior_mbits` and `parts` (comparison, level, thousandths of a bit; in the
    model's order) and `rivals_mbits`, what the pairs that want the same device
    take away or give, sum up to `weight_mbits`, the log odds of `probability`.
    `model` pins the model's fingerprint.
    """

    low: str
    high: str
    probability: float
    weight_mbits: int
    prior_mbits: int
    parts: tuple[tuple[str, int, int], ...]
    rivals_mbits: int
    model: str
    may_link: tuple[bool, bool] = (True, True)

    @property
    def order(self) -> tuple[int, bytes, str, str]:
        """Canonical order: weight, then a digest of both ends, then the ends."""
        ends = f"{self.low}\0{self.high}".encode()
        return (-self.weight_mbits, blake2b(ends, digest_size=8).digest(), self.low, self.high)


@dataclass(frozen=True, slots=True)
class Scored:
    """What was found among devices.

    `links` reach the threshold, `below` are the other pairs that were compared,
    both in canonical order. `withheld` are the devices that may not be linked:
    nothing about them was compared.
    """

    links: tuple[DeviceLink, ...]
    below: tuple[DeviceLink, ...]
    withheld: tuple[str, ...]
    skipped_blocks: int


def score(
    devices: Iterable[Device], model: DeviceModel, population: Population | None = None
) -> Scored:
    """Score all candidate pairs and let those that want one device compete.

    `population` says how common things are; None counts the devices given.
    """
    ordered = sorted(devices, key=lambda device: device.key)
    counted = population_of(ordered) if population is None else population
    found = candidates(ordered)
    withheld = tuple(device.key for device in ordered if not device.may_link)
    if not found.pairs:
        return Scored((), (), withheld, found.skipped)
    levels = levels_of(found.pairs, ordered, counted, model)
    mbits = mbits_of(levels, model)
    totals = model.prior_mbits + mbits.sum(axis=1)
    chances = compete(totals / MBITS, seats_of(found.pairs, ordered))
    pinned = fingerprint(model)
    links = [
        _link(ordered[left].key, ordered[right].key, own, weights, chance, model, pinned)
        for (left, right), own, weights, chance in zip(
            found.pairs, levels.tolist(), mbits.tolist(), chances.tolist(), strict=True
        )
    ]
    links.sort(key=lambda link: link.order)
    return Scored(
        tuple(link for link in links if link.probability >= model.threshold),
        tuple(link for link in links if link.probability < model.threshold),
        withheld,
        found.skipped,
    )


def _link(
    low: str,
    high: str,
    levels: Sequence[int],
    mbits: Sequence[int],
    chance: float,
    model: DeviceModel,
    pinned: str,
) -> DeviceLink:
    sure = min(max(chance, 1 - _SUREST), _SUREST)
    weight = round(log2(sure / (1 - sure)) * MBITS)
    names = (own.name for own in model.comparisons)
    return DeviceLink(
        low=low,
        high=high,
        probability=chance,
        weight_mbits=weight,
        prior_mbits=model.prior_mbits,
        parts=tuple(zip(names, levels, mbits, strict=True)),
        rivals_mbits=weight - model.prior_mbits - sum(mbits),
        model=pinned,
    )


def people(devices: Iterable[Device], links: Iterable[DeviceLink]) -> list[frozenset[str]]:
    """Cluster devices: links in canonical order, each person one device of a type at most."""
    home: dict[str, dict[str, str]] = {own.key: {own.type: own.key} for own in devices}
    for link in sorted(links, key=lambda link: link.order):
        left, right = home[link.low], home[link.high]
        if left is right or left.keys() & right.keys():
            continue
        left.update(right)
        for key in right.values():
            home[key] = left
    return _distinct(home)


def _distinct(home: Mapping[str, Mapping[str, str]]) -> list[frozenset[str]]:
    found = {frozenset(members.values()) for members in home.values()}
    return sorted(found, key=sorted)

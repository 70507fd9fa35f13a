"""From scored pairs to links and people: competition, a threshold, one device of a type each.

Pure and local: what becomes of a device depends on its connected component
over positive weights alone. A function of the set of members and links.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from math import log2
from typing import Generic, TypeVar

import numpy as np

from identity.matching.devices.competition import compete, seats_of

Key = TypeVar("Key", bound=Hashable)
MBITS = 1_000
_SUREST = 1 - 1e-9


@dataclass(frozen=True, slots=True)
class DeviceClustering:
    """How links become people: the probability, after competition, from which a pair is linked."""

    threshold: float = 0.5


@dataclass(frozen=True, slots=True)
class Decided(Generic[Key]):
    """A pair of positive weight after competition.

    `left` comes before `right` in canonical order. `weight_mbits` is its
    weight before, `rivals_mbits` what those that want the same device took
    away; both together are the log odds of `probability`.
    """

    left: Key
    right: Key
    weight_mbits: int
    rivals_mbits: int
    probability: float


@dataclass(frozen=True, slots=True)
class DeviceGroups(Generic[Key]):
    """What became of the members.

    `links` reach the threshold, strongest first; `below` have a positive
    weight but do not. `groups` are the people, by their first member.
    """

    links: tuple[Decided[Key], ...]
    below: tuple[Decided[Key], ...]
    groups: tuple[frozenset[Key], ...]


def cluster_devices(
    members: Iterable[Key],
    links: Mapping[Key, Mapping[Key, int]],
    types: Mapping[Key, str],
    order: Callable[[Key], int],
    rules: DeviceClustering,
) -> DeviceGroups[Key]:
    """Group devices: at most one of a type per person, whatever order anything comes in.

    1. Links of positive weight compete: a device goes with one device of each
       other type at most (`competition.compete`).
    2. Links that reach the threshold join groups, strongest first, then by the
       orders of their ends, unless two devices of one type would meet.

    `members` are one connected component over positive links; several at once
    give the same as one by one. `links[a][b]` and `links[b][a]` are the same
    thousandths of a bit (`DeviceScorer.weigh`). Links between two devices of
    one type, or of unknown type (""), do not count. `order` is distinct for
    distinct members and depends on no arrival.
    """
    ranked = sorted(members, key=order)
    place = {key: number for number, key in enumerate(ranked)}
    pairs: dict[tuple[int, int], int] = {}
    for number, key in enumerate(ranked):
        for other, mbits in links.get(key, {}).items():
            at = place.get(other, -1)
            if at > number and mbits > 0 and _may_pair(types[key], types[other]):
                pairs[number, at] = mbits
    decided = [
        Decided(ranked[left], ranked[right], *own)
        for component in _components(pairs)
        for (left, right), own in _contest(component, pairs, [types[key] for key in ranked])
    ]
    decided.sort(key=lambda own: (-_total(own), order(own.left), order(own.right)))
    taken = tuple(own for own in decided if own.probability >= rules.threshold)
    below = tuple(own for own in decided if own.probability < rules.threshold)
    return DeviceGroups(taken, below, _groups(ranked, types, taken))


def _may_pair(left: str, right: str) -> bool:
    return bool(left and right) and left != right


def _total(own: Decided[Key]) -> int:
    return own.weight_mbits + own.rivals_mbits


def _components(pairs: Mapping[tuple[int, int], int]) -> list[list[tuple[int, int]]]:
    """Pairs by connected component, each in canonical order."""
    parent: dict[int, int] = {}

    def root(number: int) -> int:
        while parent.setdefault(number, number) != number:
            parent[number] = number = parent[parent[number]]
        return number

    for left, right in pairs:
        parent[root(right)] = root(left)
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for pair in sorted(pairs):
        found[root(pair[0])].append(pair)
    return list(found.values())


def _contest(
    component: list[tuple[int, int]], pairs: Mapping[tuple[int, int], int], types: list[str]
) -> list[tuple[tuple[int, int], tuple[int, int, float]]]:
    """Per pair its weight, what rivals took away, and its probability."""
    bits = np.array([pairs[pair] for pair in component], dtype=np.float64) / MBITS
    chances = compete(bits, seats_of(component, types)).tolist()
    return [
        (pair, (pairs[pair], _mbits(chance) - pairs[pair], chance))
        for pair, chance in zip(component, chances, strict=True)
    ]


def _mbits(chance: float) -> int:
    sure = min(max(chance, 1 - _SUREST), _SUREST)
    return round(log2(sure / (1 - sure)) * MBITS)


def _groups(
    ranked: list[Key], types: Mapping[Key, str], links: Iterable[Decided[Key]]
) -> tuple[frozenset[Key], ...]:
    home: dict[Key, dict[str, Key]] = {
        key: {types[key] or str(n): key} for n, key in enumerate(ranked)
    }
    for link in links:
        left, right = home[link.left], home[link.right]
        if left is right or left.keys() & right.keys():
            continue
        left.update(right)
        for key in right.values():
            home[key] = left
    return tuple(dict.fromkeys(frozenset(home[key].values()) for key in ranked))

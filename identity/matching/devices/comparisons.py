"""What two devices are compared by. Each comparison gives a score that only its order means.

A score of None says that nothing can be told: it weighs nothing. Weights are
the model's; a comparison only promises that more is more alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from identity.matching.devices.device import DAY_HOURS, SLOT_HOURS, Device
from identity.matching.devices.population import Population, hours_of_day

_RARE_SHARE = 0.1
_USUAL_SHARE = 0.2
_FEW = 3
_CHANCES_SLOTS = 5
_MOVES_SLOTS = 5
_SITES = 3
_OVERLAP_HOURS = 72
_ACTIVE_HOURS = 10
_SMOOTHING_HOURS = 30.0

Compare = Callable[[Device, Device, Population], float | None]

NEVER, HARDLY, PASSING, CROWDED, USUAL, ALONE, ONCE, OFTEN, HOME = range(9)


def network(left: Device, right: Device, population: Population) -> float | None:
    """How closely networks are shared: the closest of all that both used.

    Never, although both were online often enough at the same times; never, and
    hardly ever online at the same times; in passing, at other times; on one day,
    among others; a private one that is usual for both, at other times; on a day
    alone, where others come, too; where hardly anybody else comes, on one day, on several,
    and as the usual one of both.
    """
    if not left.network_days or not right.network_days:
        return None
    shared = left.network_days.keys() & right.network_days.keys()
    if shared:
        return float(max(_closeness(name, left, right, population) for name in shared))
    if len(left.slots.keys() & right.slots.keys()) < _CHANCES_SLOTS:
        return float(HARDLY)
    return float(NEVER)


def _closeness(name: str, left: Device, right: Device, population: Population) -> int:
    own, other = left.network_days[name], right.network_days[name]
    together = own & other
    private = population.networks[name] <= _FEW
    usual = private and _is_usual(own, left) and _is_usual(other, right)
    if not together:
        return USUAL if usual else PASSING
    if private and len(together) > 1:
        return HOME if usual else OFTEN
    if private:
        return ONCE
    alone = any(population.cells[name, day] <= 2 for day in together)
    return ALONE if alone else CROWDED


def _is_usual(days: frozenset[int], device: Device) -> bool:
    online = frozenset[int]().union(*device.network_days.values())
    return len(days) >= _USUAL_SHARE * len(online)


def moves(left: Device, right: Device, _: Population) -> float | None:
    """Whether both change networks together, whatever those networks are.

    Over the slots in which both were online, every two slots of different
    days: is it the same network on the left, and on the right? The correlation
    of the two answers, times the root of the number of slots (a kernel
    independence test with equality kernels, after Gretton et al., 2005).
    """
    slots = sorted(left.slots.keys() & right.slots.keys())
    pairs = _pairs_across_days((slot, 0) for slot in slots)
    if len(slots) < _MOVES_SLOTS or not pairs:
        return None
    own = _pairs_across_days((slot, left.slots[slot]) for slot in slots)
    other = _pairs_across_days((slot, right.slots[slot]) for slot in slots)
    both = _pairs_across_days((slot, (left.slots[slot], right.slots[slot])) for slot in slots)
    spread = (own - own * own / pairs) * (other - other * other / pairs)
    if spread <= 0:
        return None
    return (both - own * other / pairs) / sqrt(spread) * sqrt(len(slots))


def _pairs_across_days(labels: Iterable[tuple[int, Hashable]]) -> int:
    """Pairs of slots with one label, without those of one day."""
    all_days: Counter[Hashable] = Counter()
    one_day: Counter[Hashable] = Counter()
    for slot, label in labels:
        all_days[label] += 1
        one_day[label, slot * SLOT_HOURS // DAY_HOURS] += 1
    return _pairs(all_days) - _pairs(one_day)


def _pairs(counts: Counter[Hashable]) -> int:
    return sum(count * (count - 1) // 2 for count in counts.values())


def sites(left: Device, right: Device, population: Population) -> float | None:
    """Cosine of the sites and categories visited, and of their visits by day.

    A site weighs its rarity; a visit the geometric mean of the site's rarity
    and its own, that day. Both are one comparison, for they are not independent.
    Only sites count that more than one type of device visits: an app's own
    addresses are never seen on a desktop, whoever uses it.
    """
    rarity = population.rarity
    own, other = left.visited.keys() & rarity.keys(), right.visited.keys() & rarity.keys()
    if min(len(own), len(other)) < _SITES:
        return None
    shared = sum(
        rarity[name] ** 2 + _visits(name, left.visited[name] & right.visited[name], population)
        for name in sorted(own & other)
    )
    lengths = sqrt(_length(left, own, population) * _length(right, other, population))
    return shared / lengths if lengths else None


def _length(device: Device, names: Iterable[str], population: Population) -> float:
    rarity = population.rarity
    return sum(
        rarity[name] ** 2 + _visits(name, device.visited[name], population)
        for name in sorted(names)
    )


def _visits(name: str, days: Iterable[int], population: Population) -> float:
    visit_rarity = population.visit_rarity
    return population.rarity[name] * sum(visit_rarity[name, day] for day in sorted(days))


def language(left: Device, right: Device, population: Population) -> float | None:
    """No language shared; some; all, of which none is rare; a rare one."""
    own, other = left.traits.languages, right.traits.languages
    if not own or not other:
        return None
    shared = own & other
    if not shared:
        return 0.0
    if min(population.languages[name] for name in shared) <= _RARE_SHARE * population.devices:
        return 3.0
    return 2.0 if own == other else 1.0


def zone(left: Device, right: Device, population: Population) -> float | None:
    """Another time zone; the same; the same, and a rare one."""
    own, other = left.traits.zone, right.traits.zone
    if not own or not other:
        return None
    if own != other:
        return 0.0
    return 2.0 if population.zones[own] <= _RARE_SHARE * population.devices else 1.0


def appearing(left: Device, right: Device, _: Population) -> float | None:
    """How near in time both were seen first."""
    return -float(abs(left.first_us - right.first_us))


def leaving(left: Device, right: Device, _: Population) -> float | None:
    """How near in time both were seen last."""
    return -float(abs(left.last_us - right.last_us))


def together(left: Device, right: Device, _: Population) -> float | None:
    """Whether both are active in the same hours, beyond what the time of day explains.

    The correlation, times the root of the fewer active hours.
    """
    start = max(min(left.hours, default=0), min(right.hours, default=0))
    stop = min(max(left.hours, default=0), max(right.hours, default=0)) + 1
    if stop - start < _OVERLAP_HOURS:
        return None
    own, other = _unusual(left, start, stop), _unusual(right, start, stop)
    if own is None or other is None:
        return None
    spread = float(own @ own) * float(other @ other)
    if spread <= 0:
        return None
    fewer = min(np.count_nonzero(own > 0), np.count_nonzero(other > 0))
    return float(own @ other) / sqrt(spread) * sqrt(fewer)


def _unusual(device: Device, start: int, stop: int) -> NDArray[np.float64] | None:
    active = np.zeros(stop - start)
    inside = [hour - start for hour in device.hours if start <= hour < stop]
    if len(inside) < _ACTIVE_HOURS:
        return None
    active[inside] = 1.0
    of_day = np.arange(start, stop) % DAY_HOURS
    rate = np.bincount(of_day, active, DAY_HOURS) / np.maximum(np.bincount(of_day), 1)
    return np.asarray(active - rate[of_day])


def hours(left: Device, right: Device, population: Population) -> float | None:
    """How alike both differ from everybody in the active hours of their days.

    Both days are smoothed towards everybody's, so that a device seen seldom
    says little; then the square roots of hours' shares are compared.
    """
    usual = np.sqrt(population.day_shape)
    own, other = _day_shape(left, population), _day_shape(right, population)
    return float((np.sqrt(own) - usual) @ (np.sqrt(other) - usual))


def _day_shape(device: Device, population: Population) -> NDArray[np.float64]:
    smoothed = hours_of_day(device) + _SMOOTHING_HOURS * population.day_shape
    return np.asarray(smoothed / max(smoothed.sum(), 1.0))


def _same(left: str, right: str) -> float | None:
    return float(left == right) if left and right else None


def place(left: Device, right: Device, _: Population) -> float | None:
    """Whether both are said to be in one place."""
    return _same(left.traits.place, right.traits.place)


def maker(left: Device, right: Device, _: Population) -> float | None:
    """Whether one company makes both systems."""
    return _same(left.traits.maker, right.traits.maker)


def browser(left: Device, right: Device, _: Population) -> float | None:
    """Whether both use one family of browsers."""
    return _same(left.traits.browser, right.traits.browser)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison with its name, its levels, and what is thought of them before learning.

    `edges` cut the scores into levels; where None, the model takes them from
    the scores of all pairs at `shares`. `guess` is, per level, the bits that it
    is thought to weigh: where little can be learnt, weights stay near it.

    With `above_rivals` a score counts by how far it is above the best that
    either device has with any other of the same type: to be closest by far
    says more than to be close, for some devices are close to everybody. Its
    levels are below the middle of those below 0; below 0; and the quarters of
    those above.
    """

    name: str
    score: Compare
    guess: tuple[float, ...]
    edges: tuple[float, ...] | None = None
    shares: tuple[float, ...] | None = None
    above_rivals: bool = False


_SHARES = (0.7, 0.9, 0.97, 0.99)
_RISING = (-0.6, 0.0, 1.0, 2.0, 3.0)
_STANDING = (-1.5, -0.5, 0.5, 1.5, 3.0, 5.0)
COMPARISONS: tuple[Comparison, ...] = (
    Comparison(
        "network",
        network,
        (-2, -1, 0.5, 3, 4.5, 7, 7.5, 8.5, 10),
        edges=(0, 1, 2, 3, 4, 5, 6, 7),
    ),
    Comparison("moves", moves, (-1.5, -1, 0, 1, 2, 4.5), shares=(0.3, *_SHARES)),
    Comparison("sites", sites, _STANDING, above_rivals=True),
    Comparison("language", language, (-2, -0.5, 0, 3), edges=(0, 1, 2)),
    Comparison("zone", zone, (-2, 0, 3), edges=(0, 1)),
    Comparison("place", place, (-1, 1), edges=(0,)),
    Comparison("appearing", appearing, _RISING, shares=_SHARES),
    Comparison("leaving", leaving, _RISING, shares=_SHARES),
    Comparison("together", together, _RISING, shares=_SHARES),
    Comparison("hours", hours, (-0.5, 0, 0.5, 1), shares=(0.3, 0.7, 0.9)),
    Comparison("maker", maker, (-0.2, 0.5), edges=(0,)),
    Comparison("browser", browser, (-0.2, 0.2), edges=(0,)),
)

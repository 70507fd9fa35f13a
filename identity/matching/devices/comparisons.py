"""What two devices are compared by. Each comparison gives a score that only its order means.

A score of None says that nothing can be told: it weighs nothing. Weights are
the model's; a comparison only promises that more is more alike, that both
ways round it is the same, and that it reads no third device.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from identity.matching.devices.device import DAY_HOURS, SLOT_HOURS
from identity.matching.devices.prepared import BY_HOUR, PreparedDevice

_USUAL_SHARE = 0.2
_PRIVATE = 0
_ALONE = 0
_CHANCES_SLOTS = 5
_MOVES_SLOTS = 5
_BITS = 24
_SLOTS_A_DAY = DAY_HOURS // SLOT_HOURS
_CHANGES_SLOTS = 10
_TELLING_SHARE = 0.05
_SITES = 3
_OVERLAP_HOURS = 72
_ACTIVE_HOURS = 10

Met = Mapping[str, tuple[int | None, tuple[int, ...]]]
"""Per network that both used and that is not over its bounds: the level of its block (None when
over its bound), and the levels of its days' blocks on which both used it."""
Compare = Callable[[PreparedDevice, PreparedDevice, Met], float | None]

NEVER, HARDLY, PASSING, CROWDED, USUAL, ALONE, ONCE, OFTEN, HOME = range(9)
NETWORK_LEVELS = (
    "never, though online together", "hardly online together", "in passing", "one day, in company",
    "usual for both", "alone on a day", "private, once", "private, often", "home",
)  # fmt: skip


def network(left: PreparedDevice, right: PreparedDevice, met: Met) -> float | None:
    """How closely networks are shared: the closest of all that both used.

    Never, although both were online often enough at the same times; never, and
    hardly ever online at the same times; in passing, at other times; on one day,
    among others; a private one that is usual for both, at other times; on a day
    alone, where others come, too; where hardly anybody else comes, on one day, on several,
    and as the usual one of both. Networks over their bounds tell nothing.
    """
    own, other = left.device.network_days, right.device.network_days
    if not own or not other:
        return None
    if met:
        return float(max(_closeness(name, left, right, *levels) for name, levels in met.items()))
    if not own.keys().isdisjoint(other):
        return None
    if len(left.slots.keys() & right.slots.keys()) < _CHANCES_SLOTS:
        return float(HARDLY)
    return float(NEVER)


def _closeness(
    name: str,
    left: PreparedDevice,
    right: PreparedDevice,
    level: int | None,
    days: tuple[int, ...],
) -> int:
    private = level == _PRIVATE
    usual = private and _is_usual(name, left) and _is_usual(name, right)
    if not days:
        return USUAL if usual else PASSING
    if private and len(days) > 1:
        return HOME if usual else OFTEN
    if private:
        return ONCE
    return ALONE if _ALONE in days else CROWDED


def _is_usual(name: str, own: PreparedDevice) -> bool:
    return len(own.device.network_days[name]) >= _USUAL_SHARE * own.online_days


def moves(left: PreparedDevice, right: PreparedDevice, _: Met) -> float | None:
    """Whether both change networks together, whatever those networks are.

    Over the slots in which both were online, every two slots of different
    days: is it the same network on the left, and on the right? The correlation
    of the two answers, times the root of the number of slots (a kernel
    independence test with equality kernels, after Gretton et al., 2005). Told
    only if either comes back to a network often enough, and not always.
    """
    ones, others = left.slots, right.slots
    slots = ones.keys() & others.keys()
    if len(slots) < _MOVES_SLOTS:
        return None
    days = [slot // _SLOTS_A_DAY for slot in slots]
    pairs = _pairs([0] * len(days), days)
    lefts, rights = [ones[slot] for slot in slots], [others[slot] for slot in slots]
    own, other = _pairs(lefts, days), _pairs(rights, days)
    if not pairs or min(own, other, pairs - own, pairs - other) < _TELLING_SHARE * pairs:
        return None
    spread = (own - own * own / pairs) * (other - other * other / pairs)
    both = _pairs([one << _BITS | two for one, two in zip(lefts, rights, strict=True)], days)
    return (both - own * other / pairs) / sqrt(spread) * sqrt(len(slots))


def changes(left: PreparedDevice, right: PreparedDevice, _: Met) -> float | None:
    """Whether both change networks at the same moments, whatever those networks are.

    From each slot in which both were online to the next slot, if they still
    were: has the network changed on the left, and on the right? The
    correlation of the two answers, times the root of their number. Addresses
    that a home is given anew, and a laptop that travels with its phone, show in it.
    """
    ones, others = left.slots, right.slots
    shared = ones.keys() & others.keys()
    told = lefts = rights = both = 0
    for slot in shared:
        if slot + 1 in shared:
            one, other = ones[slot] != ones[slot + 1], others[slot] != others[slot + 1]
            told, lefts, rights = told + 1, lefts + one, rights + other
            both += one and other
    spread = lefts * (told - lefts) * rights * (told - rights)
    if told < _CHANGES_SLOTS or not spread:
        return None
    return (told * both - lefts * rights) / sqrt(spread) * sqrt(told)


def _pairs(labels: Sequence[int], days: Sequence[int]) -> int:
    """Pairs of slots with one label, without those of one day."""
    whole = Counter(labels).values()
    one_day = Counter([n << _BITS | day for n, day in zip(labels, days, strict=True)]).values()
    return (sum([n * n for n in whole]) - sum([n * n for n in one_day])) // 2


def sites(left: PreparedDevice, right: PreparedDevice, _: Met) -> float | None:
    """Cosine of the sites and categories visited, and of their visits by day.

    A site weighs its rarity squared; a day's visit its rarity times that of a
    visit on a day. Told only if both visit enough sites that more than one
    type of device visits, or some site together: an app's own addresses are
    never seen on a desktop, whoever uses it.
    """
    shared = left.device.visited.keys() & right.device.visited.keys()
    if not shared and min(left.open_sites, right.open_sites) < _SITES:
        return None
    weight = 0
    for name in shared:
        rarity = left.rarity[name]
        days = len(left.device.visited[name] & right.device.visited[name])
        weight += rarity.mbits * (rarity.mbits + rarity.day_mbits * days)
    return weight / sqrt(left.length * right.length)


def language(left: PreparedDevice, right: PreparedDevice, _: Met) -> float | None:
    """No language shared; some; all, of which none is rare; a rare one."""
    own, other = left.device.traits.languages, right.device.traits.languages
    if not own or not other:
        return None
    shared = own & other
    if not shared:
        return 0.0
    if shared & left.rare_languages:
        return 3.0
    return 2.0 if own == other else 1.0


def zone(left: PreparedDevice, right: PreparedDevice, _: Met) -> float | None:
    """Another time zone; the same; the same, and a rare one."""
    own, other = left.device.traits.zone, right.device.traits.zone
    if not own or not other:
        return None
    if own != other:
        return 0.0
    return 2.0 if left.rare_zone else 1.0


def appearing(left: PreparedDevice, right: PreparedDevice, _: Met) -> float | None:
    """How near in time both were seen first."""
    return -float(abs(left.device.first_us - right.device.first_us))


def together(left: PreparedDevice, right: PreparedDevice, _: Met) -> float | None:
    """Whether both are active in the same hours, beyond what the time of day explains.

    The correlation, times the root of the fewer active hours.
    """
    start = max(left.first_hour, right.first_hour)
    span = min(left.last_hour, right.last_hour) + 1 - start
    if span < _OVERLAP_HOURS:
        return None
    window = (1 << span) - 1
    own = left.active >> (start - left.first_hour) & window
    other = right.active >> (start - right.first_hour) & window
    fewer = min(own.bit_count(), other.bit_count())
    if fewer < _ACTIVE_HOURS:
        return None
    both = float((own & other).bit_count())
    lefts, rights = float(own.bit_count()), float(other.bit_count())
    for hour in range(min(DAY_HOURS, span)):
        days = BY_HOUR[hour] & window
        count = days.bit_count()
        one, two = (own & days).bit_count(), (other & days).bit_count()
        both -= one * two / count
        lefts -= one * one / count
        rights -= two * two / count
    spread = lefts * rights
    return both / sqrt(spread) * sqrt(fewer) if spread > 1e-9 else None


def hours(left: PreparedDevice, right: PreparedDevice, _: Met) -> float | None:
    """How alike both differ from everybody in the active hours of their days.

    Both days are smoothed towards everybody's, so that a device seen seldom
    says little; then the square roots of hours' shares are compared.
    """
    return sum(map(float.__mul__, left.day, right.day))


def _same(left: str, right: str) -> float | None:
    return float(left == right) if left and right else None


def place(left: PreparedDevice, right: PreparedDevice, _: Met) -> float | None:
    """Whether both are said to be in one place."""
    return _same(left.device.traits.place, right.device.traits.place)


def maker(left: PreparedDevice, right: PreparedDevice, _: Met) -> float | None:
    """Whether one company makes both systems."""
    return _same(left.device.traits.maker, right.device.traits.maker)


def browser(left: PreparedDevice, right: PreparedDevice, _: Met) -> float | None:
    """Whether both use one family of browsers."""
    return _same(left.device.traits.browser, right.device.traits.browser)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison with its name, its levels, and what is thought of them before learning.

    `edges` cut the scores into levels, named by `words`; `guess` is, per
    level, the bits that it is thought to weigh: where little can be learnt,
    weights stay near it. Where there are no edges, the model takes them from
    the scores of all pairs: the upper half, quarter, eighth and so on; and
    `reach` is the guess: the score of one pair in 2**n is thought to weigh
    about (1 - reach) * n bits.
    """

    name: str
    score: Compare
    guess: tuple[float, ...] = ()
    edges: tuple[float, ...] = ()
    words: tuple[str, ...] = ()
    reach: float = 1.0

    def level_name(self, level: int) -> str:
        """What a level says, in words."""
        if self.words:
            return self.words[level]
        return f"closest 1 in {1 << level}" if level else "further than half"


_YES_NO = ("different", "same")
COMPARISONS: tuple[Comparison, ...] = (
    Comparison(
        "network",
        network,
        (-2, -1, 0.5, 3, 4.5, 7, 7.5, 8.5, 10),
        (0, 1, 2, 3, 4, 5, 6, 7),
        NETWORK_LEVELS,
    ),
    Comparison("moves", moves, reach=0.4),
    Comparison("changes", changes, reach=0.4),
    Comparison("sites", sites, reach=0.3),
    Comparison(
        "language", language, (-2, -0.5, 0, 3), (0, 1, 2), ("none", "some", "all", "a rare one")
    ),
    Comparison("zone", zone, (-2, 0, 3), (0, 1), ("different", "same", "same, a rare one")),
    Comparison("place", place, (-1, 1), (0,), _YES_NO),
    Comparison("appearing", appearing, reach=0.5),
    Comparison("together", together, reach=0.5),
    Comparison("hours", hours, reach=0.8),
    Comparison("maker", maker, (-0.2, 0.5), (0,), _YES_NO),
    Comparison("browser", browser, (-0.2, 0.2), (0,), _YES_NO),
)

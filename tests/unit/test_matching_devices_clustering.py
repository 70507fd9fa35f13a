import random
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.matching.devices.cluster import DeviceClustering, cluster_devices
from identity.matching.devices.competition import Seats, compete

TYPES = ("phone", "desktop", "television", "")
Links = dict[str, dict[str, int]]
RULES = DeviceClustering(threshold=0.5)


def order(key: str) -> int:
    """A place in canonical order."""
    return int(key[1:])


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, str], Links]:
    """Up to 14 devices of four types, and weights of some pairs, negative ones too."""
    types = {f"d{n}": draw(st.sampled_from(TYPES)) for n in range(draw(st.integers(1, 14)))}
    ends = st.tuples(st.sampled_from(sorted(types)), st.sampled_from(sorted(types)))
    links: Links = {}
    for left, right in draw(st.lists(ends, max_size=30)):
        if left != right:
            mbits = draw(st.integers(-8_000, 12_000))
            links.setdefault(left, {})[right] = links.setdefault(right, {})[left] = mbits
    return types, links


def components(types: Mapping[str, str], links: Links) -> list[set[str]]:
    """Connected components over positive links."""
    left, found = set(types), []
    while left:
        frontier, component = [min(left)], {min(left)}
        while frontier:
            for other, mbits in links.get(frontier.pop(), {}).items():
                if mbits > 0 and other not in component:
                    component.add(other)
                    frontier.append(other)
        left -= component
        found.append(component)
    return found


@given(graphs(), st.randoms(use_true_random=False))
def test_devices_cluster_the_same_in_any_order(
    graph: tuple[dict[str, str], Links], chance: random.Random
) -> None:
    """Neither the order of members nor that of links makes a difference."""
    types, links = graph
    expected = cluster_devices(types, links, types, order, RULES)
    members = sorted(types, key=lambda _: chance.random())
    shuffled = {
        key: dict(sorted(links[key].items(), key=lambda _: chance.random()))
        for key in sorted(links, key=lambda _: chance.random())
    }
    assert cluster_devices(members, shuffled, types, order, RULES) == expected


@given(graphs())
def test_component_by_component_is_all_at_once(graph: tuple[dict[str, str], Links]) -> None:
    """What becomes of a device depends on its component over positive links alone."""
    types, links = graph
    whole = cluster_devices(types, links, types, order, RULES)
    parts = [
        cluster_devices(component, links, types, order, RULES)
        for component in components(types, links)
    ]
    assert {own for part in parts for own in part.links} == set(whole.links)
    assert {own for part in parts for own in part.below} == set(whole.below)
    assert {group for part in parts for group in part.groups} == set(whole.groups)


@given(graphs())
def test_a_person_has_one_device_of_a_type_at_most(graph: tuple[dict[str, str], Links]) -> None:
    """Links over a third device never bring two of one type together, and everyone is somewhere."""
    types, links = graph
    found = cluster_devices(types, links, types, order, RULES)
    assert sorted(key for group in found.groups for key in group) == sorted(types)
    for group in found.groups:
        own = [types[key] for key in group]
        assert len(set(own)) == len(own)
        assert len(group) == 1 or "" not in own
    assert all(own.probability >= RULES.threshold for own in found.links)
    assert all(own.probability < RULES.threshold for own in found.below)


@given(graphs())
def test_a_link_that_is_not_positive_has_no_say(graph: tuple[dict[str, str], Links]) -> None:
    """Without the links of no positive weight everything is the same."""
    types, links = graph
    positive = {
        key: {other: mbits for other, mbits in own.items() if mbits > 0}
        for key, own in links.items()
    }
    assert cluster_devices(types, positive, types, order, RULES) == cluster_devices(
        types, links, types, order, RULES
    )


def test_the_closer_of_two_rivals_is_linked() -> None:
    """What the rival takes away is told, and adds up to the probability."""
    types = {"d1": "phone", "d2": "phone", "d3": "desktop"}
    links = {"d1": {"d3": 6_000}, "d2": {"d3": 3_000}, "d3": {"d1": 6_000, "d2": 3_000}}
    found = cluster_devices(types, links, types, order, RULES)
    assert found.groups == (frozenset({"d1", "d3"}), frozenset({"d2"}))
    (taken,), (left,) = found.links, found.below
    assert (taken.left, taken.right) == ("d1", "d3")
    assert taken.probability == pytest.approx(64 / (64 + 8 + 1), abs=1e-6)
    assert left.probability == pytest.approx(8 / (64 + 8 + 1), abs=1e-6)
    odds = 2 ** ((left.weight_mbits + left.rivals_mbits) / 1_000)
    assert odds / (1 + odds) == pytest.approx(left.probability, abs=1e-3)


def test_a_phone_goes_with_a_desktop_and_a_television() -> None:
    """Devices of different types do not compete for one another."""
    types = {"d1": "phone", "d2": "desktop", "d3": "television"}
    links = {"d1": {"d2": 5_000, "d3": 5_000}, "d2": {"d1": 5_000}, "d3": {"d1": 5_000}}
    found = cluster_devices(types, links, types, order, RULES)
    assert found.groups == (frozenset(types),)


def test_competition_is_exact_on_a_tree() -> None:
    """On pairs without a cycle, probabilities are those of listing every matching."""
    bits = np.array([3.0, 1.0, 2.0])
    seats = Seats(np.array([0, 0, 1]), np.array([2, 3, 3]), 4)
    odds = 2**bits
    matchings = [(), (0,), (1,), (2,), (0, 2)]
    weights = [float(np.prod(odds[list(own)])) for own in matchings]
    exact = [
        sum(weight for own, weight in zip(matchings, weights, strict=True) if pair in own)
        / sum(weights)
        for pair in range(3)
    ]
    assert compete(bits, seats).tolist() == pytest.approx(exact, abs=1e-6)


def test_competition_does_not_ask_which_end_comes_first() -> None:
    """A device's rivals count whichever end of their pairs they are."""
    bits = np.array([3.0, 1.0, 2.0])
    expected = compete(bits, Seats(np.array([0, 0, 1]), np.array([2, 3, 3]), 4))
    turned = compete(bits, Seats(np.array([0, 3, 1]), np.array([2, 0, 3]), 4))
    assert turned.tolist() == expected.tolist()

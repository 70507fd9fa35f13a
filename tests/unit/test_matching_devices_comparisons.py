import random
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from identity.matching.devices import comparisons
from identity.matching.devices.activity import device_of_activity
from identity.matching.devices.device import Device, Sighting, device_of
from identity.matching.devices.linking import candidates
from identity.matching.devices.prepared import PreparedDevice
from identity.matching.devices.score import DeviceScorer
from identity.matching.devices.training import train
from identity.matching.devices.traits import traits_of
from identity.model import DAY_US, HOUR_US, ActivityDay
from tests.support.devices import KEY, START_US, city

SCORER = DeviceScorer(train(city(8, seed=1), name="city", seed=1, key=KEY), KEY)


def one(key: str, kind: str, seen: list[Sighting]) -> PreparedDevice:
    """A device that says nothing of itself, ready."""
    return SCORER.prepare(device_of(key, kind, traits_of(), seen, may_link=True))


def on_days(key: str, kind: str, *days: int, network: str = "n") -> PreparedDevice:
    """A device on one network at the same time of some days."""
    return one(key, kind, [Sighting(START_US + day * DAY_US, network) for day in days])


def test_seen_on_one_network_together_and_alone_weighs_more_than_in_a_crowd() -> None:
    """The levels of the network comparison rise with closeness."""
    phone, desktop = on_days("p", "phone", 1, 2), on_days("d", "desktop", 1, 2)
    crowd = [on_days(f"o{number}", "phone", 1, 2) for number in range(4)]
    later = [on_days(f"o{number}", "phone", 5, 6) for number in range(4)]
    everybody = [on_days(f"o{number}", "phone", 1, 2) for number in range(30)]

    def told(other: PreparedDevice, *beside: PreparedDevice) -> float | None:
        sizes = candidates([phone, other, *beside], SCORER).sizes
        return comparisons.network(phone, other, SCORER.met(phone, other, sizes))

    assert told(desktop) == comparisons.HOME
    assert told(on_days("g", "desktop", 1)) == comparisons.ONCE
    assert told(desktop, *later) == comparisons.ALONE
    assert told(desktop, *crowd) == comparisons.CROWDED
    assert told(on_days("e", "desktop", 3, 4)) == comparisons.USUAL
    assert told(on_days("f", "desktop", 1, 2, network="m")) == comparisons.HARDLY
    assert told(desktop, *everybody) is None


def places(key: str, prefix: str, where: Mapping[int, str]) -> PreparedDevice:
    """A device that is at one place per slot of two hours."""
    seen = [Sighting(START_US + slot * 2 * HOUR_US, prefix + at) for slot, at in where.items()]
    return one(key, "phone", seen)


def test_devices_that_change_networks_together_agree_without_a_shared_network() -> None:
    """The comparison sees one owner moving, although no network is used by both."""
    draw = random.Random(7)
    own, other = ([draw.choice("abc") for _ in range(20)] for _ in range(2))
    left, right, stranger = (
        places(prefix, prefix, {12 * day: at for day, at in enumerate(where)})
        for where, prefix in ((own, "v4 "), (own, "v6 "), (other, "v6 "))
    )
    same, strange = comparisons.moves(left, right, {}), comparisons.moves(left, stranger, {})
    assert same is not None
    assert strange is not None
    assert same > 4
    assert strange < 2


def test_addresses_that_change_at_the_same_moments_agree_although_none_comes_back() -> None:
    """A home that is given new addresses changes those of both devices at once, no stranger's."""
    draw = random.Random(3)

    def changing(seed: int, prefix: str) -> PreparedDevice:
        moments, at, where = random.Random(seed), 0, {}
        for slot in range(80):
            at += moments.random() < 0.2
            where[slot] = f"{at}"
        return places(prefix, f"{prefix}{draw.random()}", where)

    left, right, stranger = changing(1, "v4"), changing(1, "v6"), changing(2, "v6")
    same, strange = comparisons.changes(left, right, {}), comparisons.changes(left, stranger, {})
    assert same is not None
    assert strange is not None
    assert same > 8
    assert strange < 3
    assert comparisons.moves(left, right, {}) is None, "no network comes back on another day"


def test_activity_in_the_same_hours_counts_beyond_the_time_of_day() -> None:
    """Two devices used in the same unusual hours agree; two used at the same time of day do not."""
    draw = random.Random(5)
    days = {number: draw.randrange(24) for number in range(30)}

    def active(key: str, hours: Mapping[int, int]) -> PreparedDevice:
        seen = [Sighting(START_US + day * DAY_US + hour * HOUR_US) for day, hour in hours.items()]
        return one(key, "phone", seen)

    same = comparisons.together(active("a", days), active("b", days), {})
    evenings = dict.fromkeys(range(30), 19)
    usual = comparisons.together(active("c", evenings), active("d", evenings), {})
    assert same is not None
    assert same > 3
    assert usual is None


def test_a_shared_rare_site_on_one_day_weighs_more_than_apart() -> None:
    """The cosine of sites rises with common sites and with common days."""

    def visiting(key: str, *visits: tuple[str, int]) -> PreparedDevice:
        seen = [Sighting(START_US + day * DAY_US, None, f"site:{name}") for name, day in visits]
        return one(key, "phone", seen)

    left = visiting("a", ("club", 1), ("news", 2))
    together = comparisons.sites(left, visiting("b", ("club", 1)), {})
    apart = comparisons.sites(left, visiting("c", ("club", 3)), {})
    assert together is not None
    assert apart is not None
    assert together > apart > 0
    assert comparisons.sites(left, visiting("d", ("shop", 1)), {}) is None


SIGHTINGS = st.lists(
    st.builds(
        Sighting,
        st.integers(0, 20 * 24 * 4).map(lambda quarter: START_US + quarter * HOUR_US // 4),
        st.none() | st.sampled_from("abc"),
        st.none() | st.sampled_from(["site:x", "site:y", "category:sport"]),
    ),
    min_size=1,
    max_size=40,
)


def activity_of(seen: list[Sighting]) -> dict[int, ActivityDay]:
    """The days that the graph keeps of such sightings, one signal each."""
    days: dict[int, list[Sighting]] = {}
    for own in seen:
        days.setdefault(own.at_us // DAY_US, []).append(own)
    found = {}
    for day, signals in days.items():
        hours: dict[int, int] = {}
        cells: dict[str, int] = {}
        for own in signals:
            hour = own.at_us // HOUR_US % 24
            hours[hour] = hours.get(hour, 0) + 1
            said = ["device_type:phone", "browser:Firefox", "system:Android", "locale:de-CH"]
            if own.network is not None:
                said += [f"network:{own.network}", f"slot:{own.network}@{hour // 2}"]
            if own.visited is not None:
                said.append(own.visited)
            for cell in [*said, "zone:Europe/Zurich", "place:CH-ZH", "type:device_seen"]:
                cells[cell] = cells.get(cell, 0) + 1
        times = [own.at_us for own in signals]
        found[day] = ActivityDay(len(signals), min(times), max(times), hours, cells)
    return found


@given(SIGHTINGS)
def test_a_device_from_the_graph_is_the_one_from_its_sightings(seen: list[Sighting]) -> None:
    """Daily activity in cells keeps everything that devices are compared by."""
    traits = traits_of(
        system="Android",
        browser="Firefox",
        languages=("de-CH",),
        zone="Europe/Zurich",
        place="CH-ZH",
    )
    expected = device_of("device:x", "phone", traits, seen, may_link=True)
    assert device_of_activity("device:x", activity_of(seen), may_link=True) == expected


def test_a_node_without_activity_is_a_device_that_nobody_is_compared_with() -> None:
    """No days, no type, no keys."""
    found = device_of_activity("device:x", {}, may_link=True)
    assert found == Device("device:x", "", traits_of(), True, 0, 0, {}, {}, frozenset(), {})
    assert SCORER.prepare(found).keys == ()

from dataclasses import replace

import pytest

from identity.matching.devices import model
from identity.matching.devices.device import Device, Sighting, Traits, device_of
from identity.matching.devices.linking import Linked, candidates, link
from identity.matching.devices.prepared import PreparedDevice
from identity.matching.devices.score import DeviceScorer
from identity.matching.devices.training import TooFewDevices, threshold_of, train
from identity.matching.devices.traits import browser_of, languages_of, maker_of
from identity.model import DAY_US, HOUR_US
from tests.support.devices import KEY, START_US, city


def trained(devices: list[Device]) -> model.DeviceModel:
    """A model of these devices."""
    return train(devices, name="city", seed=1, key=KEY)


def pairs_of(linked: Linked) -> set[tuple[str, str]]:
    """The linked pairs, the lesser key first."""
    return {(min(own.left, own.right), max(own.left, own.right)) for own in linked.links}


def prepared(devices: list[Device]) -> tuple[DeviceScorer, list[PreparedDevice]]:
    """A scorer trained on these devices, and each of them ready."""
    scorer = DeviceScorer(trained(devices), KEY)
    return scorer, [scorer.prepare(device) for device in devices]


def test_devices_of_one_home_are_linked_and_nobody_else() -> None:
    """Networks shared at the same time, few others using them, link without any label."""
    devices = city(24, seed=1)
    linked = link(devices, trained(devices), KEY)
    assert pairs_of(linked) == {(f"device:d{n}", f"device:p{n}") for n in range(24)}
    assert set(linked.people) == {frozenset({f"device:d{n}", f"device:p{n}"}) for n in range(24)}


def test_links_are_the_same_for_any_order_of_devices() -> None:
    """Neither the model nor a weight nor a link depends on the order in which devices are given."""
    devices = city(12, seed=2)
    expected_model = trained(devices)
    expected = link(devices, expected_model, KEY)
    for shuffled in (devices[::-1], devices[7:] + devices[:7], sorted(devices, key=repr)):
        assert trained(shuffled) == expected_model
        assert link(shuffled, expected_model, KEY) == expected


def test_a_weight_reads_no_third_device() -> None:
    """A pair weighs the same whoever else there is, as long as its blocks' levels are the same."""
    devices = city(12, seed=3)
    scorer, ready = prepared(devices)
    everybody = candidates(ready, scorer).sizes
    left, right = ready[0], ready[1]
    shared = {key: everybody[key] for key in scorer.counted(left, right)}
    assert scorer.weigh(left, right, shared) == scorer.weigh(left, right, everybody)
    alone = candidates([left, right], scorer).sizes
    same = {
        key for key in shared if scorer.level(key, alone[key]) == scorer.level(key, shared[key])
    }
    assert same, "a home that nobody else uses"
    assert scorer.weigh(left, right, {key: alone[key] for key in same}) == scorer.weigh(
        left, right, {key: shared[key] for key in same}
    )


def test_of_a_size_only_its_level_counts() -> None:
    """Between two levels a block may grow without any pair being weighed again."""
    devices = city(12, seed=4)
    scorer, ready = prepared(devices)
    sizes = dict(candidates(ready, scorer).sizes)
    before = scorer.weigh(ready[0], ready[1], sizes)
    for key in scorer.counted(ready[0], ready[1]):
        blocking = scorer.model.blocking[key[0]]
        level = scorer.level(key, sizes[key])
        most = blocking.levels[level] if level < len(blocking.levels) else 10**6
        assert scorer.weigh(ready[0], ready[1], sizes | {key: most}) == before


def test_a_network_over_its_bounds_tells_nothing() -> None:
    """A block that is left out and one over its bound weigh the same: nothing."""
    devices = city(12, seed=4)
    scorer, ready = prepared(devices)
    counted = scorer.counted(ready[0], ready[1])
    over = {key: scorer.model.blocking[key[0]].bound + 1 for key in counted}
    assert scorer.weigh(ready[0], ready[1], over) == scorer.weigh(ready[0], ready[1])
    told = {bar.comparison for bar in scorer.explain(ready[0], ready[1], over)}
    assert "network" not in told


def test_a_weight_is_symmetric_and_its_bars_add_up_to_it() -> None:
    """Prior and comparisons explain every thousandth of a bit, both ways round."""
    scorer, ready = prepared(city(10, seed=5))
    sizes = candidates(ready, scorer).sizes
    for left in ready:
        for right in ready:
            if left.device.type != right.device.type:
                mbits = scorer.weigh(left, right, sizes)
                assert scorer.weigh(right, left, sizes) == mbits
                bars = scorer.explain(left, right, sizes)
                assert sum(bar.mbits for bar in bars) == mbits
                assert scorer.explain(right, left, sizes) == bars


def test_a_device_that_may_not_be_linked_is_not_even_compared() -> None:
    """Without permission for both ends there is no key and no weight."""
    devices = city(12, seed=3)
    refused = [
        replace(device, may_link=False) if device.key == "device:p4" else device
        for device in devices
    ]
    scorer, ready = prepared(refused)
    assert [own.device.key for own in ready if not own.keys] == ["device:p4"]
    linked = link(refused, scorer.model, KEY)
    assert linked.withheld == ("device:p4",)
    ends = {end for pair in linked.weights for end in pair}
    assert "device:p4" not in ends
    assert "device:d4" in ends


def test_a_device_of_unknown_type_is_not_compared() -> None:
    """What is neither phone nor desktop may be either: it has no keys."""
    scorer, _ = prepared(city(4, seed=3))
    assert scorer.prepare(replace(city(1, seed=1)[0], type="")).keys == ()


def test_two_phones_want_one_desktop_and_the_closer_one_gets_it() -> None:
    """One desktop goes with one phone, although a guest's weight is positive as well."""
    devices = city(12, seed=5)
    frozen = trained(devices)
    own = next(device for device in devices if device.key == "device:p0")
    guest = replace(own, key="device:guest", hours=frozenset(list(own.hours)[::2]))
    linked = link([*devices, guest], frozen, KEY)
    assert linked.weights["device:d0", "device:guest"] > 0
    rivals = [o for o in (*linked.links, *linked.below) if "device:d0" in (o.left, o.right)]
    assert sum(o.probability for o in rivals) <= 1
    assert all(o.rivals_mbits < -1_000 for o in rivals)
    joined = [person for person in linked.people if "device:d0" in person]
    assert len(joined) == 1
    assert len(joined[0]) <= 2


def test_a_full_block_compares_nobody() -> None:
    """Devices that share nothing but blocks over their bounds make no pair."""
    scorer, _ = prepared(city(6, seed=1))
    crowd = max(own.bound for own in scorer.model.blocking) // 2 + 1
    ready = [
        scorer.prepare(
            device_of(
                f"device:{kind}{number}",
                kind,
                Traits(),
                [Sighting(START_US + number * 2 * DAY_US, "station")],
                may_link=True,
            )
        )
        for number in range(crowd)
        for kind in ("phone", "desktop")
    ]
    found = candidates(ready, scorer)
    assert found.skipped >= 2
    assert all(abs(left // 2 - right // 2) <= 1 for left, right in found.pairs)


def test_keys_of_one_rule_are_bounded() -> None:
    """A device that has used ever so many networks is in so many blocks, always the same."""
    scorer, _ = prepared(city(6, seed=1))
    seen = [Sighting(START_US + n * HOUR_US, f"hotel {n}") for n in range(2_000)]
    one = device_of("device:x", "phone", Traits(), seen, may_link=True)
    other = device_of("device:x", "phone", Traits(), seen[::-1], may_link=True)
    keys = scorer.prepare(one).keys
    assert len(keys) < 1_000
    assert scorer.prepare(other).keys == keys


def test_a_model_survives_its_file_and_is_pinned_by_hash() -> None:
    """Reading what was written gives the same model and fingerprint; damage is named."""
    devices = [
        replace(own, visited={"site:news": frozenset({17_001}), f"site:{own.key}": frozenset()})
        for own in city(8, seed=8)
    ]
    frozen = trained(devices)
    assert frozen.population.sites
    text = model.to_json(frozen)
    assert model.from_json(text) == frozen
    assert model.fingerprint(model.from_json(text)) == model.fingerprint(frozen)
    for personal in ("home", "device:", "news", "cafe"):
        assert personal not in text
    for damaged in (text.replace('"format": 2', '"format": 9'), "[]", "{}", "{"):
        with pytest.raises(model.DeviceModelDamaged):
            model.from_json(damaged)


def test_weights_never_fall_as_devices_grow_more_alike() -> None:
    """Within each comparison a higher level weighs at least as much."""
    for own in trained(city(20, seed=9)).comparisons:
        assert list(own.mbits) == sorted(own.mbits), own.name


def test_a_value_of_fewer_than_five_devices_is_not_named() -> None:
    """Four devices on one site are a household: the model only knows how rare such sites are."""
    devices = city(8, seed=8)
    for count, named in ((4, 0), (5, 1)):
        some = [replace(own, visited={"site:club": frozenset({1})}) for own in devices[:count]]
        assert len(trained(some + devices[count:]).population.sites) == named


@pytest.mark.parametrize(
    ("chances", "taken"),
    [
        ([1.0, 1.0, 0.9, 0.6, 0.1], 3),
        ([1.0] * 9 + [0.6, 0.1], 10),
        ([0.8, 0.1], 0),
        ([1.0] * 50 + [0.4], 50),
        ([0.99, 0.95], 2),
    ],
)
def test_the_threshold_promises_nine_right_in_ten(chances: list[float], taken: int) -> None:
    """Pairs are taken while their mean probability is .9, and none below a half."""
    threshold = threshold_of(chances)
    assert sum(chance >= threshold for chance in chances) == taken


def test_training_needs_two_types() -> None:
    """Phones alone cannot teach what phones and desktops have in common."""
    phones = [device for device in city(4, seed=1) if device.type == "phone"]
    with pytest.raises(TooFewDevices):
        trained(phones)


@pytest.mark.parametrize(
    ("texts", "languages"),
    [
        (("lang=en-US",), {"en"}),
        (("en-US,en;q=0.8,pt;q=0.6",), {"en", "pt"}),
        ((" text/html,*/*;q=0.8gzip, deflate, sdch, bren-US,en;q=0.8,ko;q=0.6",), {"en", "ko"}),
        ((" text/html,*/*;q=0.8gzip, deflateen-US",), {"en"}),
        (("zh-Hans-CN", "de"), {"zh", "de"}),
        (("", "und"), set()),
    ],
)
def test_languages_are_read_from_what_browsers_send(
    texts: tuple[str, ...], languages: set[str]
) -> None:
    """Base languages, secondary ones included, and nothing of the other headers."""
    assert languages_of(*texts) == languages


def test_makers_and_browsers_are_read_from_the_first_telling_text() -> None:
    """A system's own words come before the user agent's."""
    assert maker_of("Mac OSX El Capitan|Unknown", "windows") == "apple"
    assert maker_of("", "mozilla/5.0 (linux; android 5.1.1; nexus 4)") == "google"
    assert maker_of("", "") == ""
    assert browser_of("Chrome_49", "") == "chrome"
    assert browser_of("", "mozilla/5.0 … chrome/50.0 safari/537.36 edg/120") == "edge"

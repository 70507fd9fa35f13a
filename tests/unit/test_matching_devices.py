import random
from dataclasses import replace

import numpy as np
import pytest

from identity.matching.devices import comparisons, model
from identity.matching.devices.blocking import BOUNDS, candidates
from identity.matching.devices.device import Device, Sighting, Traits, device_of
from identity.matching.devices.linking import Scored, people, score
from identity.matching.devices.population import population_of
from identity.matching.devices.scoring import Seats, above_rivals, compete
from identity.matching.devices.training import TooFewDevices, threshold_of, train
from identity.matching.devices.traits import browser_of, languages_of, maker_of
from identity.model import DAY_US, HOUR_US

START_US = 17_000 * DAY_US


def city(people_count: int, seed: int) -> list[Device]:
    """People with a phone and a desktop each, a home, an office of six, and a crowded café."""
    draw = random.Random(seed)
    found = []
    for number in range(people_count):
        home, office = f"home {number}", f"office {number // 6}"
        days = sorted(draw.sample(range(14), 9))
        phone, desktop = [], []
        for day in days:
            morning = START_US + day * DAY_US + draw.randrange(8, 11) * HOUR_US
            evening = START_US + day * DAY_US + draw.randrange(18, 22) * HOUR_US
            phone += [Sighting(morning, office), Sighting(evening, home)]
            phone += [Sighting(morning + 3 * HOUR_US, f"cell {number} {day}")]
            if draw.random() < 0.8:
                desktop.append(Sighting(evening + HOUR_US, home))
            if draw.random() < 0.5:
                desktop.append(Sighting(morning + HOUR_US, office))
            phone.append(Sighting(morning + 5 * HOUR_US, "cafe"))
        desktop.append(Sighting(START_US + days[0] * DAY_US + 20 * HOUR_US, home))
        traits = Traits(languages=frozenset({"en"}), zone="-5")
        found.append(device_of(f"device:p{number}", "phone", traits, phone, may_link=True))
        found.append(device_of(f"device:d{number}", "desktop", traits, desktop, may_link=True))
    return found


def pairs_of(scored: Scored) -> set[tuple[str, str]]:
    """The linked pairs, by key."""
    return {(link.low, link.high) for link in scored.links}


def test_devices_of_one_home_are_linked_and_nobody_else() -> None:
    """Networks shared at the same time, few others using them, link without any label."""
    devices = city(24, seed=1)
    scored = score(devices, train(devices, name="city", seed=1))
    assert pairs_of(scored) == {(f"device:d{n}", f"device:p{n}") for n in range(24)}


def test_score_is_the_same_for_any_order_of_devices() -> None:
    """Neither the model nor a link depends on the order in which devices are given."""
    devices = city(12, seed=2)
    trained = train(devices, name="city", seed=1)
    expected = score(devices, trained)
    for seed in range(5):
        shuffled = random.Random(seed).sample(devices, len(devices))
        assert train(shuffled, name="city", seed=1) == trained
        assert score(shuffled, trained) == expected


def test_a_device_that_may_not_be_linked_is_not_even_compared() -> None:
    """Without permission for both ends there is no score, and the answer is part of the result."""
    devices = city(12, seed=3)
    trained = train(devices, name="city", seed=1)
    refused = [
        replace(device, may_link=False) if device.key == "device:p4" else device
        for device in devices
    ]
    scored = score(refused, trained)
    assert scored.withheld == ("device:p4",)
    ends = {key for link in (*scored.links, *scored.below) for key in (link.low, link.high)}
    assert "device:p4" not in ends
    assert "device:d4" in ends
    assert all(link.may_link == (True, True) for link in scored.links)


def test_parts_of_a_link_sum_up_to_its_weight() -> None:
    """Prior, comparisons and rivals explain every thousandth of a bit."""
    devices = city(12, seed=4)
    scored = score(devices, train(devices, name="city", seed=1))
    for link in (*scored.links, *scored.below):
        told = link.prior_mbits + sum(mbits for _, _, mbits in link.parts) + link.rivals_mbits
        assert told == link.weight_mbits
        assert link.model == scored.links[0].model


def test_two_phones_want_one_desktop_and_the_closer_one_gets_it() -> None:
    """One desktop goes with one phone; the rival's bits say what competition took away."""
    devices = city(12, seed=5)
    trained = train(devices, name="city", seed=1)
    own = next(device for device in devices if device.key == "device:d0")
    visit = (max(own.network_days["home 0"]) + 3) * DAY_US
    seen = [Sighting(visit + 20 * HOUR_US, "home 0"), Sighting(visit + 9 * HOUR_US, "hotel")]
    guest = device_of("device:guest", "phone", own.traits, seen, may_link=True)
    scored = score([*devices, guest], trained)
    assert ("device:d0", "device:p0") in pairs_of(scored)
    rival = next(
        link for link in scored.below if (link.low, link.high) == ("device:d0", "device:guest")
    )
    assert rival.rivals_mbits < -1_000


def test_a_full_block_compares_nobody() -> None:
    """Devices that share nothing but one network over its bound make no pair."""
    crowd = BOUNDS["all"] // 2 + 1
    traits = Traits()
    devices = [
        device_of(
            f"device:{kind}{number}",
            kind,
            traits,
            [Sighting(START_US + number * 2 * DAY_US, "station")],
            may_link=True,
        )
        for number in range(crowd)
        for kind in ("phone", "desktop")
    ]
    found = candidates(devices)
    assert found.skipped >= 2
    assert all(abs(left // 2 - right // 2) <= 1 for left, right in found.pairs)


def test_seen_on_one_network_together_and_alone_weighs_more_than_in_a_crowd() -> None:
    """The levels of the network comparison rise with closeness."""
    traits = Traits()

    def one(key: str, kind: str, *days: int, network: str = "n") -> Device:
        seen = [Sighting(START_US + day * DAY_US, network) for day in days]
        return device_of(key, kind, traits, seen, may_link=True)

    phone, desktop = one("p", "phone", 1, 2), one("d", "desktop", 1, 2)
    crowd = [one(f"o{number}", "phone", 1, 2) for number in range(4)]
    later = [one(f"o{number}", "phone", 5, 6) for number in range(4)]
    apart = one("e", "desktop", 3, 4)
    elsewhere = one("f", "desktop", 1, 2, network="m")

    def told(other: Device, *beside: Device) -> float | None:
        return comparisons.network(phone, other, population_of([phone, other, *beside]))

    assert told(desktop) == comparisons.HOME
    assert told(one("g", "desktop", 1)) == comparisons.ONCE
    assert told(desktop, *later) == comparisons.ALONE
    assert told(desktop, *crowd) == comparisons.CROWDED
    assert told(apart) == comparisons.USUAL
    assert told(elsewhere) == comparisons.HARDLY


def test_devices_that_change_networks_together_agree_without_a_shared_network() -> None:
    """The comparison sees one owner moving, although no network is used by both."""
    draw = random.Random(7)
    where = {day: draw.choice("abc") for day in range(20)}
    other = {day: draw.choice("abc") for day in range(20)}

    def one(key: str, prefix: str, places: dict[int, str]) -> Device:
        seen = [Sighting(START_US + day * DAY_US, prefix + at) for day, at in places.items()]
        return device_of(key, "phone", Traits(), seen, may_link=True)

    left, right = one("l", "v4 ", where), one("r", "v6 ", where)
    stranger = one("s", "v6 ", other)
    population = population_of([left, right])
    same = comparisons.moves(left, right, population)
    strange = comparisons.moves(left, stranger, population)
    assert same is not None
    assert strange is not None
    assert same > 4
    assert strange < 2


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
    assert compete(bits, seats) == pytest.approx(exact, abs=1e-6)


def test_at_most_one_device_of_a_type_belongs_to_a_person() -> None:
    """Links over a third device never bring two of one type together."""
    devices = city(3, seed=6)
    link = score(city(12, seed=6), train(city(12, seed=6), name="city", seed=1)).links[0]
    chain = [
        replace(link, low="device:d0", high="device:p0", weight_mbits=9_000),
        replace(link, low="device:d0", high="device:p1", weight_mbits=8_000),
    ]
    assert frozenset({"device:d0", "device:p0"}) in people(devices, chain)
    assert frozenset({"device:p1"}) in people(devices, chain)


def test_a_model_survives_its_file_and_is_pinned_by_hash() -> None:
    """Reading what was written gives the same model and fingerprint; damage is named."""
    trained = train(city(8, seed=8), name="city", seed=1)
    text = model.to_json(trained)
    assert model.from_json(text) == trained
    assert model.fingerprint(model.from_json(text)) == model.fingerprint(trained)
    assert "home" not in text
    assert "device:" not in text
    with pytest.raises(model.DeviceModelDamaged):
        model.from_json(text.replace('"format": 1', '"format": 9'))
    with pytest.raises(model.DeviceModelDamaged):
        model.from_json("[]")


def test_weights_never_fall_as_devices_grow_more_alike() -> None:
    """Within each comparison a higher level weighs at least as much."""
    for own in train(city(20, seed=9), name="city", seed=1).comparisons:
        assert list(own.mbits) == sorted(own.mbits), own.name


@pytest.mark.parametrize(
    ("chances", "taken"),
    [
        ([1.0, 1.0, 0.9, 0.4, 0.1], 3),
        ([1.0] * 9 + [0.4, 0.1], 10),
        ([0.8, 0.1], 0),
        ([1.0] * 50 + [0.3], 50),
    ],
)
def test_the_threshold_promises_nine_right_in_ten(chances: list[float], taken: int) -> None:
    """Pairs are taken while their mean probability is .9, and none below a third."""
    threshold = threshold_of(np.array(chances))
    assert sum(chance >= threshold for chance in chances) == taken


def test_standing_is_how_far_a_pair_is_above_its_best_rival() -> None:
    """The best pair of both seats is above 0, everyone else below, and ties are at 0."""
    scores = np.array([0.9, 0.5, 0.7, np.nan])
    seats = Seats(np.array([0, 0, 1, 1]), np.array([2, 3, 2, 3]), 4)
    assert above_rivals(scores, seats)[:3] == pytest.approx([0.2, -0.4, -0.2])
    assert np.isnan(above_rivals(scores, seats)[3])
    tied = above_rivals(np.array([0.5, 0.5]), Seats(np.array([0, 0]), np.array([1, 2]), 3))
    assert tied.tolist() == [0.0, 0.0]


def test_training_needs_two_types() -> None:
    """Phones alone cannot teach what phones and desktops have in common."""
    phones = [device for device in city(4, seed=1) if device.type == "phone"]
    with pytest.raises(TooFewDevices):
        train(phones, name="phones", seed=1)


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

"""Figures that need keys or a model's card: drift, and how groups fare, over crowds."""

from __future__ import annotations

import math
from typing import Any

import orjson
import pytest

from identity.engines.memory_snapshot import MemorySnapshots
from identity.model import Assurance, Contribution, EvidenceKind, Fact, NodeKey
from identity.snapshot import Snapshot
from kinfold.statistics import reading
from kinfold.statistics.drift import SCORES, psi
from kinfold.statistics.figures import figures
from kinfold.statistics.gathered import gather
from kinfold.statistics.insight import Insight, Scoring
from kinfold.statistics.release import Released, release
from tests.support import match_world
from tests.support.histories import node, record_node
from tests.unit.test_statistics import POLICY, PURPOSES, World

MINIMUM = 20


def asserted(number: int, said: dict[str, str], beside: str = "") -> Contribution:
    """A record, alone or beside a customer id."""
    record = record_node(number)
    nodes = (node("customer_id", 1_000 + int(beside)), record) if beside else (record,)
    fact = Fact(EvidenceKind.RECORD, (record.key,), orjson.dumps(said))
    return Contribution(
        signal=number, digest=number.to_bytes(8, "big"), event_us=0, published_us=0, source="crm",
        assurance=Assurance.CLAIMED, nodes=nodes, activity=((nodes[0].key, ()),), fact=fact,
    )  # fmt: skip


def scoring(card: dict[str, Any]) -> Scoring:
    """A model for records with this card."""
    return Scoring("records", frozenset({"record"}), "r" * 16, 3_000, 1_000, lambda _: 0.5, card)


def exact(world: World, card: dict[str, Any], group: str = "") -> dict[str, dict[Any, int]]:
    """Every figure by id, exactly."""
    model = scoring(card)
    insight = Insight(lambda _: (model,), match_world.opened, group)
    with MemorySnapshots(world.graph).take() as snapshot:
        gathered = gather(snapshot, POLICY, insight=insight)
    made = figures(
        gathered, POLICY, PURPOSES, as_of_us=0, minimum=MINIMUM, models=insight.models(""),
        attribute=group,
    )  # fmt: skip
    return {
        each.spec.id: each.exact() if each.index is None else told(release(each, None))
        for each in made
    }


def told(released: Released) -> dict[Any, int]:
    """The numbers of a release by group and part."""
    return {(group, part): value for group, part, value, *_ in released.cells.rows()}


def crowd() -> World:
    """120 people: 40 of f have a second record, 20 of m; every m holds a city."""
    world = World()
    signals = []
    for number in range(1, 121):
        sex = "f" if number <= 60 else "m"
        said = {"sex": sex} | ({"city": "york"} if sex == "m" else {})
        signals.append(asserted(number, said, str(number)))
        if number <= 40 or number > 100:
            signals.append(asserted(number + 1_000, said, str(number)))
    world.run([tuple(signals)])
    return world


def weighed(world: World, pairs: dict[tuple[int, int], int]) -> None:
    """Score pairs of records."""
    world.score(
        {(record_node(a).key, record_node(b).key): mbits for (a, b), mbits in pairs.items()}
    )


def test_groups_are_compared() -> None:
    """Match and withholding rates by group: who has more records, and who may have."""
    world = crowd()
    weighed(world, {(n, n + 59): 1_000 for n in range(2, 32)} | {(1, 120): 999})
    told = exact(world, {}, group="sex")
    assert told["match_by_group"] == {
        ("sex: f", "matched"): 40, ("sex: f", "alone"): 20,
        ("sex: m", "matched"): 20, ("sex: m", "alone"): 40,
    }  # fmt: skip
    assert told["withheld_by_group"] == {
        ("sex: f", "withheld"): 30, ("sex: f", "not withheld"): 30,
        ("sex: m", "withheld"): 30, ("sex: m", "not withheld"): 30,
    }  # fmt: skip


def test_an_attribute_that_is_no_group_tells_nothing() -> None:
    """Values that hardly anybody shares are not told, whatever the setting names."""
    world = World()
    world.run([tuple(asserted(n, {"name": f"name {n}"}, str(n)) for n in range(1, 101))])
    told = exact(world, {}, group="name")
    assert (told["match_by_group"], told["withheld_by_group"]) == ({}, {})


def test_records_are_not_opened_for_nothing() -> None:
    """Without a model for records and without a group no record is opened."""
    world = crowd()

    def opened(_: NodeKey, __: bytes) -> dict[str, str]:
        raise AssertionError("opened")

    with MemorySnapshots(world.graph).take() as snapshot:
        found = reading.said(snapshot, Insight(opened=opened))
    assert found.is_empty()


def test_a_sample_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more records are opened than the limit."""
    monkeypatch.setattr(reading, "RECORDS_READ", 25)
    assert exact(crowd(), {})["record_attributes"]["", "all"] == 25


def test_drift_tells_what_moved() -> None:
    """An attribute held by twice as many as when the model was made, and weights that moved."""
    world = crowd()
    weighed(
        world,
        {(n, n + 1): 500 for n in range(1, 60, 2)} | {(n, n + 1): 4_500 for n in range(61, 120, 2)},
    )
    card = {
        "data": {"records": 1_000, "attributes": {"city": 0.222, "sex": 1.0, "rare": 0.001}},
        "histogram": [
            {"from_bits": None, "pairs": 9_000}, {"from_bits": -2, "pairs": 100},
            {"from_bits": 0, "pairs": 900}, {"from_bits": 4, "pairs": 100},
            {"from_bits": 8, "pairs": 3},
        ],
    }  # fmt: skip
    figures_told = exact(world, card)
    title = "records rrrrrrrr"
    city = (80 / 180 - 0.222) * math.log(80 / 180 / 0.222)
    city += (100 / 180 - 0.778) * math.log(100 / 180 / 0.778)
    weights = (0.5 - 900 / 1_003) * math.log(0.5 / (900 / 1_003))
    weights += (0.5 - 103 / 1_003) * math.log(0.5 / (103 / 1_003))
    expected = {(title, SCORES): weights, (title, "city"): city}
    assert figures_told["drift"] == {
        **{cell: round(index * 200) * 5 for cell, index in expected.items()},
        (title, "sex"): 0,
    }
    assert figures_told["drift"][title, "city"] > 200


def test_the_index_is_that_of_the_book() -> None:
    """PSI of two made-up distributions, worked out by hand."""
    then, now = {"a": 0.5, "b": 0.5}, {"a": 75, "b": 25}
    assert psi(now, then) == pytest.approx(0.25 * math.log(1.5) - 0.25 * math.log(0.5))
    assert psi(then, then) == 0
    assert psi({"a": 0, "b": 0}, then) == 0


def test_a_snapshot_is_read_under_its_own_model() -> None:
    """What models are asked for is what the snapshot says its links are of."""
    world = crowd()
    weighed(world, {(1, 2): 500})
    asked: list[str] = []

    def named(text: str) -> tuple[Scoring, ...]:
        asked.append(text)
        return ()

    snapshot: Snapshot
    with MemorySnapshots(world.graph).take() as snapshot:
        gather(snapshot, POLICY, insight=Insight(named, match_world.opened))
        assert asked == [snapshot.moment().model]
    assert "record=" in asked[0]

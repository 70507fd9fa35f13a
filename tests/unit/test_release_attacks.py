"""What one person does, and what an analyst asks, that must not show in released figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.engines.memory_snapshot import MemorySnapshots
from identity.model import DAY_US, Assurance, Contribution
from identity.store import Batch, Checkpoint
from ingest.dead_letters import DeadLetter
from kinfold.register import LowerMinimum, Register
from kinfold.statistics import dead
from kinfold.statistics.cells import Cell, Held
from kinfold.statistics.figure import Figure, Shape, Spec, spread, sums
from kinfold.statistics.figures import figures
from kinfold.statistics.gathered import gather
from kinfold.statistics.insight import Insight
from kinfold.statistics.pairs import PAIRS, pair_sums
from kinfold.statistics.release import MINIMUM, NAMELESS, WITHHELD, Released, release
from tests.support import match_world
from tests.support.histories import node
from tests.unit.test_release import SUMS, erase, figure, released, seen, values
from tests.unit.test_statistics import POLICY, PURPOSES, World
from tests.unit.test_statistics_models import asserted, scoring

SPREADS = Spec("spread", "t", "m", "c", Shape.SPREAD, "a person")


def spreads(numbers: list[int], earlier: Mapping[Cell, Held] | None = None) -> Released:
    """The middle and extremes of some numbers as they are released."""
    made = spread(pl.Series(numbers), MINIMUM)
    return release(Figure(SPREADS, made.cells, made.spans), earlier)


def test_a_spread_follows_its_people() -> None:
    """When as many people as the minimum have more, the middle moves, though nobody came."""
    before = spreads([1] * 100)
    assert set(values(before).values()) == {1}
    assert values(spreads([7] * 100, before.held)) == dict.fromkeys(values(before), 7)
    assert values(spreads([1] * 81 + [7] * 19, before.held)) == values(before)


@given(st.lists(st.integers(0, 9), min_size=40, max_size=90), st.data())
def test_nobody_moves_a_spread_alone(numbers: list[int], data: st.DataObject) -> None:
    """Fewer people than the minimum who come, go or change move no quantile."""
    before = spreads(numbers)
    now = list(numbers)
    for _ in range(data.draw(st.integers(0, MINIMUM - 1))):
        what = data.draw(st.sampled_from(["come", "go", "change"]))
        if what != "come":
            now.pop(data.draw(st.integers(0, len(now) - 1)))
        if what != "go":
            now.append(data.draw(st.integers(0, 10_000)))
    assert values(spreads(now, before.held)) == values(before)


def test_at_least_is_at_least() -> None:
    """A number that is told as the least there is, is no more than there is."""
    rows = [(person, 15, "web") for person in range(30)] + [(30, 900, "web")]
    frame = pl.DataFrame(rows, schema=["person", "n", "source"], orient="row")
    told = release(Figure(SUMS, sums(frame, MINIMUM, part=pl.col("source"))), None)
    ((_, _, value, note, step),) = told.cells.rows()
    assert (value, note, step) == (400, "at least", 400)
    frame = pl.DataFrame([(n, 1, "web") for n in range(30)], frame.schema, orient="row")
    told = release(Figure(SUMS, sums(frame, MINIMUM, part=pl.col("source"))), None)
    assert told.cells.rows() == [("", "web", 40, "", 20)]


def paired(pairs: list[tuple[int, int]]) -> pl.DataFrame:
    """Cells of pairs of two people, in this order of keys."""
    rows = [(one, other, place, place, "", "pairs") for place, (one, other) in enumerate(pairs)]
    return pair_sums(pl.DataFrame(rows, schema=PAIRS, orient="row"), MINIMUM)


def test_a_hub_is_one_person() -> None:
    """Pairs of one person with forty others are one person's, whichever end they stand at."""
    for pairs in ([(0, n) for n in range(1, 41)], [(n, 0) for n in range(1, 41)]):
        ((_, _, people, value, capped, cap),) = paired(pairs).rows()
        assert (people, value, capped, cap) == (1, 40, 1, 1)


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(31, 60)), min_size=1, max_size=200, unique=True
    ),
    st.integers(0, 60),
)
def test_one_person_takes_no_more_pairs_away_than_the_cap(
    pairs: list[tuple[int, int]], gone: int
) -> None:
    """However others hang together, one erasure changes what is taken by no more than the cap."""
    ((_, _, people, _, capped, cap),) = paired(pairs).rows()
    left = [pair for pair in pairs if gone not in pair]
    numbers = list(zip(range(len(pairs)), pairs, strict=True))
    places = [place for place, pair in numbers if gone not in pair]
    if not left:
        assert people <= 1
        return
    rows = [(a, b, p, p, "", "pairs") for p, (a, b) in zip(places, left, strict=True)]
    ((_, _, others, _, after, cap_after),) = pair_sums(
        pl.DataFrame(rows, schema=PAIRS, orient="row"), MINIMUM
    ).rows()
    if cap == cap_after:
        assert abs(capped - after) <= cap
        assert abs(people - others) <= 1


def test_erasing_somebody_with_many_scored_pairs_shows_nothing() -> None:
    """One person scored with forty others is erased: no figure is told otherwise than before."""
    world = World()
    world.run([tuple(seen(n, "sport", logs_in=False) for n in range(90))])
    device = [seen(n, "", logs_in=False).nodes[0].key for n in range(90)]
    hub = device[7]
    scored = {(min(hub, d), max(hub, d)): 3_000 for d in device[20:60]}
    world.score({**scored, **dict.fromkeys(zip(device[60:74], device[74:88], strict=True), 3_000)})
    before = released(world, {})
    assert values(before["score_distribution"]) == {}
    erase(world, 7, 5 * DAY_US)
    after = released(world, {name: each.held for name, each in before.items()})
    for name in set(before) - {"erased"}:
        assert after[name].cells.equals(before[name].cells), name


def by_group(
    world: World, group: str, held: dict[str, dict[Cell, Held]], card: dict[str, Any]
) -> dict[str, Released]:
    """Figures with groups of an attribute, held on from what is held."""
    insight = Insight(lambda _: (scoring(card),), match_world.opened, group)
    with MemorySnapshots(world.graph).take() as snapshot:
        gathered = gather(snapshot, POLICY, insight=insight)
    made = figures(
        gathered, POLICY, PURPOSES, as_of_us=0, minimum=MINIMUM,
        models=insight.models(""), attribute=group,
    )  # fmt: skip
    told = {each.spec.id: release(each, held.get(each.spec.id)) for each in made}
    held |= {name: dict(each.held) for name, each in told.items()}
    return told


def test_asking_for_another_attribute_lets_go_of_nothing() -> None:
    """Groups of one attribute hold their numbers while those of another are asked for."""
    world, held = World(), dict[str, dict[Cell, Held]]()
    world.run([tuple(asserted(n, {"sex": "f", "city": "york"}, str(n)) for n in range(1, 31))])
    first = by_group(world, "sex", held, {})["match_by_group"]
    assert values(first) == {("sex: f", "alone"): 40}
    world.run([(asserted(31, {"sex": "f", "city": "york"}, "31"),)])
    assert values(by_group(world, "city", held, {})["match_by_group"]) == {
        ("city: york", "alone"): 40
    }
    assert held["match_by_group"]["sex: f", "alone"].people == 30
    again = by_group(world, "sex", held, {})["match_by_group"]
    assert again.cells.equals(first.cells)
    assert held["match_by_group"]["sex: f", "alone"].people == 30


def test_drift_tells_of_nobody_who_lacks_what_all_others_hold() -> None:
    """The index is the same with none and with a few who lack an attribute, and moves with many."""
    card: dict[str, Any] = {"data": {"records": 1_000, "attributes": {"city": 0.9}}}
    told = []
    for lacking in (0, 1, 3, 19, 25):
        world = World()
        said = [
            {"sex": "f"} if n <= lacking else {"sex": "f", "city": "york"} for n in range(1, 121)
        ]
        world.run([tuple(asserted(n, one, str(n)) for n, one in enumerate(said, 1))])
        drift = values(by_group(world, "", {}, card)["drift"])
        told.append(drift["records rrrrrrrr", "city"])
    assert len(set(told[:4])) == 1
    assert told[4] != told[0]


def test_drift_follows_its_people() -> None:
    """Of the same people, those who hold an attribute may become others: the index tells it."""
    card: dict[str, Any] = {"data": {"records": 1_000, "attributes": {"city": 0.5}}}
    held = dict[str, dict[Cell, Held]]()
    half = [{"city": "york"} if n % 2 else {"sex": "f"} for n in range(1, 201)]
    world = World()
    world.run([tuple(asserted(n, one, str(n)) for n, one in enumerate(half, 1))])
    assert values(by_group(world, "", held, card)["drift"])["records rrrrrrrr", "city"] == 0
    world = World()
    world.run([tuple(asserted(n, {"city": "york"}, str(n)) for n in range(1, 201))])
    assert values(by_group(world, "", held, card)["drift"])["records rrrrrrrr", "city"] > 1_000


def test_what_is_not_resolved_is_nobody_s() -> None:
    """Many signals of one new device tell nothing before it has been resolved, and little after."""
    world = World()
    world.run([tuple(seen(n, "sport", logs_in=False) for n in range(90))])
    before = released(world, {})
    one = seen(1_000, "sport", logs_in=False)
    many = tuple(
        replace(one, signal=5_000 + n, digest=n.to_bytes(8, "big"), source="ann-smiths-fridge")
        for n in range(60)
    )
    world.store.commit(Batch(many, world.at, b"later"))
    world.at = Checkpoint("p", b"later", world.at.epoch)
    for held in ({}, {name: each.held for name, each in before.items()}):
        during = released(world, held)
        assert "fridge" not in str([each.cells.write_json() for each in during.values()])
        for name, each in before.items():
            assert during[name].cells.equals(each.cells), name


def letters(source: str, count: int) -> list[DeadLetter]:
    """Letters that a source sent."""
    return [
        DeadLetter(f"{source}{n}", "SOURCE_UNKNOWN", "source", "", source, "json", "p", b"", 0, b"")
        for n in range(count)
    ]


def test_a_source_that_few_are_known_by_is_not_named() -> None:
    """Dead letters of a source that names few people are those of other sources."""
    world = World()
    world.run([tuple(seen(n, "sport", logs_in=False) for n in range(30))])
    with MemorySnapshots(world.graph).take() as snapshot:
        sources = dead.nameable(gather(snapshot, POLICY), MINIMUM)
    told = release(dead.figure([*letters("web", 25), *letters("ann", 30)], sources), None)
    assert values(told) == {("web", "SOURCE_UNKNOWN"): 20, ("other sources", "SOURCE_UNKNOWN"): 40}


def test_none_looks_like_few() -> None:
    """A part that everybody knows of is withheld with nobody in it as with somebody."""
    spec = Spec("s", "t", "m", "c", Shape.SUBSETS, "people", order=("legal hold",))
    none = release(figure(spec, {("", "all"): 200}), None)
    few = release(figure(spec, {("", "all"): 200, ("", "legal hold"): 3}), None)
    assert none.cells.equals(few.cells)
    assert none.cells.rows()[1] == ("", "legal hold", None, WITHHELD, MINIMUM)


def test_names_that_signals_bring_are_not_told_of_a_few() -> None:
    """No figure tells a purpose, an attribute or a country that hardly anybody brought."""
    world, held = World(), dict[str, dict[Cell, Held]]()
    crowd = [asserted(n, {"sex": "f"}, str(n)) for n in range(1, 41)]
    ann = asserted(99, {"sex": "f", "other:hiv_status": "x"}, "99")
    world.run([(*crowd, ann)])
    card: dict[str, Any] = {"data": {"records": 10, "attributes": {}}}
    told = by_group(world, "", held, card)
    assert "hiv" not in str([each.cells.write_json() for each in told.values()])
    assert told["record_attributes"].cells["part"].to_list() == ["all", "sex", NAMELESS]


def logging_in(person: int, cookie: int, *, day: int, known: bool) -> Contribution:
    """A cookie alone, or logged in."""
    login, own = node("login", 1_000 + person), node("cookie", 10_000 + cookie)
    return Contribution(
        signal=cookie * 10 + day, digest=bytes([day] * 8), event_us=day * DAY_US,
        published_us=day * DAY_US, source="web", assurance=Assurance.AUTHENTICATED,
        nodes=(login, own) if known else (own,), activity=((own.key, ()),),
    )  # fmt: skip


def test_one_visitor_s_many_merges_are_one_person_s() -> None:
    """Somebody who logs in on 25 cookies is one person to whom merges led, so they are not told."""
    world = World()
    cookies = [logging_in(0, n, day=1, known=False) for n in range(25)]
    others = [logging_in(n, 100 + n, day=1, known=True) for n in range(1, 60)]
    world.run([tuple(cookies + others)])
    before = released(world, {})
    world.run([tuple(logging_in(0, n, day=2, known=True) for n in range(25))])
    after = released(world, {name: each.held for name, each in before.items()})
    assert not [part for _, part in values(after["changes_by_week"]) if part == "merged"]


def test_a_minimum_never_falls(tmp_path: Path) -> None:
    """Figures released at one minimum are not released at a lower one, which would add to them."""
    register = Register(tmp_path / "register.sqlite3")
    with register.writing():
        assert register.hold_to(30) is None
        register.hold("known", 30, {("", "anonymous"): Held(37, 37, 37, 1)})
    with pytest.raises(LowerMinimum) as refused:
        register.hold_to(20)
    assert refused.value.least == 30
    register.hold_to(50)
    assert register.held("known") == {("", "anonymous"): Held(37, 37, 37, 1)}
    with register.writing():
        register.hold("known", 50, {("", "anonymous"): Held(37, 37, 37, 1)})
    with pytest.raises(LowerMinimum):
        register.hold_to(30)
    register.close()

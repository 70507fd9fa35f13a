"""What is released gives nobody away: the attacks that subtract, wait, search and stretch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from identity.engines.memory_snapshot import MemorySnapshots
from identity.model import DAY_US, Assurance, Contribution, Node
from kinfold.statistics import removed
from kinfold.statistics.cells import Cell, Held
from kinfold.statistics.figure import ALL, CELLS, Figure, Shape, Spec, round_up, sums
from kinfold.statistics.figures import figures
from kinfold.statistics.gathered import gather
from kinfold.statistics.insight import Scoring
from kinfold.statistics.release import (
    MINIMUM,
    NAMELESS,
    RELEASED,
    WITHHELD,
    Released,
    hold,
    release,
    withheld,
)
from profiles.deletions import Erasure
from tests.support.histories import _number, node
from tests.unit.test_statistics import INSIGHT, MODELS, POLICY, PURPOSES, World

Counts = Mapping[Cell, int]
PARTS = Spec("parts", "t", "m", "c", Shape.PARTS, "people")
SUBSETS = Spec("subsets", "t", "m", "c", Shape.SUBSETS, "people")
SUMS = Spec("sums", "t", "m", "c", Shape.SUMS, "identifiers")
GROUPS, NAMES = ("x", "y"), ("a", "b", "c", "d", "e")
NUMBERS = st.one_of(st.integers(0, 45), st.integers(0, 400))


def figure(spec: Spec, counted: Counts) -> Figure:
    """A figure of these counts of people."""
    rows = [(*cell, n, n, n, 1) for cell, n in counted.items() if n]
    return Figure(spec, pl.DataFrame(rows, schema=CELLS, orient="row"))


def values(released: Released) -> dict[Cell, int]:
    """The numbers told."""
    return {(g, p): v for g, p, v, *_ in released.cells.rows() if v is not None}


def parts() -> st.SearchStrategy[dict[Cell, int]]:
    """Counts of parts in two groups."""
    cells = st.tuples(st.sampled_from(GROUPS), st.sampled_from(NAMES))
    return st.dictionaries(cells, NUMBERS)


@st.composite
def subsets(draw: st.DrawFn) -> dict[Cell, int]:
    """Counts of subsets with the whole of their group."""
    counted = draw(parts())
    for group in GROUPS:
        most = max([n for (g, _), n in counted.items() if g == group], default=0)
        counted[group, ALL] = most + draw(st.integers(0, 60))
    return counted


@given(parts(), st.sets(st.tuples(st.sampled_from(GROUPS), st.sampled_from(NAMES))), st.booleans())
def test_one_person_makes_no_difference(counted: Counts, moved: set[Cell], comes: bool) -> None:
    """Exports before and after one person's arrival or erasure are the same, whatever they are."""
    for spec in (PARTS, SUBSETS, SUMS):
        before = release(figure(spec, counted), None)
        step = 1 if comes else -1
        after = {c: max(0, counted.get(c, 0) + step * (c in moved)) for c in {*counted, *moved}}
        assert release(figure(spec, after), before.held).cells.equals(before.cells)


@given(parts(), st.lists(parts(), min_size=1, max_size=6))
def test_a_cell_moves_by_a_cohort_or_not_at_all(first: Counts, later: list[Counts]) -> None:
    """Over any row of exports a number differs from the last by none, or by at least the minimum.

    And where it differs, at least so many people have come or gone since it was last told.
    """
    last = release(figure(PARTS, first), None)
    for counted in later:
        now = release(figure(PARTS, counted), last.held)
        was, told = values(last), values(now)
        for cell in was.keys() & told.keys():
            if was[cell] != told[cell]:
                assert abs(was[cell] - told[cell]) >= MINIMUM
                assert abs(last.held[cell].people - counted.get(cell, 0)) >= MINIMUM, cell
        last = now


@given(parts())
def test_totals_minus_parts_give_no_small_cell(counted: Counts) -> None:
    """What is left of an exact total after all told parts are taken is nobody, or a cohort."""
    told = values(release(figure(PARTS, counted), None))
    for group in GROUPS:
        mine = {cell: n for cell, n in counted.items() if cell[0] == group}
        left = sum(n for cell, n in mine.items() if cell not in told)
        assert left == 0 or left >= MINIMUM or not told.keys() & mine.keys()


@given(subsets())
def test_a_group_minus_a_subset_gives_no_small_cell(counted: Counts) -> None:
    """Those of a group who are not in a told subset are nobody, or a cohort."""
    for group, part in values(release(figure(SUBSETS, counted), None)):
        rest = counted[group, ALL] - counted[group, part]
        assert rest == 0 or rest >= MINIMUM


@given(parts(), st.integers(2, 50))
def test_any_sums_and_differences_are_cohorts(counted: Counts, minimum: int) -> None:
    """Whatever told counts one adds or takes away, the result is none or a cohort."""
    told = list(values(release(figure(PARTS, counted), None, minimum)).values())
    assert all(n >= minimum for n in told)
    for one, other in combinations(told, 2):
        assert (one - other) % minimum == 0


@given(parts())
def test_fewer_than_the_minimum_are_never_told(counted: Counts) -> None:
    """No told cell has fewer people than the minimum, and of those withheld no number is there."""
    released = release(figure(PARTS, counted), None)
    assert released.cells.schema == pl.Schema(RELEASED)
    for cell, n in counted.items():
        assert n >= MINIMUM or cell not in values(released)
    hidden = released.cells.filter(pl.col("note") == WITHHELD)
    assert hidden["value"].null_count() == hidden.height


def test_a_rare_category_is_not_named() -> None:
    """The name of a category with too few people in it is nowhere."""
    spec = replace(SUBSETS, open=True)
    counted = {("ever", ALL): 200, ("ever", "sport"): 100, ("ever", "rare-illness"): 3}
    released = release(figure(spec, counted), None)
    assert "rare-illness" not in released.cells.write_json()
    assert released.cells["part"].to_list() == [ALL, "sport", NAMELESS]


def test_the_next_smallest_is_withheld_too() -> None:
    """With one small part the next smallest goes too; the others are told."""
    counted = {("", "a"): 5, ("", "b"): 61, ("", "c"): 300, ("", "d"): 4_000}
    assert values(release(figure(PARTS, counted), None)) == {("", "c"): 300, ("", "d"): 4_000}
    held = hold(figure(PARTS, counted), None, MINIMUM)
    assert withheld(Shape.PARTS, held, MINIMUM) == {("", "a"), ("", "b")}


def test_extremes_are_capped() -> None:
    """One person with ten thousand identifiers adds no more than a cohort's least."""
    rows = [(person, 2, "cookie") for person in range(100)] + [(100, 10_000, "cookie")]
    frame = pl.DataFrame(rows, schema=["person", "n", "kind"], orient="row")
    told = release(Figure(SUMS, sums(frame, MINIMUM, part=pl.col("kind"))), None)
    assert told.cells.rows() == [("", "cookie", 200, "at least", MINIMUM * 2)]


@given(st.integers(1, 10**9))
def test_caps_are_round_numbers(number: int) -> None:
    """A cap is the next of 1, 2, 5, 10, … so that it tells little of whom it is for."""
    assert number <= round_up(number) < 2.5 * number + 1


def seen(person: int, category: str, *, logs_in: bool) -> Contribution:
    """A person with a device and perhaps a login, who does something."""
    device = Node(f"device:{person:022d}", _number(f"device {person}"))
    login = Node(f"login:{person:022d}", _number(f"login {person}"))
    nodes = (login, device) if logs_in else (device,)
    return Contribution(
        signal=person + 1,
        digest=person.to_bytes(8, "big"),
        event_us=3 * DAY_US + person,
        published_us=3 * DAY_US + person,
        source="web",
        assurance=Assurance.AUTHENTICATED,
        nodes=nodes,
        activity=((nodes[0].key, (f"category:{category}",)),),
    )


def released(
    world: World,
    held: Mapping[str, Mapping[Cell, Held]],
    erasures: Sequence[Erasure] = (),
    models: tuple[Scoring, ...] = MODELS,
) -> dict[str, Released]:
    """Every figure of a world as it is released."""
    with MemorySnapshots(world.graph).take() as snapshot:
        gathered = gather(snapshot, POLICY, insight=INSIGHT)
    as_of_us = 4 * DAY_US
    made = [
        *figures(gathered, POLICY, PURPOSES, as_of_us=as_of_us, minimum=MINIMUM, models=models),
        removed.figure(erasures, as_of_us),
    ]
    return {each.spec.id: release(each, held.get(each.spec.id)) for each in made}


def test_nobody_is_seen_to_arrive_or_to_leave() -> None:
    """No figure of a real graph differs by one person's arrival, nor by their erasure."""
    world = World()
    crowd = [seen(n, "sport" if n % 2 else "music", logs_in=n % 3 > 0) for n in range(90)]
    world.run([tuple(crowd)])
    before = released(world, {})
    held = {name: each.held for name, each in before.items()}
    ann = seen(1_000, "a-category-of-her-own", logs_in=True)
    world.run([(ann,)])
    during = released(world, held)
    world.run([(replace(ann, signal=5_000, event_us=9 * DAY_US, nodes=(), activity=(),
                        fact=None, retracts=ann.signal),)])  # fmt: skip
    after = released(world, {name: each.held for name, each in during.items()})
    for name, each in before.items():
        assert during[name].cells.equals(each.cells), name
        assert after[name].cells.equals(each.cells), name
    assert values(before["known"]) == {("", "anonymous"): 40, ("", "has an account"): 60}
    assert "a-category-of-her-own" not in str([each.cells.write_json() for each in during.values()])
    assert node("login", 1).key not in str([each.cells.write_json() for each in during.values()])


def erase(world: World, person: int, at_us: int) -> Erasure:
    """Erase somebody the way an erasure does: fence, sweep, resolve, an entry in the ledger."""
    keys = [n.key for n in seen(person, "", logs_in=True).nodes]
    fences = dict.fromkeys(keys, at_us)
    world.store.fence(fences)
    world.store.sweep(fences)
    world.run([])
    return Erasure(str(person), str(person), at_us, at_us, False, 1, 0, at_us)


def test_the_difference_of_exports_around_an_erasure_is_nothing() -> None:
    """Exports before, during and after one person's erasure are the same in every figure.

    Also where that person was one of a cohort of exactly the minimum, and when
    others were erased before.
    """
    world = World()
    crowd = [seen(n, "sport" if n < 20 else "music", logs_in=n % 3 > 0) for n in range(150)]
    world.run([tuple(crowd)])
    device = [seen(n, "", logs_in=False).nodes[0].key for n in range(150)]
    world.score(dict.fromkeys(zip(device[::2], device[1::2], strict=True), 3000))
    erasures = [erase(world, person, 5 * DAY_US) for person in range(100, 130)]
    before = released(world, {}, erasures)
    assert values(before["affinities"])["ever", "sport"] == MINIMUM
    assert values(before["erased"]) == {("not suppressed", "within a day"): 40}
    fences = {n.key: 5 * DAY_US for n in seen(7, "", logs_in=True).nodes}
    world.store.fence(fences)
    during = released(world, {name: each.held for name, each in before.items()}, erasures)
    erasures.append(erase(world, 7, 5 * DAY_US))
    after = released(world, {name: each.held for name, each in during.items()}, erasures)
    assert len(erasures) == 31
    for name, each in before.items():
        assert during[name].cells.equals(each.cells), name
        assert after[name].cells.equals(each.cells), name
    with MemorySnapshots(world.graph).take() as snapshot:
        keys = pl.concat(list(snapshot.keys()))["key"]
    assert not fences.keys() & set(keys)


def test_an_erasure_shows_once_a_cohort_has_gone() -> None:
    """When as many as the minimum were erased, figures move, and by no less than that."""
    world = World()
    world.run([tuple(seen(n, "sport", logs_in=True) for n in range(150))])
    before = released(world, {})
    held = {name: each.held for name, each in before.items()}
    erasures: list[Erasure] = []
    moved, now = [], before
    for person in range(25):
        erasures.append(erase(world, person, 5 * DAY_US))
        now = released(world, held, erasures)
        held = {name: each.held for name, each in now.items()}
        moved.append(values(now["people_by_kind"])["", ALL])
    assert moved == [160] * 19 + [140] * 6
    assert values(now["erased"]) == {("not suppressed", "within a day"): 20}

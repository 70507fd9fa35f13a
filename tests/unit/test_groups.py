"""Match and withholding rates between groups: what is a group, and what differs."""

import numpy as np
import pytest

from kinfold.modelling.groups import LEAST, MOST, OTHERS, UNSAID, NoGroups, groups_of, rates
from kinfold.modelling.resolving import Resolved
from tests.support.match_models import town_model


def resolved(records: int, matched: list[int], doubtful: list[tuple[int, int]]) -> Resolved:
    """Records of which the first of each listed is with the next one, and pairs left in doubt."""
    person = np.arange(records)
    for at in matched:
        person[at + 1] = at
    pairs = [(at, at + 1, 0.99) for at in matched] + [(*pair, 0.4) for pair in doubtful]
    left, right, chance = zip(*pairs, strict=True)
    return Resolved(
        records=records, left=np.array(left), right=np.array(right),
        mbits=np.zeros(len(pairs), dtype=np.int64), probability=np.array(chance), person=person,
    )  # fmt: skip


def test_small_groups_are_put_together() -> None:
    """A group of fewer than twenty is not told by itself; case and blanks do not part groups."""
    values = ["North"] * LEAST + [" north "] * 3 + ["south"] * LEAST + ["east"] * 5 + [""] * LEAST
    found = groups_of(values)
    assert set(found) == {"north", "south", OTHERS, UNSAID}
    assert found.count("north") == LEAST + 3
    assert found.count(OTHERS) == 5


@pytest.mark.parametrize(
    "values",
    [
        [f"name {n}" for n in range(500)],
        [f"town {n % (MOST + 1)}" for n in range(31 * LEAST)],
        [""] * 100,
        ["male"] * 30 + [f"name {n}" for n in range(200)],
        [],
    ],
)
def test_what_may_be_personal_is_no_group(values: list[str]) -> None:
    """Values that are hardly shared, too many, or none are refused without repeating one."""
    with pytest.raises(NoGroups) as caught:
        groups_of(values)
    assert "name" not in str(caught.value)
    assert "town" not in str(caught.value)


def test_rates_are_counted_by_group() -> None:
    """Matched are those with company, withheld those with a doubtful pair in another person."""
    groups = ["a"] * 40 + ["b"] * 40
    found = rates("side", groups, resolved(80, [0, 2, 40], [(10, 50), (11, 12)]), town_model())
    a, b = found["groups"]
    assert (a["group"], a["records"], a["matched"], a["withheld"]) == ("a", 40, 0.1, 0.075)
    assert (b["group"], b["records"], b["matched"], b["withheld"]) == ("b", 40, 0.05, 0.025)
    assert found["apart"]["matched"] == 0.05
    assert found["beyond_chance"] == []
    assert a["expected_precision"] == 0.99


def test_what_differs_beyond_chance_is_told() -> None:
    """A difference too great for the number of records is named; the same in few is not."""
    for half, beyond in ((300, ["matched"]), (20, [])):
        groups = ["a"] * half + ["b"] * half
        matched = [*range(0, half // 2, 2), half]
        found = rates("side", groups, resolved(2 * half, matched, []), town_model())
        wide = found["groups"][0]["matched_interval"]
        assert wide[0] < found["groups"][0]["matched"] < wide[1]
        assert found["beyond_chance"] == beyond


def test_intervals_are_wilsons() -> None:
    """Ten of a hundred give the interval that the formula's author gives."""
    found = rates("x", ["a"] * 100, resolved(100, [0, 2, 4, 6, 8], []), town_model())
    assert found["groups"][0]["matched_interval"] == pytest.approx([0.0552, 0.1744], abs=1e-4)

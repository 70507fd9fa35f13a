"""What of a figure may be shared: enough people behind every number, and nothing by subtraction.

A release is made of *held* cells, in this order:

1. *Held.* A cell keeps the exact numbers of an earlier release until at least
   `minimum` people, or what `minimum` people add at most, have come or gone; a
   quantile, until that many lie between what it was and what it is; an index is
   computed from what its bands hold. So releases before and after one person's
   arrival, change or erasure are the same.
2. *Withheld.* A cell with fewer than `minimum` people is withheld, also where
   it is nobody and its name is known beforehand, and so is a
   subset that all but fewer than `minimum` of its group are in. Where parts
   make up a group, the next smallest are withheld too, until those withheld
   are at least `minimum` people together.
3. *Capped.* A sum takes larger contributions for what at least `minimum` people
   reach; extremes of a spread are told as the most that so many have.
4. *Rounded.* Every number is a multiple of `minimum` times the cap, so any sum
   or difference of released counts of people is none or at least `minimum`. To the
   nearest, or down where the true number may be larger.

The rules are those of official statistics: A. Hundepool and others, "Statistical
Disclosure Control", Wiley 2012, chapters 4 and 5 (threshold rule, secondary
suppression, rounding). Not covered: someone who knows all but one of the people
behind a cell learns of the last one when the cell at last moves; only noise
would hide that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from kinfold.statistics.cells import NOTHING, Cell, Held
from kinfold.statistics.figure import ALL, GROUP_END, Figure, Shape, Spec

MINIMUM = 20
WITHHELD = "withheld"
AT_LEAST = "at least"
RELEASED = {
    "group": pl.String,
    "part": pl.String,
    "value": pl.Int64,
    "note": pl.String,
    "to_nearest": pl.Int64,
}
"""A released figure's cells.

`value` is null where `note` is `withheld`; with the note `at least` the true
number may be larger. Names of withheld parts that come from signals are left out.
"""
NAMELESS = "(parts with too few people)"


@dataclass(frozen=True, slots=True)
class Released:
    """A figure that may be shared, and the exact numbers to hold for the next time."""

    spec: Spec
    cells: pl.DataFrame
    held: Mapping[Cell, Held]


_Row = tuple[str, str, int | None, str, int]


def release(
    figure: Figure, earlier: Mapping[Cell, Held] | None, minimum: int = MINIMUM
) -> Released:
    """What may be shared of a figure after its last release, told by what that holds; None: first.

    A cell that an earlier release did not have held nobody then.
    """
    assert minimum >= 1, "a minimum of 1 withholds nothing"
    held = hold(figure, earlier, minimum)
    asked = {cell: numbers for cell, numbers in held.items() if cell[0].startswith(figure.within)}
    if figure.spec.shape is Shape.INDEX:
        rows = _indices(figure, asked, minimum)
    else:
        rows = _rows(figure.spec, asked, minimum)
    return Released(figure.spec, pl.DataFrame(rows, schema=RELEASED, orient="row"), held)


def _rows(spec: Spec, held: Mapping[Cell, Held], minimum: int) -> list[_Row]:
    hidden = withheld(spec.shape, held, minimum)
    told: list[_Row] = [
        (*cell, *_told(spec.shape, numbers, minimum))
        for cell, numbers in held.items()
        if cell not in hidden
    ]
    named = {group for group, *_ in told}
    if spec.closed_groups or not spec.open:
        named |= {group for group, _ in held}
    # That a part which everybody knows of has nobody is as little told as that it has few.
    hidden |= {(group, part) for group in named for part in spec.order} - held.keys()
    rows = set()
    for group, part in hidden:
        if group in named and (not spec.open or part in spec.order):
            rows.add((group, part))
        else:
            rows.add((group if spec.closed_groups else "", NAMELESS))
    told += [(*cell, None, WITHHELD, minimum) for cell in rows]
    return sorted(told, key=lambda row: _place(row[:2], spec))


def _indices(figure: Figure, held: Mapping[Cell, Held], minimum: int) -> list[_Row]:
    assert figure.index is not None, "an index has a formula"
    bands: dict[str, dict[str, Held]] = {}
    for (group, band), numbers in held.items():
        bands.setdefault(group, {})[band] = numbers
    rows: list[_Row] = []
    for group, some in sorted(bands.items()):
        told = figure.index(group, some)
        if told is not None and max(numbers.people for numbers in some.values()) >= minimum:
            name, _, part = group.partition(GROUP_END)
            rows.append((name, part, told, "", 1))
    return rows


def _place(cell: Cell, spec: Spec) -> tuple[str, bool, bool, int, int, str]:
    group, part = cell
    told = spec.order.index(part) if part in spec.order else len(spec.order)
    number = re.match(r"\d+", part)
    return group, part == NAMELESS, part != ALL, told, int(number.group()) if number else 0, part


def hold(figure: Figure, earlier: Mapping[Cell, Held] | None, minimum: int) -> dict[Cell, Held]:
    """The cells' exact numbers, or earlier ones where fewer than `minimum` people moved them.

    Earlier groups of another question stay as they are.
    """
    now = {
        (group, part): Held(people, value, capped, cap)
        for group, part, people, value, capped, cap in figure.cells.rows()
        if people
    }
    if earlier is None:
        return now
    held = {}
    for cell in {*now, *earlier}:
        new, old = now.get(cell, NOTHING), earlier.get(cell, NOTHING)
        asked = cell[0].startswith(figure.within)
        held[cell] = new if asked and _moved(figure, cell, new, old, minimum) else old
    return {cell: numbers for cell, numbers in held.items() if numbers.people}


def _moved(figure: Figure, cell: Cell, new: Held, old: Held, minimum: int) -> bool:
    if abs(new.people - old.people) >= minimum:
        return True
    if figure.spec.shape is Shape.SPREAD:
        least, most = figure.spans.get(cell, (old.capped, old.capped))
        return not least <= old.capped <= most
    return abs(new.capped - old.capped) >= minimum * max(new.cap, old.cap)


def withheld(shape: Shape, held: Mapping[Cell, Held], minimum: int) -> set[Cell]:
    """The cells to withhold: too small, or to be had by subtraction from the others."""
    hidden = {cell for cell, numbers in held.items() if numbers.people < minimum}
    if shape is Shape.SUBSETS:
        hidden |= _all_but_few(held, minimum)
    elif shape is Shape.PARTS:
        for group in {group for group, _ in hidden}:
            hidden |= _complement(group, hidden, held, minimum)
    return hidden


def _all_but_few(held: Mapping[Cell, Held], minimum: int) -> set[Cell]:
    """Subsets that a few of their group are missing from."""
    found = set()
    for (group, part), numbers in held.items():
        whole = held.get((group, ALL), NOTHING).people
        if part != ALL and (whole < minimum or 0 < whole - numbers.people < minimum):
            found.add((group, part))
    return found


def _complement(
    group: str, hidden: set[Cell], held: Mapping[Cell, Held], minimum: int
) -> set[Cell]:
    """The smallest other parts of a group, until the hidden ones are enough people together."""
    parts = {cell: numbers.people for cell, numbers in held.items() if cell[0] == group}
    together = sum(people for cell, people in parts.items() if cell in hidden)
    more: set[Cell] = set()
    for cell in sorted(parts.keys() - hidden, key=lambda cell: (parts[cell], cell)):
        if together >= minimum:
            break
        more.add(cell)
        together += parts[cell]
    return more


def _told(shape: Shape, numbers: Held, minimum: int) -> tuple[int, str, int]:
    note = AT_LEAST if numbers.capped < numbers.value else ""
    if shape is Shape.SPREAD:
        return numbers.capped, note, 1
    step = minimum * numbers.cap
    return (numbers.capped + (0 if note else step // 2)) // step * step, note, step

"""A cohort's signals, day after day, in the order in which they arrive."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from kinfold.generate.desk import desk_day
from kinfold.generate.online import kiosk_day, person_day, shared_screens
from kinfold.generate.people import households, kiosks, seed_of
from kinfold.generate.scribe import DAY_MS, Arrival, Scribe
from kinfold.generate.spec import CohortSpec
from kinfold.generate.things import things_day
from kinfold.generate.truth import Truth
from kinfold.generate.world import Household, Kiosk, Wire

HOUSEHOLDS_A_BLOCK = 2_000
"""Of so many households a day's signals are held and put in order at a time."""


class Cohort(NamedTuple):
    """`signals` can be taken once; `truth` is whole when they are through."""

    signals: Iterator[Wire]
    truth: Truth


def cohort(spec: CohortSpec) -> Cohort:
    """The signals of a cohort in proto JSON form, and the truth about it.

    The same spec gives the same signals in the same order. Memory grows with
    people and their identifiers, not with days. Up to some 4,500 people,
    signals come in exact order of arrival; of more, each day comes block by
    block. Signals share pieces: read them, never change them.
    """
    problems = spec.verify()
    assert not problems, problems
    truth = Truth(spec)
    return Cohort(_signals(spec, truth), truth)


def _signals(spec: CohortSpec, truth: Truth) -> Iterator[Wire]:
    homes = list(households(spec))
    machines = kiosks(spec, homes)
    truth.households, truth.people = len(homes), spec.people
    scribe = Scribe(spec, truth)
    waiting: defaultdict[int, list[Arrival]] = defaultdict(list)
    for day in range(spec.days):
        scribe.turn_to(day)
        today = sorted(waiting.pop(day, ()))
        blocks = range(0, len(homes), HOUSEHOLDS_A_BLOCK)
        for block, first in enumerate(blocks):
            scribe.out = today[block :: len(blocks)]
            _block_day(scribe, homes, first, machines if block == 0 else [])
            yield from _in_order(scribe, waiting)
            truth.share_done = (day + (block + 1) / len(blocks)) / spec.days
    for day in sorted(waiting):
        scribe.turn_to(day)
        scribe.out = waiting[day]
        yield from _in_order(scribe, waiting)


def _block_day(scribe: Scribe, homes: list[Household], first: int, machines: list[Kiosk]) -> None:
    """One day of one block of households, each drawn from a seed of its own."""
    spec, day = scribe.spec, scribe.day
    for index in range(first, min(first + HOUSEHOLDS_A_BLOCK, len(homes))):
        home = homes[index]
        scribe.rng.seed(seed_of(spec, index, day))
        stranger = homes[index - 1].people[0] if index else None
        desk_day(scribe, home, stranger)
        for person in home.people:
            person_day(scribe, home, person)
        shared_screens(scribe, home)
        things_day(scribe, home)
    for number, machine in enumerate(machines):
        scribe.rng.seed(seed_of(spec, number, day) ^ (1 << 63))
        kiosk_day(scribe, machine)


def _in_order(scribe: Scribe, waiting: defaultdict[int, list[Arrival]]) -> Iterator[Wire]:
    """What has arrived by the end of the day, in order; the rest waits for its day."""
    end_ms = scribe.midnight_ms + DAY_MS
    arrived = []
    for arrival in scribe.out:
        if arrival[0] < end_ms:
            arrived.append(arrival)
        else:
            waiting[scribe.day + 1 + (arrival[0] - end_ms) // DAY_MS].append(arrival)
    arrived.sort()
    scribe.truth.counts["signals"] += len(arrived)
    for arrival in arrived:
        yield arrival[2]

"""Exports before, at every step of, and after a real erasure: none tells it from another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl

from kinfold.releasing import released
from kinfold.statistics.exporting import Release
from tests.support.erasing import Home, home_at, now, record, signal

PEOPLE = 46
ANN = "login:0@example.com"


def of_all(home: Home) -> Release:
    """A release; on a thread of its own, since counting lowers its thread's priority."""
    with ThreadPoolExecutor(1) as alone:
        return alone.submit(released, home.settings).result()


def people_of(release: Release) -> pl.DataFrame:
    """Cells of people by kind."""
    return release.table().filter(pl.col("figure") == "people_by_kind")


def test_no_export_around_an_erasure_tells_whom(tmp_path: Path) -> None:
    """All figures stay as they were, whichever step of an erasure an export falls into."""
    home = home_at(tmp_path / "home", {})
    home.take(
        *(signal(n, f"login:{n}@example.com", f"cookie:c-{n}", at=now()) for n in range(PEOPLE)),
        *(record(f"r{n}", f"login:{n}@example.com", given_name="Ann") for n in range(20)),
    )
    before = of_all(home)
    told = people_of(before).drop_nulls("value")
    assert dict(told.select("part", "value").iter_rows())["all"] == 40
    during: dict[str, Release] = {}

    def export(step: str) -> None:
        during[step] = of_all(home)

    home.erase(ANN, step=export)
    assert home.person(ANN) is None
    after = of_all(home)
    assert {"fence", "sweep", "resolve", "finish"} <= during.keys()
    for step, release in {**during, "after": after}.items():
        assert release.table().equals(before.table()), step


def test_a_cohort_that_was_erased_is_told(tmp_path: Path) -> None:
    """Once as many as the minimum are erased, figures fall and say how many were, and when."""
    home = home_at(tmp_path / "home", {})
    home.take(*(signal(n, f"login:{n}@example.com", at=now()) for n in range(PEOPLE)))
    of_all(home)
    for number in range(20):
        home.erase(f"login:{number}@example.com", f"r-{number}", suppress=True)
    told = of_all(home).table().drop_nulls("value")
    cells = {(figure, group, part): n for figure, group, part, n, *_ in told.iter_rows()}
    assert cells["people_by_kind", "", "all"] == 20
    assert cells["erased", "suppressed", "within a day"] == 20

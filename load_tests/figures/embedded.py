"""`ingest_embedded_per_s` and `ingest_growth_ratio`: `kinfold ingest` on the embedded store.

The small home knows 10,000 identifiers, the large one 1,000,000. Both take in
the same kind of stream in turn, each in a process kept on one core.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from load_tests.figures.homes import make_home
from load_tests.figures.ingest_process import Ingested, ingested
from load_tests.figures.machine import a_core
from load_tests.figures.model import Measured
from load_tests.figures.visits import Visits

NAMES = ("ingest_embedded_per_s", "ingest_growth_ratio")


@dataclass(frozen=True, slots=True)
class Size:
    """People in the small and the large home, signals a run, and runs."""

    small: int
    large: int
    signals: int
    runs: int


FULL = Size(small=5_000, large=500_000, signals=60_000, runs=3)
SHORT = Size(small=250, large=5_000, signals=2_500, runs=1)


def measure(wanted: Collection[str], size: Size) -> list[Measured]:
    """The figures wanted, in alternating runs."""
    is_growing = "ingest_growth_ratio" in wanted
    small: list[Ingested] = []
    large: list[Ingested] = []
    with tempfile.TemporaryDirectory(prefix="kinfold-load-") as name:
        folder = Path(name)
        make_home(folder / "small", size.small)
        if is_growing:
            make_home(folder / "large", size.large)
        for number in range(size.runs):
            small.append(_on_a_copy(folder, size, number))
            if is_growing:
                # It grows by some hundredths a run, so it need not be copied.
                large.append(_run(folder / "large", size.large, size, number))
    figures = []
    if "ingest_embedded_per_s" in wanted:
        figures.append(
            Measured("ingest_embedded_per_s", [one.per_s for one in small], _cost(small))
        )
    if is_growing:
        ratios = [one.per_s / other.per_s for one, other in zip(large, small, strict=True)]
        cpu_ratios = [other.cpu_us / one.cpu_us for one, other in zip(large, small, strict=True)]
        beside = {
            "large_per_s": [one.per_s for one in large],
            "small_per_s": [one.per_s for one in small],
            "ratio_by_cpu_time": cpu_ratios,
        }
        figures.append(Measured("ingest_growth_ratio", ratios, beside))
    return figures


def _on_a_copy(folder: Path, size: Size, number: int) -> Ingested:
    home = folder / f"small-{number}"
    shutil.copytree(folder / "small", home)
    run = _run(home, size.small, size, number)
    shutil.rmtree(home)
    return run


def _run(home: Path, people: int, size: Size, number: int) -> Ingested:
    file = home.parent / "signals.jsonl"
    Visits(people, seed=number, name=f"r{number}").write(file, size.signals)
    return ingested(home, file, a_core())


def _cost(runs: list[Ingested]) -> dict[str, list[float]]:
    return {
        "cpu_us_per_signal": [one.cpu_us for one in runs],
        "per_s_by_cpu_time": [1e6 / one.cpu_us for one in runs],
        "profiles_per_signal": [one.profiles / one.signals for one in runs],
    }

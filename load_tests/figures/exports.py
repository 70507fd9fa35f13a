"""`export_stats_s`, `export_stats_peak_mib`, `export_ingest_loss`: figures of a large home.

The export runs in a process of its own, once alone and once while another
process takes signals in; that ingest's rate is held against one without export.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from load_tests.figures.homes import make_home
from load_tests.figures.ingest_process import Ingested, ingested
from load_tests.figures.machine import a_core
from load_tests.figures.model import Measured
from load_tests.figures.visits import Visits

NAMES = ("export_stats_s", "export_stats_peak_mib", "export_ingest_loss")
_EXPORT = "load_tests.figures.export_process"


@dataclass(frozen=True, slots=True)
class Size:
    """People in the home, signals taken in beside an export, and runs."""

    people: int
    signals: int
    runs: int


FULL = Size(people=1_000_000, signals=120_000, runs=3)
SHORT = Size(people=5_000, signals=2_500, runs=1)


@dataclass(frozen=True, slots=True)
class Exported:
    """How long one export took, and the most memory it had."""

    took_s: float
    peak_mib: float


def measure(wanted: Collection[str], size: Size) -> list[Measured]:
    """The figures wanted; an export alone, ingest alone and both together take turns."""
    alone: list[Exported] = []
    losses: list[float] = []
    rates: list[float] = []
    put_off_s: list[float] = []
    with tempfile.TemporaryDirectory(prefix="kinfold-load-") as name:
        home = Path(name) / "home"
        make_home(home, size.people, consents=True)
        for number in range(size.runs):
            alone.append(_export(home))
            if "export_ingest_loss" in wanted:
                before = _ingest(home, size, 2 * number)
                before_s = before.wall_s + _checkpointed_s(home)
                beside = _beside(home, size, 2 * number + 1)
                put_off_s.append(_checkpointed_s(home))
                beside_s = beside.wall_s + put_off_s[-1]
                rates.append(before.signals / before_s)
                losses.append(max(0.0, 1 - beside.signals / beside_s / rates[-1]))
    told = {
        "export_stats_s": Measured("export_stats_s", [one.took_s for one in alone], {}),
        "export_stats_peak_mib": Measured(
            "export_stats_peak_mib", [one.peak_mib for one in alone], {}
        ),
        "export_ingest_loss": Measured(
            "export_ingest_loss", losses, {"signals_per_s_alone": rates, "put_off_s": put_off_s}
        ),
    }
    return [told[name] for name in NAMES if name in wanted]


def _start(home: Path) -> subprocess.Popen[str]:
    out = home.parent / "figures"
    shutil.rmtree(out, ignore_errors=True)
    return subprocess.Popen(
        [sys.executable, "-m", _EXPORT, str(home), str(out)], stdout=subprocess.PIPE, text=True
    )


def _finish(export: subprocess.Popen[str]) -> Exported:
    said, _ = export.communicate()
    assert export.returncode == 0, "the export failed"
    took_s, peak_mib = said.split()[-2:]
    return Exported(float(took_s), float(peak_mib))


def _export(home: Path) -> Exported:
    return _finish(_start(home))


def _checkpointed_s(home: Path) -> float:
    """Seconds to bring into the graph's file what its log still holds.

    While a snapshot is open nobody does that, so it is part of the cost; what
    one run put off must not be the next one's.
    """
    began_s = time.monotonic()
    with closing(sqlite3.connect(home / "graph.sqlite3")) as database:
        busy, *_ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert not busy, "the exporter has not let go of its snapshot"
    return time.monotonic() - began_s


def _ingest(home: Path, size: Size, number: int) -> Ingested:
    file = home.parent / "signals.jsonl"
    Visits(size.people, seed=number, name=f"s{number}").write(file, size.signals)
    return ingested(home, file, a_core())


def _beside(home: Path, size: Size, number: int) -> Ingested:
    """Ingest while exports follow each other without a pause."""
    file = home.parent / "signals.jsonl"
    Visits(size.people, seed=number, name=f"s{number}").write(file, size.signals)
    exporter = subprocess.Popen(
        [sys.executable, "-m", _EXPORT, str(home), str(home.parent / "beside"), "--again"]
    )
    try:
        time.sleep(1.0)
        return ingested(home, file, a_core())
    finally:
        exporter.terminate()
        exporter.wait()

"""`kinfold ingest` in a process of its own on one core: what it took in, and its time.

    python -m load_tests.figures.ingest_process CORE HOME FILE [--profile FILE]

Prints one line of JSON: what `kinfold ingest --json` says, with `wall_s` and
`cpu_s` (kernel included) from the first setting read to the last profile
published and everything closed. Loading Python and its packages is left out.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from ingest import intake, source_files  # noqa: F401 - loaded before the clock starts
from kinfold.cli import ingest as verb  # noqa: F401 - as above
from kinfold.cli import main as kinfold


@dataclass(frozen=True, slots=True)
class Ingested:
    """Signals counted, profiles published, and seconds spent."""

    signals: int
    profiles: int
    wall_s: float
    cpu_s: float

    @property
    def per_s(self) -> float:
        """Signals a second by the clock on the wall."""
        return self.signals / self.wall_s

    @property
    def cpu_us(self) -> float:
        """CPU time per signal."""
        return self.cpu_s / self.signals * 1e6


def ingested(home: Path, file: Path, core: int) -> Ingested:
    """Ingest a file into a home folder, in a process kept on one core."""
    command = [sys.executable, "-m", __name__, str(core), str(home), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["counted"] == told["read"], told
    return Ingested(told["counted"], told["profiles_published"], told["wall_s"], told["cpu_s"])


def main() -> int:
    """Ingest; the exit code of `kinfold ingest`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("core", type=int)
    parser.add_argument("home")
    parser.add_argument("file")
    parser.add_argument("--profile", help="write what cProfile saw; times are then no use")
    asked = parser.parse_args()
    os.sched_setaffinity(0, {asked.core})

    def run() -> int:
        return kinfold(["ingest", "--home", asked.home, "--json", asked.file])

    printed = io.StringIO()
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    with redirect_stdout(printed):
        code = run() if asked.profile is None else _profiled(run, asked.profile)
    times = {"wall_s": time.perf_counter() - wall_s, "cpu_s": time.process_time() - cpu_s}
    if code == 0:
        print(json.dumps({**json.loads(printed.getvalue()), **times}))
    return code


def _profiled(run: Callable[[], int], path: str) -> int:
    profile = cProfile.Profile()
    code = profile.runcall(run)
    profile.dump_stats(path)
    return code


if __name__ == "__main__":
    sys.exit(main())

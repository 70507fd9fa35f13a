"""`match_records_per_s`, `match_splink_ratio`, `match_one_ms` and `match_one_p99_ms`.

Ours matches the records of the published historical people, 300 at a time
against all that came before; Splink, in the same run and in an environment of
its own that is made when first asked for, links 300 new records to as many
known ones. Both models are learnt from the file without its labels beforehand.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from identity.matching.matcher import Matcher
from identity.matching.score import Scorer
from identity.matching.training import train
from kinfold.evaluate.reading import read
from load_tests.figures.model import Measured
from load_tests.figures.processes import VerbFailed

NAMES = ("match_records_per_s", "match_splink_ratio", "match_one_ms", "match_one_p99_ms")
SPLINK = "splink==5.0.0"
_ROOT = Path(__file__).parents[2]
_DATA = Path(os.environ.get("KINFOLD_DATA", _ROOT.parent / "shared" / "data"))
_SPLINK_FOLDER = _ROOT / "build" / "splink"
_BATCH = 300
_TIMEOUT_S = 600
_KEY = b"a key of a figure"

Record = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Size:
    """Records matched, records known when one more comes, how many of those come, and runs."""

    records: int
    known: int
    singles: int
    runs: int


FULL = Size(records=24_600, known=50_000, singles=1_000, runs=3)
SHORT = Size(records=1_500, known=2_000, singles=50, runs=1)


@dataclass(frozen=True, slots=True)
class Rate:
    """Records a second by the clock, and by CPU time."""

    per_s: float
    per_cpu_s: float


def measure(wanted: Collection[str], size: Size) -> list[Measured]:
    """The figures wanted.

    Raises:
        VerbFailed: the published data or Splink cannot be had.
    """
    file = _DATA / "people" / "historical_dev.csv"
    if not file.exists():
        raise VerbFailed(f"no {file}: set KINFOLD_DATA to the folder of the published data")
    records = read(file, {}, "cluster").records[: size.records]
    scorer = Scorer(train(records, name="figure", seed=1, key=_KEY), _KEY)
    figures = []
    if set(wanted) & set(NAMES[:2]):
        figures += _in_batches(file, records, scorer, size)
    if set(wanted) & set(NAMES[2:]):
        figures += _one_by_one(records, scorer, size)
    return [figure for figure in figures if figure.name in wanted]


def _in_batches(
    file: Path, records: Sequence[Record], scorer: Scorer, size: Size
) -> list[Measured]:
    """Ours and Splink in turn."""
    python = _splink()
    ours, theirs = [], []
    for _ in range(size.runs):
        ours.append(_ours(records, scorer))
        theirs.append(_theirs(python, file, len(records)))
    rates = {
        "per_cpu_s": [one.per_cpu_s for one in ours],
        "splink_per_s": [one.per_s for one in theirs],
        "splink_per_cpu_s": [one.per_cpu_s for one in theirs],
    }
    ratios = [one.per_s / other.per_s for one, other in zip(ours, theirs, strict=True)]
    by_cpu = [one.per_cpu_s / other.per_cpu_s for one, other in zip(ours, theirs, strict=True)]
    return [
        Measured("match_records_per_s", [one.per_s for one in ours], rates),
        Measured("match_splink_ratio", ratios, {"ratio_by_cpu_time": by_cpu}),
    ]


def _matcher(scorer: Scorer) -> Matcher:
    return Matcher(Scorer(scorer.model, _KEY), _order)


def _order(record: str) -> int:
    return int.from_bytes(blake2b(record.encode(), key=_KEY, digest_size=8).digest()) >> 1


def _ours(records: Sequence[Record], scorer: Scorer) -> Rate:
    matcher = _matcher(scorer)
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    for start in range(0, len(records), _BATCH):
        batch = records[start : start + _BATCH]
        matcher.update({str(start + place): record for place, record in enumerate(batch)})
    wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    return Rate(len(records) / wall_s, len(records) / cpu_s)


def _theirs(python: Path, file: Path, records: int) -> Rate:
    """Of a batch each when a quarter, half, three quarters and all but it of the records came."""
    known = [str(part * (records - _BATCH) // 4) for part in (1, 2, 3, 4)]
    script = Path(__file__).with_name("splink_process.py")
    told = _run([str(python), str(script), str(file), str(_BATCH), *known])
    runs: list[dict[str, float]] = json.loads(told.splitlines()[-1])
    done = _BATCH * len(runs)
    return Rate(done / sum(r["wall_s"] for r in runs), done / sum(r["cpu_s"] for r in runs))


def _splink() -> Path:
    """Python of the environment that holds Splink; made when it is not there."""
    python = _SPLINK_FOLDER / "bin" / "python"
    ready = _SPLINK_FOLDER / f"{SPLINK}.ready"
    if not ready.exists():
        _run([sys.executable, "-m", "venv", "--clear", str(_SPLINK_FOLDER)])
        _run([str(python), "-m", "pip", "install", "--quiet", SPLINK])
        ready.touch()
    return python


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise VerbFailed(f"Splink cannot be had or run: {type(error).__name__}") from error
    return done.stdout


def _one_by_one(records: Sequence[Record], scorer: Scorer, size: Size) -> list[Measured]:
    """Single records that come when so many are known: the last ones of the file."""
    coming, before = records[-size.singles :], records[: -size.singles]
    known = [*before, *map(_elsewhere, records)][: size.known]
    matcher = _matcher(scorer)
    for start in range(0, len(known), _BATCH):
        batch = known[start : start + _BATCH]
        matcher.update({str(start + place): record for place, record in enumerate(batch)})
    p50, p99 = [], []
    for _ in range(size.runs):
        took_ms = []
        for place, record in enumerate(coming):
            began_s = time.perf_counter()
            matcher.update({f"new {place}": record})
            took_ms.append((time.perf_counter() - began_s) * 1e3)
        matcher.update(remove=[f"new {place}" for place in range(len(coming))])
        p50.append(float(np.quantile(took_ms, 0.5)))
        p99.append(float(np.quantile(took_ms, 0.99)))
    beside: dict[str, list[float]] = {"known": [len(matcher)]}
    return [Measured("match_one_ms", p50, beside), Measured("match_one_p99_ms", p99, beside)]


_NEXT = str.maketrans("abcdefghijklmnopqrstuvwxyz", "bcdefghijklmnopqrstuvwxyza")


def _elsewhere(record: Record) -> Record:
    """Somebody as rare as the record's, who shares no name or place with anybody of the file."""
    return {
        attribute: text if attribute == "gender" else text.lower().translate(_NEXT)
        for attribute, text in record.items()
    }

"""`match_records_per_s`, `match_splink_ratio`, `match_one_ms`, `match_one_p99_ms`; `match_neo4j_*`.

Ours takes in and resolves the records of the published historical people
through intake, store and resolver in one thread, 300 at a time against all
that came before; Splink, in the same run and in an environment of
its own that is made when first asked for, links 300 new records to as many
known ones. Both models are learnt from the file without its labels beforehand.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from identity.engines.neo4j.store import Neo4jGraphStore
from identity.engines.sqlite import SqliteGraphStore
from identity.matching.model import MatchModel
from identity.matching.training import train
from kinfold.evaluate.reading import read
from load_tests.figures.match_stage import Stage, matching_key
from load_tests.figures.model import Measured
from load_tests.figures.processes import VerbFailed
from load_tests.figures.real_servers import RealServers

NAMES = (
    "match_records_per_s", "match_splink_ratio", "match_one_ms", "match_one_p99_ms",
    "match_neo4j_records_per_s", "match_neo4j_one_ms",
)  # fmt: skip
SPLINK = "splink==5.0.0"
_ROOT = Path(__file__).parents[2]
_DATA = Path(os.environ.get("KINFOLD_DATA", _ROOT.parent / "shared" / "data"))
_SPLINK_FOLDER = _ROOT / "build" / "splink"
_BATCH = 300
_TIMEOUT_S = 600

Record = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Size:
    """Records matched, records known when one more comes, how many of those come, and runs.

    `on_neo4j` are the records matched there, the last of them as singles.
    """

    records: int
    known: int
    singles: int
    runs: int
    on_neo4j: int


FULL = Size(records=24_600, known=50_000, singles=1_000, runs=3, on_neo4j=6_000)
SHORT = Size(records=1_500, known=2_000, singles=50, runs=1, on_neo4j=400)


@dataclass(frozen=True, slots=True)
class Rate:
    """Records a second by the clock, and by CPU time."""

    per_s: float
    per_cpu_s: float


def measure(wanted: Collection[str], size: Size, servers: RealServers) -> list[Measured]:
    """The figures wanted.

    Raises:
        VerbFailed: the published data or Splink cannot be had.
    """
    file = _DATA / "people" / "historical_dev.csv"
    if not file.exists():
        raise VerbFailed(f"no {file}: set KINFOLD_DATA to the folder of the published data")
    records = read(file, {}, "cluster").records[: size.records]
    model = train(records, name="figure", seed=1, key=matching_key())
    figures = []
    if set(wanted) & set(NAMES[:2]):
        figures += _in_batches(file, records, model, size)
    if set(wanted) & set(NAMES[2:4]):
        figures += _one_by_one(records, model, size)
    if set(wanted) & set(NAMES[4:]):
        figures += _on_neo4j(records, model, size, servers)
    return [figure for figure in figures if figure.name in wanted]


def _in_batches(
    file: Path, records: Sequence[Record], model: MatchModel, size: Size
) -> list[Measured]:
    """Ours and Splink in turn."""
    python = _splink()
    ours, theirs = [], []
    for _ in range(size.runs):
        ours.append(_ours(records, model))
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


def _ours(records: Sequence[Record], model: MatchModel) -> Rate:
    with _stage(model) as stage:
        began_cpu_s = time.process_time()
        wall_s = _fill(stage, records)
        return Rate(len(records) / wall_s, len(records) / (time.process_time() - began_cpu_s))


@contextmanager
def _stage(model: MatchModel) -> Iterator[Stage]:
    """On an embedded store of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="kinfold-load-") as folder,
        closing(SqliteGraphStore(Path(folder) / "graph.sqlite3")) as store,
    ):
        yield Stage(store, model)


def _fill(stage: Stage, records: Sequence[Record]) -> float:
    """Take records in by batches; the seconds it took."""
    starts = range(0, len(records), _BATCH)
    return sum(stage.take(records[start : start + _BATCH]) for start in starts)


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


def _one_by_one(records: Sequence[Record], model: MatchModel, size: Size) -> list[Measured]:
    """Single records that come when so many are known: the last ones of the file."""
    coming, before = records[-size.singles :], records[: -size.singles]
    known = [*before, *map(_elsewhere, records)][: size.known]
    with _stage(model) as stage:
        _fill(stage, known)
        took_ms = [stage.take([record]) * 1e3 for record in coming]
    p50, p99 = (float(np.quantile(took_ms, part)) for part in (0.5, 0.99))
    beside: dict[str, list[float]] = {"known": [float(len(known))]}
    return [Measured("match_one_ms", [p50], beside), Measured("match_one_p99_ms", [p99], beside)]


def _on_neo4j(
    records: Sequence[Record], model: MatchModel, size: Size, servers: RealServers
) -> list[Measured]:
    """The same on a real Neo4j: batches, then single records."""
    server = servers.empty_neo4j()
    some = records[: size.on_neo4j]
    before, coming = some[: -size.singles], some[-size.singles :]
    auth = (server.user, server.password)
    with closing(Neo4jGraphStore(server.bolt_url, auth, server.database)) as store:
        stage = Stage(store, model)
        wall_s = _fill(stage, before)
        took_ms = [stage.take([record]) * 1e3 for record in coming]
    p50, p99 = (float(np.quantile(took_ms, part)) for part in (0.5, 0.99))
    return [
        Measured("match_neo4j_records_per_s", [len(before) / wall_s]),
        Measured("match_neo4j_one_ms", [p50], {"p99_ms": [p99]}),
    ]


_NEXT = str.maketrans("abcdefghijklmnopqrstuvwxyz", "bcdefghijklmnopqrstuvwxyza")


def _elsewhere(record: Record) -> Record:
    """Somebody as rare as the record's, who shares no name or place with anybody of the file."""
    return {
        attribute: text if attribute == "gender" else text.lower().translate(_NEXT)
        for attribute, text in record.items()
    }

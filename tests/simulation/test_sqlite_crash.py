"""kill -9 of a process that commits to the embedded store, at random moments."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from identity.engines.memory import MemoryGraphStore
from identity.engines.sqlite import SqliteGraphStore
from identity.store import GraphStore
from tests.support.evidence_stream import drain, stream
from tests.support.store_driver import Consumer, Snapshot, settle_everybody, snapshot

ROOT = Path(__file__).parents[2]
SIZE = 1_500
KILLS = 8


def start(path: Path, seed: int) -> subprocess.Popen[str]:
    """A process that commits, once it owns its partition."""
    command = [
        sys.executable,
        "-m",
        "tests.support.evidence_stream",
        str(path),
        str(seed),
        str(SIZE),
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def of_prefix(store: GraphStore, seed: int, taken: int) -> Snapshot:
    """What the reference says of the first `taken` signals under the same horizons."""
    reference = MemoryGraphStore()
    Consumer(reference).take(*stream(seed, SIZE)[:taken])
    for kind, before_day in store.horizons().items():
        reference.move_horizon(kind, before_day)
    return snapshot(reference)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_after_kill_9_the_state_is_that_of_an_undisturbed_run(tmp_path: Path, seed: int) -> None:
    """After each kill the store holds exactly what its checkpoint says; at the end, everything."""
    path = tmp_path / "graph.db"
    drawn = random.Random(seed)
    cut_short = 0
    for _ in range(KILLS):
        process = start(path, seed)
        time.sleep(drawn.random() * 0.08)
        process.kill()
        process.communicate()
        store = SqliteGraphStore(path)
        taken = int(store.claim("partition-0").position or b"0")
        cut_short += taken < SIZE
        assert snapshot(store) == of_prefix(store, seed, taken)
        store.close()
    assert cut_short >= KILLS // 2
    process = start(path, seed)
    process.communicate(timeout=100)
    assert process.returncode == 0
    store = SqliteGraphStore(path)
    undisturbed = SqliteGraphStore(tmp_path / "undisturbed.db")
    drain(undisturbed, seed, SIZE)
    settle_everybody(undisturbed)
    assert snapshot(store) == snapshot(undisturbed) == of_prefix(store, seed, SIZE)
    assert store.totals().nodes == undisturbed.totals().nodes
    store.close()
    undisturbed.close()

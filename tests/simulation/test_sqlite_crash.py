"""kill -9 of a process that commits to the embedded store, at random moments."""

from __future__ import annotations

import random
import signal
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
SHARE = SIZE // (KILLS + 1)
"""How many signals a process that is to be killed takes at most, but for the rest of a batch."""


def start(path: Path, seed: int, *until: int) -> subprocess.Popen[str]:
    """A process that commits, once it has its partition; it waits once it has taken `until`."""
    command = [sys.executable, "-m", "tests.support.evidence_stream", str(path)]
    numbers = map(str, (seed, SIZE, *until))
    return subprocess.Popen([*command, *numbers], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def kill(process: subprocess.Popen[str], at: int, share: float) -> None:
    """Kill -9 once so many are taken, and a share of the longest step seen has passed."""
    assert process.stdout is not None
    longest_s, taken = 0.0, int(process.stdout.readline())
    while taken < at:
        began_s = time.monotonic()
        taken = int(process.stdout.readline())
        longest_s = max(longest_s, time.monotonic() - began_s)
    time.sleep(share * min(longest_s, 0.1))
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


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
    taken = 0
    for _ in range(KILLS):
        # However fast the machine is, a process that is to be killed leaves something to the next.
        process = start(path, seed, taken + SHARE)
        kill(process, taken + drawn.randrange(SHARE), drawn.random())
        store = SqliteGraphStore(path)
        taken = int(store.claim("partition-0").position or b"0")
        assert snapshot(store) == of_prefix(store, seed, taken)
        store.close()
    assert 0 < taken < SIZE
    process = start(path, seed)
    process.communicate(timeout=240)
    assert process.returncode == 0
    store = SqliteGraphStore(path)
    undisturbed = SqliteGraphStore(tmp_path / "undisturbed.db")
    drain(undisturbed, seed, SIZE)
    settle_everybody(undisturbed)
    assert snapshot(store) == snapshot(undisturbed) == of_prefix(store, seed, SIZE)
    assert store.totals().nodes == undisturbed.totals().nodes
    store.close()
    undisturbed.close()

"""Kill -9 of `kinfold ingest`, which reads, resolves and publishes in one process."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import orjson
import pytest

from kinfold.generate.spec import CohortSpec
from tests.support.cohort import lines, made
from tests.support.deployment import ROOT, Deployment, assert_same
from tests.support.intaking import line

COHORT = CohortSpec(people=100, days=6, seed=8, bad=0.002, mistaken=0.05)
# Small batches: more moments to die at.
SETTINGS = {"KINFOLD_INGEST_BATCH_SIZE": "60"}
KILLS, MOST = 6, 12
"""How many processes are killed, and how many batches each of them does at most."""
HELD = f"""
import signal, sys
from kinfold.cli import main
from kinfold.upkeep import Upkeep

batches, after = 0, Upkeep.after

def held(upkeep, signals):
    global batches
    after(upkeep, signals)
    batches += 1
    print("batch", flush=True)
    while batches == {MOST}:
        signal.pause()

Upkeep.after = held
sys.exit(main(sys.argv[1:]))
"""
"""The command itself, which tells its batches and waits to be killed after some."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def signals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort with bad lines, signals that come twice, and contents that share an id."""
    told = lines(made(COHORT)[0])
    drawn = random.Random(4)
    for number in range(40):
        told.insert(drawn.randrange(len(told)), b'{"source":"web","broken":%d\n' % number)
        told.insert(drawn.randrange(len(told)), drawn.choice(told))
        for category in ("one", "two"):
            said = line(signal_id=f"same-{number}", behaviour={"type": 1, "category": category})
            told.insert(drawn.randrange(len(told)), said + b"\n")
    path = tmp_path_factory.mktemp("signals") / "signals.jsonl"
    path.write_bytes(b"".join(told))
    return path


@pytest.mark.parametrize("seed", [1, 2])
def test_kills_leave_no_trace(signals: Path, tmp_path: Path, seed: int) -> None:
    """Killed again and again and started anew, the command ends where one whole run ends."""
    drawn = random.Random(seed)
    with (
        closing(Deployment(tmp_path / "shaken", SETTINGS)) as shaken,
        closing(Deployment(tmp_path / "undisturbed", SETTINGS)) as undisturbed,
    ):
        longest_s = 0.0
        for kill in range(KILLS):
            # Every other one dies in its first batch, or while it resolves what was left to it.
            batches = 0 if kill % 2 else drawn.randrange(1, MOST // 2)
            longest_s = _killed(shaken, signals, batches, drawn.random(), longest_s)
        assert shaken.start("ingest", "--json", str(signals)).wait(300) == 0
        assert orjson.loads((shaken.folder / "said.txt").read_bytes())["read"] > 0
        shaken.share_keys_with(undisturbed)
        assert undisturbed.start("ingest", str(signals)).wait(300) == 0
        assert_same(shaken.left(), undisturbed.left())


def _killed(
    shaken: Deployment, signals: Path, batches: int, share: float, longest_s: float
) -> float:
    """Ingest, killed after so many batches and a share of the longest one; how long that took.

    Told in batches, a fast machine kills no later than a slow one: not after the end.
    """
    command = [sys.executable, "-c", HELD, "ingest", str(signals)]
    with subprocess.Popen(
        command, cwd=ROOT, env=shaken.environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        _until_it_writes(process, shaken.folder / "graph.sqlite3-wal")
        for _ in range(batches):
            began_s = time.monotonic()
            assert process.stdout.readline() == b"batch\n"
            longest_s = max(longest_s, time.monotonic() - began_s)
        time.sleep(share * longest_s)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    return longest_s


def _until_it_writes(process: subprocess.Popen[bytes], log: Path) -> None:
    began_ns = time.time_ns()
    while process.poll() is None:
        # The log is gone for a moment when one part of the command closes the graph.
        with suppress(FileNotFoundError):
            if log.stat().st_mtime_ns > began_ns:
                return
        time.sleep(0.001)


def test_what_was_ingested_is_not_read_again(signals: Path, tmp_path: Path) -> None:
    """A second run over the same file goes on at its end: nothing to read, nothing changed."""
    with closing(Deployment(tmp_path / "home", SETTINGS)) as deployment:
        assert deployment.start("ingest", str(signals)).wait(300) == 0
        before = deployment.left()
        said = deployment.folder / "said.txt"
        said.unlink()
        assert deployment.start("ingest", "--json", str(signals)).wait(300) == 0
        assert '"read":0' in said.read_text("utf-8").replace(" ", "")
        assert_same(deployment.left(), before)

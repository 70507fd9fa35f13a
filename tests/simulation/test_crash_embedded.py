"""Kill -9 of `kinfold ingest`, which reads, resolves and publishes in one process."""

from __future__ import annotations

import random
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from kinfold.generate.spec import CohortSpec
from tests.support.cohort import lines, made
from tests.support.deployment import Deployment, assert_same
from tests.support.intaking import line

COHORT = CohortSpec(people=100, days=6, seed=8, bad=0.002, mistaken=0.05)
# Small batches: more moments to die at.
SETTINGS = {"KINFOLD_INGEST_BATCH_SIZE": "60"}
KILLS = 6

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
        kills = 0
        while True:
            process = shaken.start("ingest", str(signals))
            try:
                _until_it_writes(process, shaken.folder / "graph.sqlite3-wal")
                # Begun, and not yet done, on a fast machine too.
                assert process.wait(drawn.uniform(0.0, 0.5) if kills < KILLS else 300) == 0
                break
            except subprocess.TimeoutExpired:
                shaken.kill(process)
                kills += 1
        assert kills > 2
        shaken.share_keys_with(undisturbed)
        assert undisturbed.start("ingest", str(signals)).wait(300) == 0
        assert_same(shaken.left(), undisturbed.left())


def _until_it_writes(process: subprocess.Popen[bytes], log: Path) -> None:
    began_ns = time.time_ns()
    while process.poll() is None and not (log.exists() and log.stat().st_mtime_ns > began_ns):
        time.sleep(0.005)


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

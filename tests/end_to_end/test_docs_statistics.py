"""docs/statistics.md shows what its worked examples print."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.support.command_line import CommandLine

PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"
_BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def never_met(number: int) -> bytes:
    """A cookie that never meets anything else."""
    signal = {
        "source": "web",
        "signalId": f"new-{number}",
        "eventTime": "2026-01-19T08:00:00Z",
        "identifiers": [{"kind": "cookie", "value": f"never-met-{number}"}],
        "behaviour": {"type": "BEHAVIOUR_TYPE_PAGE_VIEW", "category": "news/local"},
    }
    return orjson.dumps(signal) + b"\n"


def without_weeks(text: str) -> list[str]:
    """Lines with the days of weeks taken out: they are those of the run."""
    return [re.sub(r"\d{4}-\d\d-\d\d", "WEEK", line) for line in text.splitlines() if line]


def in_order(wanted: str, told: str) -> bool:
    """Whether all wanted lines are told, in their order, whatever stands between them."""
    lines = iter(without_weeks(told))
    return all(line in lines for line in without_weeks(wanted))


@pytest.mark.slow
def test_the_three_questions_are_answered_as_shown(tmp_path: Path) -> None:
    """On the cohort that the page names, each example prints what the page shows."""
    (_, program), (_, worse), (_, reach), (_, fell) = _BLOCK.findall(PAGE.read_text("utf-8"))
    line = CommandLine(tmp_path)
    line.does("generate", "--people", "400", "--out", "cohort")
    line.does("ingest", "cohort/signals.jsonl")
    line.does("export", "stats", "--out", "monday", "--format", "csv")
    line.does("ingest", "-", given=b"".join(map(never_met, range(200))))
    line.does("export", "stats", "--out", "tuesday", "--format", "csv")
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines() == worse.splitlines()
    assert in_order(reach, line.does("stats", "--figure", "reach").out)
    line.does("expire", "--kind", "activity", "--before", "2026-01-11")
    line.does("ingest", "-", given=b"")
    told = line.does("stats", "--figure", "people_by_kind", "--figure", "changes_by_week").out
    # How many ids were given out and merged again depends on where batches ended.
    sure = [part for part in fell.splitlines() if "created" not in part and "merged" not in part]
    assert in_order("\n".join(sure), told), told

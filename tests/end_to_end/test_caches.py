"""What a process remembered of somebody is gone from its memory once they are erased."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest import normalise
from tests.support.asking_line import AskingLine
from tests.support.command_line import login

pytestmark = pytest.mark.slow


def test_an_erasure_empties_the_caches_and_says_so(tmp_path: Path) -> None:
    """In the process that erases at once; the receipt says what of the others."""
    line = AskingLine(tmp_path)
    line.take({**login(1, ("login", "ann")), "context": {"userAgent": "Mozilla/5.0 (Ann's)"}})
    assert normalise.agent.cache_info().currsize
    done = line.erase("r-1", "login:ann").json["request"]
    assert normalise.agent.cache_info().currsize == 0
    (caches,) = [one for one in done["stores"] if one["store"] == "caches"]
    assert caches["status"] == "partial"
    assert "others that run empty theirs within seconds" in caches["reason"]

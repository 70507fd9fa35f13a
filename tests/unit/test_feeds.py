"""What keeps a view fresh says so when it cannot go on: nobody serves what grows old unnoticed."""

from __future__ import annotations

import threading
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from kinfold.feeds import keep_fresh
from kinfold.keys import KeyWatch
from kinfold.settings import load
from kinfold.wiring import open_policies, open_vault, open_view

BREAKS_AT = 20
ENDED_S = 30.0


class Broken(Exception):
    """Nobody expects it."""


def test_upkeep_that_cannot_go_on_ends_whoever_waits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A clock breaks long after the start: it is logged, `ended` is set, the block raises it."""
    readings = count()

    def clock() -> float:
        if (reading := next(readings)) >= BREAKS_AT:
            raise Broken
        return float(reading)

    settings = load({"home.dir": str(tmp_path / "home")}, {})
    policies, ended = open_policies(settings), threading.Event()
    with closing(open_vault(settings)) as vault, closing(open_view(settings)) as view:
        fresh = keep_fresh(
            settings, policies, vault, view, watch=KeyWatch(vault, clock), ended=ended
        )
        with pytest.raises(Broken), fresh:
            ended.wait(ENDED_S)
    assert ended.is_set()
    assert "upkeep failed and cannot go on: Broken" in caplog.text

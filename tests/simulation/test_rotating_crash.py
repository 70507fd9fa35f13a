"""A rotation of keys killed at any moment is ended by the next process, and nobody is hidden."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kinfold.rotating import begin
from tests.support.rotating import SIGNALS, Fate, Killed, RotatingHome


@pytest.mark.parametrize("tokens", [False, True], ids=["epoch", "epoch and tokens"])
def test_crash_between_each_two_steps(tmp_path: Path, tokens: bool) -> None:
    """Killed before and after everything that has effects, the next process ends the rotation."""
    first = RotatingHome(tmp_path / "home")
    with first.process() as process:
        process.take(*SIGNALS)
        process.keep_letter()
        process.finish()
        ada, people = process.finds("login", "u-ada"), set(process.plain_store.all_people())
    deaths = 0
    while True:
        deaths += 1
        shutil.copytree(first.folder, tmp_path / str(deaths))
        home, fate = RotatingHome(tmp_path / str(deaths)), Fate()
        with home.process(fate) as process:
            assert begin(process.plain_vault, home.now_us, tokens=tokens)
            fate.calls, fate.calls_left = 0, deaths
            try:
                process.finish()
                lived = True
            except Killed:
                lived = False
        home.now_us += 1_000_000
        with home.process() as process:
            assert process.finds("login", "u-ada")[0] == ada[0]
            process.finish(lambda: process.finds("login", "u-ada"))
            assert process.plain_vault.epochs() == (2,)
            assert process.epochs_left() == {2}
            assert process.chain() == ((2, 2) if tokens else (1, 1))
            assert process.finds("login", "u-ada")[0] == ada[0]
            assert process.finds("email", "ada@example.org")[1].attributes
            assert set(process.plain_store.all_people()) == people
            assert process.open_letter() == b"bad input of ada@example.org"
            assert home.log.destroyed.keys() == {1}
            assert len(home.log.ended) == 1
        if lived:
            break
    assert deaths > 40, "there are more steps than these"

"""What comes in, merges or dies while somebody is erased: embedded, and on real servers."""

from __future__ import annotations

import signal as signals
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from identity.store import Outcome
from kinfold.privacy_places import open_ledger
from kinfold.wiring import open_vault
from profiles.deletions import Erasure
from profiles.privacy import Erased, Status
from tests.support.ann_and_ben import (
    ALL_OF_ANN,
    ANN,
    BEN,
    STEPS,
    all_of,
    anns,
    assert_gone,
    bens,
    home_on,
    login_of,
    unreadable,
)
from tests.support.deployment import ROOT
from tests.support.end_state import EndState, end_state
from tests.support.erasing import Home, Take, home_at, record, signal

pytestmark = pytest.mark.timeout(600)
SERVERS = pytest.param("servers", marks=[pytest.mark.servers, pytest.mark.slow])


@pytest.fixture(params=["embedded", SERVERS])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    """A home in which nobody is known yet, embedded or on the real servers."""
    if request.param == "embedded":
        return home_at(tmp_path / "home", {})
    graph, broker = (request.getfixturevalue(name) for name in ("empty_neo4j", "pulsar_server"))
    return home_on(tmp_path / "home", graph, broker)


def erase_amid(
    home: Home, take: Take, who: str, at: str, *arriving: dict[str, object]
) -> tuple[Erased, list[Outcome]]:
    """Erase somebody; at a step, before it is done, signals come to a consumer that runs already.

    Also what became of those.
    """
    outcomes: list[Outcome] = []

    def arrives(step: str) -> None:
        if step == at and not outcomes:
            outcomes.extend(take(*arriving))

    return home.erase(login_of(who), f"r-{who}", step=arrives), outcomes


def test_the_steps_of_an_erasure(tmp_path: Path) -> None:
    """Undisturbed, an erasure does each of the steps that the tests here come between, once."""
    home = home_at(tmp_path / "home", {})
    home.take(*anns())
    done: list[str] = []
    home.erase(ANN, step=done.append)
    assert tuple(done) == STEPS


def test_signal_arriving_during_erasure(home: Home) -> None:
    """Whatever step it meets, a signal of before is gone in the end; so is what it brought, where
    it came in before the fence stood. What somebody else is known by is not.
    """
    # Behind the fence one step is like another, and each takes the servers seconds.
    steps = ("ledger", "fence", "sweep") if home.settings.pulsar.url else STEPS
    home.take(*bens(), *(done for at in steps for done in anns(at)))
    gone: list[str] = []
    alone: list[str] = []
    with home.consumer() as take:
        for at in steps:
            tablet = f"cookie:{at}-tablet"
            came_in = STEPS.index(at) <= STEPS.index("fence")
            _, outcomes = erase_amid(
                home, take, at, at, signal(f"{at}-7", login_of(at), tablet),
                signal(f"{at}-8", tablet),
            )  # fmt: skip
            assert outcomes == [Outcome.COUNTED if came_in else Outcome.ERASED, Outcome.COUNTED]
            gone += all_of(at)
            (gone if came_in else alone).append(tablet)
    home.settle()
    assert_gone(home, *gone)
    left = home.all_shown(BEN, *alone)
    assert left == home.known(BEN, *alone)
    assert len(set(left.values())) == 1 + len(alone)


def test_merge_racing_erasure(home: Home) -> None:
    """Somebody merged with the person while they are erased is left whole, and that is told."""
    steps = ("ledger", "fence", "widen", "sweep")
    home.take(*(done for at in steps for done in (*anns(at), *bens(f"ben-{at}"))))
    bens_logins = [login_of(f"ben-{at}") for at in steps]
    bens_ids = home.known(*bens_logins)
    before = whole(home, *bens_logins)
    assert len(before) == len(steps)
    with home.consumer() as take:
        for at in steps:
            merging = signal(f"{at}-60", login_of(at), login_of(f"ben-{at}"))
            erased, outcomes = erase_amid(home, take, at, at, merging)
            (graph,) = (one for one in erased.stores if one.store == "graph")
            if STEPS.index(at) <= STEPS.index("fence"):
                assert outcomes == [Outcome.COUNTED]
                assert graph.status is Status.PARTIAL
                assert "another account among them: they were left alone" in graph.reason
            else:
                assert outcomes == [Outcome.ERASED]
                assert (graph.status, graph.reason) == (Status.DONE, "")
    home.settle()
    assert_gone(home, *(one for at in steps for one in all_of(at)))
    assert whole(home, *bens_logins) == before
    known = home.known(*bens_logins)
    assert home.all_shown(*bens_logins) == known
    with home.store() as store:
        assert {named: store.current(one) for named, one in bens_ids.items()} == known


def whole(home: Home, *named: str) -> EndState:
    """All evidence of whoever is known by these."""
    keys = {home.key(one) for one in named}
    with home.store() as store:
        return {nodes: told for nodes, told in end_state(store).items() if keys & nodes}


# ---- cut short ---------------------------------------------------------------


class _Died(Exception):
    """The process ended here."""


def test_crash_between_each_two_steps(home: Home) -> None:
    """Cut short before any step, the next process to start goes on; nobody has to ask again.

    Letters are removed once and the audit log tells of it once, wherever it was cut.
    """
    home.take(*bens(), *(done for at in STEPS for done in (*anns(at), unreadable(f"{at}-80", at))))
    assert len(home.letters()) == len(STEPS)
    begun = STEPS[STEPS.index("ledger") + 1 :]
    for at in STEPS:

        def dies(step: str, at: str = at) -> None:
            if step == at:
                raise _Died

        logged = home.erasures_logged()
        with pytest.raises(_Died):
            home.erase(login_of(at), f"r-{at}", step=dies)
        home.start()
        assert home.erasures_logged() == logged + (at in begun)
    assert_gone(home, *(one for at in begun for one in all_of(at)))
    done = erasures(home)
    assert [one.request for one in done] == [f"r-{at}" for at in begun]
    assert all(one.finished_us is not None for one in done)
    assert [one.letters for one in done] == [1] * len(begun)
    assert len(home.letters()) == len(STEPS) - len(begun)
    others = (BEN, *(login_of(at) for at in STEPS if at not in begun))
    assert home.all_shown(*others).keys() == set(others)


def erasures(home: Home) -> list[Erasure]:
    """What the ledger knows of."""
    settings = home.settings
    with closing(open_vault(settings)) as vault, closing(open_ledger(settings, vault)) as ledger:
        return ledger.erasures()


def test_killed_in_the_middle_of_a_sweep(tmp_path: Path) -> None:
    """Kill -9 with some of the evidence gone and some not: the next to start removes the rest."""
    home = home_at(tmp_path / "home", {})
    on_ten_days = [
        signal(f"day-{day}", ANN, "cookie:shared", at=f"2026-03-{day}T12:00:00Z")
        for day in range(10, 20)
    ]
    with_ben = record("with-ben", BEN, "cookie:shared", fullName="Ben Beispiel")
    home.take(*anns(), *bens(), *on_ten_days, with_ben, unreadable(80, "ann"))
    before = signals_of(home)
    command = [sys.executable, "-m", "tests.support.dying_sweep", str(tmp_path / "home"), ANN]
    ended = subprocess.run(command, cwd=ROOT, check=False)
    assert ended.returncode == -signals.SIGKILL
    assert len(bens()) + 1 < signals_of(home) < before
    home.start()
    assert signals_of(home) == len(bens()) + 1
    assert_gone(home, *ALL_OF_ANN)
    assert home.together(BEN, "cookie:shared", "cookie:ben-laptop")
    assert home.shown(BEN) == home.person(BEN)
    assert home.letters() == []
    assert home.erasures_logged() == 1
    assert [one.finished_us is not None for one in erasures(home)] == [True]


def signals_of(home: Home) -> int:
    """How many signals the graph remembers."""
    with home.store() as store:
        return store.totals().signals

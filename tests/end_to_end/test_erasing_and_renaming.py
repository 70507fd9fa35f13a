"""An erasure and a rotation of token keys at once: what is fenced has the names that count."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from identity.store import FOREVER_US, StoreUnavailable
from kinfold.feeds import settle
from kinfold.keys import chain_of
from kinfold.letters import open_letters
from kinfold.privacy_places import open_erasing, open_ledger
from kinfold.restoring import brought_up
from kinfold.rotating import begin
from kinfold.wiring import now_us, open_policies, open_store, open_vault
from tests.support.erasing import Home, home_at, now, signal

pytestmark = pytest.mark.timeout(120)
ANN, BEN, PHONE = "login:ann@example.com", "login:ben@example.com", "cookie:ann-phone"
LATE = signal(7, ANN, "cookie:ann-tablet")
UNREADABLE = {**signal(8, ANN), "eventTime": "yesterday"}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Ann and Ben are known; a letter about Ann is dead."""
    made = home_at(tmp_path / "home", {})
    made.take(signal(1, ANN, PHONE), signal(2, BEN), UNREADABLE)
    assert letters(made) == 1
    return made


def letters(home: Home) -> int:
    """How many dead letters there are."""
    with closing(open_letters(home.settings)) as opened:
        return len(list(opened.all()))


def asked_for(home: Home) -> None:
    """Somebody asks for new token keys; nobody carries it out yet."""
    with closing(open_vault(home.settings)) as vault:
        assert begin(vault, now_us() - 10_000_000, tokens=True)


def carried_out(home: Home) -> None:
    """And it is carried out."""
    home.does("keys", "rotate", "--tokens")


def chain(home: Home) -> int:
    """How many token keys nodes are named under."""
    with closing(open_vault(home.settings)) as vault:
        return len(chain_of(vault))


def assert_erased(home: Home) -> None:
    """Nobody is known by what was Ann's, nothing late brings her back, and Ben is there."""
    for one in (ANN, PHONE):
        assert home.person(one) is None
        assert home.shown(one) is None
    fenced = {home.key(ANN), home.key(PHONE)}
    with home.store() as store:
        assert set(store.fences(fenced)) == fenced
    # What the ledger brings a graph up to that is put back from a backup.
    with (
        closing(open_vault(home.settings)) as vault,
        closing(open_ledger(home.settings, vault)) as ledger,
    ):
        assert set(ledger.fences("r-1")) == fenced
    assert letters(home) == 0
    home.take(LATE)
    assert home.person(ANN) is None
    assert home.person("cookie:ann-tablet") is None
    assert home.shown(BEN) is not None


@pytest.mark.parametrize("rotates", [carried_out, asked_for])
def test_opened_before_nodes_were_named_anew(home: Home, rotates: Callable[[Home], None]) -> None:
    """An erasure that was opened under former names fences those of now: whether they were
    changed by then, or change while it settles.
    """
    person = home.person(ANN)
    assert person is not None
    with home.erasing() as erasing:
        rotates(home)
        erased = erasing.erase("r-1", person)
    assert chain(home) == 2
    assert erased.scope is not None
    assert set(erased.scope.fenced) == {home.key(ANN), home.key(PHONE)}
    if rotates is asked_for:
        home.does("keys", "rotate")
    assert_erased(home)


def test_none_begins_while_nodes_are_named_anew(home: Home) -> None:
    """It is refused with nothing written, and goes through once the renaming is done."""
    person = home.person(ANN)
    assert person is not None
    settings, policies = home.settings, open_policies(home.settings)
    carried: list[bool] = []
    with closing(open_vault(settings)) as vault, closing(open_store(settings)) as store:

        def settles() -> None:
            if carried:
                settle(settings, policies, vault, store)

        asked_for(home)
        with closing(open_ledger(settings, vault)) as ledger:
            assert ledger.rename(2)
        with open_erasing(
            settings, policies, vault, store, settle_up=settles, patience_s=0.2
        ) as erasing:
            with pytest.raises(StoreUnavailable, match="named anew"):
                erasing.erase("r-1", person)
            assert erasing.names("r-1") == {}
            assert store.fences([home.key(ANN)]) == {}
            home.does("keys", "rotate")
            carried.append(True)
            erasing.erase("r-1", person)
    assert_erased(home)


def test_none_are_named_anew_while_one_is_under_way(home: Home) -> None:
    """Whatever step it is at, from the ledger on: names stay until it is done."""
    chains: dict[str, int] = {}

    def rotates(step: str) -> None:
        if step == "fence":
            asked_for(home)
        chains[step] = chain(home)

    home.erase(ANN, step=rotates)
    assert set(chains.values()) == {1}
    home.does("keys", "rotate")
    assert chain(home) == 2
    assert_erased(home)


def test_a_suppression_lifted_after_nodes_were_named_anew(home: Home) -> None:
    """It ends under the names of now, though it was opened under former ones."""
    home.erase(ANN, suppress=True)
    with home.erasing() as erasing:
        carried_out(home)
        assert erasing.lift("r-1")
    with home.store() as store:
        assert store.fences([home.key(ANN)])[home.key(ANN)] < FOREVER_US
    home.take(signal(9, ANN, at=now()))
    assert home.person(ANN) is not None


def test_keys_put_back_do_not_hold_erasures_up(home: Home) -> None:
    """A ledger that knows of more token keys than a home put back has lets it erase, too."""
    person = home.person(ANN)
    assert person is not None
    settings = home.settings
    with closing(open_vault(settings)) as vault:
        with closing(open_ledger(settings, vault)) as ledger:
            assert ledger.rename(2)
        brought_up(settings, open_policies(settings), vault)
    home.erase(ANN)
    assert_erased(home)

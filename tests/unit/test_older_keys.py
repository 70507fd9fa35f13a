"""Keys put back from before the graph's last rotation: no new key passes for one that is lost."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

import pytest

from identity.engines.memory import MemoryGraphStore
from identity.store import KeyAge
from kinfold.older_keys import outgrow_lost_keys, outgrown
from profiles.deletions import LEDGER, DeletionLedger, destroy_again
from profiles.vault_memory import MemoryVault


def put_back(ledger_path: Path, *destroyed: int) -> MemoryVault:
    """A vault of one epoch, as when it is opened beside a ledger that says what is destroyed."""
    vault = MemoryVault(random.Random(1).randbytes)
    with closing(DeletionLedger(ledger_path, lambda key, _: key, 1)) as ledger:
        for epoch in destroyed:
            ledger.destroyed(epoch, 1)
    destroy_again(ledger_path, vault)
    return vault


def graph_of(epoch: int) -> MemoryGraphStore:
    """A graph that takes in nothing made under an older epoch."""
    store = MemoryGraphStore()
    store.require(KeyAge(epoch, 1))
    return store


@pytest.fixture
def ledger_path(tmp_path: Path) -> Path:
    """Where a deletion ledger will be."""
    return tmp_path / LEDGER


@pytest.mark.parametrize("graph_epoch", [0, 1, 2, 3, 5])
def test_what_is_sealed_next_passes_for_nothing_lost(ledger_path: Path, graph_epoch: int) -> None:
    """However many rotations there were since, the epoch has a number that no lost key had."""
    vault, store = put_back(ledger_path, 1), graph_of(graph_epoch)
    assert outgrow_lost_keys(vault, store)
    assert vault.epochs() == (max(2, graph_epoch) + 1,)
    outgrown(vault)
    assert not outgrow_lost_keys(vault, store)
    assert vault.epochs() == (max(2, graph_epoch) + 1,)


def test_cut_short_it_is_done_again(ledger_path: Path) -> None:
    """Until views began anew, whoever starts next hears of it."""
    vault, store = put_back(ledger_path, 1), graph_of(2)
    assert outgrow_lost_keys(vault, store)
    assert outgrow_lost_keys(vault, store)
    assert vault.epochs() == (3,)


def test_keys_that_still_open_something_stay(ledger_path: Path) -> None:
    """Of a key store that is only older than the graph none is destroyed."""
    vault, store = put_back(ledger_path), graph_of(3)
    assert outgrow_lost_keys(vault, store)
    assert vault.epochs() == (1, 4)
    assert not outgrow_lost_keys(vault, store)


def test_keys_of_now_are_left_alone(ledger_path: Path) -> None:
    """Where nothing is lost, nothing is made and nothing destroyed."""
    vault, store = put_back(ledger_path), graph_of(1)
    assert not outgrow_lost_keys(vault, store)
    assert vault.epochs() == (1,)


def test_the_lost_keys_may_be_put_back_yet(ledger_path: Path) -> None:
    """The ledger does not list their numbers as destroyed, so they open what they sealed."""
    vault = put_back(ledger_path, 1)
    outgrow_lost_keys(vault, graph_of(2))
    with closing(DeletionLedger(ledger_path, lambda key, _: key, 1)) as ledger:
        assert ledger.destroyed_epochs().keys() == {1}

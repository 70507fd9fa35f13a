"""Rotations of keys: nothing is lost, nobody hidden, and no older copy can be read afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from identity.store import KeyAge, Outcome, Outdated
from kinfold.rotating import DAY_US, begin, is_under_way
from profiles.vault import KeyDestroyed
from tests.support.rotating import LATER, SIGNALS, Process, RotatingHome


@pytest.fixture
def home(tmp_path: Path) -> RotatingHome:
    """A home with three people, a dead letter, and all of it published."""
    made = RotatingHome(tmp_path)
    with made.process() as process:
        process.take(*SIGNALS)
        process.keep_letter()
        process.finish()
    return made


def files_of(home: RotatingHome) -> bytes:
    """Everything that the view's files hold."""
    found = sorted((home.folder / "view").rglob("data.mdb"))
    return b"".join(path.read_bytes() for path in found)


def sealed_in_view(process: Process) -> list[bytes]:
    """Every sealed profile."""
    return [stored.sealed for _, stored in process.view.everything() if stored.sealed]


def begun(process: Process, **what: bool) -> None:
    """A rotation that was asked for."""
    assert begin(process.plain_vault, process.home.now_us, **what)
    assert not begin(process.plain_vault, process.home.now_us, **what)


def test_an_epoch_rotates_while_serving(home: RotatingHome) -> None:
    """Lookups find everybody after each step; at the end all is of the new epoch and file."""
    with home.process() as process:
        before, ada = process.shown(), process.finds("login", "u-ada")
        sealed = sealed_in_view(process)
        begun(process)

        def look() -> None:
            assert process.finds("login", "u-ada") == ada
            assert process.finds("email", "carl@example.org")[1].identifiers

        process.finish(look)
        assert process.plain_vault.epochs() == (2,)
        assert process.epochs_left() == {2}
        assert process.shown() == before
        assert process.open_letter() == b"bad input of ada@example.org"
        assert home.log.destroyed.keys() == {1}
        assert list(home.log.ended) == [(2, 1)]
        left = files_of(home)
        assert not any(one in left for one in sealed)
        with pytest.raises(KeyDestroyed):
            process.plain_vault.epoch_key(1)


def test_what_was_copied_before_cannot_be_read(home: RotatingHome) -> None:
    """A copy of the graph's values made before the rotation opens no more, with whatever keys."""
    with home.process() as process:
        copied: list[bytes] = []

        def copy(sealed: bytes) -> bytes:
            copied.append(sealed)
            return sealed

        process.plain_store.rewrap(copy, b"", 100)
        assert copied
        begun(process)
        process.finish()
        for sealed in copied:
            with pytest.raises(KeyDestroyed):
                process.sealer.rewrap(sealed)


def test_token_keys_rotate_while_serving(home: RotatingHome) -> None:
    """Nodes are named anew, everybody keeps their id, and late duplicates count once still."""
    with home.process() as process:
        ada, keys = process.finds("login", "u-ada"), process.keys()
        people = process.plain_store.person_of(keys.values())
        begun(process, epoch=False, tokens=True)

        def look() -> None:
            assert process.finds("login", "u-ada")[0] == ada[0]
            assert process.finds("email", "carl@example.org")[0]

        process.finish(look)
        assert process.chain() == (2, 2)
        named = process.keys()
        assert not set(named.values()) & set(keys.values())
        assert process.plain_store.person_of(named.values()) == {
            named[value]: people[key] for value, key in keys.items() if key in people
        }
        assert process.plain_store.person_of(keys.values()) == {}
        assert set(process.shown()) >= set(named.values())
        assert not set(process.shown()) & set(keys.values())
        totals = process.plain_store.totals()
        process.intake.look()
        assert set(process.take(*SIGNALS)) == {Outcome.DUPLICATE}
        process.finish()
        assert process.plain_store.totals() == totals
        assert process.take(LATER) == [Outcome.COUNTED]
        process.finish()
        assert process.finds("email", "bob@example.org")[0] == people[keys["u-bob"]]


def test_signals_that_come_meanwhile_are_kept(home: RotatingHome) -> None:
    """A consumer that did not notice is refused and takes its signals again under the new keys."""
    with home.process() as process:
        begun(process, tokens=True)
        taken, refused = False, 0
        process.plain_store.require(KeyAge(2, 1))
        for _ in range(400):
            busy = process.step()
            if not taken:
                try:
                    taken = process.take(LATER) == [Outcome.COUNTED]
                except Outdated:
                    refused += 1
                    process.intake.renew()
            if not busy and not is_under_way(process.plain_vault):
                break
        assert (taken, refused) == (True, 1)
        process.intake.look()
        assert process.take(LATER) == [Outcome.DUPLICATE]
        process.finish()
        assert process.finds("email", "bob@example.org")[0] == process.finds("login", "u-bob")[0]
        assert process.epochs_left() == {2}


def test_nodes_keep_their_names_while_an_erasure_is_under_way(home: RotatingHome) -> None:
    """An erasure fences nodes by name: none is named anew until it is done."""
    with home.process() as process:
        begun(process, tokens=True)
        home.log.busy = True
        for _ in range(20):
            process.step()
        assert process.chain() == (2, 1)
        assert process.finds("login", "u-ada")
        home.log.busy = False
        process.finish()
        assert process.chain() == (2, 2)


def test_an_old_epoch_is_rotated_by_schedule(home: RotatingHome) -> None:
    """When the days are over a rotation begins by itself; before, and without a schedule, none."""
    with home.process() as process:
        home.now_us += 200 * DAY_US
        process.finish()
        assert process.plain_vault.epochs() == (1,)
        process.rotation._every_us = 90 * DAY_US
        process.finish()
        assert process.plain_vault.epochs() == (2,)
        home.now_us += 89 * DAY_US
        process.finish()
        assert process.plain_vault.epochs() == (2,)

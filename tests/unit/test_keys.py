"""Running parts notice rotated keys, and use the new ones from then on."""

from __future__ import annotations

import os

from identity.tokens import rekeying
from kinfold.keys import CHAIN, LOOK_S, KeyWatch, age_of
from profiles import contexts
from profiles.sealing import epoch_of
from profiles.vault_memory import MemoryVault
from tests.support.intaking import NOW_US, counted, intake, line, vault_keys

LOGIN = {"kind": "login", "value": "anna"}


def test_an_intake_takes_up_rotated_keys() -> None:
    """After a look, names are of the longer chain and values sealed in the new epoch."""
    vault = MemoryVault(os.urandom)
    keys = vault_keys(vault)
    ours = intake(keys=keys)
    signal = line(identifiers=[LOGIN])
    (before,) = counted(ours.from_json(signal, NOW_US)).nodes
    ours.look()
    assert counted(ours.from_json(signal, NOW_US)).nodes == (before,)
    vault.new_token_key()
    ours.look()
    assert counted(ours.from_json(signal, NOW_US)).nodes == (before,)
    vault.agree(CHAIN, 2)
    vault.new_epoch()
    assert ours.age() == (1, 1)
    ours.look()
    assert ours.age() == age_of(vault) == (2, 2)
    (after,) = counted(ours.from_json(signal, NOW_US)).nodes
    assert after.key == rekeying(vault.token_keys()[1:])(before.key)
    assert (epoch_of(before.sealed), epoch_of(after.sealed)) == (1, 2)
    place = contexts.of_identifier("login", before.order)
    assert keys.sealer.open(after.sealed, place) == b"anna"


def test_renewing_says_whether_any_key_was_new() -> None:
    """Without a rotation there is nothing to take up, and nothing is tried for ever."""
    vault = MemoryVault(os.urandom)
    ours = intake(keys=vault_keys(vault))
    assert not ours.renew()
    vault.new_epoch()
    assert ours.renew()
    assert not intake().renew()


def test_a_watch_tells_once_and_looks_once_a_second() -> None:
    """New epochs, destroyed ones and new token keys are told, each once, at the next look."""
    vault, now_s, told = MemoryVault(os.urandom), [0.0], []
    watch = KeyWatch(vault, lambda: now_s[0])
    watch.tell(lambda: told.append(now_s[0]))
    for change in (vault.new_epoch, lambda: vault.destroy_epoch(1), vault.new_token_key):
        change()
        assert not watch.look()
        now_s[0] += LOOK_S
        assert watch.look()
        assert not watch.look()
    now_s[0] += LOOK_S
    assert not watch.look()
    assert told == [1.0, 2.0, 3.0]

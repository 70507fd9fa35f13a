"""The contract of KeyVault: one test per promise of `profiles.vault`, run by every engine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from profiles.vault import KEY_BYTES, KeyDestroyed, KeyVault

OpenVault = Callable[[], KeyVault]
"""Opens the one vault of this test, once more each time, as another process would."""


class KeyVaultContract:
    """Every engine's test class inherits these and gives the fixture `open_vault`."""

    def test_keys_stay(self, open_vault: OpenVault) -> None:
        """Every key read once is read again, by whoever opens the vault next."""
        first = open_vault()
        epoch = first.new_epoch()
        seen = (
            first.token_keys(),
            first.order_key(),
            first.audit_key(),
            first.epoch_key(1),
            first.epoch_key(epoch),
        )
        again = open_vault()
        assert seen == (
            again.token_keys(),
            again.order_key(),
            again.audit_key(),
            again.epoch_key(1),
            again.epoch_key(epoch),
        )

    def test_destroyed_is_gone(self, open_vault: OpenVault) -> None:
        """A destroyed epoch's key is given out to nobody; the others stay."""
        vault, other = open_vault(), open_vault()
        vault.new_epoch()
        kept = vault.epoch_key(2)
        vault.destroy_epoch(1)
        vault.destroy_epoch(1)
        for reader in (vault, other, open_vault()):
            with pytest.raises(KeyDestroyed):
                reader.epoch_key(1)
            assert reader.epoch_key(2) == kept
            assert reader.epochs() == (2,)

    def test_never_zero_epochs(self, open_vault: OpenVault) -> None:
        """A new vault has a current epoch, and refuses to destroy it."""
        vault = open_vault()
        assert vault.current_epoch() == 1
        with pytest.raises(AssertionError):
            vault.destroy_epoch(1)
        assert len(vault.epoch_key(1)) == KEY_BYTES

    def test_new_epochs_count_up(self, open_vault: OpenVault) -> None:
        """Every new epoch has the next number and becomes current for all; no number returns."""
        vault, other = open_vault(), open_vault()
        assert [vault.new_epoch(), other.new_epoch()] == [2, 3]
        vault.destroy_epoch(2)
        assert vault.new_epoch() == 4
        assert other.current_epoch() == 4
        assert other.epochs() == (1, 3, 4)

    def test_all_keys_differ(self, open_vault: OpenVault) -> None:
        """No two keys of a vault are alike, and each holds 32 bytes."""
        vault = open_vault()
        vault.new_epoch()
        named = (vault.order_key(), vault.audit_key())
        keys = [*vault.token_keys(), *named, vault.epoch_key(1), vault.epoch_key(2)]
        assert {len(key) for key in keys} == {KEY_BYTES}
        assert len(set(keys)) == len(keys)

    def test_an_unknown_epoch_is_refused(self, open_vault: OpenVault) -> None:
        """An epoch that never was is told like a destroyed one."""
        with pytest.raises(KeyDestroyed):
            open_vault().epoch_key(77)

    def test_the_chain_of_token_keys_grows(self, open_vault: OpenVault) -> None:
        """A new token key comes last, for every process; the older ones stay where they were."""
        vault, other = open_vault(), open_vault()
        (first,) = vault.token_keys()
        assert [vault.new_token_key(), other.new_token_key()] == [2, 3]
        chain = open_vault().token_keys()
        assert chain == vault.token_keys() == other.token_keys()
        assert (chain[0], len(set(chain)), {len(key) for key in chain}) == (first, 3, {KEY_BYTES})

    def test_all_agree(self, open_vault: OpenVault) -> None:
        """A number is 0 until it is put down; then every process reads the one put down last."""
        vault, other = open_vault(), open_vault()
        assert vault.agreed("feed") == 0
        vault.agree("feed", 3)
        vault.agree("feed", 2)
        other.agree("began", 1 << 60)
        assert (other.agreed("feed"), vault.agreed("began")) == (2, 1 << 60)
        assert open_vault().agreed("feed") == 2

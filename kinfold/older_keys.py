"""A key store put back from before the graph's last rotation: what takes the place of lost keys."""

from __future__ import annotations

from identity.store import GraphStore
from profiles.deletions import STAND_IN
from profiles.vault import KeyVault


def outgrow_lost_keys(vault: KeyVault, store: GraphStore) -> bool:
    """Seal under an epoch from now on that no lost key had the number of; whether any were lost.

    What is sealed under such a number would pass for what the lost key sealed, and
    the graph takes in nothing that was made under an older one. What was sealed
    under lost keys does not open: views begin anew after this, then call `outgrown`.

    Raises: StoreError, VaultError.
    """
    known, stand_in = store.keys().epoch, vault.agreed(STAND_IN)
    if not stand_in and known <= vault.current_epoch():
        return False
    fresh = [stand_in] if stand_in else []
    while vault.current_epoch() <= max(known, stand_in):
        fresh.append(vault.new_epoch())
    # Nothing was sealed under these yet. A rotation would put them down as never to come back,
    # and by these numbers the lost keys themselves, which may be found and put back yet.
    for epoch in fresh:
        if epoch != vault.current_epoch():
            vault.destroy_epoch(epoch)
    return True


def outgrown(vault: KeyVault) -> None:
    """Nothing shows any more what was sealed under lost keys. Raises: VaultError."""
    vault.agree(STAND_IN, 0)

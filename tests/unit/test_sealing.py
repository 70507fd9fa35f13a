"""Sealed values open where they were sealed for, and nowhere else."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.sealing import OVERHEAD_BYTES, Sealer, Unreadable, epoch_of
from profiles.vault import KeyDestroyed
from profiles.vault_memory import MemoryVault


@pytest.fixture
def vault() -> MemoryVault:
    """A vault of the test's own."""
    return MemoryVault(os.urandom)


@pytest.fixture
def sealer(vault: MemoryVault) -> Sealer:
    """A sealer over the test's vault."""
    return Sealer(vault, os.urandom)


@given(plaintext=st.binary(max_size=300), context=st.binary(max_size=40))
@settings(max_examples=50)
def test_what_was_sealed_opens(plaintext: bytes, context: bytes) -> None:
    """Any value comes back as it was, longer by the stated overhead while sealed."""
    sealer = Sealer(MemoryVault(os.urandom), os.urandom)
    sealed = sealer.seal(plaintext, context)
    assert sealer.open(sealed, context) == plaintext
    assert len(sealed) == len(plaintext) + OVERHEAD_BYTES


def test_another_context_does_not_open(sealer: Sealer) -> None:
    """A value moved to another place cannot be read there."""
    sealed = sealer.seal(b"ada@example.org", b"email:one")
    with pytest.raises(Unreadable):
        sealer.open(sealed, b"email:two")


def test_every_changed_byte_is_noticed(sealer: Sealer) -> None:
    """Whichever byte is changed, the value does not open."""
    sealed = sealer.seal(b"ada", b"place")
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises((Unreadable, KeyDestroyed)):
            sealer.open(bytes(changed), b"place")


def test_every_cut_is_noticed(sealer: Sealer) -> None:
    """However much is missing at the end, the value does not open."""
    sealed = sealer.seal(b"ada", b"place")
    for length in range(len(sealed)):
        with pytest.raises(Unreadable):
            sealer.open(sealed[:length], b"place")


def test_twice_the_same_value_looks_different(sealer: Sealer) -> None:
    """Equal values cannot be told from their sealed bytes, not even from a part of them."""
    one, two = (sealer.seal(b"the same value", b"place") for _ in range(2))
    assert one[5:17] != two[5:17]
    assert one[17:65] != two[17:65]
    assert one[77:] != two[77:]


def test_older_epochs_open_until_destroyed(vault: MemoryVault, sealer: Sealer) -> None:
    """What an older epoch sealed opens after a new one began, and never again once destroyed."""
    sealed = sealer.seal(b"ada", b"place")
    vault.new_epoch()
    sealer.renew()
    assert sealer.open(sealed, b"place") == b"ada"
    vault.destroy_epoch(1)
    sealer.renew()
    with pytest.raises(KeyDestroyed):
        sealer.open(sealed, b"place")


def test_rewrapped_values_outlive_their_epoch(vault: MemoryVault, sealer: Sealer) -> None:
    """Rewrapping moves a value to the current epoch without touching what it holds."""
    sealed = sealer.seal(b"ada", b"place")
    vault.new_epoch()
    sealer.renew()
    moved = sealer.rewrap(sealed)
    assert (epoch_of(sealed), epoch_of(moved)) == (1, 2)
    vault.destroy_epoch(1)
    sealer.renew()
    assert sealer.open(moved, b"place") == b"ada"


def test_kept_keys_open_what_the_sealer_opens(vault: MemoryVault, sealer: Sealer) -> None:
    """Keeping keys changes no answer, however few are kept, until they are forgotten."""
    kept = sealer.keeping(2)
    values = {str(n).encode(): sealer.seal(b"value %d" % n, str(n).encode()) for n in range(5)}
    for _ in range(2):
        for context, sealed in values.items():
            assert kept.open(sealed, context) == sealer.open(sealed, context)
            with pytest.raises(Unreadable):
                kept.open(sealed, context + b"else")
            with pytest.raises(Unreadable):
                kept.open(sealed[:-1], context)
    vault.new_epoch()
    vault.destroy_epoch(1)
    sealer.renew()
    kept.forget()
    with pytest.raises(KeyDestroyed):
        kept.open(values[b"4"], b"4")


def test_what_is_no_sealed_value_is_told() -> None:
    """Bytes too short to be sealed have no epoch."""
    with pytest.raises(Unreadable):
        epoch_of(b"\x01\x00\x00\x00\x01")

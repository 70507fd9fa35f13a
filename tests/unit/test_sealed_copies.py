"""The search for copies of sealed values finds each that a key still opens, and no other."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from profiles.sealing import OVERHEAD_BYTES, Sealer
from profiles.vault_memory import MemoryVault
from tests.support.sealed_copies import SealedCopies

CONTEXT = b"profile"


@pytest.fixture
def vault() -> MemoryVault:
    """Keys of one epoch."""
    return MemoryVault(random.Random(1).randbytes)


@pytest.fixture
def sealer(vault: MemoryVault) -> Sealer:
    """Seals under the epoch in force."""
    return Sealer(vault, random.Random(2).randbytes)


def test_every_copy_is_found_until_its_key_is_destroyed(
    tmp_path: Path, vault: MemoryVault, sealer: Sealer
) -> None:
    """Copies of before and after a rotation, wherever in a file; then those of after alone."""
    sealed = sealer.seal(b"Zoe", CONTEXT)
    noise = random.Random(3).randbytes(1_000)
    old, new = tmp_path / "deep" / "old.log", tmp_path / "new.log"
    old.parent.mkdir()
    old.write_bytes(noise + sealed + noise)
    vault.new_epoch()
    sealer.renew()
    new.write_bytes(sealed[:50] + noise + sealer.rewrap(sealed))
    copies = SealedCopies([sealed])
    assert copies.openable(sealer, tmp_path) == [old, new]
    vault.destroy_epoch(1)
    sealer.renew()
    assert copies.openable(sealer, tmp_path) == [new]


def test_what_is_no_copy_is_not_found(tmp_path: Path, sealer: Sealer) -> None:
    """Others' values, a copy whose head is gone and one whose wrapped key was changed."""
    sealed = sealer.seal(b"Zoe", CONTEXT)
    (tmp_path / "other").write_bytes(sealer.seal(b"Ben", CONTEXT))
    (tmp_path / "torn").write_bytes(sealed[40:])
    (tmp_path / "changed").write_bytes(sealed[:20] + b"\0" + sealed[21:])
    (tmp_path / "empty").touch()
    assert SealedCopies([sealed]).openable(sealer, tmp_path) == []


def test_a_scan_that_looks_for_nothing_or_nowhere_is_an_error(
    tmp_path: Path, sealer: Sealer
) -> None:
    """It must not pass for one that found nothing."""
    with pytest.raises(FileNotFoundError):
        SealedCopies([sealer.seal(b"Zoe", CONTEXT)]).openable(sealer, tmp_path / "nowhere")
    with pytest.raises(AssertionError):
        SealedCopies([b"", b"x" * OVERHEAD_BYTES])

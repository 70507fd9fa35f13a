"""Every KeyVault engine under the contract, and what only the embedded one promises."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from profiles.vault import VaultDamaged, VaultExposed
from profiles.vault_memory import MemoryVault
from profiles.vault_sqlite import SqliteVault
from tests.contracts.key_vault import KeyVaultContract, OpenVault


def _open(folder: Path) -> SqliteVault:
    return SqliteVault(folder / "vault.sqlite", folder / "root.key")


def _report_keys(folder: Path, start: object, answers: object) -> None:
    start.wait()  # type: ignore[attr-defined]
    vault = _open(folder)
    answers.put((vault.token_keys(), vault.order_key(), vault.epoch_key(1)))  # type: ignore[attr-defined]
    vault.close()


class TestMemoryVault(KeyVaultContract):
    """The reference engine."""

    @pytest.fixture
    def open_vault(self) -> OpenVault:
        """One vault, handed out again and again."""
        vault = MemoryVault(os.urandom)
        return lambda: vault


class TestSqliteVault(KeyVaultContract):
    """The embedded engine, every opening a connection of its own."""

    @pytest.fixture
    def open_vault(self, tmp_path: Path) -> Iterator[OpenVault]:
        """Opens the same files each time."""
        opened: list[SqliteVault] = []

        def again() -> SqliteVault:
            opened.append(_open(tmp_path))
            return opened[-1]

        yield again
        for vault in opened:
            vault.close()

    def test_files_belong_to_the_owner_alone(self, tmp_path: Path) -> None:
        """Neither file may be read by others, whatever the umask."""
        before = os.umask(0)
        try:
            _open(tmp_path).close()
        finally:
            os.umask(before)
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        assert {name: mode for name, mode in modes.items() if mode & 0o077} == {}
        assert modes["root.key"] == 0o600

    @pytest.mark.parametrize("name", ["root.key", "vault.sqlite"])
    def test_open_files_are_refused(self, tmp_path: Path, name: str) -> None:
        """A file that others may read is refused, with the command that helps."""
        _open(tmp_path).close()
        (tmp_path / name).chmod(0o640)
        with pytest.raises(VaultExposed, match=f"chmod 600 .*{name}"):
            _open(tmp_path)

    def test_a_lost_root_key_is_never_made_anew(self, tmp_path: Path) -> None:
        """A vault without its root key is damaged; a fresh key would hide that for good."""
        _open(tmp_path).close()
        (tmp_path / "root.key").unlink()
        with pytest.raises(VaultDamaged, match="backup"):
            _open(tmp_path)
        assert not (tmp_path / "root.key").exists()

    def test_another_vaults_root_key_is_told(self, tmp_path: Path) -> None:
        """The wrong root key opens nothing, and the error says so."""
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            _open(tmp_path / name).close()
        (tmp_path / "two" / "root.key").replace(tmp_path / "one" / "root.key")
        vault = _open(tmp_path / "one")
        with pytest.raises(VaultDamaged, match="root key"):
            vault.order_key()
        vault.close()

    def test_a_file_that_is_no_vault_is_told(self, tmp_path: Path) -> None:
        """Something else in the vault's place is damage, not a crash of the driver."""
        (tmp_path / "root.key").write_bytes(bytes(32))
        (tmp_path / "vault.sqlite").write_bytes(b"something else " * 100)
        for path in tmp_path.iterdir():
            path.chmod(0o600)
        with pytest.raises(VaultDamaged):
            _open(tmp_path)

    def test_no_copy_of_a_destroyed_key_is_left(self, tmp_path: Path) -> None:
        """Not one file of the vault holds the destroyed key's wrapped bytes any more."""
        vault = _open(tmp_path)
        vault.new_epoch()
        raw = sqlite3.connect(tmp_path / "vault.sqlite")
        query = "SELECT wrapped FROM keys WHERE role = 'epoch' AND number = 1"
        (wrapped,) = raw.execute(query).fetchone()
        raw.close()
        assert any(wrapped in path.read_bytes() for path in tmp_path.iterdir())
        vault.destroy_epoch(1)
        assert not any(wrapped in path.read_bytes() for path in tmp_path.iterdir())
        vault.close()

    def test_keys_do_not_rest_open(self, tmp_path: Path) -> None:
        """The database alone holds no key that could be used."""
        vault = _open(tmp_path)
        held = (tmp_path / "vault.sqlite").read_bytes()
        for key in (*vault.token_keys(), vault.order_key(), vault.epoch_key(1)):
            assert key not in held
        vault.close()

    def test_first_users_at_once_agree(self, tmp_path: Path) -> None:
        """Four processes that make the vault at one moment all get the same keys."""
        spawn = multiprocessing.get_context("spawn")
        start, answers = spawn.Barrier(4), spawn.Queue()
        workers = [
            spawn.Process(target=_report_keys, args=(tmp_path, start, answers)) for _ in range(4)
        ]
        for worker in workers:
            worker.start()
        seen = [answers.get(timeout=60) for _ in workers]
        for worker in workers:
            worker.join()
        assert len(set(seen)) == 1

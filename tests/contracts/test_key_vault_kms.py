"""The embedded vault with its root key under AWS KMS, over the service's own protocol."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from profiles.vault import VaultDamaged, VaultError, VaultExposed, VaultUnavailable
from profiles.vault_kms import KmsRoot
from profiles.vault_sqlite import SqliteVault
from tests.contracts.key_vault import KeyVaultContract, OpenVault
from tests.support.command_line import CommandLine, as_lines, login

REGION = "eu-central-1"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of a KMS on this machine."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def kms(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of it; credentials are whatever one likes."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    return boto3.client("kms", endpoint_url=endpoint)


@pytest.fixture
def arn(kms: Any) -> str:
    """A KMS key of this test's."""
    return str(kms.create_key(Description="root")["KeyMetadata"]["Arn"])


def opened(folder: Path, key_id: str, endpoint: str) -> SqliteVault:
    """The vault in a folder."""
    return SqliteVault(folder / "vault.sqlite", KmsRoot(key_id, folder / "root.kms", endpoint))


class TestKmsVault(KeyVaultContract):
    """Every promise."""

    @pytest.fixture
    def open_vault(self, tmp_path: Path, arn: str, endpoint: str) -> OpenVault:
        """Opens the one vault of a test."""
        return lambda: opened(tmp_path, arn, endpoint)


def test_what_rests_is_no_root_key(tmp_path: Path, arn: str, endpoint: str, kms: Any) -> None:
    """The file holds what KMS alone unwraps, for this use alone, and is the user's alone."""
    opened(tmp_path, arn, endpoint).close()
    file = tmp_path / "root.kms"
    wrapped = file.read_bytes()
    told = kms.decrypt(CiphertextBlob=wrapped, EncryptionContext={"kinfold": "root key"})
    assert told["Plaintext"] not in wrapped
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(kms.exceptions.ClientError):
        kms.decrypt(CiphertextBlob=wrapped, EncryptionContext={"kinfold": "else"})
    file.chmod(0o644)
    with pytest.raises(VaultExposed):
        opened(tmp_path, arn, endpoint)


def test_another_key_or_a_lost_file_is_told(
    tmp_path: Path, arn: str, endpoint: str, kms: Any
) -> None:
    """Another KMS key's file does not open, and a missing one is not made anew."""
    opened(tmp_path, arn, endpoint).close()
    other = str(kms.create_key()["KeyMetadata"]["Arn"])
    opened(tmp_path / "other", other, endpoint).close()
    ours = (tmp_path / "root.kms").read_bytes()
    (tmp_path / "root.kms").write_bytes((tmp_path / "other" / "root.kms").read_bytes())
    with pytest.raises(VaultError):
        opened(tmp_path, arn, endpoint)
    (tmp_path / "root.kms").unlink()
    with pytest.raises(VaultDamaged):
        opened(tmp_path, arn, endpoint)
    (tmp_path / "root.kms").write_bytes(ours)
    (tmp_path / "root.kms").chmod(0o600)
    opened(tmp_path, arn, endpoint).close()


def test_a_service_out_of_reach_is_told(tmp_path: Path, arn: str, endpoint: str) -> None:
    """Nothing is made without it, and its failure names no driver."""
    with pytest.raises(VaultUnavailable, match="KMS cannot be used"):
        opened(tmp_path, arn, "http://127.0.0.1:9")
    assert not (tmp_path / "root.kms").exists()
    opened(tmp_path, arn, endpoint).close()


def test_kinfold_runs_with_it(tmp_path: Path, arn: str, endpoint: str) -> None:
    """By settings alone: signals in, keys rotated, profiles out; without KMS nothing opens."""
    settings = {"KINFOLD_KEYS_KMS_KEY": arn, "KINFOLD_KEYS_KMS_ENDPOINT": endpoint}
    line = CommandLine(tmp_path, settings)
    line.does("ingest", "-", given=as_lines(login(1, ("login", "ada"))))
    assert line.does("keys", "rotate", "--json").json["epoch"] == 2
    assert line.does("get", "login:ada", "--local", "--json").json["person_id"]
    assert not (tmp_path / ".kinfold" / "keys" / "root.key").exists()
    settings["KINFOLD_KEYS_KMS_ENDPOINT"] = "http://127.0.0.1:9"
    line.fails(1, "get", "login:ada", "--local")

"""The root key under a key of AWS KMS: what rests here opens with that service's leave alone.

The service makes the root key (GenerateDataKey) and hands it out wrapped as
well; the wrapped form is kept in a file, and unwrapped by the service (Decrypt)
whenever a vault is opened. Whoever has all files but not the right to use the
KMS key has nothing; deleting the KMS key destroys every key of the vault.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from profiles.vault import KEY_BYTES, VaultDamaged, VaultUnavailable
from profiles.vault_root import held

_CONTEXT: Final = {"kinfold": "root key"}
"""Authenticated by the service, and written to its log."""
_NOT_OURS = frozenset({"InvalidCiphertextException", "IncorrectKeyException", "NotFoundException"})
_TIMEOUT_S = 5.0


class KmsRoot:
    """The root key under the KMS key `key_id`, its wrapped form in the file at `path`.

    `key_id` is an ARN, an id or `alias/NAME`; region and credentials are
    boto3's own (environment, profile, role). `endpoint` is another address of
    the service, for example a private one; empty: the region's.
    """

    def __init__(self, key_id: str, path: Path, endpoint: str = "") -> None:
        self._key_id = key_id
        self._path = path
        region = key_id.split(":")[3] if key_id.startswith("arn:") else None
        with _told():
            self._kms: Any = boto3.client(
                "kms",
                region_name=region,
                endpoint_url=endpoint or None,
                config=Config(
                    connect_timeout=_TIMEOUT_S,
                    read_timeout=_TIMEOUT_S,
                    retries={"mode": "standard", "total_max_attempts": 3},
                ),
            )

    def key(self, *, is_new: bool) -> bytes:
        """See `RootKey`."""
        wrapped = held(self._path, self._make, is_new=is_new)
        with _told():
            answer = self._kms.decrypt(
                KeyId=self._key_id, CiphertextBlob=wrapped, EncryptionContext=_CONTEXT
            )
        key: bytes = answer["Plaintext"]
        if len(key) != KEY_BYTES:
            raise VaultDamaged(f"what KMS unwraps of {self._path} is no root key")
        return key

    def _make(self) -> bytes:
        with _told():
            answer = self._kms.generate_data_key_without_plaintext(
                KeyId=self._key_id, KeySpec="AES_256", EncryptionContext=_CONTEXT
            )
        wrapped: bytes = answer["CiphertextBlob"]
        return wrapped


@contextmanager
def _told() -> Iterator[None]:
    """What the service says in the port's words, without its text."""
    try:
        yield
    except ClientError as refusal:
        code = refusal.response.get("Error", {}).get("Code", "")
        if code in _NOT_OURS:
            raise VaultDamaged(
                f"KMS does not open the root key ({code}): is it another key's?"
            ) from None
        raise VaultUnavailable(f"KMS refused ({code})") from None
    except BotoCoreError as failure:
        raise VaultUnavailable(f"KMS cannot be used ({type(failure).__name__})") from None

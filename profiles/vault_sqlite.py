"""The embedded KeyVault: keys in SQLite with secure delete, wrapped by a root key kept elsewhere.

The root key is in a file of its own (`profiles.vault_root`), or given out by a
key management service (`profiles.vault_kms`). Keep it and the database apart in
backups: either one alone is worth nothing.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from identity.engines.sqlite.private_file import make_private
from identity.engines.sqlite.transaction import transaction
from profiles.vault import (
    KEY_BYTES,
    KeyDestroyed,
    VaultDamaged,
    VaultError,
    VaultExposed,
    VaultUnavailable,
)
from profiles.vault_root import FileRoot, RootKey

_NONCE_BYTES = 12
_BUSY_S = 10.0
_TOKEN, _ORDER, _EPOCH, _AUDIT = "token", "order", "epoch", "audit"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    role TEXT NOT NULL,
    number INTEGER NOT NULL,
    wrapped BLOB NOT NULL,
    PRIMARY KEY (role, number)
) STRICT
"""
_NUMBERS = """
CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT
"""


class SqliteVault:
    """A KeyVault in one SQLite file; several processes may use it at once.

    `path` is the database, `root` the root key's file or what else keeps it; it
    is made with the vault. Neither is ever made anew beside an existing other.
    `random` gives as many random bytes as asked for.
    """

    def __init__(
        self, path: Path, root: Path | RootKey, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._random = random
        self._lock = Lock()
        kept = FileRoot(root, random) if isinstance(root, Path) else root
        with _told("open"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._root = AESGCM(kept.key(is_new=not _holds_something(path)))
            _touch_private(path)
            self._db = sqlite3.connect(
                path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._prepare()

    def _prepare(self) -> None:
        # The rollback journal is overwritten with zeros and removed with its transaction; a
        # write-ahead log would keep pages with destroyed keys until some later checkpoint.
        self._db.execute("PRAGMA journal_mode=TRUNCATE")
        self._db.execute("PRAGMA secure_delete=ON")
        self._db.execute("PRAGMA synchronous=FULL")
        with transaction(self._db):
            self._db.execute(_SCHEMA)
            self._db.execute(_NUMBERS)
            for role in (_TOKEN, _ORDER, _EPOCH, _AUDIT):
                if self._newest(role) is None:
                    self._add(role, 1)

    def token_keys(self) -> tuple[bytes, ...]:
        """See `KeyVault`."""
        with self._lock, _told("read"):
            rows = self._db.execute(
                "SELECT number, wrapped FROM keys WHERE role = ? ORDER BY number", (_TOKEN,)
            ).fetchall()
        return tuple(self._unwrap(_TOKEN, number, wrapped) for number, wrapped in rows)

    def order_key(self) -> bytes:
        """See `KeyVault`."""
        return self._key(_ORDER, 1)

    def audit_key(self) -> bytes:
        """See `KeyVault`."""
        return self._key(_AUDIT, 1)

    def current_epoch(self) -> int:
        """See `KeyVault`."""
        with self._lock, _told("read"):
            newest = self._newest(_EPOCH)
        if newest is None:
            raise VaultDamaged("the vault has lost its epochs")
        return newest

    def epoch_key(self, epoch: int) -> bytes:
        """See `KeyVault`."""
        return self._key(_EPOCH, epoch)

    def epochs(self) -> tuple[int, ...]:
        """See `KeyVault`."""
        with self._lock, _told("read"):
            rows = self._db.execute(
                "SELECT number FROM keys WHERE role = ? ORDER BY number", (_EPOCH,)
            ).fetchall()
        return tuple(number for (number,) in rows)

    def new_epoch(self) -> int:
        """See `KeyVault`."""
        with self._lock, _told("write"), transaction(self._db):
            epoch = (self._newest(_EPOCH) or 0) + 1
            self._add(_EPOCH, epoch)
        return epoch

    def destroy_epoch(self, epoch: int) -> None:
        """See `KeyVault`."""
        with self._lock, _told("write"), transaction(self._db):
            assert epoch != self._newest(_EPOCH), "begin a new epoch before destroying the current"
            self._db.execute("DELETE FROM keys WHERE role = ? AND number = ?", (_EPOCH, epoch))

    def new_token_key(self) -> int:
        """See `KeyVault`."""
        with self._lock, _told("write"), transaction(self._db):
            number = (self._newest(_TOKEN) or 0) + 1
            self._add(_TOKEN, number)
        return number

    def agreed(self, name: str) -> int:
        """See `KeyVault`."""
        with self._lock, _told("read"):
            row = self._db.execute("SELECT number FROM numbers WHERE name = ?", (name,)).fetchone()
        return 0 if row is None else int(row[0])

    def agree(self, name: str, number: int) -> None:
        """See `KeyVault`."""
        with self._lock, _told("write"), transaction(self._db):
            self._db.execute("INSERT OR REPLACE INTO numbers VALUES (?, ?)", (name, number))

    def close(self) -> None:
        """See `KeyVault`."""
        self._db.close()

    def _newest(self, role: str) -> int | None:
        row = self._db.execute("SELECT max(number) FROM keys WHERE role = ?", (role,)).fetchone()
        newest: int | None = row[0]
        return newest

    def _add(self, role: str, number: int) -> None:
        nonce = self._random(_NONCE_BYTES)
        key = self._random(KEY_BYTES)
        wrapped = nonce + self._root.encrypt(nonce, key, _label(role, number))
        self._db.execute("INSERT INTO keys VALUES (?, ?, ?)", (role, number, wrapped))

    def _key(self, role: str, number: int) -> bytes:
        with self._lock, _told("read"):
            row = self._db.execute(
                "SELECT wrapped FROM keys WHERE role = ? AND number = ?", (role, number)
            ).fetchone()
        if row is None:
            raise KeyDestroyed(f"the key of {role} {number} is destroyed or never was")
        return self._unwrap(role, number, row[0])

    def _unwrap(self, role: str, number: int, wrapped: bytes) -> bytes:
        try:
            return self._root.decrypt(
                wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], _label(role, number)
            )
        except (InvalidTag, ValueError):
            raise VaultDamaged(
                f"the root key does not open the key of {role} {number}:"
                " is it another vault's root key file?"
            ) from None


def _label(role: str, number: int) -> bytes:
    """Binds a wrapped key to its place, so that rows cannot change places unnoticed."""
    return f"{role} {number}".encode()


def _holds_something(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _touch_private(path: Path) -> None:
    """Before SQLite makes it readable by all; what it makes beside it copies this mode."""
    make_private(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise VaultExposed(
            f"the vault {path} may be read by others (mode {mode:04o}): chmod 600 {path}"
        )


@contextmanager
def _told(doing: str) -> Iterator[None]:
    """What goes wrong below becomes a VaultError that names no value."""
    try:
        yield
    except VaultError:
        raise
    except sqlite3.OperationalError:
        raise VaultUnavailable(f"cannot {doing} the key vault: busy or out of reach") from None
    except sqlite3.DatabaseError:
        raise VaultDamaged("the key vault's file is not a vault or is damaged") from None
    except OSError as error:
        raise VaultUnavailable(f"cannot {doing} the key vault: {error.strerror}") from None

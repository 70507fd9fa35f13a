"""Where the root key rests that wraps all other keys of a vault: a file of its own, by default."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from profiles.vault import KEY_BYTES, VaultDamaged, VaultExposed


class RootKey(Protocol):
    """Keeps one root key."""

    def key(self, *, is_new: bool) -> bytes:
        """The 32 bytes; made at the first call where the vault `is_new`, and never otherwise.

        Of several first callers at once, one makes it and all get the same.

        Raises:
            VaultUnavailable: it cannot be had just now.
            VaultExposed: others may read it.
            VaultDamaged: it is missing beside a vault that has keys, or is no root key.
        """


class FileRoot:
    """The root key in a file that belongs to the user and to no one else (0600)."""

    def __init__(self, path: Path, random: Callable[[int], bytes]) -> None:
        self._path = path
        self._random = random

    def key(self, *, is_new: bool) -> bytes:
        """See `RootKey`."""
        key = held(self._path, lambda: self._random(KEY_BYTES), is_new=is_new)
        if len(key) != KEY_BYTES:
            raise VaultDamaged(f"the root key {self._path} must hold {KEY_BYTES} bytes")
        return key


def held(path: Path, make: Callable[[], bytes], *, is_new: bool) -> bytes:
    """What a private file holds, which is made with its vault.

    Raises:
        VaultExposed, VaultDamaged: as `RootKey.key`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        if not is_new and not path.exists():
            raise VaultDamaged(
                f"the root key {path} is missing beside its vault:"
                " put it back from its backup; without it the vault cannot be read"
            )
        _create(path, make())
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise VaultExposed(
            f"the root key {path} may be read by others (mode {mode:04o}): chmod 600 {path}"
        )
    return path.read_bytes()


def _create(path: Path, content: bytes) -> None:
    """Appears whole, with 0600, or not at all; an existing file stays as it is."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

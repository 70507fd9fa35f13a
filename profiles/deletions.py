"""The deletion ledger: what must never come back, kept outside of all that can be restored.

A graph, a read view or a vault that was put back from a backup is brought up to
this ledger before anything is served or taken in. It holds keyed tokens and
times, nothing else. Keep it out of the backups that are restored, or restore
its newest copy: what it does not know it cannot keep away.

Promises
--------
- *Durable.* What a call returned from survives kill -9 and a power cut.
- *Once.* A request begun again adds what is new and changes nothing else.
- *One at a time.* Nodes are not named anew while an erasure is under way, and
  none begins under names that are about to change.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from identity.engines.sqlite.private_file import make_private
from identity.engines.sqlite.transaction import transaction
from identity.model import NodeKey
from profiles.vault import KeyVault

LEDGER = "deletions.sqlite3"
"""Its name in a home folder."""
STAND_IN = "stand_in"
"""The number in the vault of an epoch made because no other was left of a vault put back.

A key that was made since the backup, and is lost, may have had that number. 0: there is none.
"""
_BUSY_S = 10.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS erasure (
    request TEXT PRIMARY KEY,
    person TEXT NOT NULL,
    begun_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL,
    suppressed INTEGER NOT NULL,
    contents INTEGER NOT NULL DEFAULT 0,
    letters INTEGER NOT NULL DEFAULT 0,
    finished_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fence (
    request TEXT NOT NULL REFERENCES erasure (request),
    key TEXT NOT NULL,
    chain INTEGER NOT NULL,
    until_us INTEGER NOT NULL,
    PRIMARY KEY (request, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS naming (one INTEGER PRIMARY KEY, chain INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS epoch (epoch INTEGER PRIMARY KEY, destroyed_us INTEGER NOT NULL) STRICT;
"""
Forward = Callable[[NodeKey, int], NodeKey]
"""A node key of a chain of so many token keys as it is now (`identity.tokens.Tokens.forward`)."""


class LedgerError(Exception):
    """The ledger cannot be used; nothing was written."""


def destroy_again(path: Path, vault: KeyVault) -> int:
    """Destroy keys that came back with a vault put back from a backup; how many there were.

    Raises:
        LedgerError, VaultError: do not use the vault.
    """
    if not path.exists():
        return 0
    with closing(DeletionLedger(path, lambda key, _: key, 1)) as ledger:
        back = ledger.destroyed_epochs().keys() & set(vault.epochs())
    for epoch in sorted(back):
        if epoch == vault.current_epoch():
            vault.agree(STAND_IN, epoch + 1)
            stand_in = vault.new_epoch()
            assert stand_in == epoch + 1, "epochs are numbered one by one"
        vault.destroy_epoch(epoch)
    return len(back)


def has_entries(path: Path) -> bool:
    """Whether there is a ledger with anything that what was put back from a backup could lack.

    Raises: LedgerError.
    """
    if not path.exists():
        return False
    with closing(DeletionLedger(path, lambda key, _: key, 1)) as ledger:
        return bool(ledger.erasures() or ledger.destroyed_epochs())


class Erasure(NamedTuple):
    """An erasure as the ledger knows it. `finished_us` is None while it is under way."""

    request: str
    person: str
    begun_us: int
    until_us: int
    suppressed: bool
    contents: int
    letters: int
    finished_us: int | None


class DeletionLedger:
    """The ledger in the file at `path`, which is made with mode 0600 when it is missing.

    `forward` brings node keys up to the chain of token keys in force; `chain` is
    that chain's length. Several processes may use one file. One object per thread.

    Raises: LedgerError, from every call.
    """

    def __init__(self, path: Path, forward: Forward, chain: int) -> None:
        self._forward = forward
        self._chain = chain
        with _told():
            make_private(path)
            self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA secure_delete = ON")
            self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def use(self, forward: Forward, chain: int) -> None:
        """Go by the token keys of now, in place of those it was opened with."""
        self._forward = forward
        self._chain = chain

    def is_current(self) -> bool:
        """Whether nodes are named under the token keys in use here, and stay so for now."""
        return self._naming() <= self._chain

    def rename(self, chain: int) -> bool:
        """Let nodes be named under so many token keys: from here on no erasure begins under fewer.

        False, and nothing was written, while an erasure is under way: it fences
        nodes by the names that they have.
        """
        with _told(), transaction(self._db):
            busy = self._db.execute("SELECT 1 FROM erasure WHERE finished_us IS NULL").fetchone()
            if busy is not None:
                return False
            self._db.execute("INSERT OR REPLACE INTO naming VALUES (1, ?)", (chain,))
        return True

    def put_back(self, keys: Callable[[], int]) -> None:
        """`keys` tells how many token keys there are. That nodes were named under more, before
        these were put back from a backup, is forgotten.
        """
        named = self._naming()
        # Asked after what is known here: there are ever more of them, but for a backup.
        if named > keys():
            with _told():
                self._db.execute("DELETE FROM naming WHERE chain = ?", (named,))

    def _naming(self) -> int:
        """How many token keys nodes are named under, or are about to be; 0: never renamed."""
        with _told():
            row = self._db.execute("SELECT chain FROM naming").fetchone()
        return 0 if row is None else int(row[0])

    def begin(
        self,
        request: str,
        person: str,
        fences: Mapping[NodeKey, int],
        at_us: int,
        *,
        suppress: bool,
    ) -> bool:
        """Write down what a request fences, or some more of it; nothing is fenced by this yet.

        False, and nothing was written: nodes are named under more token keys by
        now, or are about to be. `use` those, and look again what to fence.
        """
        until_us = max(fences.values(), default=at_us)
        with _told(), transaction(self._db):
            if not self.is_current():
                return False
            self._db.execute(
                "INSERT OR IGNORE INTO erasure (request, person, begun_us, until_us, suppressed)"
                " VALUES (?, ?, ?, ?, ?)",
                (request, person, at_us, until_us, suppress),
            )
            self._db.executemany(
                "INSERT OR IGNORE INTO fence VALUES (?, ?, ?, ?)",
                [(request, key, self._chain, until_us) for key, until_us in fences.items()],
            )
        return True

    def find(self, request: str) -> Erasure | None:
        """An erasure by its request."""
        with _told():
            row = self._db.execute("SELECT * FROM erasure WHERE request = ?", (request,)).fetchone()
        return None if row is None else _erasure(row)

    def erasures(self) -> list[Erasure]:
        """Every erasure, oldest first."""
        with _told():
            rows = self._db.execute("SELECT * FROM erasure ORDER BY begun_us, request").fetchall()
        return [_erasure(row) for row in rows]

    def fences(self, request: str | None = None) -> dict[NodeKey, int]:
        """What a request fences, or all of them, under the token keys in force."""
        with _told():
            rows = self._db.execute(
                "SELECT key, chain, until_us FROM fence WHERE ?1 IS NULL OR request = ?1",
                (request,),
            ).fetchall()
        found: dict[NodeKey, int] = {}
        for held, chain, until_us in rows:
            key = self._forward(held, chain)
            found[key] = max(until_us, found.get(key, 0))
        return found

    def count(self, request: str, *, contents: int = 0, letters: int = 0) -> None:
        """Add to what was removed for a request."""
        with _told():
            self._db.execute(
                "UPDATE erasure SET contents = contents + ?2, letters = letters + ?3"
                " WHERE request = ?1",
                (request, contents, letters),
            )

    def finish(self, request: str, at_us: int) -> None:
        """An erasure is done in every store that can be reached; done before: a no-op."""
        with _told():
            self._db.execute(
                "UPDATE erasure SET finished_us = ? WHERE request = ? AND finished_us IS NULL",
                (at_us, request),
            )

    def lift(self, request: str) -> None:
        """End a suppression: what it fenced stays fenced up to its beginning.

        Other requests that fence the same nodes are not changed: ask `fences`.
        """
        with _told(), transaction(self._db):
            self._db.execute(
                "UPDATE fence SET until_us = (SELECT begun_us FROM erasure"
                " WHERE erasure.request = fence.request) WHERE request = ?",
                (request,),
            )
            self._db.execute(
                "UPDATE erasure SET suppressed = 0, until_us = begun_us WHERE request = ?",
                (request,),
            )

    def destroyed(self, epoch: int, at_us: int) -> None:
        """Write down that an epoch's key is to exist no more, before it is destroyed."""
        with _told():
            self._db.execute("INSERT OR IGNORE INTO epoch VALUES (?, ?)", (epoch, at_us))

    def destroyed_epochs(self) -> dict[int, int]:
        """Every epoch whose key must not exist, and since when."""
        with _told():
            return dict(self._db.execute("SELECT epoch, destroyed_us FROM epoch").fetchall())


def _erasure(row: tuple[str, str, int, int, int, int, int, int | None]) -> Erasure:
    request, person, begun_us, until_us, suppressed, contents, letters, finished_us = row
    return Erasure(
        request, person, begun_us, until_us, bool(suppressed), contents, letters, finished_us
    )


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError):
        raise LedgerError(
            "the deletion ledger is busy, full, damaged or cannot be written"
        ) from None

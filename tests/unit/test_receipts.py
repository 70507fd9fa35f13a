"""The date of a receipt is that of a rotation of keys that reached all that was erased."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from profiles.audit import Event, Kind
from profiles.audit_sqlite import SqliteAuditLog
from profiles.privacy_policy import PrivacyPolicy
from profiles.receipts import receipt_of
from profiles.request_book import Means, RequestBook
from profiles.requests import InStore, State, Step, Taken
from profiles.requests_sqlite import SqliteRequests
from profiles.sealing import Sealer
from profiles.vault_memory import MemoryVault
from tests.support.asking import AT_US, request

KEY = b"k" * 32
DAY_US = 86_400_000_000


@pytest.fixture
def book(tmp_path: Path) -> Iterator[RequestBook]:
    """A book with an empty log."""
    vault = MemoryVault(random.Random(5).randbytes)
    store = SqliteRequests(tmp_path / "requests.sqlite3", Sealer(vault, os.urandom))
    log = SqliteAuditLog(tmp_path / "audit.sqlite3", KEY)
    yield RequestBook(
        Means(PrivacyPolicy(), store, log, KEY, lambda *_: None, os.urandom, lambda: AT_US)
    )
    store.close()
    log.close()


def test_a_rotation_that_was_under_way_does_not_count(book: RequestBook) -> None:
    """What it had wrapped anew before the erasure opens under the key that it left."""
    finished_us = AT_US + 10
    done = replace(
        request(),
        state=State.DONE,
        steps=(*request().steps, Taken(Step.FINISH, finished_us, "a")),
        stores=(InStore("sealed copies", "partial", "until then"),),
    )
    planned = {"unreadable_us": AT_US + DAY_US}
    erasure = Event(Kind.ERASURE, "r-1", AT_US, "privacy", (), planned)

    def rotated(epoch: int, made_us: int, ended_us: int) -> Event:
        what = {"epoch": epoch, "epoch_made_us": made_us, "unreadable_before_us": ended_us}
        return Event(Kind.KEYS, f"epoch:{epoch}", ended_us, "kinfold", (), what)

    log = book.means.log
    log.append([rotated(2, AT_US - 9, AT_US - 1), erasure])
    log.append([rotated(3, finished_us - 1, finished_us + 5)])
    found = receipt_of(book, done)
    assert [one.index for one in found.entries] == [1]
    assert not found.HasField("unreadable_since")
    assert found.unreadable_planned_at.ToMicroseconds() == AT_US + DAY_US
    log.append([rotated(4, finished_us + 6, finished_us + 9)])
    log.append([rotated(5, finished_us + 10, finished_us + 12)])
    found = receipt_of(book, done)
    assert [one.index for one in found.entries] == [1, 3]
    assert found.unreadable_since.ToMicroseconds() == finished_us + 9
    at = datetime.fromtimestamp((finished_us + 9) // 1_000_000, UTC)
    (store,) = found.request.stores
    assert store.reason == f"no copy from before {at:%Y-%m-%d %H:%M:%S} can be read"

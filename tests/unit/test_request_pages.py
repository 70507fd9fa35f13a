"""Requests are told page by page, and none is left out however many there are."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from identity.refused import Refused
from profiles.access import LOCAL, Grant
from profiles.audit import Event, Kind
from profiles.audit_sqlite import SqliteAuditLog
from profiles.privacy_desk import PrivacyDesk
from profiles.privacy_policy import PrivacyPolicy, Role
from profiles.request_book import Means, RequestBook
from profiles.request_store import PAGE
from profiles.requests import Step, Taken
from profiles.requests_sqlite import SqliteRequests
from profiles.sealing import Sealer
from profiles.v1 import privacy_service_pb2 as pb
from profiles.vault_memory import MemoryVault
from tests.support.asking import AT_US, request

GRANT = Grant(LOCAL, 0, 0, None, staff=None)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteRequests]:
    """A store of requests in a file."""
    vault = MemoryVault(random.Random(5).randbytes)
    opened = SqliteRequests(tmp_path / "requests.sqlite3", Sealer(vault, os.urandom))
    yield opened
    opened.close()


def put(store: SqliteRequests, name: str, day: int, confirm: int | None = None) -> None:
    """A request that is due some day of a year, and to be confirmed on another."""
    first = date(2026, 1, 1)
    by = None if confirm is None else first + timedelta(days=confirm)
    dates = request().deadlines._replace(due=first + timedelta(days=day), confirm_by=by)
    event = Event(Kind.REQUEST, name, AT_US, "agent")
    store.put(replace(request(), id=name, deadlines=dates), event)


def test_a_confirmation_counts_as_what_is_owed_next(store: SqliteRequests) -> None:
    """Until it was given, and never later than the answer."""
    put(store, "a", 30, confirm=5)
    put(store, "b", 10)
    put(store, "c", 4, confirm=9)
    assert [one.id for one in store.all()] == ["c", "a", "b"]
    assert [one.id for one in store.all(due_by=date(2026, 1, 6))] == ["c", "a"]
    one = store.get("a")
    assert one is not None
    done = (Taken(Step.CONFIRM, AT_US, "a"),)
    store.change(replace(one, steps=done, version=one.version + 1), [])
    assert [one.id for one in store.all()] == ["c", "b", "a"]


def test_pages_follow_each_other(store: SqliteRequests) -> None:
    """From behind the last of a page, those of one day by their ids."""
    for number in range(5):
        put(store, f"r-{number}", number // 3)
    assert [one.id for one in store.all(limit=2, after=("2026-01-01", "r-0"))] == ["r-1", "r-2"]
    assert [one.id for one in store.all(limit=2, after=("2026-01-01", "r-2"))] == ["r-3", "r-4"]
    assert store.all(after=("2026-01-02", "r-4")) == []


def test_more_than_a_page_is_told_in_full(store: SqliteRequests, tmp_path: Path) -> None:
    """The token of each answer gives the next, until there is none."""
    wanted = [f"r-{number:04}" for number in range(PAGE + 3)]
    for name in wanted:
        put(store, name, 7)
    policy = PrivacyPolicy(staff={"ann": frozenset({Role.AUDITOR})})
    log = SqliteAuditLog(tmp_path / "audit.sqlite3", b"k" * 32)
    means = Means(policy, store, log, b"k" * 32, lambda *_: None, os.urandom, lambda: AT_US)
    desk, told, token = PrivacyDesk(RequestBook(means)), list[str](), ""
    while True:
        found = desk.list(None, pb.ListRequest(staff="ann", page_token=token), GRANT)  # type: ignore[arg-type]
        assert isinstance(found, pb.ListResponse)
        assert len(found.requests) <= PAGE
        told += [one.request_id for one in found.requests]
        token = found.next_page_token
        if not token:
            break
    log.close()
    assert told == wanted
    asked = pb.ListRequest(staff="ann", page_token=told[0])
    wrong = desk.list(None, asked, GRANT)  # type: ignore[arg-type]
    assert isinstance(wrong, Refused)
    assert (wrong.reason, wrong.field) == ("REQUEST_INVALID", "page_token")

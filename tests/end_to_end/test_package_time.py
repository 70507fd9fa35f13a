"""A package opens for as many days as the policy says, and then its kept half goes by itself."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from identity.model import DAY_US
from identity.refused import Refused
from identity.retention import Retention
from kinfold.privacy import open_book, open_carrier
from kinfold.requests import expire_packages
from kinfold.retention import Expiry, Trims
from kinfold.wiring import now_us, open_policies, open_sealer, open_store, open_vault
from profiles.access import LOCAL, Grant
from profiles.request_book import RequestBook
from profiles.serve.privacy_service import methods
from profiles.v1 import privacy_service_pb2 as pb
from tests.support.command_line import login
from tests.support.erasing import Home, home_at

pytestmark = pytest.mark.slow
GRANT = Grant(LOCAL, 0, 0, None, staff=None)
DAYS = 2


@dataclass
class Clock:
    """A clock that is put forward."""

    at_us: int

    def __call__(self) -> int:
        """The time."""
        return self.at_us


@dataclass
class Desk:
    """PrivacyService over a home, by a clock of the test's."""

    home: Home
    clock: Clock
    answers: dict[str, Any]
    doing: Any

    def ask(self, method: str, message: Any) -> Any:
        """An answer."""
        return self.answers[method][1](self.doing, message, GRANT)

    def halves(self) -> int:
        """How many halves of keys are kept."""
        with closing(sqlite3.connect(self.home.settings.home_dir / "requests.sqlite3")) as db:
            (found,) = db.execute("SELECT count(*) FROM halves").fetchone()
        return int(found)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Ann asked for everything held."""
    home, clock = home_at(tmp_path / "home", {}), Clock(now_us())
    home.take(login(1, ("login", "ann")))
    settings = home.settings
    policies = open_policies(settings)
    with ExitStack() as stack:
        vault = stack.enter_context(closing(open_vault(settings)))
        store = stack.enter_context(closing(open_store(settings)))
        means = open_book(settings, policies, vault).means
        stack.enter_context(closing(means.requests))
        stack.enter_context(closing(means.log))
        policy = replace(policies.privacy, package_days=DAYS)
        book = RequestBook(replace(means, policy=policy, now_us=clock))
        made = Desk(home, clock, methods(book), open_carrier(settings, policies, vault, store))
        asked = pb.SubmitRequest(
            request_id="r-1", kind="access", level="authenticated", staff="desk"
        )
        asked.subject.identifier.kind, asked.subject.identifier.value = "login", "ann"
        made.ask("Submit", asked)
        yield made


def test_a_package_opens_until_its_time_is_over(desk: Desk) -> None:
    """To the microsecond; and then its half is kept no more."""
    made = desk.ask("Export", pb.ExportRequest(request_id="r-1", staff="desk"))
    opens = pb.OpenRequest(request_id="r-1", package=made.package, key=made.key, staff="desk")
    expires_us = desk.clock.at_us + DAYS * DAY_US
    assert made.expires_at.ToMicroseconds() == expires_us
    desk.clock.at_us = expires_us - 1
    assert b"ann" in desk.ask("Open", opens).json
    assert desk.halves() == 1
    desk.clock.at_us = expires_us
    closed = desk.ask("Open", opens)
    assert isinstance(closed, Refused)
    assert closed.reason == "PACKAGE_CLOSED"
    assert desk.halves() == 0


def test_the_daily_upkeep_destroys_halves_whose_time_is_over(desk: Desk) -> None:
    """Whether the policy lets anything else expire or not, and though nobody opens a package."""
    desk.ask("Export", pb.ExportRequest(request_id="r-1", staff="desk"))
    settings, stop = desk.home.settings, threading.Event()
    moments = [desk.clock.at_us + day * DAY_US for day in (DAYS - 1, DAYS)]
    left: list[int] = []
    with closing(open_vault(settings)) as vault:

        def expire(at_us: int) -> None:
            expire_packages(settings, vault, at_us)
            left.append(desk.halves())
            if not moments:
                stop.set()

        expiry = Expiry(
            lambda: open_store(settings),
            open_policies(settings),
            Retention(),
            lambda: moments.pop(0),
            Trims(open_sealer(vault)),
            expire,
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("kinfold.retention.RETRY_S", 0.0)
            expiry.run(stop, first_s=0.0)
    assert left == [1, 0]

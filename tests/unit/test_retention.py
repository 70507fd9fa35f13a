"""The policy says how long evidence is kept; what is due follows from the day alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from identity.engines.memory import MemoryGraph, MemoryGraphStore
from identity.model import DAY_US, EvidenceKind
from identity.retention import Retention, parse, verify
from identity.store import StoreUnavailable
from kinfold.retention import Expiry, Trims
from tests.support.profile_parts import new_sealer, profile_policy

LINK, CONSENT = EvidenceKind.LINK, EvidenceKind.CONSENT


def test_a_horizon_is_due_when_its_day_has_come() -> None:
    """Thirty days kept: thirty days ago is kept, the day before is not; backwards nothing moves."""
    retention = Retention({LINK: 30, CONSENT: 400})
    assert retention.due(1_000, {}) == {LINK: 970, CONSENT: 600}
    assert retention.due(1_000, {LINK: 970}) == {CONSENT: 600}
    assert retention.due(1_000, {LINK: 971, CONSENT: 599}) == {CONSENT: 600}
    assert Retention().due(1_000, {}) == {}


def test_a_cutoff_is_due_when_its_day_has_come() -> None:
    """As horizons: by what it is for, and backwards nothing moves."""
    retention = Retention({}, {"phone": 10}, {"marketing": 20})
    due = {"attribute.phone": 990, "purpose.marketing": 980}
    assert retention.cutoffs_due(1_000, {}) == due
    assert retention.cutoffs_due(1_000, {"attribute.phone": 990}) == {"purpose.marketing": 980}
    assert retention.cutoffs_due(1_000, dict.fromkeys(due, 990)) == {}
    assert retention.attributes_from(1_000) == {"phone": 990}


def test_the_policy_names_kinds_and_days() -> None:
    """What it says is parsed; without it everything is kept for good."""
    retention = {
        "link": 730,
        "consent": 3_650,
        "identifiers": {"cookie": 90},
        "attributes": {"address.line": 60},
        "purposes": {"marketing": 400},
    }
    document = {"retention": retention, "kinds": {"cookie": {}}, "purposes": {"marketing": {}}}
    assert verify(document) == []
    assert parse(document) == Retention(
        {LINK: 730, CONSENT: 3_650, "cookie": 90}, {"address.line": 60}, {"marketing": 400}
    )
    assert parse({}) == Retention()
    assert not Retention()
    assert Retention({}, {}, {"marketing": 1})


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        (5, "retention: must be a table"),
        ({"noses": 5}, "retention.noses: unknown; known are link, activity"),
        ({"link": 0}, "retention.link: must be 1 day or more"),
        ({"link": True}, "retention.link: must be 1 day or more"),
        ({"link": "a year"}, "retention.link: must be 1 day or more"),
        ({"identifiers": 5}, "retention.identifiers: must be a table"),
        ({"identifiers": {"nose": 5}}, "retention.identifiers.nose: unknown; [kinds.nose]"),
        ({"purposes": {"fun": 5}}, "retention.purposes.fun: unknown; [purposes.fun]"),
        ({"attributes": 5}, "retention.attributes: must be a table"),
        ({"attributes": {"phone": 0}}, "retention.attributes.phone: must be 1 day or more"),
    ],
)
def test_what_is_wrong_is_told_with_its_key(told: object, problem: str) -> None:
    """Each mistake by its key."""
    (found,) = verify({"retention": told})
    assert found.startswith(problem)


def test_expiry_happens_once_a_day_and_again_after_a_failure() -> None:
    """Each day it looks, and a store out of reach is asked again until that day is done."""
    graph, stop = MemoryGraph(), threading.Event()
    days = iter([10_000, 10_000, 10_000, 10_001, 10_001])
    opened: list[int] = []
    today = 0

    def now_us() -> int:
        nonlocal today
        today = next(days, 0)
        if not today:
            stop.set()
        return today * DAY_US

    def open_store() -> MemoryGraphStore:
        opened.append(today)
        if len(opened) == 1:
            raise StoreUnavailable("out of reach")
        return MemoryGraphStore(graph)

    with _at_once():
        expiry = Expiry(
            open_store, profile_policy(), Retention({LINK: 30}), now_us, Trims(new_sealer())
        )
        expiry.run(stop, first_s=0.0)
    assert opened[:3] == [10_000, 10_000, 10_001]
    assert MemoryGraphStore(graph).horizons() == {LINK: 9_971}


def test_without_retention_there_is_nothing_to_do() -> None:
    """The thread ends at once."""

    def open_store() -> MemoryGraphStore:
        raise AssertionError("nothing is opened")

    expiry = Expiry(open_store, profile_policy(), Retention(), lambda: 0, Trims(new_sealer()))
    expiry.run(threading.Event(), first_s=0.0)


@contextmanager
def _at_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kinfold.retention.RETRY_S", 0.0)
        yield

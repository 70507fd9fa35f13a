"""A caller is told of so many different people a day and no more, and learns nothing beyond."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from identity.refused import Refused
from profiles.access import Access, Grant, unlimited, verify
from profiles.lookup import PROFILE_NOT_FOUND, Lookup
from profiles.people_quota import PEOPLE_EXHAUSTED, PeopleQuotas
from profiles.v1.profile_service_pb2 import (
    BatchGetProfilesRequest,
    GetProfileRequest,
    Subject,
    SubjectIdentifier,
)
from tests.support.profile_parts import profile_policy
from tests.support.served import MAX_SILENCE_MS, NOW_US, Served, signal

DAY_US = 86_400_000_000
KEY = b"k" * 32
PURPOSES = profile_policy().purposes


def allowed(most: int, name: str = "local") -> Access:
    """Access for one caller who is told of so many people a day."""
    (local,) = unlimited(PURPOSES).callers
    return Access((replace(local, grant=local.grant._replace(caller=name, people_per_day=most)),))


def of(number: int) -> bytes:
    """Somebody's id."""
    return f"{number:026d}".encode()


def test_different_people_count_and_the_same_again_do_not() -> None:
    """Three are told of as often as one likes; a fourth is not, until midnight UTC."""
    now_us = [NOW_US // DAY_US * DAY_US]
    access = allowed(3)
    quotas = PeopleQuotas(access, KEY, lambda: now_us[0])
    grant = access.callers[0].grant
    assert [quotas.take(grant, of(n)) for n in (1, 2, 1, 3, 4, 2, 4)] == [
        *(True, True, True, True),
        *(False, True, False),
    ]
    assert quotas.is_spent(grant)
    now_us[0] += DAY_US - 1
    assert not quotas.take(grant, of(4))
    now_us[0] += 1
    assert not quotas.is_spent(grant)
    assert quotas.take(grant, of(4))


def test_several_at_once_are_told_of_all_or_none() -> None:
    """An answer about several counts them together; one about nobody needs room for somebody."""
    access = allowed(3)
    quotas = PeopleQuotas(access, KEY, lambda: NOW_US)
    grant = access.callers[0].grant
    one, two, three, four = (of(number).decode() for number in range(4))
    assert quotas.take_all(grant, [one, two, one])
    assert not quotas.take_all(grant, [two, three, four])
    assert quotas.take_all(grant, [])
    assert quotas.take(grant, four.encode())
    assert quotas.take_all(grant, [two, four])
    assert not quotas.take_all(grant, [two, three])
    assert not quotas.take_all(grant, [])


def test_a_clock_that_goes_back_opens_no_new_day() -> None:
    """Set back over midnight and on again, a replica's clock gives nobody a second quota."""
    now_us = [NOW_US // DAY_US * DAY_US]
    access = allowed(1)
    quotas = PeopleQuotas(access, KEY, lambda: now_us[0])
    grant = access.callers[0].grant
    assert quotas.take(grant, of(1))
    for back_us in (DAY_US, -DAY_US):
        now_us[0] -= back_us
        assert not quotas.take(grant, of(2))


def test_threads_together_get_no_more_than_one() -> None:
    """Eight threads that ask for a thousand people at once are told of exactly the quota."""
    access = allowed(100)
    quotas = PeopleQuotas(access, KEY, lambda: NOW_US)
    grant = access.callers[0].grant
    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(lambda n: quotas.take(grant, of(n % 1_000)), range(8_000)))
    assert quotas.is_spent(grant)
    assert len({n % 1_000 for n, was_told in enumerate(told) if was_told}) == 100


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Four people, each with a login."""
    made = Served(tmp_path)
    made.take(*(signal(("login", f"l-{number}")) for number in range(4)))
    yield made
    made.close()


def subject(number: int) -> Subject:
    """Somebody by their login."""
    return Subject(identifier=SubjectIdentifier(kind="login", value=f"l-{number}"))


def test_beyond_the_quota_somebody_and_nobody_look_the_same(served: Served) -> None:
    """One by one, by id or in a batch: told before stays told, all others are refused alike."""
    access = allowed(2)
    grant = access.callers[0].grant
    lookup = counting(served, access)
    assert asked(lookup, grant, subject(9)) is PROFILE_NOT_FOUND
    assert [kind_of(asked(lookup, grant, subject(n))) for n in (0, 1, 0)] == ["told"] * 3
    batch = BatchGetProfilesRequest(subjects=[subject(n) for n in (0, 2, 9, 1)])
    outcomes = lookup.get_many(batch, NOW_US, grant)
    assert not isinstance(outcomes, Refused)
    assert [kind_of(one) for one in outcomes] == ["told", *["PEOPLE_EXHAUSTED"] * 2, "told"]
    for number, outcome in ((2, PEOPLE_EXHAUSTED), (0, None)):
        by_id = GetProfileRequest(subject=Subject(person_id=served.person("login", f"l-{number}")))
        found = lookup.get_serialized(by_id.SerializeToString(), NOW_US, grant)
        assert found is outcome if outcome else isinstance(found, bytes)
    nobody = GetProfileRequest(subject=Subject(person_id="a" * 26))
    assert lookup.get_serialized(nobody.SerializeToString(), NOW_US, grant) is PEOPLE_EXHAUSTED


def test_a_caller_without_such_a_quota_is_told_of_everybody(served: Served) -> None:
    """What holds one caller back holds no other."""
    lookup = counting(served, allowed(1, "other"))
    (local,) = unlimited(PURPOSES).callers
    told = [asked(lookup, local.grant, subject(number)) for number in range(4)]
    assert [kind_of(one) for one in told] == ["told"] * 4


def test_the_policy_says_what_is_wrong_with_a_quota() -> None:
    """A number of people from one to a million; anything else is refused with its key."""
    for wrong in (0, -1, True, "many", 1_000_001):
        (problem,) = verify({"callers": {"local": {"people_per_day": wrong}}})
        assert problem.startswith("callers.local.people_per_day: must be ")
    assert verify({"callers": {"local": {"people_per_day": 1_000_000}}}) == []


def counting(served: Served, access: Access) -> Lookup:
    """Lookups over the same view that count for these callers."""
    quotas = PeopleQuotas(access, KEY, lambda: NOW_US)
    return Lookup(
        served.view, served.sealer, served.purposes, served.naming, MAX_SILENCE_MS, quotas
    )


def asked(lookup: Lookup, grant: Grant, whom: Subject) -> bytes | Refused:
    """A lookup."""
    return lookup.get(GetProfileRequest(subject=whom), NOW_US, grant)


def kind_of(outcome: bytes | Refused) -> str:
    """`told`, or why not."""
    return outcome.reason if isinstance(outcome, Refused) else "told"

"""Callers have the rights that policy names and no others, and every method has a rule."""

from __future__ import annotations

import importlib
import tomllib
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import FileDescriptor

from identity.refused import Refused
from profiles.access import LOCAL, METHODS, RIGHTS, Access, parse, reachable, unlimited, verify
from profiles.purposes import FIELDS
from profiles.serve.callers import Callers
from profiles.serve.errors import refuse
from profiles.serve.guard import Guard
from profiles.serve.quota import Quotas, Slots
from tests.support.profile_parts import POLICY, profile_policy
from tests.support.rights import BEARER, TOKEN, access_to_all

ROOT = Path(__file__).parents[2]
PURPOSES = profile_policy().purposes
GET = "profiles.v1.ProfileService/GetProfile"
RECORD = "profiles.v1.ConsentService/RecordConsent"
ENGINE = f"""
[callers.engine]
certificate = "engine.example.org"
may = ["reads profiles"]
purposes = ["personalisation"]
fields = ["affinities", "devices"]
kinds = ["login"]
[callers.desk]
token_sha256 = "{sha256(TOKEN.encode()).hexdigest()}"
may = ["reads consent", "decides on consent"]
sources = ["call_centre"]
[callers.nobody]
certificate = "nobody.example.org"
"""


def described() -> set[str]:
    """Every method of every service that the protos describe."""
    found = set()
    for proto in sorted((ROOT / "proto").rglob("*.proto")):
        name = proto.relative_to(ROOT / "proto").with_suffix("")
        module = importlib.import_module(".".join(name.parts) + "_pb2")
        descriptor: FileDescriptor = module.DESCRIPTOR
        for service in descriptor.services_by_name.values():
            found |= {f"{service.full_name}/{method.name}" for method in service.methods}
    return found


def test_every_method_has_an_access_rule() -> None:
    """A walk over every gRPC method's descriptor: none is without a rule, no rule without one."""
    methods = described()
    assert len(methods) >= 9
    assert methods == set(METHODS)


def test_a_method_without_a_rule_cannot_be_served() -> None:
    """Making its guard fails, so that no server with it starts."""
    with pytest.raises(AssertionError, match="no access rule"):
        Guard(Callers(Access(), secured=False), "profiles.v1.ProfileService/DropAll")


def document(text: str) -> dict[str, Any]:
    """The shipped policy's purposes with these callers."""
    return {"purposes": POLICY["purposes"], **tomllib.loads(text)}


def test_rights_are_compiled_into_masks() -> None:
    """Fields and purposes as bits, kinds as a set; what is left out is nothing at all."""
    access = parse(document(ENGINE), PURPOSES)
    engine, desk, nobody = access.callers
    grant = access.grant(engine, GET)
    assert grant is not None
    assert grant.fields == 1 << FIELDS["affinities"] | 1 << FIELDS["devices"]
    assert grant.purposes == PURPOSES.bits(["personalisation"])
    assert (grant.may_ask_by("login"), grant.may_ask_by("email")) == (True, False)
    assert access.grant(engine, RECORD) is None
    told = access.grant(desk, RECORD)
    assert told is not None
    assert (told.fields, told.purposes, told.kinds) == (0, 0, frozenset())
    assert [told.may_record_of(one) for one in ("call_centre", "web", "")] == [True, False, False]
    assert not grant.may_record_of("call_centre")
    assert not any(access.grant(nobody, method) for method in METHODS)
    assert not any(access.grant(None, method) for method in METHODS)


def test_every_mistake_is_told_at_once_with_its_key() -> None:
    """One reading shows all there is to mend."""
    wrong = """
[callers.local]
certificate = "x"
[callers.both]
certificate = "x"
token_sha256 = "abc"
[callers.none]
may = ["everything"]
[callers.one]
certificate = "same"
purposes = ["espionage"]
fields = "all"
kinds = [3]
colour = "red"
[callers.two]
certificate = "same"
fields = ["nose"]
"""
    problems = verify({**document(wrong), "callers": {**tomllib.loads(wrong)["callers"], "x": 1}})
    assert [problem.split(": ")[0] for problem in problems] == [
        "callers.local.certificate",
        "callers.both.token_sha256",
        "callers.both",
        "callers.none.may",
        "callers.none",
        "callers.one.purposes",
        "callers.one.fields",
        "callers.one.kinds",
        "callers.one.colour",
        "callers.two.fields",
        "callers.two.certificate",
        "callers.x",
    ]
    assert verify({"callers": []}) != []
    assert verify(document(ENGINE)) == [] == verify(POLICY)


class Call:
    """What gRPC tells of who calls."""

    def __init__(self, *names: str, sent: tuple[tuple[str, str], ...] = ()) -> None:
        self._names, self._sent = names, sent

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """What the caller sent beside the request."""
        return (("user-agent", "grpc"), *self._sent)

    def peer_identities(self) -> list[bytes] | None:
        """Its certificate's alternative names."""
        return [name.encode() for name in self._names[1:]] or None

    def auth_context(self) -> dict[str, list[bytes]]:
        """What its certificate says."""
        common, *others = [name.encode() for name in self._names] or [b""]
        return {"x509_common_name": [common], "x509_subject_alternative_name": others}


def judged(access: Access, method: str, call: Call, *, secured: bool = True) -> str:
    """Who was let in, or the reason why not."""
    guard = Guard(Callers(access, secured=secured), method)
    found = guard(call)  # type: ignore[arg-type]  # all it asks for
    return found.reason if isinstance(found, Refused) else found.caller


@pytest.mark.parametrize(
    ("method", "call", "outcome"),
    [
        (GET, Call("engine.example.org"), "engine"),
        (GET, Call("pod-7", "engine.example.org"), "engine"),
        (GET, Call("engine.example.com"), "CALLER_UNKNOWN"),
        (GET, Call(), "CALLER_UNKNOWN"),
        (RECORD, Call("engine.example.org"), "NOT_ALLOWED"),
        (RECORD, Call(sent=BEARER), "desk"),
        (GET, Call(sent=BEARER), "NOT_ALLOWED"),
        (RECORD, Call(sent=(("authorization", "Bearer other"),)), "CALLER_UNKNOWN"),
        (RECORD, Call(sent=(("authorization", TOKEN),)), "CALLER_UNKNOWN"),
        (GET, Call("engine.example.org", sent=(("authorization", "x"),)), "CALLER_UNKNOWN"),
        (GET, Call("nobody.example.org"), "NOT_ALLOWED"),
    ],
)
def test_who_calls_is_told_by_certificate_or_token(method: str, call: Call, outcome: str) -> None:
    """Unknown callers are unauthenticated, known ones denied what they were not given."""
    access = parse(document(ENGINE), PURPOSES)
    assert judged(access, method, call) == outcome
    assert judged(access, method, call) == outcome


def test_who_shows_nothing_is_local_only_in_the_clear() -> None:
    """Over TLS an anonymous caller is nobody, whatever policy gives the local one."""
    access = unlimited(PURPOSES)
    assert judged(access, GET, Call(), secured=False) == LOCAL
    assert judged(access, GET, Call(), secured=True) == "CALLER_UNKNOWN"
    assert judged(access_to_all(), GET, Call(sent=BEARER), secured=False) == "holder"


def test_default_deny() -> None:
    """A policy without callers lets nobody do anything."""
    for method in METHODS:
        assert judged(parse({}, PURPOSES), method, Call(), secured=False) == "CALLER_UNKNOWN"
    assert not reachable(parse({}, PURPOSES), secured=False)
    assert not reachable(unlimited(PURPOSES), secured=True)
    assert reachable(unlimited(PURPOSES), secured=False)
    assert reachable(parse(document(ENGINE), PURPOSES), secured=True)
    assert parse({"callers": {LOCAL: {}}}, PURPOSES).callers[0].may == frozenset()
    assert set(METHODS.values()) == set(RIGHTS)


def test_a_caller_gets_so_much_a_second_and_no_more() -> None:
    """A second's worth at once, then as fast as the bucket fills; others are not held up."""
    now_s = [100.0]
    (local,) = unlimited(PURPOSES).callers
    access = Access((replace(local, per_second=10), replace(local, name="free", certificate="f")))
    quotas = Quotas(access, lambda: now_s[0])
    assert [quotas.take(LOCAL) for _ in range(11)] == [True] * 10 + [False]
    assert all(quotas.take("free") for _ in range(1_000))
    now_s[0] += 0.25
    assert [quotas.take(LOCAL) for _ in range(3)] == [True, True, False]
    now_s[0] += 3_600
    assert quotas.take(LOCAL)
    quotas.owe(LOCAL, 499)
    now_s[0] += 49.0
    assert not quotas.take(LOCAL)
    now_s[0] += 0.2
    assert quotas.take(LOCAL)


def test_a_call_beyond_the_quota_is_refused() -> None:
    """By the guard, with when to ask again."""
    (local,) = unlimited(PURPOSES).callers
    access = Access((replace(local, per_second=2),))
    quotas = Quotas(access, lambda: 0.0)
    guard = Guard(Callers(access, secured=False, quotas=quotas), GET)
    told = [guard(Call()) for _ in range(3)]  # type: ignore[arg-type]  # all it asks for
    assert told == [local.grant, local.grant, refuse("QUOTA_EXHAUSTED")]
    wrong = {LOCAL: {"per_second": 0}}
    assert verify({"callers": wrong})[0].startswith("callers.local.per_second: ")


def test_no_caller_holds_every_stream() -> None:
    """Half of all unless the policy says how many; what is given back may be taken again."""
    (local,) = unlimited(PURPOSES).callers
    access = Access((local, replace(local, name="b", streams=3), replace(local, name="c")))
    slots = Slots(access, 5)
    assert [slots.take(LOCAL) for _ in range(3)] == [True, True, False]
    assert [slots.take("b") for _ in range(4)] == [True, True, True, False]
    assert not slots.take("c")
    slots.give_back("b")
    assert not slots.take(LOCAL)
    assert [slots.take("c") for _ in range(2)] == [True, False]
    assert Slots(access, 1).take("c")
    (problem,) = verify({"callers": {LOCAL: {"streams": 0}}})
    assert problem.startswith("callers.local.streams: ")
    told = parse({"callers": {LOCAL: {"streams": 7}}}, PURPOSES)
    assert told.callers[0].streams == 7


@pytest.mark.parametrize(
    ("may", "sources", "problem"),
    [
        (["decides on consent"], None, "missing, with 'decides on consent'; name the sources"),
        (["*"], [], "missing, with 'decides on consent'; name the sources"),
        (["*"], "web", "must be a list of names"),
        (["decides on consent"], ["web", "staff"], "'staff' may decide for staff"),
        (["reads consent"], ["staff"], "'staff' may decide for staff"),
        (["decides on consent"], ["web", "unheard_of"], ""),
        (["decides on consent"], ["*"], ""),
        (["reads consent"], None, ""),
    ],
)
def test_who_records_decisions_says_for_whom(may: list[str], sources: object, problem: str) -> None:
    """A caller that records names its sources, or all but those of staff; staff's are no one's."""
    caller = {"may": may} if sources is None else {"may": may, "sources": sources}
    told = verify({**POLICY, "callers": {LOCAL: caller}})
    assert [one.startswith(f"callers.local.sources: {problem}") for one in told] == (
        [True] if problem else []
    )


@pytest.mark.parametrize(
    ("may", "told"), [(["reads consent"], False), (["holds people"], True), (["*"], True)]
)
def test_who_may_hold_people_is_told_of_them(may: list[str], told: bool) -> None:
    """Nobody else reads the consent of people under a restriction or a legal hold."""
    access = parse({"callers": {LOCAL: {"may": may}}}, PURPOSES)
    assert access.callers[0].grant.sees_apart is told
    assert unlimited(PURPOSES).callers[0].grant.sees_apart

"""Whom a caller is not told of looks, to the last byte, like somebody who never was.

Over the server of the program itself: people erased and suppressed by requests
that were approved and run, restricted by staff, or asked for by a kind of
identifier that the caller may not ask by.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from identity.v1.identity_service_pb2 import (
    ExplainLinkRequest,
    GetLineageRequest,
    IdentifierRef,
    ResolveIdentityRequest,
)
from identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from profiles.v1 import privacy_service_pb2 as pb
from profiles.v1.consent_service_pb2 import (
    GetConsentRequest,
    ListConsentDecisionsRequest,
    PurposeChoice,
    RecordConsentRequest,
)
from profiles.v1.consent_service_pb2_grpc import ConsentServiceStub
from profiles.v1.privacy_service_pb2_grpc import PrivacyServiceStub
from profiles.v1.profile_service_pb2 import (
    BatchGetProfilesRequest,
    GetProfileRequest,
    StreamProfilesRequest,
    Subject,
    SubjectIdentifier,
)
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub
from tests.support.command_line import CommandLine, as_lines, login
from tests.support.grpc_calls import outcome

ROOT = Path(__file__).parents[2]
TOKEN = "of a decision engine"  # noqa: S105 - it opens nothing
ENGINE = (("authorization", f"Bearer {TOKEN}"),)
MORE = f"""
[callers.engine]
token_sha256 = "{sha256(TOKEN.encode()).hexdigest()}"
may = ["reads profiles", "reads consent", "decides on consent", "reads identity"]
purposes = ["*"]
fields = ["*"]
kinds = ["login"]
sources = ["web"]
"""
KNOWN, NOBODY = "bob", "nobody"
HELD, ERASED, SUPPRESSED = "hal", "eva", "sue"
UNTOLD = (HELD, ERASED, SUPPRESSED)
NEVER = "a" * 26

Answer = Callable[[], object]


@dataclass(frozen=True)
class Asking:
    """The engine's stubs, and the ids that people had before."""

    channel: grpc.Channel
    ids: Mapping[str, str]

    def by(self, kind: str, name: str) -> dict[str, object]:
        """What each method tells the engine of somebody by an identifier."""
        value = name if kind == "login" else f"{name}@posteo.net"
        ref = IdentifierRef(kind=kind, value=value)
        bob = IdentifierRef(kind="login", value=KNOWN)
        identity = IdentityServiceStub(self.channel)
        told: dict[str, Answer] = {
            "resolve": lambda: identity.ResolveIdentity(
                ResolveIdentityRequest(identifier=ref), metadata=ENGINE
            ),
            "left": lambda: identity.ExplainLink(
                ExplainLinkRequest(left=ref, right=bob), metadata=ENGINE
            ),
            "right": lambda: identity.ExplainLink(
                ExplainLinkRequest(left=bob, right=ref), metadata=ENGINE
            ),
        }
        subject = Subject(identifier=SubjectIdentifier(kind=kind, value=value))
        return self._told(subject) | {name: outcome(call) for name, call in told.items()}

    def by_id(self, person_id: str) -> dict[str, object]:
        """What each method tells the engine of whoever an id stands for."""
        asked = GetLineageRequest(person_id=person_id)
        lineage = IdentityServiceStub(self.channel).GetLineage
        told = outcome(lambda: lineage(asked, metadata=ENGINE))
        return self._told(Subject(person_id=person_id)) | {"lineage": told}

    def _told(self, subject: Subject) -> dict[str, object]:
        profiles, consent = ProfileServiceStub(self.channel), ConsentServiceStub(self.channel)
        told: dict[str, Answer] = {}
        for purposes in ((), ("service",)):
            one = GetProfileRequest(subject=subject, purposes=purposes)
            several = BatchGetProfilesRequest(subjects=[subject], purposes=purposes)
            stream = [StreamProfilesRequest(lookup=one)]
            what = f" for {' and '.join(purposes) or 'nothing'}"
            told |= {
                "get" + what: lambda one=one: profiles.GetProfile(one, metadata=ENGINE),  # type: ignore[misc]
                "batch" + what: lambda several=several: profiles.BatchGetProfiles(  # type: ignore[misc]
                    several, metadata=ENGINE
                ),
                "stream" + what: lambda stream=stream: next(  # type: ignore[misc]
                    iter(profiles.StreamProfiles(iter(stream), metadata=ENGINE))
                ),
            }
        told["consent"] = lambda: consent.GetConsent(
            GetConsentRequest(subject=subject), metadata=ENGINE
        )
        told["history"] = lambda: consent.ListConsentDecisions(
            ListConsentDecisionsRequest(subject=subject), metadata=ENGINE
        )
        return {name: outcome(call) for name, call in told.items()}

    def record(self, name: str, *, granted: bool) -> bytes:
        """What the engine is told that records a decision of an hour ago, but for its id."""
        request = RecordConsentRequest(
            identifier=SubjectIdentifier(kind="login", value=name),
            choices=[PurposeChoice(purpose="marketing", granted=granted)],
            source="web",
            signal_id=f"x-{name}",
        )
        request.decided_at.FromSeconds(int(time.time()) // 86_400 * 86_400 - 3_600)
        stub = ConsentServiceStub(self.channel)
        answered: Any = outcome(lambda: stub.RecordConsent(request, metadata=ENGINE))
        if isinstance(answered, bytes):
            return answered
        answered.ClearField("signal_id")
        return b"answered " + bytes(answered.SerializeToString())


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """A server over an embedded home, once staff has done what it was asked for."""
    folder = tmp_path_factory.mktemp("untold")
    shipped = (ROOT / "kinfold" / "default_policy.toml").read_text("utf-8")
    (folder / "policy.toml").write_text(shipped + MORE, "utf-8")
    line = CommandLine(folder, {"KINFOLD_HOME_POLICY": str(folder / "policy.toml")})
    everybody = (KNOWN, *UNTOLD)
    signals = (
        login(number, ("login", name), ("email", f"{name}@posteo.net"))
        for number, name in enumerate(everybody)
    )
    line.does("ingest", "-", given=as_lines(*signals))
    ids = {name: line.does("get", "--local", f"login:{name}", "--for", "service", "--json")
           .json["person_id"] for name in everybody}  # fmt: skip
    with line.serving() as address, grpc.insecure_channel(address) as channel:
        privacy = PrivacyServiceStub(channel)
        for name in (ERASED, SUPPRESSED):
            erase(privacy, name, suppress=name == SUPPRESSED)
        restrict = pb.HoldRequest(
            subject=whom(HELD), purpose="restriction", reason="asked for", staff="desk"
        )
        privacy.Hold(restrict)
        made = Asking(channel, ids)
        for name in UNTOLD:
            _until_gone(channel, name)
        yield made


def whom(name: str) -> Subject:
    """Somebody by login."""
    return Subject(identifier=SubjectIdentifier(kind="login", value=name))


def erase(privacy: PrivacyServiceStub, name: str, *, suppress: bool) -> None:
    """Erase somebody as staff does: taken in, approved by a second person, run."""
    request = pb.SubmitRequest(
        request_id=f"r-{name}", kind="erasure", subject=whom(name), level="authenticated",
        suppress=suppress, staff="desk",
    )  # fmt: skip
    privacy.Submit(request)
    privacy.Approve(pb.ApproveRequest(request_id=request.request_id, staff="dpo"))
    run = pb.RunRequest(request_id=request.request_id, staff="desk")
    assert privacy.Run(run).request.state == "done"


def _until_gone(channel: grpc.Channel, name: str) -> None:
    """Wait until the server's upkeep has caught up; the test's timeout ends it."""
    asked = GetProfileRequest(subject=whom(name), purposes=["service"])
    get = ProfileServiceStub(channel).GetProfile
    while isinstance(outcome(lambda: get(asked)), Message):
        time.sleep(0.01)


def told_of(answers: Mapping[str, object]) -> set[str]:
    """The methods that tell anything of somebody."""
    return {
        name
        for name, answer in answers.items()
        if isinstance(answer, Message) and b"PROFILE_NOT_FOUND" not in answer.SerializeToString()
    }


def test_by_identifier(asking: Asking) -> None:
    """Restricted, erased and suppressed people are answered for as nobody is, by every method."""
    known, nobody = asking.by("login", KNOWN), asking.by("login", NOBODY)
    assert told_of(known) == set(known)
    assert told_of(nobody) == set()
    for name in UNTOLD:
        assert asking.by("login", name) == nobody, name


def test_by_id(asking: Asking) -> None:
    """Their former ids are as one that was never given out; only the lineage of an id whose person
    is no more says that it was given out and has ended, and names nobody.
    """
    known, never = asking.by_id(asking.ids[KNOWN]), asking.by_id(NEVER)
    assert told_of(known) == set(known)
    assert told_of(never) == set()
    assert asking.by_id(asking.ids[HELD]) == never
    for name in (ERASED, SUPPRESSED):
        told = asking.by_id(asking.ids[name])
        lineage: Any = told.pop("lineage")
        assert told == {method: answer for method, answer in never.items() if method != "lineage"}
        assert [entry.change for entry in lineage.entries] == ["created", "retired"]
        assert lineage.current_person_id == ""
        assert {entry.other_person_id for entry in lineage.entries} == {""}


def test_by_a_kind_that_a_caller_may_not_ask_by(asking: Asking) -> None:
    """Whether anybody has it is not told; lookups of profiles say that nobody is there."""
    known, nobody = asking.by("email", KNOWN), asking.by("email", NOBODY)
    assert told_of(known) == set()
    for name in (KNOWN, *UNTOLD):
        assert asking.by("email", name) == nobody, name
    missing = asking.by("login", NOBODY)
    lookups = [name for name in known if name.split()[0] in ("get", "batch", "stream")]
    assert len(lookups) == 6
    assert [known[name] for name in lookups] == [missing[name] for name in lookups]


def test_a_recorded_decision(asking: Asking) -> None:
    """Taken in alike for everybody, the first time, again, and said differently under one id."""
    for granted in (True, True, False):
        known = asking.record(KNOWN, granted=granted)
        assert known == b"answered "
        for name in (NOBODY, *UNTOLD):
            assert asking.record(name, granted=granted) == known, name
    assert told_of(asking.by("login", SUPPRESSED)) == set()

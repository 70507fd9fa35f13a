"""Consent at a desk, over a real server with the real intake behind it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from identity.engines.memory import MemoryGraphStore
from identity.serve import IdentityAnswers
from ingest.auditing import Auditor
from ingest.recording import ConsentRecorder, IntoStore
from profiles.access import Access
from profiles.audit_sqlite import SqliteAuditLog
from profiles.consent import is_apart
from profiles.consent_answers import ConsentAnswers
from profiles.serve.identity_service import ConsentSource, IdentitySource
from profiles.serve.options import ServeOptions
from profiles.serve.server import ProfileServer
from profiles.v1.consent_service_pb2 import (
    GetConsentRequest,
    PurposeChoice,
    PurposeState,
    RecordConsentRequest,
)
from profiles.v1.consent_service_pb2_grpc import ConsentServiceStub
from profiles.v1.profile_service_pb2 import Subject, SubjectIdentifier
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub
from tests.support.grpc_calls import serving
from tests.support.rights import ACCESS
from tests.support.served import Served, signal, viewed

EMAIL = SubjectIdentifier(kind="email", value="ann@posteo.net")
ANN = Subject(identifier=EMAIL)


@dataclass
class Desk:
    """A whole kinfold behind a server, and clients of it."""

    served: Served
    consent: ConsentServiceStub
    profiles: ProfileServiceStub
    source: IdentitySource

    def record(self, *purposes: str, granted: bool, at_us: int = 0, signal_id: str = "") -> str:
        """Record a decision of Ann's; the id of its signal."""
        request = RecordConsentRequest(
            identifier=EMAIL,
            choices=[PurposeChoice(purpose=one, granted=granted) for one in purposes],
            source="call_centre",
            text_version="2026-01",
            place="hotline",
            signal_id=signal_id,
        )
        if at_us:
            request.decided_at.FromMicroseconds(at_us)
        answer = self.consent.RecordConsent(request)
        assert answer.signal_id
        self.served.settle()
        return str(answer.signal_id)

    def state(self, purpose: str) -> PurposeState:
        """What holds for Ann."""
        states = self.consent.GetConsent(GetConsentRequest(subject=ANN)).states
        return next(state for state in states if state.purpose == purpose)


@contextmanager
def open_desk(folder: Path) -> Iterator[Desk]:
    """Ann is known by her e-mail and what she looked at."""
    served = Served(folder)
    served.take(signal(("email", "ann@posteo.net"), ("login", "ann"), **viewed("sport")))
    numbers = itertools.count(1)
    log = SqliteAuditLog(folder / "audit.sqlite3", b"k" * 32)
    answers = answers_of(served)

    def open_recorder(store: MemoryGraphStore) -> ConsentRecorder:
        return ConsentRecorder(
            served.new_intake(),
            answers.unknown,
            IntoStore(store, Auditor(log, served.clock_us)),
            lambda: f"desk-{next(numbers)}",
            served.clock_us,
        )

    source = IdentitySource(
        lambda: MemoryGraphStore(served.graph),
        IdentityAnswers(served.policy, served.naming, is_apart),
        ConsentSource(answers, open_recorder),  # type: ignore[arg-type]  # the store it opens
    )
    with asking(served, source, ACCESS) as channel:
        yield Desk(served, ConsentServiceStub(channel), ProfileServiceStub(channel), source)
    assert len(list(log.entries())) == log.head().size
    log.close()
    served.close()


def answers_of(served: Served) -> ConsentAnswers:
    """What ConsentService answers with."""
    return ConsentAnswers(
        served.purposes, served.naming, served.builder.seen, served.policy.deciders
    )


@contextmanager
def asking(served: Served, source: IdentitySource, access: Access) -> Iterator[grpc.Channel]:
    """A channel to a server that lets these callers in."""
    options = ServeOptions(address="127.0.0.1:0")
    server = ProfileServer(
        options, served.lookup, source, access=access, clock_us=served.clock_us, ready=True
    )
    with serving(server) as channel:
        yield channel

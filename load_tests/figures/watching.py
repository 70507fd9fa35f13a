"""A steady stream into Pulsar, and how long until lookups show what it said.

A person's signals lie in different partitions, so nobody is watched twice at
once: whoever is waited for sends nothing else until then.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import grpc

from ingest.publish import SignalPublisher
from ingest.v1.signal_pb2 import Assurance, Behaviour, BehaviourType, Identifier, LoggedIn, Signal
from load_tests.figures.visits import agent
from profiles.v1.profile_pb2 import Profile
from profiles.v1.profile_service_pb2 import (
    BatchGetProfilesRequest,
    Subject,
    SubjectIdentifier,
)
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub

WATCHED = 0.1
NEW = 0.05
POLL_S = 0.004
ASK_S = 20.0
MOST_ASKED = 100


@dataclass(slots=True)
class Waiting:
    """Whom a lookup shall show, and what was sent when."""

    login: str
    event_us: int
    sent_s: float


@dataclass(slots=True)
class Traffic:
    """Signals of a growing crowd, seeded. `people` are known at the beginning."""

    draw: random.Random
    people: int
    sent: int = 0

    def known(self, person: int) -> Signal:
        """A page view by a device with a login."""
        self.sent += 1
        signal = Signal(
            source="web",
            signal_id=f"f-{self.sent}",
            assurance=Assurance.ASSURANCE_AUTHENTICATED,
            identifiers=[
                Identifier(kind="device", value=f"d-{person}"),
                Identifier(kind="login", value=login_of(person)),
            ],
            behaviour=Behaviour(
                type=BehaviourType.BEHAVIOUR_TYPE_PAGE_VIEW,
                category=f"sport/{person % 40}",
                channel="web",
            ),
        )
        signal.context.user_agent = agent(person % 1_000)
        signal.context.network_address = f"10.1.{person // 250 % 250}.{person % 250}"
        signal.event_time.FromMicroseconds(time.time_ns() // 1_000)
        return signal

    def new(self) -> tuple[int, Signal]:
        """Somebody never seen logs in; the person's number comes with it."""
        self.people += 1
        signal = self.known(self.people)
        signal.logged_in.CopyFrom(LoggedIn(method="password"))
        return self.people, signal


def login_of(person: int) -> str:
    """A person's login."""
    return f"user.{person}@kinfold.io"


@dataclass(slots=True)
class Watch:
    """What is waited for, at most `patience_s` each, and the waits that ended, in seconds."""

    channel: grpc.Channel
    patience_s: float = 60.0
    waits_s: list[float] = field(default_factory=list)
    lost: int = 0
    _waiting: dict[str, Waiting] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def waits_for(self, login: str) -> bool:
        """Whether somebody is waited for."""
        return login in self._waiting

    def begin(self, waiting: Waiting) -> None:
        """Wait for somebody from now on."""
        with self._lock:
            self._waiting[waiting.login] = waiting

    def run(self, done: threading.Event) -> None:
        """Ask until `done` is set and nobody is waited for any more."""
        stub = ProfileServiceStub(self.channel)
        while not (done.is_set() and not self._waiting):
            began_s = time.monotonic()
            for some in self._chunks():
                self._ask(stub, some)
            time.sleep(max(POLL_S - (time.monotonic() - began_s), 0.0))

    def _chunks(self) -> Iterator[list[Waiting]]:
        with self._lock:
            waiting = list(self._waiting.values())
        for start in range(0, len(waiting), MOST_ASKED):
            yield waiting[start : start + MOST_ASKED]

    def _ask(self, stub: ProfileServiceStub, some: list[Waiting]) -> None:
        request = BatchGetProfilesRequest(purposes=["service"])
        request.mask.paths.append("presence")
        request.subjects.extend(
            Subject(identifier=SubjectIdentifier(kind="login", value=one.login)) for one in some
        )
        results = stub.BatchGetProfiles(request, timeout=ASK_S).results
        now_s = time.monotonic()
        for one, result in zip(some, results, strict=True):
            if _shows(result.response.profile, one.event_us):
                self.waits_s.append(now_s - one.sent_s)
            elif now_s - one.sent_s > self.patience_s:
                self.lost += 1
            else:
                continue
            with self._lock:
                del self._waiting[one.login]


def _shows(profile: Profile, event_us: int) -> bool:
    return profile.presence.last_seen.ToMicroseconds() >= event_us


def send_steadily(
    publisher: SignalPublisher, traffic: Traffic, watch: Watch, per_s: int, run_s: float
) -> int:
    """Send so many signals a second, evenly, for so long; how many there were."""
    draw = traffic.draw
    began_s = time.monotonic()
    count = int(per_s * run_s)
    for number in range(count):
        ahead_s = began_s + number / per_s - time.monotonic()
        if ahead_s > 0:
            time.sleep(ahead_s)
        if draw.random() < NEW:
            person, signal = traffic.new()
        else:
            person = draw.randint(1, traffic.people)
            while watch.waits_for(login_of(person)):
                person = draw.randint(1, traffic.people)
            signal = traffic.known(person)
        if draw.random() < WATCHED:
            event_us = signal.event_time.ToMicroseconds()
            watch.begin(Waiting(login_of(person), event_us, time.monotonic()))
        publisher.send(signal)
    publisher.flush()
    return count

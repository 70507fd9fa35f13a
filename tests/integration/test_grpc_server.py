"""The server around the services: health, limits, certificates, deadlines, stopping."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from identity.engines.memory import MemoryGraphStore
from identity.refused import Refused
from identity.serve import IdentityAnswers
from profiles.access import Access, Grant, parse
from profiles.consent import is_apart
from profiles.lookup import Lookup
from profiles.serve.identity_service import IdentitySource
from profiles.serve.options import ServeOptions, TlsFiles
from profiles.serve.server import CannotServe, ProfileServer
from profiles.v1.profile_service_pb2 import (
    BatchGetProfilesRequest,
    GetProfileRequest,
    GetProfileResponse,
    StreamProfilesRequest,
    Subject,
    SubjectIdentifier,
)
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub
from tests.support.certificates import Authority
from tests.support.grpc_calls import serving, told
from tests.support.rights import ACCESS, BEARER, CERTIFIED, EVERYTHING
from tests.support.served import Served, signal
from tests.support.signed_tokens import NOW_S, document, signed

OPTIONS = ServeOptions(address="127.0.0.1:0")
REQUEST = GetProfileRequest(
    subject=Subject(identifier=SubjectIdentifier(kind="login", value="ann-77")),
    purposes=["service"],
)
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SOON_S = 60.0


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """One person in a read view."""
    made = Served(tmp_path / "view")
    made.take(signal(("login", "ann-77")))
    yield made
    made.close()


def _server(
    served: Served, options: ServeOptions = OPTIONS, *, ready: bool = True
) -> ProfileServer:
    return ProfileServer(
        options, served.lookup, access=ACCESS, clock_us=served.clock_us, ready=ready
    )


class Held(Lookup):
    """The real lookups, each held up until it is let go; counts how many were begun."""

    def __init__(self, served: Served) -> None:
        self._real = served.lookup
        self.go = threading.Event()
        self.begun = threading.Semaphore(0)
        self.count = 0

    def get(self, request: GetProfileRequest, now_us: int, grant: Grant) -> bytes | Refused:
        """The real answer, later."""
        self.count += 1
        self.begun.release()
        assert self.go.wait(SOON_S)
        return self._real.get(request, now_us, grant)


def _health(channel: grpc.Channel, service: str = "") -> int:
    status: int = _health_stub(channel).Check(health_pb2.HealthCheckRequest(service=service)).status
    return status


def _health_stub(channel: grpc.Channel) -> Any:
    # The types leave its methods out.
    return health_pb2_grpc.HealthStub(channel)


# ---- readiness and health ----------------------------------------------------


def test_lookups_wait_for_the_read_view(served: Served) -> None:
    """Until the view is whole: NOT_READY and NOT_SERVING, on a stream in each answer."""
    server = _server(served, ready=False)
    with serving(server) as channel:
        stub = ProfileServiceStub(channel)
        refused = told(lambda: stub.GetProfile(REQUEST))
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_READY")
        (answer,) = stub.StreamProfiles(iter([StreamProfilesRequest(lookup=REQUEST)]))
        assert answer.result.reason == "NOT_READY"
        assert _health(channel) == _health(channel, "profiles.v1.ProfileService") == NOT_SERVING
        server.set_ready(True)
        assert stub.GetProfile(REQUEST).person_id
        assert _health(channel) == _health(channel, "profiles.v1.ProfileService") == SERVING


def test_health_of_identity_is_its_own(served: Served) -> None:
    """Identity answers while lookups are not ready; without a graph nobody knows the service."""
    source = IdentitySource(
        lambda: MemoryGraphStore(served.graph),
        IdentityAnswers(served.policy, served.naming, is_apart),
    )
    with serving(ProfileServer(OPTIONS, served.lookup, source, access=ACCESS)) as channel:
        assert _health(channel, "identity.v1.IdentityService") == SERVING
    with serving(_server(served)) as channel:
        refused = told(lambda: _health(channel, "identity.v1.IdentityService"))
        assert refused.code is grpc.StatusCode.NOT_FOUND


def _listed(channel: grpc.Channel) -> set[str]:
    # As for health.
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = stub.ServerReflectionInfo(iter([request]))
    return {service.name for service in answer.list_services_response.service}


def test_reflection_is_off_unless_asked_for(served: Served) -> None:
    """By default the method does not exist; switched on it lists what is served."""
    with serving(_server(served)) as channel:
        assert told(lambda: _listed(channel)).code is grpc.StatusCode.UNIMPLEMENTED
    with serving(_server(served, replace(OPTIONS, reflection=True))) as channel:
        listed = _listed(channel)
        assert "profiles.v1.ProfileService" in listed
        assert "identity.v1.IdentityService" not in listed


# ---- limits --------------------------------------------------------------------


def test_sizes_are_limited_both_ways(served: Served) -> None:
    """A request or an answer above its size is RESOURCE_EXHAUSTED; the answer's has a reason."""
    options = replace(OPTIONS, max_request_bytes=2_048, max_answer_bytes=1_024)
    with serving(_server(served, options)) as channel:
        stub = ProfileServiceStub(channel)
        assert stub.GetProfile(REQUEST).person_id
        large = GetProfileRequest(purposes=["x" * 3_000])
        assert told(lambda: stub.GetProfile(large)).code is grpc.StatusCode.RESOURCE_EXHAUSTED
        batch = BatchGetProfilesRequest(subjects=[REQUEST.subject] * 30, purposes=["service"])
        refused = told(lambda: stub.BatchGetProfiles(batch))
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "ANSWER_TOO_LARGE",
        )


def test_one_stream_too_many_is_refused_and_takes_no_lookups_thread(served: Served) -> None:
    """Open streams hold neither lookups nor each other up; when one ends, another may begin."""
    (local, *_) = ACCESS.callers
    access = Access((replace(local, streams=2),))
    options = replace(OPTIONS, threads=1, streams=2)
    with serving(ProfileServer(options, served.lookup, access=access, ready=True)) as channel:
        stub = ProfileServiceStub(channel)
        ends = [threading.Event() for _ in range(2)]

        def asking(end: threading.Event) -> Iterator[StreamProfilesRequest]:
            yield StreamProfilesRequest(lookup=REQUEST)
            assert end.wait(SOON_S)

        streams = [iter(stub.StreamProfiles(asking(end))) for end in ends]
        assert all(next(stream).result.code == 0 for stream in streams)
        assert stub.GetProfile(REQUEST, timeout=SOON_S).person_id
        once = [StreamProfilesRequest(lookup=REQUEST)]
        refused = told(lambda: list(stub.StreamProfiles(iter(once))))
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "TOO_MANY_STREAMS",
        )
        for end, stream in zip(ends, streams, strict=True):
            end.set()
            assert list(stream) == []
        (answer,) = stub.StreamProfiles(iter(once))
        assert answer.result.code == 0


def test_one_callers_streams_leave_room_for_others(served: Served) -> None:
    """Half of the replica's are the most that a caller holds whose number policy does not say."""
    with serving(_server(served, replace(OPTIONS, streams=2))) as channel:
        stub = ProfileServiceStub(channel)
        end = threading.Event()

        def asking() -> Iterator[StreamProfilesRequest]:
            yield StreamProfilesRequest(lookup=REQUEST)
            assert end.wait(SOON_S)

        held = iter(stub.StreamProfiles(asking()))
        assert next(held).result.code == 0
        once = [StreamProfilesRequest(lookup=REQUEST)]
        refused = told(lambda: list(stub.StreamProfiles(iter(once))))
        assert refused.reason == "TOO_MANY_STREAMS"
        (answer,) = stub.StreamProfiles(iter(once), metadata=BEARER)
        assert answer.result.code == 0
        end.set()
        assert list(held) == []


def test_a_stream_ends_with_the_token_it_was_begun_with(served: Served) -> None:
    """Answered up to the expiry, refused like any call from then on; the quota counts once."""
    access = parse(document(), served.purposes)
    (engine,) = access.callers
    grant = EVERYTHING._replace(caller=engine.name)
    access = Access((replace(engine, per_second=3, grant=grant),), access.issuers)
    server = ProfileServer(
        OPTIONS,
        served.lookup,
        access=access,
        clock_us=served.clock_us,
        steady_s=lambda: 0.0,
        ready=True,
    )
    shown = (("authorization", f"Bearer {signed(exp=NOW_S + 60)}"),)
    with serving(server) as channel:
        stub = ProfileServiceStub(channel)

        asks = queue.SimpleQueue[StreamProfilesRequest | None]()
        answers = iter(stub.StreamProfiles(iter(asks.get, None), metadata=shown))
        for later_us in (0, 59_999_999):
            served.now_us += later_us
            asks.put(StreamProfilesRequest(lookup=REQUEST))
            assert next(answers).result.reason == ""
        served.now_us += 1
        asks.put(StreamProfilesRequest(lookup=REQUEST))
        refused = told(lambda: next(answers))
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.UNAUTHENTICATED,
            "CALLER_UNKNOWN",
        )
        assert told(lambda: stub.GetProfile(REQUEST, metadata=shown)) == refused
        asks.put(None)


def test_more_calls_than_allowed_are_refused(served: Served) -> None:
    """With every place taken the next call is RESOURCE_EXHAUSTED at once, not put in a queue."""
    held = Held(served)
    server = ProfileServer(replace(OPTIONS, max_calls=1), held, access=ACCESS, ready=True)
    with serving(server) as channel:
        get = ProfileServiceStub(channel).GetProfile
        first = get.future(REQUEST)
        assert held.begun.acquire(timeout=SOON_S)
        assert told(lambda: get(REQUEST)).code is grpc.StatusCode.RESOURCE_EXHAUSTED
        held.go.set()
        assert first.result().person_id


def test_a_call_that_ran_out_of_time_in_the_queue_is_never_begun(served: Served) -> None:
    """One thread, held up: the call behind it passes its deadline and never reaches the lookups."""
    held = Held(served)
    server = ProfileServer(replace(OPTIONS, threads=1), held, access=ACCESS, ready=True)
    with serving(server) as channel:
        get = ProfileServiceStub(channel).GetProfile
        first = get.future(REQUEST)
        assert held.begun.acquire(timeout=SOON_S)
        late = told(lambda: get(REQUEST, timeout=0.2))
        assert late.code is grpc.StatusCode.DEADLINE_EXCEEDED
        held.go.set()
        assert first.result().person_id
        assert get(REQUEST).person_id
        assert held.count == 2


# ---- stopping --------------------------------------------------------------------


def test_a_stop_lets_calls_under_way_end(served: Served) -> None:
    """Health turns, new calls are refused, the one that was begun is answered, then all ends."""
    held = Held(served)
    server = ProfileServer(OPTIONS, held, access=ACCESS, ready=True)
    with serving(server) as channel:
        get = ProfileServiceStub(channel).GetProfile
        watch = _health_stub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == SERVING
        first = get.future(REQUEST)
        assert held.begun.acquire(timeout=SOON_S)
        stopping = threading.Thread(target=server.stop, args=(SOON_S,))
        stopping.start()
        assert next(watch).status == NOT_SERVING
        watch.cancel()
        held.go.set()
        assert first.result().person_id
        stopping.join(SOON_S)
        assert not stopping.is_alive()
        assert server.wait(SOON_S)
        assert told(lambda: get(REQUEST)).code is grpc.StatusCode.UNAVAILABLE


def test_a_stop_cuts_streams_that_outlast_its_grace(served: Served) -> None:
    """A stream that idles holds the stop up for the grace and not for longer."""
    server = _server(served)
    with serving(server) as channel:
        end = threading.Event()

        def asking() -> Iterator[StreamProfilesRequest]:
            yield StreamProfilesRequest(lookup=REQUEST)
            end.wait(SOON_S)

        stream = iter(ProfileServiceStub(channel).StreamProfiles(asking()))
        assert next(stream).result.code == 0
        server.stop(0.1)
        assert told(lambda: next(stream)).code in (
            grpc.StatusCode.CANCELLED,
            grpc.StatusCode.UNAVAILABLE,
        )
        end.set()


def test_stopping_twice_or_before_the_start_is_harmless(served: Served) -> None:
    """Whoever cleans up need not know how far the server came."""
    never_started = _server(served)
    never_started.stop()
    started = _server(served)
    started.start()
    started.stop()
    started.stop()


# ---- addresses and certificates -----------------------------------------------------


def test_a_taken_address_is_said_so(served: Served) -> None:
    """The second server on a port cannot serve, unless both mean to share it."""
    first = _server(served, replace(OPTIONS, reuse_port=True))
    port = first.start()
    options = replace(OPTIONS, address=f"127.0.0.1:{port}")
    second, sharing = _server(served, options), _server(served, replace(options, reuse_port=True))
    try:
        with pytest.raises(CannotServe, match=str(port)):
            second.start()
        assert sharing.start() == port
    finally:
        for server in (first, second, sharing):
            server.stop(0.1)


def test_a_unix_socket_serves(served: Served, tmp_path: Path) -> None:
    """Callers of the same machine may come by a socket file."""
    address = f"unix:{tmp_path / 'kinfold.sock'}"
    server = _server(served, replace(OPTIONS, address=address, core=0))
    assert server.start() == 0
    try:
        with grpc.insecure_channel(address) as channel:
            assert ProfileServiceStub(channel).GetProfile(REQUEST).person_id
    finally:
        server.stop(0.1)


def _over_tls(
    port: int, credentials: grpc.ChannelCredentials, shown: tuple[tuple[str, str], ...] = BEARER
) -> GetProfileResponse:
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
        return ProfileServiceStub(channel).GetProfile(REQUEST, timeout=SOON_S, metadata=shown)


def _refused_over_tls(port: int, credentials: grpc.ChannelCredentials) -> None:
    refused = told(lambda: _over_tls(port, credentials))
    assert refused.code is grpc.StatusCode.UNAVAILABLE


def test_tls_serves_those_who_trust_the_certificate(served: Served, tmp_path: Path) -> None:
    """With the right authority calls go through; with another, or in the clear, they do not."""
    authority = Authority("ours")
    certificate, key = authority.issue_to(tmp_path, "kinfold")
    server = _server(served, replace(OPTIONS, tls=TlsFiles(certificate, key)))
    port = server.start()
    try:
        trusting = grpc.ssl_channel_credentials(authority.pem)
        assert _over_tls(port, trusting).person_id
        assert told(lambda: _over_tls(port, trusting, ())).reason == "CALLER_UNKNOWN"
        _refused_over_tls(port, grpc.ssl_channel_credentials(Authority("theirs").pem))
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            get = ProfileServiceStub(channel).GetProfile
            assert told(lambda: get(REQUEST)).code is grpc.StatusCode.UNAVAILABLE
    finally:
        server.stop(0.1)


def test_mtls_serves_only_callers_that_the_authority_signed(served: Served, tmp_path: Path) -> None:
    """No certificate and one of another authority are refused; a signed one is let in."""
    ours, theirs = Authority("ours"), Authority("theirs")
    certificate, key = ours.issue_to(tmp_path, "kinfold")
    client_ca = tmp_path / "ca.pem"
    client_ca.write_bytes(ours.pem)
    server = _server(served, replace(OPTIONS, tls=TlsFiles(certificate, key, client_ca)))
    port = server.start()
    try:
        by_name = grpc.ssl_channel_credentials(ours.pem, *ours.issue(CERTIFIED))
        assert _over_tls(port, by_name, ()).version
        stranger = grpc.ssl_channel_credentials(ours.pem, *ours.issue("stranger"))
        assert told(lambda: _over_tls(port, stranger, ())).reason == "CALLER_UNKNOWN"
        _refused_over_tls(port, grpc.ssl_channel_credentials(ours.pem))
        _refused_over_tls(port, grpc.ssl_channel_credentials(ours.pem, *theirs.issue("caller")))
    finally:
        server.stop(0.1)


def test_a_renewed_certificate_is_taken_up_without_a_restart(
    served: Served, tmp_path: Path
) -> None:
    """The next handshake shows the new files; files that vanish leave the last ones in force."""
    old, new = Authority("old"), Authority("new")
    certificate, key = old.issue_to(tmp_path, "kinfold")
    server = _server(served, replace(OPTIONS, tls=TlsFiles(certificate, key)))
    port = server.start()
    try:
        assert _over_tls(port, grpc.ssl_channel_credentials(old.pem)).version
        new.issue_to(tmp_path, "kinfold")
        assert _over_tls(port, grpc.ssl_channel_credentials(new.pem)).version
        _refused_over_tls(port, grpc.ssl_channel_credentials(old.pem))
        certificate.unlink()
        assert _over_tls(port, grpc.ssl_channel_credentials(new.pem)).version
    finally:
        server.stop(0.1)

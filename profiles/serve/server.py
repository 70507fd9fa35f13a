"""The server: its services, health, certificates and limits, put together and stopped gracefully.

Chosen by measuring (load_tests/grpc_variants.py, load_tests/bench_grpc.py):
handlers on threads rather than on an event loop, which costs a unary lookup
less; one process a port unless each has a core of its own; and the grpcio
release that pyproject.toml pins, since newer ones cost more.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from profiles.access import Access
from profiles.serve import profile_service
from profiles.serve.callers import Callers
from profiles.serve.calls import Gate
from profiles.serve.identity_service import IdentityService, IdentitySource
from profiles.serve.options import ServeOptions
from profiles.serve.profile_service import Lookups, ProfileService
from profiles.serve.quota import Quotas
from profiles.serve.tls import Certificates

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class CannotServe(Exception):
    """The address cannot be listened on: taken, not of this machine, or not allowed."""


def _now_us() -> int:
    return time.time_ns() // 1_000


class ProfileServer:
    """Serves lookups, and identity where a graph is given, from `start` until `stop`.

    A server is started once. Until `set_ready`, lookups are refused with
    NOT_READY and health says NOT_SERVING; a server made with ``ready=True`` is
    ready from the start. `options` must have been verified. Quotas go by
    `steady_s`, a clock that never goes back.

    Errors: `CannotServe` from `start`; `OSError` when a certificate cannot be read.
    """

    def __init__(
        self,
        options: ServeOptions,
        lookups: Lookups,
        identity: IdentitySource | None = None,
        *,
        access: Access,
        clock_us: Callable[[], int] = _now_us,
        steady_s: Callable[[], float] = time.monotonic,
        ready: bool = False,
    ) -> None:
        assert not options.verify(), options.verify()
        self._options = options
        self._gate = Gate(is_open=ready)
        callers = Callers(
            access,
            secured=options.tls is not None,
            quotas=Quotas(access, steady_s),
            now_s=lambda: clock_us() / 1_000_000,
        )
        self._profiles = ProfileService(lookups, clock_us, self._gate, options, callers)
        self._identity = None if identity is None else IdentityService(identity, options, callers)
        self._health = health.HealthServicer()
        self._lookup_threads = ThreadPoolExecutor(options.threads, "lookup")
        # Two more than there may be streams: one too many is refused on a thread as well.
        self._stream_threads = ThreadPoolExecutor(options.streams + 2, "stream")
        self._server: grpc.Server | None = None

    def start(self) -> int:
        """Listen and serve; returns the port (0 for a Unix socket) when calls are answered."""
        assert self._server is None, "a server is started once"
        with _kept_on(self._options.core):
            server = self._assemble()
            try:
                port = self._listen(server)
            except RuntimeError as error:
                raise CannotServe(f"cannot listen on {self._options.address}") from error
            server.start()
        self._server = server
        self._tell_health()
        return 0 if self._options.address.startswith("unix:") else port

    def set_ready(self, ready: bool) -> None:
        """Say whether the read view is whole, so that lookups may be answered."""
        self._gate.is_open = ready
        self._tell_health()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the server has stopped; False when `timeout_s` ran out before."""
        assert self._server is not None, "start it first"
        return not self._server.wait_for_termination(timeout_s)

    def stop(self, grace_s: float = 5.0) -> None:
        """Stop gracefully: health says so, new calls are refused, those begun may end.

        1. Health says NOT_SERVING, for good.
        2. Nothing new is taken; calls and streams under way get `grace_s`, then are cut.
        3. Threads end and stores are closed.

        Returns when all is done. Again, or before `start`: only what is left to do.
        """
        self._health.enter_graceful_shutdown()
        if self._server is not None:
            self._server.stop(grace_s).wait()
        self._stream_threads.shutdown()
        self._lookup_threads.shutdown()
        if self._identity is not None:
            self._identity.close()
            self._identity = None

    def _assemble(self) -> grpc.Server:
        options = self._options
        server = grpc.server(
            self._lookup_threads,
            handlers=[self._profiles.handlers(self._stream_threads)],
            options=[
                ("grpc.max_receive_message_length", options.max_request_bytes),
                ("grpc.max_send_message_length", options.max_answer_bytes),
                ("grpc.so_reuseport", int(options.reuse_port)),
            ],
            maximum_concurrent_rpcs=options.max_calls,
        )
        if self._identity is not None:
            server.add_generic_rpc_handlers(self._identity.handlers())
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if options.reflection:
            names = [*self._services(), health.SERVICE_NAME, reflection.SERVICE_NAME]
            reflection.enable_server_reflection(names, server)
        return server

    def _listen(self, server: grpc.Server) -> int:
        options = self._options
        if options.tls is None:
            return server.add_insecure_port(options.address)
        credentials = Certificates(options.tls).credentials()
        return server.add_secure_port(options.address, credentials)

    def _services(self) -> list[str]:
        graph = () if self._identity is None else self._identity.services
        return [profile_service.SERVICE, *graph]

    def _tell_health(self) -> None:
        lookups = _SERVING if self._gate.is_open else _NOT_SERVING
        for service in ("", profile_service.SERVICE):
            self._health.set(service, lookups)
        if self._identity is not None:
            for service in self._identity.services:
                self._health.set(service, _SERVING)


@contextmanager
def _kept_on(core: int | None) -> Iterator[None]:
    """Threads started inside stay on the core; the calling thread is free again afterwards."""
    if core is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)

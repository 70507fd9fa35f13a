"""What looking at who calls adds to a lookup: `python -m load_tests.bench_access`.

Over a real gRPC server, inside its handler, in CPU microseconds per call: the
caller who shows nothing, one with a token, one with a client certificate.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from identity.refused import Refused
from profiles.serve.callers import Callers
from profiles.serve.calls import Context
from profiles.serve.guard import Guard
from tests.support.certificates import Authority
from tests.support.grpc_calls import raw_method
from tests.support.rights import BEARER, CERTIFIED, access_to_all

METHOD = "profiles.v1.ProfileService/GetProfile"
_TIMES = 20_000
_ROUNDS = 5


def _timed(guard: Guard) -> grpc.GenericRpcHandler[bytes, bytes]:
    """A method that answers every call with how long its guard took, the best of some rounds."""

    def answer(_: bytes, context: Context) -> bytes:
        assert not isinstance(guard(context), Refused)
        best_s = float("inf")
        for _round in range(_ROUNDS):
            begun_s = time.thread_time()
            for _again in range(_TIMES):
                guard(context)
            best_s = min(best_s, time.thread_time() - begun_s)
        return repr(best_s / _TIMES * 1e6).encode()

    service, _, method = METHOD.partition("/")
    handler = grpc.unary_unary_rpc_method_handler(answer)
    return grpc.method_handlers_generic_handler(service, {method: handler})


def measure() -> dict[str, float]:
    """CPU microseconds per call, by how the caller is known."""
    authority = Authority("load test")
    access = access_to_all()
    clear = Guard(Callers(access, secured=False), METHOD)
    closed = Guard(Callers(access, secured=True), METHOD)
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = authority.issue_to(Path(folder), "kinfold")
        pair = (key.read_bytes(), certificate.read_bytes())
    ours = grpc.ssl_server_credentials([pair], authority.pem, require_client_auth=True)
    theirs = grpc.ssl_channel_credentials(authority.pem, *authority.issue(CERTIFIED))
    return {
        "access_local_us": _ask(clear, None, None, ()),
        "access_token_us": _ask(clear, None, None, BEARER),
        "access_certificate_us": _ask(closed, ours, theirs, ()),
    }


def _ask(
    guard: Guard,
    ours: grpc.ServerCredentials | None,
    theirs: grpc.ChannelCredentials | None,
    sent: tuple[tuple[str, str], ...],
) -> float:
    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads, handlers=[_timed(guard)])
        address = "127.0.0.1:0"
        port = (
            server.add_insecure_port(address)
            if ours is None
            else server.add_secure_port(address, ours)
        )
        server.start()
        target = f"127.0.0.1:{port}"
        with (
            grpc.insecure_channel(target) if theirs is None else grpc.secure_channel(target, theirs)
        ) as channel:
            call = raw_method(channel, f"/{METHOD}")
            told = float(call(b"", metadata=sent, timeout=60))
        server.stop(0).wait()
    return told


if __name__ == "__main__":
    for name, figure in measure().items():
        print(f"{name:22} {figure:6.2f}")

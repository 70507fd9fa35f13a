"""Talks to a running server as any gRPC client would, and reads its errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status

from profiles.serve.server import ProfileServer


@dataclass(frozen=True, slots=True)
class Told:
    """What an error told its caller."""

    code: grpc.StatusCode
    reason: str
    field: str
    message: str


@contextmanager
def serving(server: ProfileServer) -> Iterator[grpc.Channel]:
    """Start the server, give a channel to it, stop both."""
    try:
        with grpc.insecure_channel(f"127.0.0.1:{server.start()}") as channel:
            yield channel
    finally:
        server.stop(1.0)


def told(call: Callable[[], object]) -> Told:
    """Make the call, which must fail, and give what its error told."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return told_by(caught.value)


def told_by(error: grpc.RpcError) -> Told:
    """What an error told; reason and field are empty when it had none."""
    # What a channel raises is a Call as well, which the type of an RpcError does not tell.
    call = cast("grpc.Call", error)
    info, request = ErrorInfo(), BadRequest()
    status = rpc_status.from_call(call)
    for detail in status.details if status is not None else ():
        detail.Unpack(info)
        detail.Unpack(request)
    fields = [violation.field for violation in request.field_violations]
    return Told(call.code(), info.reason, ",".join(fields), call.details() or "")


def raw_method(channel: grpc.Channel, path: str) -> grpc.UnaryUnaryMultiCallable[bytes, bytes]:
    """A unary method that takes and gives bytes as they are."""
    return channel.unary_unary(path, _as_is, _as_is)


def _as_is(message: bytes) -> bytes:
    return message


def outcome(call: Callable[[], object]) -> object:
    """What a call answered, or of a refusal every byte that its caller is told: code, words and
    the details in the trailer.
    """
    try:
        return call()
    except grpc.RpcError as error:
        refused = cast("grpc.Call", error)
        trailers = sorted((key, str(value)) for key, value in refused.trailing_metadata() or ())
        return repr((refused.code().name, refused.details(), trailers)).encode()

"""ProfileService: bytes in, bytes out, so that an answer joined from sections is never parsed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import grpc

from identity.refused import Refused
from profiles.access import Grant
from profiles.serve.callers import Callers
from profiles.serve.calls import Context, Gate, abort, outcome_of, unary
from profiles.serve.errors import refuse
from profiles.serve.guard import UNKNOWN, Guard
from profiles.serve.options import MAX_BATCH, ServeOptions
from profiles.serve.quota import Slots
from profiles.serve.wire import batch_answer, stream_answer
from profiles.v1.profile_service_pb2 import (
    DESCRIPTOR,
    BatchGetProfilesRequest,
    GetProfileRequest,
    StreamProfilesRequest,
)

SERVICE: str = DESCRIPTOR.services_by_name["ProfileService"].full_name

_BATCH_TOO_LARGE = refuse("BATCH_TOO_LARGE", "subjects")
_TOO_MANY_STREAMS = refuse("TOO_MANY_STREAMS")
_NOT_READY = refuse("NOT_READY")
_EXHAUSTED = refuse("QUOTA_EXHAUSTED")


class Lookups(Protocol):
    """What answers lookups. Threads share one object."""

    def get(self, request: GetProfileRequest, now_us: int, grant: Grant) -> bytes | Refused:
        """A serialized GetProfileResponse, or why there is none."""

    def get_serialized(self, request: bytes, now_us: int, grant: Grant) -> bytes | Refused:
        """The same of a serialized request. Raises `DecodeError` when it is not one."""

    def get_many(
        self, request: BatchGetProfilesRequest, now_us: int, grant: Grant
    ) -> list[bytes | Refused] | Refused:
        """One outcome per subject, same order; or why the whole batch has none."""


class ProfileService:
    """The methods of ProfileService over `lookups`; `clock_us` tells microseconds since 1970."""

    def __init__(
        self,
        lookups: Lookups,
        clock_us: Callable[[], int],
        gate: Gate,
        options: ServeOptions,
        callers: Callers,
    ) -> None:
        self._lookups = lookups
        self._clock_us = clock_us
        self._gate = gate
        self._options = options
        self._callers = callers
        self._quotas = callers.quotas
        self._slots = Slots(callers.access, options.streams)

    def handlers(self, streams: ThreadPoolExecutor) -> grpc.GenericRpcHandler[bytes, bytes]:
        """The methods as gRPC takes them; streams run on threads of their own, so that they
        take none from the lookups. It needs more threads than streams are allowed, to refuse on.
        """
        size = self._options.max_answer_bytes
        may_stream = self._guard("StreamProfiles")

        def stream(requests: Iterator[bytes], context: Context) -> Iterator[bytes]:
            return self._stream(requests, context, may_stream)

        stream.experimental_thread_pool = streams  # type: ignore[attr-defined]  # grpc reads it
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "GetProfile": grpc.unary_unary_rpc_method_handler(
                    unary(self.get, self._guard("GetProfile"), self._gate, size)
                ),
                "BatchGetProfiles": grpc.unary_unary_rpc_method_handler(
                    unary(self.batch, self._guard("BatchGetProfiles"), self._gate, size)
                ),
                "StreamProfiles": grpc.stream_stream_rpc_method_handler(stream),
            },
        )

    def _guard(self, method: str) -> Guard:
        return Guard(self._callers, f"{SERVICE}/{method}")

    def get(self, request: bytes, grant: Grant) -> bytes | Refused:
        """GetProfile, from serialized request to serialized answer."""
        return self._lookups.get_serialized(request, self._clock_us(), grant)

    def batch(self, request: bytes, grant: Grant) -> bytes | Refused:
        """BatchGetProfiles, from serialized request to serialized answer."""
        parsed = BatchGetProfilesRequest.FromString(request)
        if len(parsed.subjects) > MAX_BATCH:
            return _BATCH_TOO_LARGE
        # The call itself was counted as one.
        self._quotas.owe(grant.caller, max(len(parsed.subjects) - 1, 0))
        outcomes = self._lookups.get_many(parsed, self._clock_us(), grant)
        return outcomes if isinstance(outcomes, Refused) else batch_answer(outcomes)

    def streamed(self, request: bytes, grant: Grant) -> bytes | Refused:
        """One lookup of a stream, from serialized request to serialized GetProfileResponse."""
        if not self._quotas.take(grant.caller):
            return _EXHAUSTED
        parsed = StreamProfilesRequest.FromString(request)
        return self._lookups.get(parsed.lookup, self._clock_us(), grant)

    def _stream(self, requests: Iterator[bytes], context: Context, guard: Guard) -> Iterator[bytes]:
        """Lookups until the caller ends it, or is known no more: a token may expire meanwhile."""
        grant = guard(context)
        if isinstance(grant, Refused):
            abort(context, grant)
        is_known = guard.lasting(context)
        if not self._slots.take(grant.caller):
            abort(context, _TOO_MANY_STREAMS)
        try:
            for request in requests:
                if not is_known():
                    abort(context, UNKNOWN)
                open_now = self._gate.is_open
                yield stream_answer(
                    outcome_of(self.streamed, request, grant) if open_now else _NOT_READY
                )
        finally:
            self._slots.give_back(grant.caller)

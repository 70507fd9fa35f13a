"""IdentityService, ConsentService and PrivacyService over a graph store: one store per thread,
apart from the lookups' threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Barrier, local
from typing import Protocol, TypeVar

import grpc
from google.protobuf.message import Message

from identity.refused import Refused
from identity.serve import IdentityAnswers
from identity.store import GraphStore
from identity.v1.identity_service_pb2 import (
    DESCRIPTOR,
    ExplainLinkRequest,
    ExportStatsRequest,
    GetLineageRequest,
    GetLineageResponse,
    ResolveIdentityRequest,
)
from profiles.access import Grant
from profiles.consent_answers import ConsentAnswers, Recorder
from profiles.people_quota import PEOPLE_EXHAUSTED, PeopleQuotas
from profiles.privacy_desk import Doing
from profiles.serve.callers import Callers
from profiles.serve.calls import Context, Gate, Unary, Work, unary
from profiles.serve.errors import NOT_FOUND, refuse
from profiles.serve.guard import Guard
from profiles.serve.options import ServeOptions
from profiles.serve.privacy_service import PRIVACY, Answer, PrivacySource, asked_kind
from profiles.v1.consent_service_pb2 import DESCRIPTOR as CONSENT_DESCRIPTOR
from profiles.v1.consent_service_pb2 import (
    GetConsentRequest,
    ListConsentDecisionsRequest,
    RecordConsentRequest,
)

SERVICE: str = DESCRIPTOR.services_by_name["IdentityService"].full_name
CONSENT: str = CONSENT_DESCRIPTOR.services_by_name["ConsentService"].full_name

_Request_contra = TypeVar("_Request_contra", contravariant=True)
_Request = TypeVar("_Request")


class _Answer(Protocol[_Request_contra]):
    def __call__(
        self, store: GraphStore, request: _Request_contra, grant: Grant, /
    ) -> Message | Refused: ...


@dataclass(frozen=True, slots=True)
class ConsentSource:
    """Where consent is answered from, and recorded. `open_recorder` is called once in each thread
    that needs it, with that thread's store.
    """

    answers: ConsentAnswers
    open_recorder: Callable[[GraphStore], Recorder]


Release = Callable[[ExportStatsRequest], Iterable[Message] | Refused]
"""Hands figures out: whatever is in its answer is in the register before it returns."""


@dataclass(frozen=True, slots=True)
class IdentitySource:
    """Where identity is answered from. `open_store` is called once in each thread that needs it.

    `people` is the same that lookups count on: whom a caller is told of counts once, by whichever
    method.
    """

    open_store: Callable[[], GraphStore]
    answers: IdentityAnswers
    consents: ConsentSource | None = None
    figures: Release | None = None
    people: PeopleQuotas | None = None
    privacy: PrivacySource | None = None


class IdentityService:
    """The methods of all services over the graph, each thread over a store of its own.

    They need no read view, so they answer while lookups are not ready yet.
    """

    def __init__(self, source: IdentitySource, options: ServeOptions, callers: Callers) -> None:
        self._source = source
        self._callers = callers
        self._options = options
        self._pool = ThreadPoolExecutor(options.identity_threads, "identity")
        self._mine = local()
        self._gate = Gate(is_open=True)

    @property
    def services(self) -> tuple[str, ...]:
        """The names of the services that are served."""
        consents = () if self._source.consents is None else (CONSENT,)
        privacy = () if self._source.privacy is None else (PRIVACY,)
        return (SERVICE, *consents, *privacy)

    def handlers(self) -> tuple[grpc.GenericRpcHandler[bytes, bytes], ...]:
        """The methods as gRPC takes them."""
        answers = self._source.answers
        identity = self._handler(
            SERVICE,
            {
                "ResolveIdentity": self._work(
                    ResolveIdentityRequest.FromString, _to_all(answers.resolve)
                ),
                "ExplainLink": self._work(ExplainLinkRequest.FromString, _to_all(answers.explain)),
                "GetLineage": self._work(GetLineageRequest.FromString, _to_all(answers.lineage)),
            },
            {} if self._source.figures is None else {"ExportStats": self._figures()},
        )
        handlers = [identity]
        if self._source.consents is not None:
            handlers.append(self._consent_handler(self._source.consents.answers))
        if self._source.privacy is not None:
            methods = self._source.privacy.methods.items()
            handlers.append(
                self._handler(PRIVACY, {name: self._privacy(*each) for name, each in methods})
            )
        return tuple(handlers)

    def _consent_handler(self, consents: ConsentAnswers) -> grpc.GenericRpcHandler[bytes, bytes]:
        return self._handler(
            CONSENT,
            {
                "GetConsent": self._work(GetConsentRequest.FromString, consents.get),
                "ListConsentDecisions": self._work(
                    ListConsentDecisionsRequest.FromString, consents.history
                ),
                "RecordConsent": self._work(RecordConsentRequest.FromString, self._record),
            },
        )

    def _handler(
        self,
        service: str,
        work: Mapping[str, Work],
        streams: Mapping[str, grpc.RpcMethodHandler[bytes, bytes]] | None = None,
    ) -> grpc.GenericRpcHandler[bytes, bytes]:
        methods = {
            name: grpc.unary_unary_rpc_method_handler(self._method(f"{service}/{name}", method))
            for name, method in work.items()
        }
        return grpc.method_handlers_generic_handler(service, {**methods, **(streams or {})})

    def _figures(self) -> grpc.RpcMethodHandler[bytes, bytes]:
        """ExportStats: the whole answer is made as one work, then sent piece by piece."""
        release = self._source.figures
        assert release is not None, "only called where figures are served"
        guard = Guard(self._callers, f"{SERVICE}/ExportStats")

        def call(request: bytes, context: Context) -> Iterator[bytes]:
            pieces: list[bytes] = []

            def work(asked: bytes, _grant: Grant) -> bytes | Refused:
                outcome = release(ExportStatsRequest.FromString(asked))
                if isinstance(outcome, Refused):
                    return outcome
                pieces.extend(piece.SerializeToString() for piece in outcome)
                return b""

            unary(work, guard, self._gate, self._options.max_answer_bytes)(request, context)
            yield from pieces

        call.experimental_thread_pool = self._pool  # type: ignore[attr-defined]  # grpc reads it
        return grpc.unary_stream_rpc_method_handler(call)

    def close(self) -> None:
        """Close every thread's store in the thread that opened it, then end the threads."""
        threads = self._options.identity_threads
        # All meet before any closes, so that no thread closes twice and another never.
        all_here = Barrier(threads)
        wait([self._pool.submit(self._close_mine, all_here) for _ in range(threads)])
        self._pool.shutdown()

    def _method(self, name: str, work: Work) -> Unary:
        guard = Guard(self._callers, name)
        method = unary(work, guard, self._gate, self._options.max_answer_bytes)

        def call(request: bytes, context: Context) -> bytes:
            return method(request, context)

        call.experimental_thread_pool = self._pool  # type: ignore[attr-defined]  # grpc reads it
        return call

    def _work(self, parse: Callable[[bytes], _Request], answer: _Answer[_Request]) -> Work:
        def work(request: bytes, grant: Grant) -> bytes | Refused:
            parsed = parse(request)
            for kind, field in asked_kinds(parsed):
                if not grant.may_ask_by(kind):
                    return refuse("KIND_NOT_ALLOWED", field)
            store = self._store()
            outcome = answer(store, parsed, grant)
            if grant.people_per_day and not self._may_tell(store, grant, outcome):
                return PEOPLE_EXHAUSTED
            return outcome if isinstance(outcome, Refused) else outcome.SerializeToString()

        return work

    def _may_tell(self, store: GraphStore, grant: Grant, outcome: Message | Refused) -> bool:
        """Whether an answer stays within the caller's quota of people, who are then counted."""
        people = self._source.people
        assert people is not None, "a policy with people_per_day needs PeopleQuotas"
        if isinstance(outcome, Refused):
            return outcome.code != NOT_FOUND or not people.is_spent(grant)
        if isinstance(outcome, GetLineageResponse):
            # Its ids stand for others as well. One that stands for nobody now counts for itself.
            named = (store.current(one) or one for one in ids_of(outcome))
            return people.take_all(grant, named)
        person: str = getattr(outcome, "person_id", "")
        return not person or people.take(grant, person.encode())

    def _privacy(self, parse: Callable[[bytes], Message], answer: Answer) -> Work:
        def work(request: bytes, grant: Grant) -> bytes | Refused:
            parsed = parse(request)
            kind = asked_kind(parsed)
            if kind is not None and not grant.may_ask_by(kind):
                return refuse("KIND_NOT_ALLOWED", "subject.identifier")
            outcome = answer(self._doing(), parsed, grant)
            return outcome if isinstance(outcome, Refused) else outcome.SerializeToString()

        return work

    def _doing(self) -> Doing:
        doing: Doing | None = getattr(self._mine, "doing", None)
        if doing is None:
            assert self._source.privacy is not None, "only called where requests are served"
            doing = self._mine.doing = self._source.privacy.open_doing(self._store())
        return doing

    def _record(
        self, store: GraphStore, request: RecordConsentRequest, grant: Grant
    ) -> Message | Refused:
        recorder: Recorder | None = getattr(self._mine, "recorder", None)
        if recorder is None:
            assert self._source.consents is not None, "only called where consents are served"
            recorder = self._mine.recorder = self._source.consents.open_recorder(store)
        return recorder.record(request, grant)

    def _store(self) -> GraphStore:
        store: GraphStore | None = getattr(self._mine, "store", None)
        if store is None:
            store = self._mine.store = self._source.open_store()
        return store

    def _close_mine(self, all_here: Barrier) -> None:
        all_here.wait()
        store: GraphStore | None = getattr(self._mine, "store", None)
        if store is not None:
            store.close()


def _to_all(
    answer: Callable[[GraphStore, _Request], Message | Refused],
) -> _Answer[_Request]:
    """An answer that is the same for whoever may ask."""
    return lambda store, request, _grant: answer(store, request)


def ids_of(told: GetLineageResponse) -> set[str]:
    """Every id that a lineage names."""
    named = {told.person_id, told.current_person_id}
    for entry in told.entries:
        named |= {entry.person_id, entry.other_person_id}
    return named - {""}


def asked_kinds(request: object) -> list[tuple[str, str]]:
    """The kinds of the identifiers that a request names people by, each with its field's path."""
    match request:
        case ResolveIdentityRequest():
            return [(request.identifier.kind, "identifier")]
        case ExplainLinkRequest():
            return [(request.left.kind, "left"), (request.right.kind, "right")]
        case RecordConsentRequest():
            return [(request.identifier.kind, "identifier")]
        case GetConsentRequest() | ListConsentDecisionsRequest():
            if request.subject.HasField("identifier"):
                return [(request.subject.identifier.kind, "subject.identifier")]
    return []

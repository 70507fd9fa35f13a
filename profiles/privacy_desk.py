"""The desk of requests: takes them in, moves them on step by step, has them carried out, proves it.

What a request comes to in the stores is `Doing`'s; what the network needs around
it is the server's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from identity.model import Assurance, NodeKey
from identity.refused import Refused
from profiles.access import LOCAL, Grant
from profiles.audit import token
from profiles.deadlines import RequestKind, deadlines
from profiles.privacy_messages import (
    as_message,
    kind_of,
    place_of,
    problem_of,
    said_of,
    state_of,
    token_of,
)
from profiles.privacy_policy import GRPC, LEVELS, Role
from profiles.receipts import receipt_of
from profiles.request_book import RequestBook
from profiles.request_store import PAGE
from profiles.requests import OPEN, PACKAGED, InStore, Request, Said, State, Step, Taken
from profiles.serve.errors import refuse
from profiles.v1 import privacy_service_pb2 as pb

ADVANCES: Final = {
    "confirm": Step.CONFIRM,
    "verify": Step.VERIFY,
    "extend": Step.EXTEND,
    "refuse": Step.REFUSE,
    "withdraw": Step.WITHDRAW,
}
PENDING: Final = "pending"
ANYBODY: Final = tuple(Role)
AGENT: Final = (Role.AGENT,)
APPROVER: Final = (Role.APPROVER,)


class Done(NamedTuple):
    """What carrying a request out came to: how far each store is, and, of an erasure, the names
    that are nobody's any more, each up to when it stood for whom was erased, microseconds.
    """

    stores: tuple[InStore, ...]
    erased: Mapping[NodeKey, int] = MappingProxyType({})


class Beside(NamedTuple):
    """What the store of requests holds of somebody: their other requests, and, by reserved
    purpose, whether a reason is kept why they are set apart.
    """

    requests: tuple[Request, ...] = ()
    reasons: Mapping[str, bool] = MappingProxyType({})


class Doing(Protocol):
    """Carries requests out. One per thread. Raises what the stores below it raise."""

    def plan(self, request: Request) -> pb.PlanResponse | Refused:
        """What running it would do."""

    def is_erased(self, request_id: str) -> bool:
        """Whether the deletion ledger knows an erasure by this request."""

    def problem(self, said: Said) -> Refused | None:
        """Why what is said to be right cannot be: better told when it is taken in than when run."""

    def obstacle(self, request: Request, *, as_one: bool) -> Refused | None:
        """Why it cannot be run just now."""

    def holds(self, request: Request) -> Sequence[int]:
        """The signals of the legal holds that keep it from being run."""

    def run(self, request: Request) -> Done | Refused:
        """Carry it out, or go on with it; done before, it only tells again."""

    def has_landed(self, request: Request) -> bool:
        """Whether all that running it sent counts in the graph by now."""

    def apart(self, said: Said) -> dict[str, int]:
        """What sets somebody apart: the signals that say so, by reserved purpose."""

    def signal_of(self, signal_id: str) -> int:
        """What names a signal of staff's source in the graph."""

    def counts(self, signal: int) -> bool:
        """Whether what this signal says counts, of whomever it is."""

    def set_apart(
        self, said: Said, purpose: str, *, in_force: bool, signal_id: str, at_us: int
    ) -> Refused | None:
        """Put something in force, or end it; again under the same id and time: a no-op."""

    def names(self, said: Said) -> Mapping[NodeKey, int]:
        """What stands for somebody and for nobody else, nodes and ids as `person:ID`, and up to
        when, microseconds.
        """

    def held(self, request: Request, beside: Beside, now_us: int) -> dict[str, bytes]:
        """Everything held about somebody, as files."""


class PrivacyDesk:
    """Answers of PrivacyService about requests. Threads may share one.

    Raises:
        RequestsError, AuditError, and whatever `Doing` raises: call again.
    """

    def __init__(self, book: RequestBook) -> None:
        self._book = book

    def submit(
        self, doing: Doing, asked: pb.SubmitRequest, grant: Grant
    ) -> pb.SubmitResponse | Refused:
        """Take a request in."""
        book = self._book
        by = book.acts(grant, asked.staff, AGENT)
        if isinstance(by, Refused):
            return by
        wrong = problem_of(asked)
        if wrong is not None:
            return wrong
        subject = book.subject(asked.subject)
        if isinstance(subject, Refused):
            return subject
        now_us = book.means.now_us()
        given = asked.HasField("received_at")
        received_us = asked.received_at.ToMicroseconds() if given else now_us
        if not 0 <= received_us <= now_us:
            return refuse("REQUEST_INVALID", "received_at")
        said = said_of(asked, subject)
        wrong = doing.problem(said)
        if wrong is not None:
            return wrong
        made = self._made(asked, said, received_us, by)
        # Asked first: whoever takes the same in at this moment keeps it before it is logged.
        spent = book.is_logged(made.id) or doing.is_erased(made.id)
        known = book.requests.get(made.id) is not None
        if spent and not known:
            return refuse("REQUEST_ID_SPENT", "request_id")
        kept = book.take_in(made, by)
        # What was forgotten after an erasure cannot be compared any more: it is that one.
        is_other = kept.keyed != made.keyed or (given and kept.received_us != received_us)
        if kept.keyed and is_other:
            return refuse("REQUEST_ID_TAKEN", "request_id")
        if kept.state is State.RECEIVED and kept.level >= kept.needed:
            verified = book.moved(kept, Step.VERIFY, by)
            kept = kept if isinstance(verified, Refused) else verified
        return pb.SubmitResponse(request=as_message(kept), known=known)

    def get(self, doing: Doing, asked: pb.GetRequest, grant: Grant) -> pb.GetResponse | Refused:
        """A request as it stands."""
        found = self._book.found(grant, asked.staff, ANYBODY, asked.request_id)
        if isinstance(found, Refused):
            return found
        return pb.GetResponse(request=as_message(self._settled(doing, *found)))

    def list(self, doing: Doing, asked: pb.ListRequest, grant: Grant) -> pb.ListResponse | Refused:
        """Requests in some states, soonest owed first, a page of them."""
        del doing
        by = self._book.acts(grant, asked.staff, ANYBODY)
        if isinstance(by, Refused):
            return by
        states = [state_of(name) for name in asked.states]
        if None in states:
            return refuse("REQUEST_INVALID", "states")
        try:
            due_by = date.fromisoformat(asked.due_by) if asked.due_by else None
        except ValueError:
            return refuse("REQUEST_INVALID", "due_by")
        after = place_of(asked.page_token)
        if after is None:
            return refuse("REQUEST_INVALID", "page_token")
        wanted = [state for state in states if state is not None] or OPEN
        found = self._book.requests.all(wanted, due_by, PAGE + 1, after=after)
        page = found[:PAGE]
        token_of_next = token_of(page[-1]) if len(found) > PAGE else ""
        return pb.ListResponse(requests=map(as_message, page), next_page_token=token_of_next)

    def plan(self, doing: Doing, asked: pb.PlanRequest, grant: Grant) -> pb.PlanResponse | Refused:
        """What running a request would do."""
        found = self._book.found(grant, asked.staff, ANYBODY, asked.request_id)
        if isinstance(found, Refused):
            return found
        plan = doing.plan(found[0])
        untold = self._book.untold(grant, plan)
        if untold is not None:
            return untold
        if not isinstance(plan, Refused):
            signals = doing.holds(found[0])
            holds = self._book.requests.holds(signals)
            for signal in signals:
                hold = holds.get(signal)
                plan.held.append("no reason is kept here" if hold is None else hold.reason)
        return plan

    def receipt(
        self, doing: Doing, asked: pb.GetReceiptRequest, grant: Grant
    ) -> pb.GetReceiptResponse | Refused:
        """What the audit log says on a request, with proofs."""
        found = self._book.found(grant, asked.staff, ANYBODY, asked.request_id)
        if isinstance(found, Refused):
            return found
        return receipt_of(self._book, self._settled(doing, *found))

    def advance(
        self, doing: Doing, asked: pb.AdvanceRequest, grant: Grant
    ) -> pb.AdvanceResponse | Refused:
        """Note that receipt was confirmed or that it was withdrawn; verify, extend or refuse."""
        del doing
        found = self._book.found(grant, asked.staff, AGENT, asked.request_id)
        if isinstance(found, Refused):
            return found
        request, by = found
        step = ADVANCES.get(asked.step)
        if step is None:
            return refuse("REQUEST_INVALID", "step")
        if asked.level and asked.level not in LEVELS:
            return refuse("REQUEST_INVALID", "level")
        if step is Step.CONFIRM and request.at(step) is not None:
            return pb.AdvanceResponse(request=as_message(request))
        level = LEVELS[asked.level] if asked.level and step is Step.VERIFY else None
        done = self._book.moved(request, step, by, reason=asked.reason.strip(), level=level)
        return done if isinstance(done, Refused) else pb.AdvanceResponse(request=as_message(done))

    def approve(
        self, doing: Doing, asked: pb.ApproveRequest, grant: Grant
    ) -> pb.ApproveResponse | Refused:
        """Approve what cannot be undone, as a second person."""
        del doing
        if self._book.policy.approve_over == GRPC and grant.caller == LOCAL:
            return refuse("APPROVAL_OVER_GRPC")
        found = self._book.found(grant, asked.staff, APPROVER, asked.request_id)
        if isinstance(found, Refused):
            return found
        request, by = found
        done = self._book.moved(request, Step.APPROVE, by, as_one=asked.as_one)
        return done if isinstance(done, Refused) else pb.ApproveResponse(request=as_message(done))

    def run(self, doing: Doing, asked: pb.RunRequest, grant: Grant) -> pb.RunResponse | Refused:
        """Carry a request out, or go on with it.

        1. See whether it may be run, and whether anything stands in its way.
        2. Note that it runs.
        3. Do it.
        4. Forget, of an erasure, what earlier requests of the person said.
        5. Note that it is done, with how far each store is, and forget what it said itself.
        """
        book = self._book
        found = book.found(grant, asked.staff, AGENT, asked.request_id)
        if isinstance(found, Refused):
            return found
        request, by = found
        if request.state is State.DONE:
            return pb.RunResponse(request=as_message(self._settled(doing, request, by)))
        if request.kind in PACKAGED:
            return refuse("REQUEST_NEEDS_EXPORT", "request_id")
        tried = book.tried(request, Step.RUN, by)
        if isinstance(tried, Refused):
            return tried
        # That several accounts are one person is two people's word where it cannot be undone.
        as_one = asked.as_one and request.as_one
        wrong = doing.obstacle(request, as_one=as_one)
        if wrong is not None:
            return wrong
        running = book.moved(request, Step.RUN, by, as_one=as_one)
        if isinstance(running, Refused):
            return running
        done = doing.run(running)
        if isinstance(done, Refused):
            return done
        stores = done.stores
        if request.kind is RequestKind.ERASURE:
            forgot = book.forget(running, done.erased, by)
            stores = (*stores, InStore("requests", "done", removed=forgot))
        finished = book.moved(running, Step.FINISH, by, stores=stores)
        if isinstance(finished, Refused):
            return finished
        return pb.RunResponse(request=as_message(finished))

    def _settled(self, doing: Doing, request: Request, by: str) -> Request:
        """The request, with what was still to be counted when it was done noted as counted."""
        is_pending = any(one.status == PENDING for one in request.stores)
        if request.state is not State.DONE or not is_pending or not doing.has_landed(request):
            return request
        stores = tuple(
            InStore(one.store, "done") if one.status == PENDING else one for one in request.stores
        )
        done = self._book.moved(request, Step.SETTLE, by, stores=stores)
        # Somebody else noted it in the meantime: the next look shows it.
        return request if isinstance(done, Refused) else done

    def _made(self, asked: pb.SubmitRequest, said: Said, received_us: int, by: str) -> Request:
        kind = kind_of(asked.kind)
        assert kind is not None, "its form was checked"
        policy, means = self._book.policy, self._book.means
        law = policy.law_in(asked.place)
        received = policy.day(received_us)
        content = repr((asked.kind, asked.place, asked.suppress, said))
        return Request(
            id=asked.request_id,
            kind=kind,
            law=law,
            place=asked.place,
            received_us=received_us,
            received=received,
            deadlines=deadlines(law, kind, received, policy.holidays),
            needed=policy.levels[kind],
            said=said,
            keyed=token(means.audit_key, f"request\0{content}"),
            level=LEVELS[asked.level] if asked.level else Assurance.NONE,
            steps=(Taken(Step.SUBMIT, means.now_us(), by),),
            suppress=asked.suppress,
        )

"""The book of requests: who of staff may act, each step kept and logged, and what is forgotten.

Every step is in the request store before anything is answered, and goes to the
audit log from there, whoever dies in between.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from identity.model import Assurance, NodeKey
from identity.refused import Refused
from profiles.access import Grant
from profiles.audit import AuditLog, Event, Kind, token
from profiles.deadlines import RequestKind
from profiles.people_quota import PEOPLE_EXHAUSTED, PeopleQuotas
from profiles.privacy_messages import subject_of
from profiles.privacy_policy import PrivacyPolicy, Role
from profiles.request_store import Overtaken, RequestStore
from profiles.requests import (
    InStore,
    Move,
    Request,
    Said,
    State,
    Step,
    Wrong,
    moved,
)
from profiles.serve.errors import NOT_FOUND, refuse
from profiles.v1.privacy_service_pb2 import PlanResponse
from profiles.v1.profile_service_pb2 import Subject

NameOf = Callable[[str, str], NodeKey | None]
_EVERYTHING = _FOREVER = 1 << 62
_PERSON = "person:"


@dataclass(frozen=True, slots=True)
class Means:
    """What a book works with; threads share it. `random` never repeats; `now_us` is the clock;
    `people` are the same that lookups count on.
    """

    policy: PrivacyPolicy
    requests: RequestStore
    log: AuditLog
    audit_key: bytes
    name_of: NameOf
    random: Callable[[int], bytes]
    now_us: Callable[[], int]
    people: PeopleQuotas | None = None


class RequestBook:
    """Keeps requests as they move on. Threads may share one.

    Raises:
        RequestsError, AuditError: what was done is kept or not; call again.
    """

    def __init__(self, means: Means) -> None:
        self.means = means
        self.policy = means.policy
        self.requests = means.requests

    def acts(self, grant: Grant, staff: str, roles: Collection[Role]) -> str | Refused:
        """The token of who of staff acts, if they may and the caller may act for them."""
        if not grant.may_act_for(staff) or not self.policy.may(staff, roles):
            return refuse("STAFF_NOT_ALLOWED", "staff")
        return staff_token(self.means.audit_key, staff)

    def found(
        self, grant: Grant, staff: str, roles: Collection[Role], request_id: str
    ) -> tuple[Request, str] | Refused:
        """A request, and the token of who acts."""
        by = self.acts(grant, staff, roles)
        if isinstance(by, Refused):
            return by
        found = self.requests.get(request_id)
        return refuse("REQUEST_UNKNOWN", "request_id") if found is None else (found, by)

    def untold(self, grant: Grant, plan: PlanResponse | Refused) -> Refused | None:
        """Why a caller is not told of whom a plan names: of as many as it may be today it was."""
        if not grant.people_per_day:
            return None
        named: set[str] = set()
        if not isinstance(plan, Refused):
            named = {plan.person_id, *plan.others} - {""}
        elif plan.code != NOT_FOUND:
            return None
        people = self.means.people
        assert people is not None, "a policy with people_per_day needs PeopleQuotas"
        return None if people.take_all(grant, named) else PEOPLE_EXHAUSTED

    def subject(self, subject: Subject) -> Said | Refused:
        """Whom a subject names, if it can name anybody."""
        said = subject_of(subject)
        if isinstance(said, Said) and not said.person and self._name(said) is None:
            return refuse("IDENTIFIER_INVALID", "subject.identifier")
        return said

    def about(self, said: Said) -> tuple[NodeKey, ...]:
        """Whom the log says something is about."""
        if said.person:
            return (f"person:{said.person}",)
        name = self._name(said)
        return () if name is None else (name,)

    def _name(self, said: Said) -> NodeKey | None:
        return self.means.name_of(said.kind, said.value) if said.kind else None

    def is_logged(self, request_id: str) -> bool:
        """Whether the log knows that a request was taken in under this id."""
        return self.means.log.knows(Kind.REQUEST, _once(request_id, 0))

    def take_in(self, made: Request, by: str) -> Request:
        """Keep a new request, or give the one that is kept under its id."""
        kept = self.requests.put(made, self._event(made, made, Step.SUBMIT, by))
        self.requests.log(self.means.log.append)
        return kept

    def tried(
        self,
        request: Request,
        step: Step,
        by: str,
        *,
        reason: str = "",
        level: Assurance | None = None,
        stores: tuple[InStore, ...] = (),
        as_one: bool = False,
    ) -> Request | Refused:
        """The request as it would be after a step; nothing is kept."""
        now_us = self.means.now_us()
        on = self.policy.day(now_us)
        done = moved(request, Move(step, now_us, by, on, reason, level, stores, as_one))
        if isinstance(done, Wrong):
            return refuse(done.value, "reason" if done is Wrong.REASON else "")
        return done

    def moved(
        self,
        request: Request,
        step: Step,
        by: str,
        *,
        reason: str = "",
        level: Assurance | None = None,
        stores: tuple[InStore, ...] = (),
        as_one: bool = False,
    ) -> Request | Refused:
        """Take a step and keep it; it is in the audit log when this returns."""
        done = self.tried(
            request, step, by, reason=reason, level=level, stores=stores, as_one=as_one
        )
        if isinstance(done, Refused):
            return done
        try:
            self.requests.change(done, [self._event(request, done, step, by, as_one=as_one)])
        except Overtaken:
            return refuse("REQUEST_CHANGED")
        self.requests.log(self.means.log.append)
        return done

    def forget(self, request: Request, erased: Mapping[NodeKey, int], by: str) -> int:
        """Forget what requests and holds of somebody erased said, and destroy the keys of their
        packages; how many requests. `request` is the one by which they were erased,
        `erased` what stood for them, up to when.

        What is open ends, but for erasures, which still say what is to be kept out,
        and what was asked since by whoever came back.
        """
        names = {**erased, **dict.fromkeys(self.about(request.said), _EVERYTHING)}
        began_us = request.at(Step.RUN)
        lasting = {name: began_us or 0 for name, until_us in names.items() if until_us >= _FOREVER}
        return self._forget(names, lasting, by, request.id)

    def forget_all(self, until_us: Mapping[NodeKey, int], by: str) -> int:
        """The same of everybody by these names, of what was received up to their moments.

        Of ids, as `person:ID`, which may have stood for others as well, nothing that is open ends.
        """
        nodes = {name: at_us for name, at_us in until_us.items() if not name.startswith(_PERSON)}
        return self._forget(until_us, nodes, by)

    def _forget(
        self,
        ended_us: Mapping[NodeKey, int],
        open_us: Mapping[NodeKey, int],
        by: str,
        but: str = "",
    ) -> int:
        forgot = 0
        for one in self.requests.all(frozenset(State), limit=_EVERYTHING, if_readable=True):
            if one.is_open and one.kind is RequestKind.ERASURE:
                continue
            until_us = open_us if one.is_open else ended_us
            if one.id != but and self._is_of(until_us, one.said, one.received_us):
                self.requests.destroy(one.id)
                forgot += not isinstance(self.moved(one, Step.FORGET, by), Refused)
        gone = []
        for signal, hold in self.requests.holds().items():
            kind, value = hold.whom
            said = Said(kind, value) if kind else Said(person=value)
            if self._is_of(ended_us, said, hold.since_us):
                gone.append(signal)
        self.requests.forget_holds(gone)
        return forgot

    def requests_of(self, until_us: Mapping[NodeKey, int], *, but: str = "") -> list[Request]:
        """Every request of somebody by these names, received up to their moments, soonest owed
        first.
        """
        found = self.requests.all(limit=_EVERYTHING, if_readable=True)
        return [
            one
            for one in found
            if one.id != but and self._is_of(until_us, one.said, one.received_us)
        ]

    def _is_of(self, until_us: Mapping[NodeKey, int], said: Said, at_us: int) -> bool:
        return any(at_us <= until_us.get(name, -1) for name in self.about(said))

    def _event(
        self, before: Request, after: Request, step: Step, by: str, *, as_one: bool = False
    ) -> Event:
        what: dict[str, str | int | bool] = {
            "step": step.value,
            "request": after.kind.value,
            "state": after.state.value,
            "law": after.law.value,
            "due": after.due.isoformat(),
            "staff": by,
        }
        what |= {f"store:{one.store}": str(one.status) for one in after.stores}
        what |= {"as_one": True} if as_one else {}
        role = Role.APPROVER if step is Step.APPROVE else Role.AGENT
        about = (f"request:{after.id}", *self.about(before.said))
        # That something counts by now is found, by whoever looks first.
        word = "kinfold" if step is Step.SETTLE else role.value
        once = _once(after.id, after.version)
        return Event(Kind.REQUEST, once, after.steps[-1].at_us, word, about, what)


def _once(request_id: str, version: int) -> str:
    return f"{request_id}:{version}"


def staff_token(key: bytes, staff: str) -> str:
    """What stands for somebody of staff wherever it is written down."""
    return token(key, f"staff\0{staff}")

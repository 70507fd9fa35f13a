"""Carries requests out: what each kind comes to in the graph, the feed and everywhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from identity.lineage import known_as
from identity.model import NodeKey, PersonId
from identity.policy import IdentityPolicy
from identity.refused import Refused
from identity.scope import Scope, by_kind
from identity.store import FOREVER_US, GraphStore, StoreUnavailable
from identity.tokens import Tokens
from ingest.dead_letters import LettersUnavailable
from ingest.staff_signals import StaffSignals
from kinfold.erasing import Erasing, NobodyToErase, UnderHold
from kinfold.held.beside import Letter
from kinfold.held.beside import beside as around_of
from kinfold.privacy_held import Holdings
from kinfold.privacy_obstacles import Obstacles
from kinfold.privacy_subjects import NameOf, Subjects
from kinfold.register import Exported, RegisterError
from profiles.consent import RESTRICTION
from profiles.deadlines import RequestKind
from profiles.deletions import LedgerError
from profiles.feed import FeedUnavailable
from profiles.privacy import Status
from profiles.privacy_desk import Beside, Done
from profiles.privacy_policy import PrivacyPolicy
from profiles.purposes import PurposePolicy
from profiles.requests import InStore, Request, Said, Step
from profiles.serve.errors import refuse
from profiles.v1 import privacy_service_pb2 as pb

OpenErasing = Callable[[], AbstractContextManager[Erasing]]
NOBODY: Final = "nobody is known by what the request names"
KEPT_OUT: Final = (
    "they are suppressed: nothing of theirs is held or comes in, and neither does this decision"
)
_PREFIX: Final = "privacy-"


@dataclass(frozen=True, slots=True)
class Parts:
    """What requests are carried out with; one per thread.

    - `exports`: what was handed out with somebody in it; `letters`: the dead
      letters that name one of some nodes; `is_erased`: whether the deletion
      ledger knows a request; `waits`: whether what is decided counts only when
      consumers have read it from the topic.
    """

    store: GraphStore
    identity: IdentityPolicy
    purposes: PurposePolicy
    privacy: PrivacyPolicy
    tokens: Tokens
    name_of: NameOf
    signals: StaffSignals
    holdings: Holdings
    exports: Callable[[PersonId], list[Exported]]
    letters: Callable[[AbstractSet[NodeKey]], list[Letter]]
    open_erasing: OpenErasing
    is_erased: Callable[[str], bool]
    waits: bool


class Carrier:
    """See `profiles.privacy_desk.Doing`.

    Raises:
        StoreError, AuditError: call again.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._subjects = subjects = Subjects(
            parts.store,
            parts.identity,
            parts.tokens,
            parts.name_of,
            parts.holdings.value_of,
            parts.holdings.said_in,
        )
        deciding = parts.identity.deciders | {parts.privacy.source}
        self._obstacles = Obstacles(subjects, parts.signals, deciding, parts.is_erased)

    def plan(self, request: Request) -> pb.PlanResponse | Refused:
        """See `Doing`."""
        refused = self._obstacles.lasting(request)
        if refused is not None:
            return refused
        person = self._subjects.person(request.said)
        plan = pb.PlanResponse(person_id=person or "")
        plan.purposes.extend(self._withdrawn(request.kind))
        if person is None:
            plan.sentences.append(NOBODY)
        else:
            found = {one.recipient for one in self._parts.exports(person)}
            plan.recipients.extend(sorted(found))
        if request.kind is RequestKind.ERASURE:
            _plan_erasure(plan, self._subjects.scope(person))
        else:
            plan.others.extend(sorted(self._obstacles.others(request)))
        plan.split_first = self._obstacles.is_in_doubt(request)
        plan.sentences.extend(_sentences(request, plan))
        return plan

    def is_erased(self, request_id: str) -> bool:
        """See `Doing`."""
        return self._parts.is_erased(request_id)

    def problem(self, said: Said) -> Refused | None:
        """See `Doing`. Of somebody named by id it is told when the request is run."""
        return self._obstacles.problem(said)

    def obstacle(self, request: Request, *, as_one: bool) -> Refused | None:
        """See `Doing`."""
        return self._obstacles.why_not(request, as_one=as_one)

    def holds(self, request: Request) -> list[int]:
        """See `Doing`."""
        return self._obstacles.holds(request)

    def run(self, request: Request) -> Done | Refused:
        """See `Doing`."""
        if request.kind is RequestKind.ERASURE:
            return self._erase(request)
        began_us = request.at(Step.RUN)
        assert began_us is not None, "it was noted that it runs"
        if request.kind is RequestKind.CORRECTION:
            refused = self._correct(request, began_us)
        elif self._subjects.is_suppressed(request.said):
            return Done((InStore("graph", Status.DONE, KEPT_OUT),))
        else:
            choices = dict.fromkeys(self._withdrawn(request.kind), False)
            send = self._parts.signals.choose
            whom, name = self._whom(request), _name_of(request)
            refused = send(whom, choices, name, began_us) if choices else None
        return refused or Done(self._stores())

    def _whom(self, request: Request) -> tuple[str, str]:
        identifier = self._subjects.identifier(request.said)
        assert identifier is not None, "that is an obstacle"
        return identifier

    def _correct(self, request: Request, began_us: int) -> Refused | None:
        signals, said = self._parts.signals, request.said
        name = _name_of(request)
        refused = None
        if said.values:
            whom = self._whom(request)
            refused = signals.assert_record(whom, dict(said.values), name, began_us)
        for number, (source, wrong) in enumerate(said.retract):
            refused = refused or signals.retract(source, wrong, f"{name}-{number}", began_us)
        return refused

    def _erase(self, request: Request) -> Done | Refused:
        """Who had only an id and is not there any more was erased by another request meanwhile."""
        said = request.said
        person, named = self._subjects.person(said) or "", lambda: self._subjects.name(said)
        try:
            with self._parts.open_erasing() as erasing:
                erased = erasing.erase(request.id, person, named=named, suppress=request.suppress)
                names = erasing.names(request.id)
        except NobodyToErase:
            return Done((InStore("graph", Status.DONE, NOBODY),))
        except UnderHold:
            return refuse("LEGAL_HOLD")
        except (LedgerError, LettersUnavailable, RegisterError, FeedUnavailable):
            # Every step may be done again, and what is fenced already stays hidden.
            raise StoreUnavailable("the erasure could not be finished; run it again") from None
        return Done(tuple(erased.stores), names)

    def has_landed(self, request: Request) -> bool:
        """See `Doing`."""
        said, sent = request.said, list[int]()
        if said.values or self._withdrawn(request.kind):
            sent.append(self.signal_of(_name_of(request)))
        counted = self._parts.store.named_by(sent).keys() >= set(sent)
        return counted and not any(self._subjects.named_by(said))

    def apart(self, said: Said) -> dict[str, int]:
        """See `Doing`."""
        return self._subjects.apart(said)

    def signal_of(self, signal_id: str) -> int:
        """See `Doing`."""
        named = self._parts.signals.id_of(signal_id)
        return self._parts.tokens.signal(self._parts.privacy.source, named)

    def counts(self, signal: int) -> bool:
        """See `Doing`."""
        return bool(self._parts.store.named_by((signal,)))

    def set_apart(
        self, said: Said, purpose: str, *, in_force: bool, signal_id: str, at_us: int
    ) -> Refused | None:
        """See `Doing`."""
        if self._subjects.person(said) is None:
            return refuse("PROFILE_NOT_FOUND")
        if in_force and self._subjects.is_shared(said):
            return refuse("SUBJECT_SHARED", "subject")
        identifier = self._subjects.identifier(said)
        if identifier is None:
            return refuse("SUBJECT_UNNAMEABLE", "subject")
        return self._parts.signals.choose(identifier, {purpose: not in_force}, signal_id, at_us)

    def names(self, said: Said) -> Mapping[NodeKey, int]:
        """See `Doing`."""
        person, ids = self._subjects.person(said), dict[NodeKey, int]()
        if person is not None:
            known = known_as(self._parts.store.lineage(person), person)
            # What was asked by an id that they were split from may be the other's.
            lasting = {one: until_us for one, until_us in known.items() if until_us == FOREVER_US}
            ids = {f"person:{one}": until_us for one, until_us in lasting.items()}
        return {**dict.fromkeys(self._theirs(said), FOREVER_US), **ids}

    def _theirs(self, said: Said) -> frozenset[NodeKey]:
        """The nodes that an erasure would take, and what was named."""
        scope = self._subjects.scope(self._subjects.person(said))
        name = self._subjects.name(said)
        return frozenset({*(scope.fenced if scope else ()), *([name] if name else [])})

    def held(self, request: Request, beside: Beside, now_us: int) -> dict[str, bytes]:
        """See `Doing`."""
        person = self._subjects.person(request.said)
        evidence = self._subjects.evidence(request.said)
        exports = [] if person is None else self._parts.exports(person)
        letters = self._parts.letters(self._theirs(request.said))
        around = around_of(evidence, letters, beside.requests, beside.reasons)
        return self._parts.holdings.files(request, evidence, exports, around, now_us)

    def _withdrawn(self, kind: RequestKind) -> list[str]:
        match kind:
            case RequestKind.RESTRICTION:
                return [RESTRICTION]
            case RequestKind.OBJECTION:
                return [one.name for one in self._parts.purposes.purposes if one.objectionable]
            case RequestKind.OPT_OUT:
                return [one.name for one in self._parts.purposes.purposes if one.gpc]
            case _:
                return []

    def _stores(self) -> tuple[InStore, ...]:
        if not self._parts.waits:
            names = ("graph", "profile feed", "read view")
            return tuple(InStore(name, Status.DONE) for name in names)
        reason = "in the topic of signals; it counts when consumers have read it"
        return (InStore("signals", Status.DONE), InStore("graph", Status.PENDING, reason))


def _name_of(request: Request) -> str:
    """What signals of a request are called: another one under its id, as in a store of requests
    that was put back from before it, is called otherwise.
    """
    return f"{_PREFIX}{request.id}-{request.at(Step.SUBMIT)}"


def _plan_erasure(plan: pb.PlanResponse, scope: Scope | None) -> None:
    if scope is None:
        return
    plan.removed.update(by_kind(scope.fenced))
    plan.kept.update(by_kind(scope.kept))
    plan.others.extend(scope.others)


def _sentences(request: Request, plan: pb.PlanResponse) -> list[str]:
    """The plan in words; nothing for what it does not touch."""
    withdrawn = [purpose for purpose in plan.purposes if purpose != RESTRICTION]
    said = [
        f"removes {_counted(plan.removed)} and all that they alone hold" if plan.removed else "",
        f"keeps {_counted(plan.kept)}: others hold on to them" if plan.kept else "",
        f"touches {len(plan.others)} others, whose evidence names what goes" if plan.others else "",
        "this may be two people merged: split them first" if plan.split_first else "",
        f"withdraws {', '.join(withdrawn)}" if withdrawn else "",
        "sets the person apart: served to no one" if RESTRICTION in plan.purposes else "",
        f"tells {', '.join(plan.recipients)}, who were handed exports" if plan.recipients else "",
        f"says {', '.join(name for name, _ in request.said.values)} anew"
        if request.said.values
        else "",
        f"retracts {_many(len(request.said.retract), 'signal')}" if request.said.retract else "",
        _keeps_out(request, plan),
    ]
    return [sentence for sentence in said if sentence]


def _keeps_out(request: Request, plan: pb.PlanResponse) -> str:
    if request.suppress:
        return "nothing of the person may come in again"
    if request.kind is RequestKind.ERASURE and not plan.person_id:
        return "keeps out what names it and happened before, and removes dead letters that do"
    return ""


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


def _many(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"

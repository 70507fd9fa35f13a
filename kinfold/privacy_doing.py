"""Carries requests out: what each kind comes to in the graph, the feed and everywhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from identity.model import NodeKey, PersonEvidence, PersonId, kind_of
from identity.policy import IdentityPolicy
from identity.refused import Refused
from identity.scope import Scope, by_kind
from identity.store import GraphStore, StoreUnavailable
from identity.tokens import Tokens
from ingest.dead_letters import LettersUnavailable
from ingest.staff_signals import StaffSignals
from kinfold.erasing import Erasing, NobodyToErase, UnderHold
from kinfold.privacy_held import Holdings
from kinfold.register import Exported, RegisterError
from profiles.consent import LEGAL_HOLD, RESTRICTION, set_apart
from profiles.deadlines import RequestKind
from profiles.deletions import LedgerError
from profiles.feed import FeedUnavailable
from profiles.privacy import Status
from profiles.privacy_desk import Done
from profiles.privacy_policy import PrivacyPolicy
from profiles.purposes import PurposePolicy
from profiles.requests import InStore, Request, Said, Step
from profiles.serve.errors import refuse
from profiles.v1 import privacy_service_pb2 as pb

NameOf = Callable[[str, str], NodeKey | None]
OpenErasing = Callable[[], AbstractContextManager[Erasing]]
NOBODY: Final = "nobody is known by what the request names"
_PREFIX: Final = "privacy-"


@dataclass(frozen=True, slots=True)
class Parts:
    """What requests are carried out with; one per thread.

    - `exports`: what was handed out with somebody in it; `waits`: whether what
      is decided counts only when consumers have read it from the topic.
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
    open_erasing: OpenErasing
    waits: bool


class Carrier:
    """See `profiles.privacy_desk.Doing`.

    Raises:
        StoreError, AuditError: call again.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = parts.store

    def plan(self, request: Request) -> pb.PlanResponse | Refused:
        """See `Doing`."""
        person = self._person(request.said)
        plan = pb.PlanResponse(person_id=person or "")
        plan.purposes.extend(self._withdrawn(request.kind))
        if person is None:
            plan.sentences.append(NOBODY)
        else:
            found = {one.recipient for one in self._parts.exports(person)}
            plan.recipients.extend(sorted(found))
            if request.kind is RequestKind.ERASURE:
                with self._parts.open_erasing() as erasing:
                    _plan_erasure(plan, erasing.scope(person))
        plan.sentences.extend(_sentences(request, plan))
        return plan

    def problem(self, said: Said) -> Refused | None:
        """See `Doing`. Of somebody named by id it is told when the request is run."""
        values = dict(said.values)
        if not values or not said.kind:
            return None
        return self._parts.signals.problem((said.kind, said.value), values)

    def obstacle(self, request: Request, *, as_one: bool) -> Refused | None:
        """See `Doing`."""
        if request.kind is not RequestKind.ERASURE:
            identifier = self._identifier(request.said)
            if identifier is None:
                return refuse("SUBJECT_UNNAMEABLE", "subject")
            values = dict(request.said.values)
            return self._parts.signals.problem(identifier, values) if values else None
        if LEGAL_HOLD in self.apart(request.said):
            return refuse("LEGAL_HOLD")
        person = self._person(request.said)
        if person is None or as_one or request.at(Step.RUN) is not None:
            return None
        with self._parts.open_erasing() as erasing:
            scope = erasing.scope(person)
        return refuse("SPLIT_FIRST") if scope is not None and scope.is_doubtful else None

    def run(self, request: Request) -> Done | Refused:
        """See `Doing`."""
        if request.kind is RequestKind.ERASURE:
            return self._erase(request)
        began_us = request.at(Step.RUN)
        assert began_us is not None, "it was noted that it runs"
        identifier = self._identifier(request.said)
        assert identifier is not None, "that is an obstacle"
        signal_id = f"{_PREFIX}{request.id}"
        if request.kind is RequestKind.CORRECTION:
            refused = self._correct(request, identifier, signal_id, began_us)
        else:
            choices = dict.fromkeys(self._withdrawn(request.kind), False)
            send = self._parts.signals.choose
            refused = send(identifier, choices, signal_id, began_us) if choices else None
        return refused or Done(self._stores())

    def _correct(
        self, request: Request, identifier: tuple[str, str], signal_id: str, began_us: int
    ) -> Refused | None:
        signals, said = self._parts.signals, request.said
        refused = None
        if said.values:
            refused = signals.assert_record(identifier, dict(said.values), signal_id, began_us)
        for number, (source, wrong) in enumerate(said.retract):
            refused = refused or signals.retract(source, wrong, f"{signal_id}-{number}", began_us)
        return refused

    def _erase(self, request: Request) -> Done | Refused:
        """Who is not there any more was erased by a run that was cut short, or never was."""
        person = self._person(request.said) or ""
        try:
            with self._parts.open_erasing() as erasing:
                erased = erasing.erase(request.id, person, suppress=request.suppress)
                names = erasing.names(request.id)
        except NobodyToErase:
            return Done((InStore("graph", Status.DONE, NOBODY),))
        except UnderHold:
            return refuse("LEGAL_HOLD")
        except (LedgerError, LettersUnavailable, RegisterError, FeedUnavailable):
            # Every step may be done again, and what is fenced already stays hidden.
            raise StoreUnavailable("the erasure could not be finished; run it again") from None
        return Done(tuple(erased.stores), names)

    def apart(self, said: Said) -> dict[str, int]:
        """See `Doing`."""
        evidence = self._evidence(said)
        if evidence is None:
            return {}
        signals = {(kept.source, kept.digest): kept.signal for kept in evidence.facts}
        return {
            purpose: signals[decision.source, decision.digest]
            for purpose, decision in set_apart(evidence).items()
        }

    def signal_of(self, signal_id: str) -> int:
        """See `Doing`."""
        named = self._parts.signals.id_of(signal_id)
        return self._parts.tokens.signal(self._parts.privacy.source, named)

    def counts(self, said: Said, signal: int) -> bool:
        """See `Doing`."""
        evidence = self._evidence(said)
        return evidence is not None and any(kept.signal == signal for kept in evidence.facts)

    def set_apart(
        self, said: Said, purpose: str, *, in_force: bool, signal_id: str, at_us: int
    ) -> Refused | None:
        """See `Doing`."""
        if self._person(said) is None:
            return refuse("PROFILE_NOT_FOUND")
        identifier = self._identifier(said)
        if identifier is None:
            return refuse("SUBJECT_UNNAMEABLE", "subject")
        return self._parts.signals.choose(identifier, {purpose: not in_force}, signal_id, at_us)

    def held(self, request: Request, now_us: int) -> dict[str, bytes]:
        """See `Doing`."""
        person = self._person(request.said)
        evidence = self._evidence(request.said)
        exports = [] if person is None else self._parts.exports(person)
        return self._parts.holdings.files(request, evidence, exports, now_us)

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

    def _person(self, said: Said) -> PersonId | None:
        if said.person:
            return self._store.current(said.person)
        name = self._parts.name_of(said.kind, said.value)
        return None if name is None else self._store.person_of((name,)).get(name)

    def _evidence(self, said: Said) -> PersonEvidence | None:
        person = self._person(said)
        return None if person is None else self._store.evidence((person,)).get(person)

    def _identifier(self, said: Said) -> tuple[str, str] | None:
        """What names somebody in a signal: what was given, else the nearest to a person that is
        kept.
        """
        if said.kind:
            return said.kind, said.value
        evidence = self._evidence(said)
        if evidence is None:
            return None
        kinds = self._parts.identity
        nodes = sorted(evidence.nodes, key=lambda node: (-_priority(node.key, kinds), node.key))
        for node in nodes:
            value = self._parts.holdings.value_of(node)
            if value:
                return kind_of(node.key), value
        return None


def _priority(key: NodeKey, policy: IdentityPolicy) -> int:
    kind = policy.kind(kind_of(key))
    return 0 if kind is None else kind.priority


def _plan_erasure(plan: pb.PlanResponse, scope: Scope | None) -> None:
    if scope is None:
        return
    plan.removed.update(by_kind(scope.fenced))
    plan.kept.update(by_kind(scope.kept))
    plan.others.extend(scope.others)
    plan.split_first = scope.is_doubtful


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
        "nothing of the person may come in again" if request.suppress else "",
    ]
    return [sentence for sentence in said if sentence]


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


def _many(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"

"""Requests of people about their data: what they are, and what may happen to them. Pure.

    received ── verify ──> verified ── approve ──> approved ── run ──> running ── finish ──> done
                              └──────────── run (what can be undone) ────┘

Before it runs a request may be refused, with a reason, or withdrawn. Every step
names who did it by a keyed token, never by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Final, NamedTuple

from identity.model import Assurance
from profiles.deadlines import Deadlines, Law, RequestKind


class State(StrEnum):
    """Where a request stands."""

    RECEIVED = "received"
    VERIFIED = "verified"
    APPROVED = "approved"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class Step(StrEnum):
    """What staff do with a request."""

    SUBMIT = "submit"
    CONFIRM = "confirm"
    VERIFY = "verify"
    APPROVE = "approve"
    EXTEND = "extend"
    RUN = "run"
    FINISH = "finish"
    SETTLE = "settle"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"
    EXPORT = "export"
    OPEN = "open"
    FORGET = "forget"


class Wrong(StrEnum):
    """Why a step cannot be taken; each is a reason of docs/errors.md."""

    STATE = "REQUEST_STATE"
    APPROVAL = "APPROVAL_MISSING"
    SAME_PERSON = "APPROVAL_BY_ANOTHER"
    LEVEL = "VERIFICATION_TOO_WEAK"
    EXTENSION = "EXTENSION_NOT_ALLOWED"
    REASON = "REASON_MISSING"


OPEN: Final = frozenset({State.RECEIVED, State.VERIFIED, State.APPROVED, State.RUNNING})
"""States in which the clock runs."""
PACKAGED: Final = frozenset({RequestKind.ACCESS, RequestKind.PORTABILITY})
"""What is answered with a package of everything held."""
_BEFORE_RUN: Final = OPEN - {State.RUNNING}
_WITH_REASON: Final = frozenset({Step.REFUSE, Step.EXTEND})


class InStore(NamedTuple):
    """How far a request is in one store: `pending`, `done`, `partial` or `impossible`, and why."""

    store: str
    status: str
    reason: str = ""
    removed: int = 0


class Taken(NamedTuple):
    """A step that was taken: when, by whom (a token), and with what reason."""

    step: Step
    at_us: int
    by: str
    reason: str = ""


class Said(NamedTuple):
    """What the requester said; all of it personal, and sealed wherever it rests.

    - `kind`, `value`: the identifier whose data it is about; `person` where a
      person's id was given instead.
    - `words`: in the requester's own words; `contact`: where to answer.
    - `values`: a correction's attributes and their right values; `retract`:
      signals that are wrong, as (source, signal id).
    """

    kind: str = ""
    value: str = ""
    person: str = ""
    words: str = ""
    contact: str = ""
    values: tuple[tuple[str, str], ...] = ()
    retract: tuple[tuple[str, str], ...] = ()


NOTHING_SAID: Final = Said()


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it stands.

    - `id`: given by who takes it in; a request sent again under it is the same.
    - `place`: where the requester lives, ISO 3166, if told; it chose the law.
    - `level`: how sure it is who asks; `needed`: how sure it must be.
    - `keyed`: digest under a key of what was said, by which a request sent
      again is told from another one.
    - `steps`: everything done so far, oldest first; `version` counts the changes.
    - `stores`: how far it is in each store.
    - `as_one`: whoever approved it said that several accounts are one person.
    """

    id: str
    kind: RequestKind
    law: Law
    place: str
    received_us: int
    received: date
    deadlines: Deadlines
    needed: Assurance
    said: Said
    keyed: str = ""
    level: Assurance = Assurance.NONE
    state: State = State.RECEIVED
    extended: bool = False
    steps: tuple[Taken, ...] = ()
    stores: tuple[InStore, ...] = ()
    suppress: bool = False
    as_one: bool = False
    version: int = 0

    @property
    def due(self) -> date:
        """The last day on which the answer is in time."""
        later = self.deadlines.extended
        return later if self.extended and later is not None else self.deadlines.due

    @property
    def next_by(self) -> date:
        """The next day by which something is owed: receipt confirmed, or the answer."""
        confirm_by = self.deadlines.confirm_by
        if confirm_by is None or not self.is_open or self.at(Step.CONFIRM) is not None:
            return self.due
        return min(confirm_by, self.due)

    @property
    def is_open(self) -> bool:
        """Whether the clock runs."""
        return self.state in OPEN

    @property
    def needs_approval(self) -> bool:
        """Whether a second person must approve: it cannot be undone."""
        return self.kind is RequestKind.ERASURE or bool(self.said.retract)

    @property
    def reason(self) -> str:
        """Why it was refused or extended, as it was told last; empty when neither."""
        told = [taken.reason for taken in self.steps if taken.reason]
        return told[-1] if told else ""

    def at(self, step: Step) -> int | None:
        """When a step was first taken; None: not yet."""
        return next((taken.at_us for taken in self.steps if taken.step is step), None)

    def forgotten(self) -> Request:
        """The same request without what was said: that it was, when, and how it ended."""
        return replace(
            self,
            said=NOTHING_SAID,
            keyed="",
            place="",
            steps=tuple(taken._replace(reason="") for taken in self.steps),
        )


@dataclass(frozen=True, slots=True)
class Move:
    """A step about to be taken. `on` is the day by the policy's zone; `level` is of VERIFY.

    `as_one`: who takes it says that several accounts are one person.
    """

    step: Step
    at_us: int
    by: str
    on: date
    reason: str = ""
    level: Assurance | None = None
    stores: tuple[InStore, ...] = field(default=())
    as_one: bool = False


_MOVES: Final[Mapping[Step, tuple[frozenset[State], State | None]]] = {
    Step.CONFIRM: (OPEN, None),
    Step.VERIFY: (frozenset({State.RECEIVED}), State.VERIFIED),
    Step.APPROVE: (frozenset({State.VERIFIED, State.APPROVED}), State.APPROVED),
    Step.EXTEND: (OPEN, None),
    Step.RUN: (frozenset({State.VERIFIED, State.APPROVED, State.RUNNING}), State.RUNNING),
    Step.FINISH: (frozenset({State.RUNNING}), State.DONE),
    Step.SETTLE: (frozenset({State.DONE}), None),
    Step.REFUSE: (_BEFORE_RUN, State.REFUSED),
    Step.WITHDRAW: (_BEFORE_RUN, State.WITHDRAWN),
    Step.EXPORT: (frozenset({State.RUNNING, State.DONE}), None),
    Step.OPEN: (frozenset({State.RUNNING, State.DONE}), None),
    Step.FORGET: (frozenset(State), None),
}
"""From which states a step may be taken, and to which it leads; None: it stays."""


def moved(request: Request, move: Move) -> Request | Wrong:
    """The request after a step, or why the step cannot be taken; the request stays as it was.

    Once an erasure is done, nothing of what was said is left in it. What is
    forgotten while its clock runs ends as withdrawn: there is nobody any more to answer.
    """
    allowed, then = _MOVES[move.step]
    if move.step is Step.FORGET and request.is_open:
        then = State.WITHDRAWN
    if request.state not in allowed:
        return Wrong.STATE
    if move.step in _WITH_REASON and not move.reason:
        return Wrong.REASON
    wrong = _judged(request, move)
    if wrong is not None:
        return wrong
    done = replace(
        request,
        state=request.state if then is None else then,
        level=request.level if move.level is None else max(request.level, move.level),
        extended=request.extended or move.step is Step.EXTEND,
        steps=(*request.steps, Taken(move.step, move.at_us, move.by, move.reason)),
        stores=move.stores or request.stores,
        as_one=request.as_one or (move.as_one and move.step is Step.APPROVE),
        version=request.version + 1,
    )
    erased = move.step is Step.FINISH and request.kind is RequestKind.ERASURE
    return done.forgotten() if erased or move.step is Step.FORGET else done


def _judged(request: Request, move: Move) -> Wrong | None:
    match move.step:
        case Step.VERIFY:
            level = request.level if move.level is None else max(request.level, move.level)
            return Wrong.LEVEL if level < request.needed else None
        case Step.APPROVE:
            # Approved already, it is approved once more as one person's alone.
            again = request.state is State.APPROVED and (request.as_one or not move.as_one)
            if again or not request.needs_approval:
                return Wrong.STATE
            # Whoever took it in or looked at who asks is the first of the two.
            others = {taken.by for taken in request.steps if taken.step is not Step.APPROVE}
            return Wrong.SAME_PERSON if move.by in others else None
        case Step.RUN:
            waits = request.needs_approval and request.state is State.VERIFIED
            return Wrong.APPROVAL if waits else None
        case Step.EXTEND:
            by = request.deadlines.extend_by
            late = by is None or move.on > by
            return Wrong.EXTENSION if request.extended or late else None
        case Step.EXPORT | Step.OPEN:
            return None if request.kind in PACKAGED else Wrong.STATE
        case _:
            return None

"""Erasing a person everywhere: fence first, then sweep; every step may be done again.

Killed between any two steps, the same call with the same request goes on where
it was. Until then lookups show nothing of the person: whoever is fenced is
published as gone before anything is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from identity.lineage import known_as
from identity.model import NodeKey, PersonEvidence, PersonId
from identity.policy import IdentityPolicy, is_account
from identity.scope import Scope, by_kind, others_of, scope_of
from identity.store import FOREVER_US, GraphStore, StoreUnavailable
from ingest.dead_letters import DeadLetters
from ingest.erasing import LettersAbout
from kinfold.register import Exported, Register
from profiles.audit import AuditLog, Event, Kind
from profiles.deletions import DeletionLedger, Erasure
from profiles.privacy import Erased, Status
from profiles.requests import InStore

_BEGUN_AT_MOST = _WIDENED_AT_MOST = 5
_LATE_US = 3_600_000_000
"""How long after a split an export may still hold what was one person: profiles follow the graph
in seconds, and an export reads for minutes."""
Tell = Callable[[InStore], None]
Step = Callable[[str], None]
"""Told the name of every step before it is done."""
Named = Callable[[], NodeKey | None]
"""The node of the identifier by which somebody asks, as nodes are named at the moment."""


class CannotErase(Exception):
    """Somebody cannot be erased, and nothing is removed: nobody has the id, or a hold stands."""


class NobodyToErase(CannotErase):
    """Nobody has this id, and no identifier was named."""


class UnderHold(CannotErase):
    """A legal hold keeps the person from being erased, or somebody whose evidence would go."""


@dataclass(frozen=True)
class Places:
    """Where a person's data may rest, and how to get at it. One per thread.

    - `settle`: returns when people and profiles are up to date with the graph.
    - `renew`: names nodes as the graph does by now, in the ledger and in letters;
      waits while they are being named anew, and raises StoreUnavailable in the end.
    - `is_held`: whether a legal hold stands over a person.
    - `forget`: has every process forget the raw values that it remembers.
    - `elsewhere`: what is true of the stores that an erasure does not reach.
    - `unreadable_us`: when the epoch's key in force is due to be destroyed; 0: never.
    """

    store: GraphStore
    letters: DeadLetters
    about: LettersAbout
    register: Register
    audit: AuditLog
    ledger: DeletionLedger
    settle: Callable[[], None]
    renew: Callable[[], None]
    is_held: Callable[[PersonEvidence], bool]
    forget: Callable[[], None]
    elsewhere: Sequence[InStore]
    unreadable_us: Callable[[], int]
    now_us: Callable[[], int]


class Erasing:
    """Erases people. `step` hears of every step before it is done."""

    def __init__(self, places: Places, policy: IdentityPolicy, step: Step = lambda _: None) -> None:
        self._places = places
        self._policy = policy
        self._step = step

    def scope(self, person: PersonId) -> Scope | None:
        """What erasing a person would take and leave, and whom else it touches; None: nobody.

        Raises:
            StoreError: it cannot be told.
        """
        return scope_of(self._places.store, self._policy, person)

    def exports(self, person: PersonId) -> list[Exported]:
        """Every export that holds a person, under whichever of their ids."""
        return exports_of(self._places.store, self._places.register, person)

    def names(self, request: str) -> dict[NodeKey, int]:
        """As `erased_as`, of whom a request erased, also after a run that was cut short.

        Nobody was: nothing.
        """
        known = self._places.ledger.find(request)
        return {} if known is None else erased_as(self._places.store, self._places.ledger, known)

    def erase(
        self,
        request: str,
        person: PersonId,
        *,
        named: Named = lambda: None,
        suppress: bool = False,
        tell: Tell = lambda _: None,
    ) -> Erased:
        """Erase a person, or go on with it; done before, it only tells again.

        Whoever is not known, `person` being "", is erased by the identifier that
        is `named`: what comes late is kept out, and dead letters go.

        1. Write down what is fenced, in the deletion ledger.
        2. Fence it. From here on lookups show nothing and nothing comes in.
        3. Take in what joined the person meanwhile.
        4. Sweep the graph; resolve and publish what is left of everybody touched.
        5. Remove dead letters that name them.
        6. Say whom to tell of exports; have memories of raw values emptied; log the erasure;
           close the request.

        `suppress`: nothing of them is to come in again, ever. `tell` hears of
        each store as it is done.

        Raises:
            NobodyToErase: nothing was done.
            UnderHold: no evidence was removed by this call; begun before the hold
                stood, it stays begun, and whoever is fenced hidden: call again
                once the hold is released.
            StoreError, LettersError, LedgerError, RegisterError, AuditError,
            FeedError: not done yet; call again.
        """
        places = self._places
        known = places.ledger.find(request)
        scope = None
        if known is None:
            scope = self._begin(request, person, named, suppress=suppress)
            known = places.ledger.find(request)
        else:
            places.renew()
        assert known is not None, "it was just begun"
        self._step("fence")
        places.store.fence(places.ledger.fences(request))
        left_out = self._widen(known)
        contents = self._sweep(known)
        told = [
            InStore("graph", *_graph_status(left_out), removed=contents),
            self._letters(known),
            self._exports(known),
            self._caches(),
            *places.elsewhere,
        ]
        for one in told:
            tell(one)
        self._finish(known, told)
        recipients = sorted({export.recipient for export in self.exports(known.person)})
        return Erased(
            request,
            scope,
            told,
            recipients,
            known.until_us,
            known.suppressed,
            places.unreadable_us(),
        )

    def lift(self, request: str, by: str = "") -> bool:
        """Let somebody come in again who asked to be suppressed; what was erased stays out.

        Another request that fences the same node for longer goes on doing so. `by` is
        the token of who of staff lifts it; it stands in the receipt of the request.
        False: no erasure under this id suppresses anybody.

        Raises:
            StoreError, LedgerError, AuditError: call again.
        """
        places = self._places
        known = places.ledger.find(request)
        if known is None:
            return False
        if known.suppressed:
            what: dict[str, str | int | bool] = {"step": "lift", "suppressed": False}
            what |= {"staff": by} if by else {}
            about, at_us = (f"request:{request}",), places.now_us()
            places.audit.append(
                [Event(Kind.ERASURE, f"lift:{request}", at_us, "privacy", about, what)]
            )
            places.ledger.lift(request)
        # Done in any case: it may have been cut short here.
        while True:
            places.renew()
            held = places.ledger.fences()
            places.store.lift({key: held[key] for key in places.ledger.fences(request)})
            if places.ledger.is_current():
                return known.suppressed

    def finish_all(self) -> int:
        """Go on with every erasure that was cut short, but those that a legal hold keeps waiting;
        how many were finished. Raises: as `erase`.
        """
        finished = 0
        for one in self._places.ledger.erasures():
            if one.finished_us is None:
                try:
                    self.erase(one.request, one.person, suppress=one.suppressed)
                except UnderHold:
                    continue
                finished += 1
        return finished

    def _begin(self, request: str, person: PersonId, named: Named, *, suppress: bool) -> Scope:
        for _ in range(_BEGUN_AT_MOST):
            scope = self._begun(request, person, named, suppress=suppress)
            if scope is not None:
                return scope
        raise StoreUnavailable("nodes were named anew meanwhile; call again")

    def _begun(
        self, request: str, person: PersonId, named: Named, *, suppress: bool
    ) -> Scope | None:
        """None, and nothing was done: nodes were named anew since the person was looked at."""
        places = self._places
        self._step("settle")
        places.settle()
        # After settling, by which keys may have rotated.
        places.renew()
        scope = self._scope_now(person, named())
        if scope is None:
            raise NobodyToErase("nobody has this id any more")
        self._heed_holds({scope.person, *scope.others} - {""})
        self._step("ledger")
        now_us = places.now_us()
        fences = dict.fromkeys(scope.fenced, FOREVER_US if suppress else now_us)
        begun = places.ledger.begin(request, scope.person, fences, now_us, suppress=suppress)
        return scope if begun else None

    def _scope_now(self, person: PersonId, name: NodeKey | None) -> Scope | None:
        """What is theirs as they are now; of whoever is not known the identifier alone."""
        store = self._places.store
        current = store.current(person) if person else None
        if current is None and name is not None:
            current = store.person_of([name]).get(name)
        if current is not None:
            return self.scope(current)
        return None if name is None else Scope("", (name,), (), (), ())

    def _widen(self, known: Erasure) -> int:
        """Fence what joined the person before the fence stood; how much was left out.

        Nothing is taken in that brings another account: that may be somebody
        else, whom a late signal merged with them, and nobody approved that.
        What joined them through a fenced node falls off with the sweep.
        """
        places = self._places
        for _ in range(_WIDENED_AT_MOST):
            self._step("widen")
            places.settle()
            scope = self._scope_now(known.person, None)
            fenced = places.ledger.fences(known.request)
            # Before the fence stood, others may have come beside them, or been merged with them.
            touched = {*others_of(places.store, fenced), *places.store.person_of(fenced).values()}
            self._heed_holds(touched.union(() if scope is None else scope.others))
            new = [] if scope is None else [key for key in scope.fenced if key not in fenced]
            if not new:
                return 0
            if any(is_account(key, self._policy) for key in new):
                return len(new)
            more = dict.fromkeys(new, known.until_us)
            written = places.ledger.begin(
                known.request, known.person, more, known.begun_us, suppress=known.suppressed
            )
            assert written, "none are named anew while an erasure is under way"
            places.store.fence(more)
        return 0

    def _heed_holds(self, people: Iterable[PersonId]) -> None:
        """Nothing of whoever is under a legal hold goes, by whomever's erasure.

        Raises:
            UnderHold: somebody is.
        """
        places = self._places
        if any(map(places.is_held, places.store.evidence(people).values())):
            raise UnderHold("a legal hold stands over somebody whose evidence would go")

    def _sweep(self, known: Erasure) -> int:
        places = self._places
        self._step("sweep")
        swept = places.store.sweep(places.ledger.fences(known.request))
        places.ledger.count(known.request, contents=swept.contents)
        self._step("resolve")
        places.settle()
        return known.contents + swept.contents

    def _letters(self, known: Erasure) -> InStore:
        places = self._places
        self._step("letters")
        fenced = places.ledger.fences(known.request).keys()
        found = list(places.about.among(places.letters.all(), fenced))
        places.letters.remove(found)
        places.ledger.count(known.request, letters=len(found))
        removed = known.letters + len(found)
        untold = places.about.untold
        if not untold:
            return InStore("dead letters", Status.DONE, removed=removed)
        words = "cannot be read by anything here, and no word of them names the person"
        reason = f"{untold} letters {words}; look at them and remove them: kinfold dead-letters"
        return InStore("dead letters", Status.PARTIAL, reason, removed)

    def _exports(self, known: Erasure) -> InStore:
        self._step("exports")
        held = self.exports(known.person)
        if not held:
            return InStore("exports", Status.DONE)
        recipients = ", ".join(sorted({export.recipient for export in held}))
        reason = f"handed out to {recipients}: tell them to delete it"
        return InStore("exports", Status.IMPOSSIBLE, reason)

    def _caches(self) -> InStore:
        """Last of what reads raw values: letters were looked through before."""
        self._step("caches")
        self._places.forget()
        reason = "emptied in this process; others that run empty theirs within seconds"
        return InStore("caches", Status.PARTIAL, reason)

    def _finish(self, known: Erasure, told: Iterable[InStore]) -> None:
        places = self._places
        self._step("audit")
        fenced = places.ledger.fences(known.request)
        what: dict[str, str | int | bool] = {
            "until_us": known.until_us,
            "suppressed": known.suppressed,
            "unreadable_us": places.unreadable_us(),
        }
        what |= {f"fenced:{kind}": n for kind, n in by_kind(fenced).items()}
        what |= {f"store:{one.store}": str(one.status) for one in told}
        what |= {f"removed:{one.store}": one.removed for one in told if one.removed}
        event = Event(
            Kind.ERASURE, known.request, known.begun_us, "privacy", tuple(sorted(fenced)), what
        )
        places.audit.append([event])
        self._step("finish")
        places.ledger.finish(known.request, places.now_us())


def _graph_status(left_out: int) -> tuple[Status, str]:
    if not left_out:
        return Status.DONE, ""
    return Status.PARTIAL, (
        f"{left_out} identifiers joined the person meanwhile, another account among them:"
        " they were left alone; look at who they are"
    )


def erased_as(store: GraphStore, ledger: DeletionLedger, known: Erasure) -> dict[NodeKey, int]:
    """What stood for whom an erasure erased, and up to when, microseconds: their nodes for good,
    their ids as `person:ID`.

    Raises:
        StoreError, LedgerError: it cannot be told.
    """
    names = dict.fromkeys(ledger.fences(known.request), FOREVER_US)
    if known.person:
        ids = known_as(store.lineage(known.person), known.person)
        names |= {f"person:{one}": until_us for one, until_us in ids.items()}
    return names


def exports_of(store: GraphStore, register: Register, person: PersonId | None) -> list[Exported]:
    """Every export that holds somebody, under whichever of their ids, or the whole graph.

    Raises:
        StoreError, RegisterError: it cannot be told.
    """
    # A graph is handed out whole.
    found = {export for export in register.exports() if export.what == "graph"}
    ids = known_as(store.lineage(person), person) if person else {}
    for one, until_us in ids.items():
        found.update(
            export for export in register.exports(one) if export.at_us <= until_us + _LATE_US
        )
    return sorted(found, key=lambda export: (export.at_us, export.recipient))

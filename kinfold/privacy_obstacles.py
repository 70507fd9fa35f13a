"""What stands in the way of carrying a request out, told before anything is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from identity.model import PersonId
from identity.refused import Refused
from ingest.staff_signals import StaffSignals
from kinfold.privacy_subjects import Subjects
from profiles.deadlines import RequestKind
from profiles.requests import PACKAGED, Request, Said, Step
from profiles.serve.errors import refuse

_OF_SOMEBODY: Final = frozenset({RequestKind.CORRECTION, RequestKind.RESTRICTION})


class Obstacles:
    """Tells why requests cannot be carried out. One object per thread. Raises: StoreError.

    `deciding`: sources whose signals are decisions of staff, which no request retracts;
    `is_erased`: whether the deletion ledger knows a request.
    """

    def __init__(
        self,
        subjects: Subjects,
        signals: StaffSignals,
        deciding: frozenset[str],
        is_erased: Callable[[str], bool],
    ) -> None:
        self._subjects = subjects
        self._signals = signals
        self._deciding = deciding
        self._is_erased = is_erased

    def problem(self, said: Said) -> Refused | None:
        """What is wrong with what was said, whoever it is about."""
        if any(source in self._deciding for source, _ in said.retract):
            return refuse("SIGNAL_OF_STAFF", "retractions")
        values = dict(said.values)
        if not values or not said.kind:
            return None
        return self._signals.problem((said.kind, said.value), values)

    def lasting(self, request: Request) -> Refused | None:
        """Why a request cannot be carried out as it stands, whatever staff do beside it.

        Once it has begun none of this is asked again: whom and what it was about may be gone by it.
        """
        said = request.said
        if any(source in self._deciding for source, _ in said.retract):
            return refuse("SIGNAL_OF_STAFF", "retractions")
        if request.at(Step.RUN) is not None and request.kind not in PACKAGED:
            return None
        if self._subjects.is_shared(said):
            return refuse("SUBJECT_SHARED", "subject")
        if self._must_be_known(request) and self._subjects.person(said) is None:
            return refuse("SUBJECT_UNKNOWN", "subject")
        if said.retract:
            members = self._subjects.members(said)
            if not all(named & members for named in self._subjects.named_by(said)):
                return refuse("SIGNAL_NOT_THEIRS", "retractions")
        return None

    def _must_be_known(self, request: Request) -> bool:
        """Whether a request comes to nothing, or to somebody new, where nobody is known.

        An identifier can be kept out, or can say no, before anybody has it.
        """
        if request.kind in PACKAGED:
            return False
        return bool(request.said.person) or request.kind in _OF_SOMEBODY

    def why_not(self, request: Request, *, as_one: bool) -> Refused | None:
        """Why a request cannot be run just now."""
        lasting = self.lasting(request)
        if lasting is not None:
            return lasting
        if self.holds(request):
            return refuse("LEGAL_HOLD")
        if request.kind in PACKAGED or request.kind is RequestKind.ERASURE:
            return None if as_one or not self.is_in_doubt(request) else refuse("SPLIT_FIRST")
        return self._unsayable(request)

    def is_in_doubt(self, request: Request) -> bool:
        """Whether everything of somebody may be of two people; not asked of what is half erased."""
        whole = request.kind in PACKAGED or request.kind is RequestKind.ERASURE
        if not whole or self._is_erased(request.id):
            return False
        return self._subjects.are_perhaps_two(request.said)

    def holds(self, request: Request) -> list[int]:
        """The signals of the legal holds that keep a request from running: over whom it is about,
        and over others whose evidence would go with theirs.
        """
        if request.kind is not RequestKind.ERASURE and not request.said.retract:
            return []
        person = self._subjects.person(request.said)
        return self._subjects.holds(self.others(request) | ({person} if person else set()))

    def others(self, request: Request) -> set[PersonId]:
        """Others some of whose evidence would go."""
        person = self._subjects.person(request.said)
        if request.kind is RequestKind.ERASURE:
            scope = self._subjects.scope(person)
            return set() if scope is None else set(scope.others)
        named = frozenset[str]().union(*self._subjects.named_by(request.said))
        return self._subjects.owners(named) - {person}

    def _unsayable(self, request: Request) -> Refused | None:
        """Why what a request comes to cannot be said of whom it is about."""
        values = dict(request.said.values)
        if request.kind is RequestKind.CORRECTION and not values:
            return None
        identifier = self._subjects.identifier(request.said)
        if identifier is None:
            return refuse("SUBJECT_UNNAMEABLE", "subject")
        return self._signals.problem(identifier, values) if values else None

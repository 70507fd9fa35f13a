"""Answers of ConsentService from a graph store: what holds and why, the history, and new decisions.

Who may hold people is told of those under a restriction or a legal hold;
everybody else is answered as of nobody, and nobody is told of people who are
being erased. A purpose that a caller may not name, and a kind of identifier that
it may not ask by, are for it as if they were not there. Holds nothing that changes.
What the network needs around it (errors, deadlines, threads) is the server's; raw
values are turned into nodes at once and go no further, but for those of a decision
that is recorded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Final, Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from identity.hiding import is_being_erased
from identity.model import NodeKey, PersonEvidence, kind_of, token_of
from identity.refused import Refused
from identity.store import GraphStore
from profiles import consent
from profiles.access import Grant
from profiles.consent import Circumstances
from profiles.ledger import Entry, Ledger, ledger
from profiles.purposes import PurposePolicy
from profiles.v1 import consent_service_pb2 as pb
from profiles.v1.profile_service_pb2 import Subject

NameOf = Callable[[str, str], NodeKey | None]
SeenOf = Callable[[PersonEvidence], Circumstances]
"""What a person's grounds for purposes depend on (`profiles.build.Builder.seen`)."""

_INVALID: Final = 3
_NOT_FOUND: Final = Refused(5, "PROFILE_NOT_FOUND")
_SOURCE_NOT_ALLOWED: Final = Refused(7, "SOURCE_NOT_ALLOWED", "source")
_PERSON_ID = re.compile("[a-z2-7]{26}")


class Recorder(Protocol):
    """Takes decisions in; one per thread."""

    def record(
        self, request: pb.RecordConsentRequest, grant: Grant
    ) -> pb.RecordConsentResponse | Refused:
        """Take a decision in through the intake that signals take."""


class ConsentAnswers:
    """Answers from whichever store is passed in; threads may share it.

    `deciders`: the sources of staff, for which nothing is recorded here.
    """

    __slots__ = ("_all", "_deciders", "_name_of", "_policy", "_seen_of")

    def __init__(
        self,
        policy: PurposePolicy,
        name_of: NameOf,
        seen_of: SeenOf,
        deciders: Collection[str],
    ) -> None:
        self._policy = policy
        self._all = sum(purpose.bit for purpose in policy.purposes)
        self._deciders = frozenset(deciders)
        self._name_of = name_of
        self._seen_of = seen_of

    def get(
        self, store: GraphStore, request: pb.GetConsentRequest, grant: Grant
    ) -> pb.GetConsentResponse | Refused:
        """What holds now, one state per purpose that the caller may name."""
        found = self._ledger(store, request.subject, grant)
        if isinstance(found, Refused):
            return found
        person, told = found
        return pb.GetConsentResponse(
            person_id=person,
            states=[
                pb.PurposeState(
                    purpose=state.purpose.name,
                    words=state.purpose.words,
                    granted=state.granted,
                    why=state.why.value,
                    decision=None if state.entry is None else as_message(state.entry, grant),
                )
                for state in told.states
                if state.purpose.bit & grant.purposes
            ],
            set_apart=[as_message(entry, grant) for entry in told.apart],
        )

    def history(
        self, store: GraphStore, request: pb.ListConsentDecisionsRequest, grant: Grant
    ) -> pb.ListConsentDecisionsResponse | Refused:
        """Every decision on a purpose that the caller may name, latest first."""
        found = self._ledger(store, request.subject, grant)
        if isinstance(found, Refused):
            return found
        person, told = found
        entries = [
            as_message(entry, grant)
            for entry in told.entries
            if self._may_see(entry.decision.purpose, grant)
        ]
        return pb.ListConsentDecisionsResponse(person_id=person, entries=entries)

    def unknown(self, request: pb.RecordConsentRequest, grant: Grant) -> Refused | None:
        """Why a caller cannot record a decision, whatever the intake says: on whose word it is, or
        whom or what it is about.
        """
        if request.source in self._deciders or not grant.may_record_of(request.source):
            return _SOURCE_NOT_ALLOWED
        identifier = request.identifier
        if self._name_of(identifier.kind, identifier.value) is None:
            return Refused(_INVALID, "IDENTIFIER_INVALID", "identifier")
        bits = self._policy.bits([choice.purpose for choice in request.choices])
        if bits is None or bits & ~grant.purposes:
            return Refused(_INVALID, "PURPOSE_UNKNOWN", "choices.purpose")
        return None

    def _may_see(self, purpose: str, grant: Grant) -> bool:
        """Whether a caller is told of decisions on a purpose; on one that the policy has no more,
        whether it may name all that it has.
        """
        if purpose in consent.RESERVED:
            return grant.sees_apart
        known = self._policy.by_name.get(purpose)
        wanted = self._all if known is None else known.bit
        return grant.purposes & wanted == wanted

    def _ledger(
        self, store: GraphStore, subject: Subject, grant: Grant
    ) -> tuple[str, Ledger] | Refused:
        person = self._person(store, subject)
        if isinstance(person, Refused):
            return person
        evidence = store.evidence((person,)).get(person)
        if evidence is None or is_being_erased(store, evidence):
            return _NOT_FOUND
        if not grant.sees_apart and consent.set_apart(evidence):
            return _NOT_FOUND
        return person, ledger(self._policy, evidence, self._seen_of(evidence))

    def _person(self, store: GraphStore, subject: Subject) -> str | Refused:
        match subject.WhichOneof("subject"):
            case "person_id":
                if not _PERSON_ID.fullmatch(subject.person_id):
                    return Refused(_INVALID, "PERSON_ID_INVALID", "subject.person_id")
                return store.current(subject.person_id) or _NOT_FOUND
            case "identifier":
                key = self._name_of(subject.identifier.kind, subject.identifier.value)
                if key is None:
                    return Refused(_INVALID, "IDENTIFIER_INVALID", "subject.identifier")
                return store.person_of((key,)).get(key) or _NOT_FOUND
            case _:
                return Refused(_INVALID, "SUBJECT_MISSING", "subject")


def as_message(entry: Entry, grant: Grant) -> pb.ConsentEntry:
    """A ledger's entry as a caller is told of it."""
    decision = entry.decision
    return pb.ConsentEntry(
        purpose=decision.purpose,
        granted=not decision.withdrawn,
        effective_at=_timestamp(decision.effective_us),
        sent_at=_timestamp(entry.sent_us),
        source=decision.source,
        text_version=entry.text_version,
        place=entry.place,
        identifiers=[_token(key) for key in decision.subjects if grant.may_ask_by(kind_of(key))],
        standing=entry.standing.value,
    )


def _token(key: NodeKey) -> pb.TokenRef:
    return pb.TokenRef(kind=kind_of(key), token=token_of(key))


def _timestamp(at_us: int) -> Timestamp:
    return Timestamp(seconds=at_us // 1_000_000, nanos=at_us % 1_000_000 * 1_000)

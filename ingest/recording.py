"""Takes decisions on consent in from whoever records them, through the intake that signals take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from identity.horizons import alive
from identity.model import Contribution
from identity.refused import Refused
from identity.store import NO_KEYS, Batch, Fenced, GraphStore, KeyAge, Outcome, Outdated
from ingest.intake import Intake
from ingest.pipeline import Audit
from ingest.rejected import Rejected
from ingest.source import SourceUnavailable
from ingest.v1.signal_pb2 import ASSURANCE_AUTHENTICATED, Signal
from profiles.access import Grant
from profiles.v1.consent_service_pb2 import RecordConsentRequest, RecordConsentResponse

PARTITION: Final = "consent-desk"
"""Whose checkpoint is claimed for what comes from no topic and no file."""
_TRIES = 5
_INVALID: Final = 3
_FIELDS: Final = {
    "source": "source",
    "signal_id": "signal_id",
    "event_time": "decided_at",
    "publish_time": "decided_at",
    "consent_decided.text_version": "text_version",
    "consent_decided.place": "place",
}
Age = Callable[[], KeyAge]
Understand = Callable[[RecordConsentRequest, Grant], Refused | None]
"""Why a caller cannot record a decision, whatever the intake says (`ConsentAnswers.unknown`)."""


class Put(Protocol):
    """Where a signal goes that the intake understood."""

    def __call__(self, signal: Signal, understood: Contribution) -> Outcome | Refused:
        """What became of it; durable when this returns."""


class ConsentRecorder:
    """Makes signals of decisions and puts them where signals go. One object per thread.

    - *Alike for all.* Whether a decision counted, had been recorded before or is
      kept out because somebody was erased, the answer is the same.
    - *In nobody's place.* The id of a signal is drawn, or made of all that was
      said: no decision comes under the id of another signal.

    `new_id` draws signal ids for those who have none; `now_us` is the clock.
    """

    def __init__(
        self,
        intake: Intake,
        unknown: Understand,
        put: Put,
        new_id: Callable[[], str],
        now_us: Callable[[], int],
    ) -> None:
        self._intake = intake
        self._unknown = unknown
        self._put = put
        self._new_id = new_id
        self._now_us = now_us

    def record(
        self, request: RecordConsentRequest, grant: Grant
    ) -> RecordConsentResponse | Refused:
        """Take a decision in; what it says is checked as any signal is.

        Raises:
            StoreError: nothing was recorded.
            AuditUnavailable: it may count already, but was not logged: record it
                again, under the same id.
        """
        refused = self._unknown(request, grant)
        if refused is not None:
            return refused
        if request.signal_id and not request.HasField("decided_at"):
            # Its time is part of a signal: drawn anew with every try, no two would be the same.
            return Refused(_INVALID, "DECIDED_AT_MISSING", "decided_at")
        now_us = self._now_us()
        signal = self._signal(request, now_us)
        outcome = self._taken(signal, now_us, named=bool(request.signal_id))
        if isinstance(outcome, Rejected):
            return Refused(_INVALID, "CONSENT_INVALID", _FIELDS.get(outcome.field, "choices"))
        if isinstance(outcome, Refused):
            return outcome
        if outcome is Outcome.EXPIRED:
            return Refused(9, "CONSENT_EXPIRED", "decided_at")
        # What else became of it would tell whether somebody is kept out.
        return RecordConsentResponse(signal_id=signal.signal_id)

    def _taken(self, signal: Signal, now_us: int, *, named: bool) -> Outcome | Refused | Rejected:
        """Understand and put it, anew where keys were rotated in between.

        The id of one that is `named` ends in the digest of its content, which is
        keyed: said again it is the same signal, anything else said is another.
        """
        self._intake.look()
        understood = self._understood(signal, now_us)
        if named and not isinstance(understood, Rejected):
            signal.signal_id += f".{understood.digest.hex()}"
            understood = self._understood(signal, now_us)
        while not isinstance(understood, Rejected):
            try:
                return self._put(signal, understood)
            except Outdated:
                if not self._intake.renew():
                    raise
            understood = self._understood(signal, now_us)
        return understood

    def _understood(self, signal: Signal, now_us: int) -> Contribution | Rejected:
        return self._intake.from_protobuf(signal.SerializeToString(), now_us)

    def _signal(self, request: RecordConsentRequest, now_us: int) -> Signal:
        signal = Signal(
            source=request.source,
            signal_id=request.signal_id or self._new_id(),
            assurance=ASSURANCE_AUTHENTICATED,
        )
        if request.HasField("decided_at"):
            signal.event_time.CopyFrom(request.decided_at)
        else:
            signal.event_time.FromMicroseconds(now_us)
        signal.publish_time.FromMicroseconds(now_us)
        signal.identifiers.add(kind=request.identifier.kind, value=request.identifier.value)
        for choice in request.choices:
            signal.consent_decided.decisions.add(purpose=choice.purpose, granted=choice.granted)
        signal.consent_decided.text_version = request.text_version
        signal.consent_decided.place = request.place
        return signal


class IntoStore:
    """Puts signals straight into a graph store: where no topic lies before it. One per thread."""

    def __init__(self, store: GraphStore, audit: Audit, age: Age = lambda: NO_KEYS) -> None:
        """`age` tells how old the keys are that signals are understood under."""
        self._store = store
        self._audit = audit
        self._age = age

    def __call__(self, signal: Signal, understood: Contribution) -> Outcome | Refused:
        """See `Put`. What is older than what is kept is told so whoever it is about: a fence, which
        tells of somebody erased, is looked at afterwards.
        """
        del signal
        if not alive(understood, self._store.horizons()):
            return Outcome.EXPIRED
        outcome = self.count(understood)
        return Refused(14, "STORE_UNAVAILABLE") if outcome is None else outcome

    def count(self, understood: Contribution) -> Outcome | None:
        """Count it and log it; None when others were always faster.

        Others may record at the same time: whoever is fenced tries again.

        Raises:
            Outdated: keys were rotated; understand it anew.
        """
        for _ in range(_TRIES):
            checkpoint = self._store.claim(PARTITION)
            try:
                (outcome,) = self._store.commit(
                    Batch((understood,), checkpoint, checkpoint.position, self._age())
                )
            except Fenced:
                continue
            self._audit((understood,), (outcome,))
            return outcome
        return None


class IntoTopic:
    """Puts signals onto the topic that consumers read; `publish` returns when they are durable."""

    def __init__(self, publish: Callable[[Signal], None]) -> None:
        self._publish = publish

    def __call__(self, signal: Signal, understood: Contribution) -> Outcome | Refused:
        """See `Put`. Whether it was known before, consumers will find out."""
        del understood
        try:
            self._publish(signal)
        except SourceUnavailable:
            return Refused(14, "SIGNALS_UNAVAILABLE")
        return Outcome.COUNTED

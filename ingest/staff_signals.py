"""Puts what staff decides for people where signals go: choices, corrections, retractions, and who
is one person.

Each is a signal of staff's source under an id made of what its request calls it,
so that done again after a failure it is known already and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from identity.model import Contribution
from identity.refused import Refused
from identity.store import Outcome, Outdated
from ingest.intake import Intake
from ingest.recording import Put
from ingest.rejected import Rejected
from ingest.v1.signal_pb2 import (
    ASSURANCE_AUTHENTICATED,
    LINK_VERDICT_NOT_SAME,
    LINK_VERDICT_SAME,
    LinkEnd,
    RecordAsserted,
    Signal,
)

_INVALID: Final = 3
_ADDRESS: Final = "address."
_FIELDS: Final = frozenset(RecordAsserted.DESCRIPTOR.fields_by_name) - {"address", "other"}


class StaffSignals:
    """Makes signals and puts them where signals go. One object per thread. Raises: as `Put`.

    `id_of` makes a signal's id of what it is called. Nobody else may be able to
    tell it beforehand: of two contents under one id either may be the one that counts.
    """

    def __init__(
        self,
        source: str,
        intake: Intake,
        put: Put,
        id_of: Callable[[str], str],
        now_us: Callable[[], int],
    ) -> None:
        self._source = source
        self._intake = intake
        self._put = put
        self.id_of = id_of
        self._now_us = now_us

    def choose(
        self, identifier: tuple[str, str], choices: Mapping[str, bool], name: str, at_us: int
    ) -> Refused | None:
        """Grant and withdraw purposes, reserved ones included, for whoever has the identifier."""
        signal = self._signal(name, at_us, identifier)
        for purpose, granted in choices.items():
            signal.consent_decided.decisions.add(purpose=purpose, granted=granted)
        return self._sent(signal)

    def assert_record(
        self, identifier: tuple[str, str], values: Mapping[str, str], name: str, at_us: int
    ) -> Refused | None:
        """Say what is right of somebody; `values` by attribute, parts of the address as
        `address.city`.
        """
        return self._sent(self._record(identifier, values, name, at_us))

    def problem(self, identifier: tuple[str, str], values: Mapping[str, str]) -> Refused | None:
        """Why `assert_record` cannot say so; nothing is sent."""
        now_us = self._now_us()
        understood = self._understood(self._record(identifier, values, "tried", now_us))
        return understood if isinstance(understood, Refused) else None

    def _record(
        self, identifier: tuple[str, str], values: Mapping[str, str], name: str, at_us: int
    ) -> Signal:
        signal = self._signal(name, at_us, identifier)
        record = signal.record_asserted
        for attribute, value in values.items():
            part = attribute.removeprefix(_ADDRESS)
            in_address = part in record.address.DESCRIPTOR.fields_by_name
            if attribute.startswith(_ADDRESS) and in_address:
                setattr(record.address, part, value)
            elif attribute in _FIELDS:
                setattr(record, attribute, value)
            else:
                record.other[attribute] = value
        return signal

    def retract(self, source: str, wrong: str, name: str, at_us: int) -> Refused | None:
        """Take a wrong signal out, as its source would."""
        signal = self._signal(name, at_us)
        signal.source = source
        signal.retracted.signal_id = wrong
        return self._sent(signal)

    def decide(
        self, left: LinkEnd, right: LinkEnd, name: str, at_us: int, *, same: bool
    ) -> Refused | None:
        """Say whether two identifiers or records are one person."""
        signal = self._signal(name, at_us)
        decided = signal.link_decided
        decided.left.CopyFrom(left)
        decided.right.CopyFrom(right)
        decided.verdict = LINK_VERDICT_SAME if same else LINK_VERDICT_NOT_SAME
        return self._sent(signal)

    def _signal(self, name: str, at_us: int, identifier: tuple[str, str] | None = None) -> Signal:
        signal = Signal(
            source=self._source, signal_id=self.id_of(name), assurance=ASSURANCE_AUTHENTICATED
        )
        signal.event_time.FromMicroseconds(at_us)
        signal.publish_time.FromMicroseconds(at_us)
        if identifier is not None:
            signal.identifiers.add(kind=identifier[0], value=identifier[1])
        return signal

    def _understood(self, signal: Signal) -> Contribution | Refused:
        understood = self._intake.from_protobuf(signal.SerializeToString(), self._now_us())
        if isinstance(understood, Rejected):
            return Refused(_INVALID, "CORRECTION_INVALID", "corrections")
        return understood

    def _taken(self, signal: Signal) -> Outcome | Refused:
        """Understand and put it, anew where keys were rotated in between."""
        self._intake.look()
        while True:
            understood = self._understood(signal)
            if isinstance(understood, Refused):
                return understood
            try:
                return self._put(signal, understood)
            except Outdated:
                if not self._intake.renew():
                    raise

    def _sent(self, signal: Signal) -> Refused | None:
        outcome = self._taken(signal)
        if isinstance(outcome, Refused):
            return outcome
        if outcome is Outcome.EXPIRED:
            return Refused(9, "CONSENT_EXPIRED")
        if outcome is Outcome.ERASED:
            return Refused(9, "KEPT_OUT")
        return Refused(6, "SIGNAL_ID_TAKEN") if outcome is Outcome.OUTDONE else None

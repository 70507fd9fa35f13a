"""What is held about somebody that is no evidence, as plain data: input that does not count, their
requests, and what sets them apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import DecodeError

from identity.model import PersonEvidence
from ingest.dead_letters import DeadLetter, Envelopes
from ingest.v1.signal_pb2 import Signal
from kinfold.held.gather import moment
from profiles.consent import set_apart
from profiles.requests import Request
from profiles.sealing import Unreadable
from profiles.vault import KeyDestroyed


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, and what was sent; None: it cannot be opened any more."""

    letter: DeadLetter
    content: str | None


def read_letter(envelopes: Envelopes, letter: DeadLetter) -> Letter:
    """A letter with what was sent: as it was, and where that is protobuf in words."""
    try:
        payload = envelopes.open(letter) if letter.sealed else None
    except (Unreadable, KeyDestroyed):
        payload = None
    if payload is None:
        return Letter(letter, None)
    if letter.form == "protobuf":
        with suppress(DecodeError):
            return Letter(letter, MessageToJson(Signal.FromString(payload)))
    return Letter(letter, payload.decode("utf-8", "backslashreplace"))


def beside(
    evidence: PersonEvidence | None,
    letters: Sequence[Letter],
    requests: Sequence[Request],
    reasons: Mapping[str, bool],
) -> dict[str, Any]:
    """All of it, under one key per part. `reasons` says of what sets them apart whether a reason
    is kept: it may be evidence against them, and is never part of this.
    """
    apart = {} if evidence is None else set_apart(evidence)
    return {
        "dead_letters": [_letter(one.letter, one.content) for one in letters],
        "requests": [_request(one) for one in requests],
        "holds": [
            {
                "purpose": purpose,
                "since": moment(decision.effective_us),
                "source": decision.source,
                "reason_withheld": reasons.get(purpose, False),
            }
            for purpose, decision in sorted(apart.items())
        ],
    }


def _letter(letter: DeadLetter, content: str | None) -> dict[str, Any]:
    return {
        "id": letter.id,
        "source": letter.source,
        "received_at": moment(letter.received_us),
        "form": letter.form,
        "reason": letter.reason,
        "why": str(letter),
        "content": content,
    }


def _request(one: Request) -> dict[str, Any]:
    """Without who of staff did what."""
    return {
        "id": one.id,
        "kind": one.kind.value,
        "law": one.law.value,
        "place": one.place,
        "state": one.state.value,
        "received": one.received.isoformat(),
        "due": one.due.isoformat(),
        "words": one.said.words,
        "contact": one.said.contact,
        "corrections": dict(one.said.values),
        "retractions": [
            {"source": source, "signal_id": signal} for source, signal in one.said.retract
        ],
        "steps": [
            {"step": taken.step.value, "at": moment(taken.at_us), "reason": taken.reason}
            for taken in one.steps
        ],
    }

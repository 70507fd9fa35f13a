"""Writes to the audit log what signals decide: consent, decisions of staff, and retractions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgpack

from identity.model import Contribution, EvidenceKind
from identity.store import Outcome
from profiles.audit import AuditLog, Event, Kind

_LOGGED = frozenset({Outcome.COUNTED, Outcome.REPLACED, Outcome.DUPLICATE, Outcome.RETRACTION})


_DECISIONS = frozenset({EvidenceKind.CONSENT, EvidenceKind.DECISION})


class Auditor:
    """Logs what a commit counted. Called again with the same it changes nothing.

    A duplicate is logged, too: the process that counted it may have died before
    it could. `now_us` is the clock.
    """

    def __init__(self, log: AuditLog, now_us: Callable[[], int]) -> None:
        self._log = log
        self._now_us = now_us

    def __call__(self, contributions: Sequence[Contribution], outcomes: Sequence[Outcome]) -> None:
        """Log the decisions among contributions; durable when this returns.

        Raises:
            AuditUnavailable: none of them was logged; call again.
        """
        events = list(_events(contributions, outcomes, self._now_us()))
        if events:
            self._log.append(events)


def _events(
    contributions: Sequence[Contribution], outcomes: Sequence[Outcome], at_us: int
) -> Iterator[Event]:
    for one, outcome in zip(contributions, outcomes, strict=True):
        if outcome not in _LOGGED:
            continue
        if one.retracts is not None:
            about = (_signal(one.retracts),)
            yield Event(Kind.RETRACTION, str(one.signal), at_us, one.source, about)
        elif one.fact is not None and one.fact.kind in _DECISIONS:
            yield _decision(one, at_us)


def _decision(one: Contribution, at_us: int) -> Event:
    assert one.fact is not None, "only called for decisions"
    once = f"{one.signal}:{one.digest.hex()}"
    about = (*one.fact.subjects, _signal(one.signal))
    what: dict[str, str | int | bool] = {"effective_us": min(one.event_us, one.published_us)}
    if one.fact.kind is EvidenceKind.CONSENT:
        said = msgpack.unpackb(one.fact.payload)["decisions"]
        what |= {f"purpose:{purpose}": granted for purpose, granted in said.items()}
        return Event(Kind.CONSENT, once, at_us, one.source, about, what)
    what["same"] = bool(one.fact.same)
    return Event(Kind.DECISION, once, at_us, one.source, about, what)


def _signal(key: int) -> str:
    return f"signal:{key:016x}"

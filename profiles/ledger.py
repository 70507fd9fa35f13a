"""The consent ledger of a person: every decision ever made, and what holds now, why and since when.

Pure, and built on the same functions as lookups, so that it can say nothing
else than what they do.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from enum import StrEnum
from typing import NamedTuple

import msgpack

from identity.model import EvidenceKind, KeptFact, PersonEvidence
from profiles import consent
from profiles.consent import Circumstances, ConsentDecision, Why
from profiles.purposes import Purpose, PurposePolicy


class Standing(StrEnum):
    """What a decision counts for now."""

    HOLDS = "holds"
    OUTWEIGHED = "outweighed by a more restrictive one"
    OVERRIDDEN = "overridden by a later one"


class Entry(NamedTuple):
    """One decision on one purpose as the ledger shows it.

    `decision.effective_us` is since when it counts, `sent_us` when it was sent;
    `decision.subjects` are the identifiers it was made under.
    """

    decision: ConsentDecision
    sent_us: int
    text_version: str
    place: str
    standing: Standing


class State(NamedTuple):
    """What holds for one purpose now; `entry` is the decision that says so, if any does."""

    purpose: Purpose
    granted: bool
    why: Why
    entry: Entry | None


class Ledger(NamedTuple):
    """What holds, by purpose in the policy's order, and every decision, latest first.

    `apart`: the restriction and the legal hold in force, while which nobody is
    served, whatever purposes say.
    """

    states: tuple[State, ...]
    entries: tuple[Entry, ...]
    apart: tuple[Entry, ...] = ()


def ledger(policy: PurposePolicy, evidence: PersonEvidence, seen: Circumstances) -> Ledger:
    """The ledger of everything a person's evidence says on consent."""
    members = {node.key for node in evidence.nodes}
    told: dict[ConsentDecision, tuple[KeptFact, Mapping[str, str]]] = {}
    for kept in evidence.facts:
        if kept.fact.kind is EvidenceKind.CONSENT:
            said = msgpack.unpackb(kept.fact.payload)
            for decision in consent.decisions((kept,), members):
                told.setdefault(decision, (kept, said))
    joined = list(consent.joins(evidence))
    holds = consent.standing(told, joined)
    left = consent.undefeated(told, joined)
    entries = {
        decision: Entry(
            decision,
            kept.event_us,
            said["text_version"],
            said["place"],
            _standing(decision, holds, left),
        )
        for decision, (kept, said) in sorted(told.items(), key=_decision_of, reverse=True)
    }
    states = tuple(_state(purpose, holds, entries, seen) for purpose in policy.purposes)
    apart = consent.set_apart(evidence)
    in_force = tuple(entries[apart[purpose]] for purpose in consent.RESERVED if purpose in apart)
    return Ledger(states, tuple(entries.values()), in_force)


def _decision_of(told: tuple[ConsentDecision, object]) -> ConsentDecision:
    return told[0]


def _standing(
    decision: ConsentDecision,
    holds: Mapping[str, ConsentDecision],
    left: Container[ConsentDecision],
) -> Standing:
    if holds.get(decision.purpose) == decision:
        return Standing.HOLDS
    return Standing.OUTWEIGHED if decision in left else Standing.OVERRIDDEN


def _state(
    purpose: Purpose,
    holds: Mapping[str, ConsentDecision],
    entries: Mapping[ConsentDecision, Entry],
    seen: Circumstances,
) -> State:
    decision = holds.get(purpose.name)
    verdict = consent.judge(purpose, decision, seen)
    entry = None if decision is None else entries[decision]
    return State(purpose, verdict.granted, verdict.why, entry)

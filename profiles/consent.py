"""Consent as a set function: from all decisions and links of a person to what holds now.

Per purpose the latest decision wins, by effective time: the earlier of the
event time and the first publish time, so that no source gains by dating its
decision ahead. At one instant a withdrawal beats a grant. A decision overrides
an earlier one only when links no later than itself join the identifiers it was
made under with those of the earlier one: who was not known to be one person
when deciding did not decide for the other. A grant that was given before it was
sent, as in a consent string, was given where nobody can tell any more: that its
identifiers were sent together says nothing of back then, and it overrides only
if links of that time join them all. Of the decisions that none
overrides, the most restrictive wins. The order of facts and links is nothing.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgpack

from identity.model import DAY_US, EvidenceKind, KeptFact, NodeKey, PersonEvidence
from profiles.purposes import Purpose, PurposePolicy

RESTRICTION: Final = "restriction"
LEGAL_HOLD: Final = "legal_hold"
RESERVED: Final = (RESTRICTION, LEGAL_HOLD)
"""Purposes that no policy has: who withdrew one is set apart, and served to no one. Only sources
with `may_decide` decide on them."""
_RESERVED_BYTES: Final = tuple(name.encode() for name in RESERVED)
_NO: Final = msgpack.packb(False)
Joined = tuple[int, NodeKey, NodeKey]
"""When two nodes were first joined, in microseconds, and the two."""


class ConsentDecision(NamedTuple):
    """One decision on one purpose; ordered so that the later one overrides the earlier.

    `given_before`: it was given before it was sent under its subjects, and does
    not show that they were one person's then.
    """

    effective_us: int
    withdrawn: bool
    source: str
    digest: bytes
    purpose: str
    subjects: tuple[NodeKey, ...]
    given_before: bool = False


def decisions(facts: Iterable[KeptFact], members: Container[NodeKey]) -> list[ConsentDecision]:
    """The decisions on purposes that the facts hold, as made under nodes of this person.

    A shared device beside them decides for its own: it joins nobody here either.
    """
    found = []
    for kept in facts:
        if kept.fact.kind is not EvidenceKind.CONSENT:
            continue
        subjects = tuple(node for node in kept.fact.subjects if node in members)
        if not subjects:
            continue
        effective_us = min(kept.event_us, kept.published_us)
        said = msgpack.unpackb(kept.fact.payload)
        given_us = min(effective_us, said.get("given_us", effective_us))
        source, digest = kept.source, kept.digest
        found += [
            ConsentDecision(
                given_us if granted else effective_us,
                not granted,
                source,
                digest,
                purpose,
                subjects,
                granted and given_us < effective_us,
            )
            for purpose, granted in said["decisions"].items()
        ]
    return found


def said_of(
    decisions: Mapping[str, bool], text_version: str, place: str, given_us: int | None = None
) -> dict[str, Any]:
    """What a consent's fact holds; `given_us`: its grants were given then, not when it was sent.

    A device goes on sending an old yes. It must not override what was withdrawn
    since, nor what somebody withdrew of whom nobody knew then; an old no, sent
    again, does no harm.
    """
    said = {"decisions": dict(decisions), "text_version": text_version, "place": place}
    return said if given_us is None else {**said, "given_us": given_us}


def joins(person: PersonEvidence) -> Iterator[Joined]:
    """When each two nodes of a person were first joined: by being seen together, or by staff."""
    for low, high, days in person.links:
        if days:
            yield min([day.first_us for day in days]), low, high
    for kept in person.facts:
        fact = kept.fact
        if fact.kind is EvidenceKind.DECISION and fact.same and len(fact.subjects) == 2:
            yield kept.event_us, fact.subjects[0], fact.subjects[1]


def standing(
    made: Iterable[ConsentDecision], joined: Iterable[Joined]
) -> dict[str, ConsentDecision]:
    """Per purpose the decision that holds; purposes without a decision are left out."""
    return {
        purpose: _most_restrictive(left) for purpose, left in _left_by_purpose(made, joined).items()
    }


def undefeated(
    made: Iterable[ConsentDecision], joined: Iterable[Joined]
) -> frozenset[ConsentDecision]:
    """The decisions that none overrides, those included that a more restrictive one outweighs."""
    return frozenset(
        decision for left in _left_by_purpose(made, joined).values() for decision in left
    )


def _left_by_purpose(
    made: Iterable[ConsentDecision], joined: Iterable[Joined]
) -> dict[str, list[ConsentDecision]]:
    by_purpose: dict[str, list[ConsentDecision]] = {}
    for decision in made:
        by_purpose.setdefault(decision.purpose, []).append(decision)
    # Most people decide once on each purpose, and then no link matters.
    several = any(len(decided) > 1 for decided in by_purpose.values())
    in_order = sorted(joined) if several else []
    return {
        purpose: _not_overridden(decided, in_order)
        for purpose, decided in sorted(by_purpose.items())
    }


def _most_restrictive(left: list[ConsentDecision]) -> ConsentDecision:
    """A withdrawal if there is one, else a grant; of equals the latest."""
    return max(left, key=lambda decision: (decision.withdrawn, decision))


def _not_overridden(made: list[ConsentDecision], joined: Sequence[Joined]) -> list[ConsentDecision]:
    """Takes decisions in order of time, growing the joined groups up to each one's.

    A group's decisions that stand: those of the groups it grew from, until one
    is made within it, which then stands alone. One that was given before, in
    groups that were not joined yet, stands in each beside what stands there.
    """
    if len(made) == 1:
        return made
    groups = _Groups()
    at = 0
    for decision in sorted(made):
        while at < len(joined) and joined[at][0] <= decision.effective_us:
            groups.join(joined[at][1], joined[at][2])
            at += 1
        if not decision.given_before:
            for subject in decision.subjects[1:]:
                groups.join(decision.subjects[0], subject)
        within = {groups.root(subject) for subject in decision.subjects}
        for root in within:
            beside = groups.standing.get(root, []) if len(within) > 1 else []
            groups.standing[root] = [*beside, decision]
    return [decision for left in groups.standing.values() for decision in left]


class _Groups:
    """Disjoint sets of nodes, each with the decisions that stand in it."""

    def __init__(self) -> None:
        self._parent: dict[NodeKey, NodeKey] = {}
        self.standing: dict[NodeKey, list[ConsentDecision]] = {}

    def root(self, node: NodeKey) -> NodeKey:
        parent = self._parent
        while (up := parent.get(node, node)) != node:
            parent[node] = parent.get(up, up)
            node = up
        return node

    def join(self, one: NodeKey, other: NodeKey) -> None:
        low, high = sorted((self.root(one), self.root(other)))
        if low == high:
            return
        self._parent[high] = low
        moved = self.standing.pop(high, None)
        if moved is not None:
            self.standing[low] = self.standing.get(low, []) + moved


def set_apart(evidence: PersonEvidence) -> dict[str, ConsentDecision]:
    """What sets a person apart now, by reserved purpose; {}: nothing does."""
    told = [kept for kept in evidence.facts if is_reserved(kept)]
    if not told:
        return {}
    members = {node.key for node in evidence.nodes}
    made = [one for one in decisions(told, members) if one.purpose in RESERVED]
    holds = standing(made, joins(evidence))
    return {purpose: one for purpose, one in holds.items() if one.withdrawn}


def is_apart(evidence: PersonEvidence) -> bool:
    """Whether a restriction or a legal hold is in force: the person is served to no one."""
    return bool(set_apart(evidence))


def is_reserved(kept: KeptFact) -> bool:
    """Whether a decision may be on a reserved purpose, by its bytes: few people have any."""
    payload = kept.fact.payload
    return kept.fact.kind is EvidenceKind.CONSENT and any(
        name in payload for name in _RESERVED_BYTES
    )


def may_refuse(kept: KeptFact) -> bool:
    """Whether a decision may hold a no, by its bytes."""
    return kept.fact.kind is EvidenceKind.CONSENT and _NO in kept.fact.payload


def needed_from(policy: PurposePolicy, evidence: PersonEvidence, before_day: int) -> int | None:
    """From which day on decisions have to stay, if those before a day are to be forgotten.

    None: forgetting them grants nothing. Otherwise a no that holds is older, and
    without it something would be granted, because nobody has to say yes or because
    of a yes that would outlast it. Decisions stay from the latest such no on: it
    holds whatever else is forgotten.
    """
    members = {node.key for node in evidence.nodes}
    days: dict[ConsentDecision, int] = {}
    for kept in evidence.facts:
        day = kept.event_us // DAY_US
        for one in decisions((kept,), members):
            days[one] = max(day, days.get(one, day))
    refused: dict[str, int] = {}
    for one in undefeated(days, joins(evidence)):
        if one.withdrawn:
            refused[one.purpose] = max(days[one], refused.get(one.purpose, days[one]))
    outlasted = {
        one.purpose
        for one, day in days.items()
        if not one.withdrawn and day > refused.get(one.purpose, day)
    }
    needed = [
        day
        for purpose, day in refused.items()
        if day < before_day and (purpose in outlasted or _holds_undecided(policy, purpose))
    ]
    return min(needed, default=None)


def _holds_undecided(policy: PurposePolicy, name: str) -> bool:
    """Whether a purpose may be granted, somewhere, to who said nothing; being served is."""
    purpose = policy.by_name.get(name)
    if purpose is None:
        return name in RESERVED
    return any(rule.opt_out for rule in (purpose.rule, *purpose.places.values()))


class Circumstances(NamedTuple):
    """What a purpose's ground depends on beside decisions.

    - `places`: countries, or countries and regions, in which somebody was seen
      or lives; where one could not be told, it is in here as "".
    - `age`: in years, at most; None when unknown.
    """

    places: frozenset[str] = frozenset()
    age: int | None = None


UNKNOWN = Circumstances()


class Why(StrEnum):
    """Why a purpose is granted or not."""

    GRANTED = "granted"
    WITHDRAWN = "withdrawn"
    NOT_ASKED = "needs a yes and nobody gave one"
    NOT_OBJECTED = "holds until a no and nobody said one"
    TOO_YOUNG = "below the minimum age"
    AGE_UNKNOWN = "has a minimum age and the age is unknown"


class Verdict(NamedTuple):
    """Whether a purpose is granted, and why."""

    granted: bool
    why: Why


def judge(purpose: Purpose, decision: ConsentDecision | None, seen: Circumstances) -> Verdict:
    """Whether a purpose is granted under the decision that holds, if any."""
    rule = purpose.rule_in(seen.places)
    if decision is not None and decision.withdrawn:
        return Verdict(False, Why.WITHDRAWN)
    if decision is None and not rule.opt_out:
        return Verdict(False, Why.NOT_ASKED)
    if rule.minimum_age:
        if seen.age is None:
            if not purpose.age_may_be_unknown:
                return Verdict(False, Why.AGE_UNKNOWN)
        elif seen.age < rule.minimum_age:
            return Verdict(False, Why.TOO_YOUNG)
    return Verdict(True, Why.GRANTED if decision is not None else Why.NOT_OBJECTED)


class Grounds(NamedTuple):
    """Bits of purposes: granted where nobody decided, and granted once somebody says yes."""

    undecided: int
    grantable: int


def grounds(policy: PurposePolicy, seen: Circumstances) -> Grounds:
    """What circumstances allow, for all purposes at once; the same for many people."""
    undecided = grantable = 0
    for purpose in policy.purposes:
        if judge(purpose, None, seen).granted:
            undecided |= purpose.bit
        if judge(purpose, _YES, seen).granted:
            grantable |= purpose.bit
    return Grounds(undecided, grantable)


def granted_bits(
    policy: PurposePolicy, holds: Mapping[str, ConsentDecision], on: Grounds | None = None
) -> int:
    """Bits of the purposes granted, on grounds of circumstances; by default unknown ones.

    Decisions on purposes that the policy does not have grant nothing.
    """
    undecided, grantable = on or grounds(policy, UNKNOWN)
    bits = undecided
    for name, decision in holds.items():
        purpose = policy.by_name.get(name)
        if purpose is None:
            continue
        if decision.withdrawn:
            bits &= ~purpose.bit
        else:
            bits |= purpose.bit & grantable
    return bits


def age_at(birth_dates: Iterable[str], as_of_day: int) -> int | None:
    """The least age in years that birth dates allow on a day; None when none can be read.

    Of several people's word for it the youngest age counts, and of `1990` or
    `1990-05` the latest day it may mean: who may be a child is treated as one.
    """
    on = _EPOCH + timedelta(days=as_of_day)
    ages = [_age(text, on) for text in birth_dates]
    return min([age for age in ages if age is not None], default=None)


def _age(text: str, on: date) -> int | None:
    try:
        year, month, day = [*map(int, text.split("-")), 0, 0][:3]
        if not month:
            month, day = 12, 31
        elif not day:
            day = monthrange(year, month)[1]
        born = date(year, month, day)
    except (ValueError, IndexError):
        return None
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


_EPOCH = date(1970, 1, 1)
_YES = ConsentDecision(0, False, "", b"", "", ())

"""From a person's evidence to the profile as it rests: one pure fold, then one seal.

What is in a profile depends on the evidence and the policy alone. Every item is
in exactly one section, that of its field and of the purposes it may serve, in
an order that the evidence's order does not change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from identity.model import (
    DAY_US,
    RECORD_KIND,
    EvidenceKind,
    KeptFact,
    NodeKey,
    PersonEvidence,
    PersonId,
)
from identity.policy import IdentityPolicy
from identity.retention import PURPOSE
from profiles import consent, contexts
from profiles.affinities import interests
from profiles.attributes import Asserted, Survivorship, survivors
from profiles.fold import Daily, Folded, Holder, Span, fold, since
from profiles.layout import Place, layout_of
from profiles.policy_digest import digest_of
from profiles.purposes import FIELDS, PurposePolicy
from profiles.sealing import Sealer, Unreadable
from profiles.v1.feed_pb2 import StoredProfile
from profiles.v1.profile_pb2 import Profile
from profiles.vault import KeyDestroyed

_FOLDING = 1
"""Raise it when the same evidence and policy come to be folded into another profile."""
MAX_NETWORKS = 20
MAX_PURCHASES = 50
_DAY_S = 86_400
_KIND_AND_TOKEN = itemgetter(0, 2)
_PLACES_KEPT = 4_096
_ISO_COUNTRY = 2
"""Letters of a country's code; anything else names none, and counts as a place unknown."""
_PlaceOf = Callable[[str, str], Place | None]
"""Where an item of a field goes; None: nowhere."""
NO_CUTOFFS: Mapping[str, int] = {}
SEEN_ATTRIBUTES = (("coarse_place", "place"), ("locale", "locale"), ("time_zone", "zone"))
"""Attributes that follow from what was seen unless a record says them; the cells they are of."""


class PurchaseSaid(NamedTuple):
    """What a signal says was bought."""

    category: str
    item: str
    value: float
    unit: str
    channel: str


class Payloads(NamedTuple):
    """How to read what facts hold once it is opened: the writer's own way back.

    `record` gives attributes by name, parts of the address as `address.city`.
    """

    record: Callable[[bytes], Mapping[str, str]]
    purchase: Callable[[bytes], PurchaseSaid]


@dataclass(frozen=True, slots=True)
class ProfilePolicy:
    """What decides how evidence becomes a profile. `half_life_days` is 1 or more."""

    identity: IdentityPolicy
    purposes: PurposePolicy
    survivorship: Survivorship
    half_life_days: int = 30

    @property
    def folding(self) -> str:
        """Its digest: whoever was folded by another must be folded anew."""
        survivorship, kinds = self.survivorship, self.identity.kinds
        said = [
            _FOLDING,
            self.purposes.digest,
            list(survivorship.trust),
            {name: list(rules) for name, rules in survivorship.rules.items()},
            self.half_life_days,
            {name: kind.device for name, kind in kinds.items()},
        ]
        return f"{digest_of(said):016x}"


class Folding(NamedTuple):
    """A profile before it is sealed: sections by their places, and what is told openly."""

    sections: dict[Place, bytes]
    granted: int
    as_of_us: int
    aliases: tuple[NodeKey, ...]


class Builder:
    """Builds profiles under one policy. Opens what facts and identifiers hold, seals the whole.

    What does not open, because its key is destroyed or somebody changed it, is
    left out and counted in `unopened`: it must not hold up everybody else.
    `folding` is the digest of all but the evidence that a profile depends on.
    One object per thread.
    """

    def __init__(self, policy: ProfilePolicy, sealer: Sealer, payloads: Payloads) -> None:
        self._policy = policy
        self._sealer = sealer
        self._payloads = payloads
        self._place = lru_cache(_PLACES_KEPT)(self._find_place)
        self._grounds = lru_cache(_PLACES_KEPT)(self._find_grounds)
        self.folding = policy.folding
        self.unopened = 0

    def build(
        self, evidence: PersonEvidence, version: int, cutoffs: Mapping[str, int] = NO_CUTOFFS
    ) -> StoredProfile:
        """The profile as it rests."""
        folding = self.fold(evidence, cutoffs)
        layout = layout_of(folding.sections)
        plaintext = b"".join(folding.sections.values())
        return StoredProfile(
            version=version,
            as_of_us=folding.as_of_us,
            aliases=folding.aliases,
            granted_purposes=folding.granted,
            policy=self._policy.purposes.digest,
            layout=layout,
            sealed=self._sealer.seal(plaintext, context_of(evidence.person, layout)),
        )

    def fold(self, evidence: PersonEvidence, cutoffs: Mapping[str, int] = NO_CUTOFFS) -> Folding:
        """The profile before it is sealed: a pure function of the evidence and the cutoffs.

        For a purpose with a cutoff (`identity.retention.PURPOSE`) the profile is
        folded once more, from what happened since, into sections of its own;
        consents are in them all the same.
        """
        folded = fold(evidence)
        last_us = max(folded.seen.last_us, 0)
        asserted = self._asserted(_of_kind(evidence, EvidenceKind.RECORD))
        members = {node.key for node in evidence.nodes}
        decided = consent.decisions(evidence.facts, members)
        holds = consent.standing(decided, consent.joins(evidence)) if decided else {}
        as_of_day = last_us // DAY_US
        limits = self._limits(cutoffs)
        sections: dict[Place, bytes] = {}
        for placed, first_day in limits:
            parts = _Sections(placed)
            if first_day is None:
                self._fill(parts, evidence, folded, asserted, as_of_day)
            else:
                left = since(evidence, first_day)
                said = [one for one in asserted if one.observed_us // DAY_US >= first_day]
                self._fill(parts, left, fold(left), said, as_of_day)
            _consents(parts, holds)
            sections |= parts.serialized()
        grounds = self._grounds(circumstances(asserted, folded, as_of_day))
        granted = consent.granted_bits(self._policy.purposes, holds, grounds)
        aliases = sorted(key for key in members if not key.startswith(RECORD_KIND + ":"))
        ordered = {place: sections[place] for place in sorted(sections)}
        return Folding(ordered, granted, last_us, tuple(aliases))

    def _fill(
        self,
        sections: _Sections,
        evidence: PersonEvidence,
        folded: Folded,
        asserted: list[Asserted],
        as_of_day: int,
    ) -> None:
        self._attributes(sections, asserted, folded)
        self._identifiers(sections, evidence)
        self._devices(sections, evidence, folded)
        self._behaviour(sections, folded, as_of_day)
        self._purchases(sections, _of_kind(evidence, EvidenceKind.PURCHASE))

    def _limits(self, cutoffs: Mapping[str, int]) -> list[tuple[_PlaceOf, int | None]]:
        """How often a profile is folded: where items go each time, and from which day on.

        First what has no cutoff, then those with one, the earliest first: each
        says for which purposes the same was told with more before.
        """
        limited = sorted(
            (cutoffs[PURPOSE + purpose.name], purpose.bit)
            for purpose in self._policy.purposes.purposes
            if PURPOSE + purpose.name in cutoffs
        )
        if not limited:
            return [(self._place, None)]
        later = sum(bit for _, bit in limited)
        found: list[tuple[_PlaceOf, int | None]] = [(self._placing(0, later), None)]
        for first_day, bit in limited:
            later &= ~bit
            found.append((self._placing(bit, later), first_day))
        return found

    def _placing(self, own: int, later: int) -> _PlaceOf:
        """Where items go for one purpose, or with 0 for all without a cutoff; None: nowhere."""

        def place(field: str, item: str) -> Place | None:
            number, purposes, _ = self._place(field, item)
            left = purposes & ~later
            if not left & own if own else purposes and not left:
                return None
            return Place(number, left, own)

        return place

    def seen(self, evidence: PersonEvidence) -> consent.Circumstances:
        """What a person's grounds for purposes depend on, as `fold` has them."""
        folded = fold(evidence)
        records = _of_kind(evidence, EvidenceKind.RECORD)
        as_of_day = max(folded.seen.last_us, 0) // DAY_US
        return circumstances(self._asserted(records), folded, as_of_day)

    def _find_place(self, field: str, item: str) -> Place:
        return Place(FIELDS[field], self._policy.purposes.served(field, item))

    def _find_grounds(self, seen: consent.Circumstances) -> consent.Grounds:
        return consent.grounds(self._policy.purposes, seen)

    def _asserted(self, records: Iterable[KeptFact]) -> list[Asserted]:
        return [
            Asserted(kept.source, kept.event_us, kept.digest, self._payloads.record(opened))
            for kept, opened in self._opened(records)
        ]

    def _attributes(self, sections: _Sections, asserted: list[Asserted], folded: Folded) -> None:
        found = survivors(asserted, self._policy.survivorship)
        said = {survivor.name for survivor in found}
        for survivor in found:
            made = sections.part("attributes", survivor.name).attributes.add()
            made.name = survivor.name
            made.value = survivor.value
            made.source = survivor.source
            made.rule = survivor.rule
            made.other_values = survivor.other_values
            _set(made.observed_at, survivor.observed_us)
        for name, dimension in SEEN_ATTRIBUTES:
            values = folded.of(dimension)
            if values and name not in said:
                made = sections.part("attributes", name).attributes.add()
                made.name = name
                made.value = _usual(values)
                made.rule = "most_frequent" if len(values) > 1 else "only_value"
                made.other_values = len(values) - 1
                made.observed_at.seconds = _last(values[made.value]) * _DAY_S

    def _opened(self, facts: Iterable[KeptFact]) -> Iterable[tuple[KeptFact, bytes]]:
        for kept in facts:
            if kept.fact.kind is EvidenceKind.RECORD:
                place = contexts.of_record(kept.fact.subjects[0])
            else:
                place = contexts.of_purchase(kept.signal)
            opened = self._open(kept.fact.payload, place)
            if opened is not None:
                yield kept, opened

    def _open(self, sealed: bytes, place: bytes) -> bytes | None:
        try:
            return self._sealer.open(sealed, place)
        except (KeyDestroyed, Unreadable):
            self.unopened += 1
            return None

    def _identifiers(self, sections: _Sections, evidence: PersonEvidence) -> None:
        named = [(*node.key.rpartition(":"), node) for node in evidence.nodes]
        named.sort(key=_KIND_AND_TOKEN)
        for kind, _, token, node in named:
            if kind == RECORD_KIND:
                continue
            place = contexts.of_identifier(kind, node.order)
            value = self._open(node.sealed, place) if node.sealed else None
            made = sections.part("identifiers", kind).identifiers.add()
            made.kind = kind
            made.token = token
            if value:
                made.value = value.decode()

    def _devices(self, sections: _Sections, evidence: PersonEvidence, folded: Folded) -> None:
        policy = self._policy.identity
        devices = []
        for node in evidence.nodes:
            kind, _, token = node.key.rpartition(":")
            known = policy.kind(kind)
            if known is not None and known.device:
                devices.append((token, kind, node))
        for token, kind, node in sorted(devices):
            held = folded.holders.get(node.key) or Holder(0, Span(), {})
            paired, together = folded.paired.get(node.key) or (Span(), 0)
            made = sections.part("devices").devices.add(**_usual_by_dimension(held.cells))
            made.token = token
            made.kind = kind
            made.signals = max(held.signals, together)
            first_us = min(held.seen.first_us, paired.first_us)
            last_us = max(held.seen.last_us, paired.last_us)
            if first_us <= last_us:
                _set(made.first_seen, first_us)
                _set(made.last_seen, last_us)

    def _behaviour(self, sections: _Sections, folded: Folded, as_of_day: int) -> None:
        if folded.seen.first_us <= folded.seen.last_us:
            presence = sections.part("presence").presence
            presence.signals = folded.signals
            _set(presence.first_seen, folded.seen.first_us)
            _set(presence.last_seen, folded.seen.last_us)
        if any(folded.hours):
            sections.part("hours").hours.counts.extend(folded.hours)
        if categories := folded.of("category"):
            self._affinities(sections, categories, as_of_day)
        for channel, daily in sorted(folded.of("channel").items()):
            made = sections.part("channels", channel).channels.add()
            made.channel = channel
            made.signals = _total(daily)
            made.last_day = _last(daily)
        if networks := folded.of("network"):
            _networks(sections.part("networks"), networks)

    def _affinities(
        self, sections: _Sections, categories: Mapping[str, Daily], as_of_day: int
    ) -> None:
        half_life_days = self._policy.half_life_days
        for interest in interests(categories, as_of_day, half_life_days):
            made = sections.part("affinities", interest.category).affinities.add()
            made.category = interest.category
            made.score = interest.score
            made.count = interest.signals
            made.last_day = interest.last_day
            made.as_of_day = as_of_day
            made.half_life_days = half_life_days

    def _purchases(self, sections: _Sections, facts: Iterable[KeptFact]) -> None:
        newest = sorted(facts, key=lambda kept: (-kept.event_us, kept.digest))[:MAX_PURCHASES]
        for kept, opened in self._opened(newest):
            said = self._payloads.purchase(opened)
            made = sections.part("purchases").purchases.add(**said._asdict())
            _set(made.at, kept.event_us)


def _consents(sections: _Sections, holds: Mapping[str, consent.ConsentDecision]) -> None:
    """What was decided of the policy's purposes; that staff set somebody apart is no profile."""
    told = {purpose: made for purpose, made in holds.items() if purpose not in consent.RESERVED}
    if not told:
        return
    part = sections.part("consents")
    for purpose, decision in told.items():
        made = part.consents.add()
        made.purpose = purpose
        made.granted = not decision.withdrawn
        made.source = decision.source
        _set(made.effective_at, decision.effective_us)


class _Sections:
    """A profile taken apart: one message per field and set of purposes."""

    def __init__(self, place: _PlaceOf) -> None:
        self._place = place
        self._parts: dict[Place, Profile] = {}

    def part(self, field: str, item: str = "") -> Profile:
        """The message to which an item of this field belongs; of what goes nowhere one that is
        forgotten.
        """
        place = self._place(field, item)
        if place is None:
            return Profile()
        found = self._parts.get(place)
        if found is None:
            found = self._parts[place] = Profile()
        return found

    def serialized(self) -> dict[Place, bytes]:
        """The sections by field, then purposes."""
        return {
            key: self._parts[key].SerializeToString(deterministic=True)
            for key in sorted(self._parts)
        }


def circumstances(
    asserted: Iterable[Asserted], folded: Folded, as_of_day: int
) -> consent.Circumstances:
    """Where somebody was seen or lives, and how old they are on a day, by all that anybody said."""
    places = set(folded.of("place"))
    birth_dates = []
    for said in asserted:
        if country := said.values.get("address.country"):
            places.add(country if len(country) == _ISO_COUNTRY and country.isupper() else "")
        if birth_date := said.values.get("birth_date"):
            birth_dates.append(birth_date)
    return consent.Circumstances(frozenset(places), consent.age_at(birth_dates, as_of_day))


def context_of(person: PersonId, layout: bytes) -> bytes:
    """What a profile is sealed for: this person and this layout, no other."""
    return person.encode() + layout


def _of_kind(evidence: PersonEvidence, kind: EvidenceKind) -> list[KeptFact]:
    return [kept for kept in evidence.facts if kept.fact.kind is kind]


def _networks(part: Profile, networks: Mapping[str, Daily]) -> None:
    by_use = sorted(networks.items(), key=lambda network: (-_total(network[1]), network[0]))
    for token, daily in by_use[:MAX_NETWORKS]:
        made = part.networks.add()
        made.token = token
        made.signals = _total(daily)
        made.first_day = min([day for day, _ in daily])
        made.last_day = _last(daily)


def _usual_by_dimension(cells: Mapping[str, Daily]) -> dict[str, str]:
    values: dict[str, dict[str, Daily]] = {}
    for cell, daily in cells.items():
        dimension, _, value = cell.partition(":")
        if dimension in ("device_type", "system", "browser"):
            values.setdefault(dimension, {})[value] = daily
    return {dimension: _usual(daily) for dimension, daily in values.items()}


def _usual(values: Mapping[str, Daily]) -> str:
    """The value seen most often; of equals the one seen last, then the first by name."""
    if len(values) == 1:
        return next(iter(values))
    return min(values, key=lambda value: (-_total(values[value]), -_last(values[value]), value))


def _total(daily: Daily) -> int:
    return sum([n for _, n in daily])


def _last(daily: Daily) -> int:
    return max([day for day, _ in daily])


def _set(timestamp: Timestamp, at_us: int) -> None:
    timestamp.seconds, micros = divmod(at_us, 1_000_000)
    timestamp.nanos = micros * 1_000

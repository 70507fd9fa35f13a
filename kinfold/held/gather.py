"""Everything held about one person, as plain data: what, on whose word, for what, and who got it.

Pure but for what it is given to open sealed values with. What does not open any
more, because its key is destroyed, is counted and told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from identity.horizons import name_of
from identity.model import (
    Assurance,
    EvidenceKind,
    Expiring,
    KeptFact,
    Node,
    NodeKey,
    PersonEvidence,
    kind_of,
    token_of,
)
from identity.retention import ATTRIBUTE, PURPOSE, Retention
from kinfold.register import Exported
from profiles import contexts
from profiles.access import Access
from profiles.build import Builder, Payloads
from profiles.ledger import Entry, ledger
from profiles.purposes import PurposePolicy
from profiles.v1.profile_pb2 import Profile

Open = Callable[[bytes, bytes], bytes | None]
"""Opens a sealed value for its context; None: it cannot be opened any more."""
OBSERVED: Final = (
    "identifiers", "records", "devices", "behaviour", "purchases", "consents",
)  # fmt: skip
"""What a person provided, by saying or by doing (GDPR Article 20(1); WP 242 rev. 01, III): what
portability hands over. What was inferred of it is access alone."""
_EPOCH: Final = date(1970, 1, 1)
_ASSURANCE: Final = {Assurance.NONE: "none", Assurance.CLAIMED: "claimed"}
_READS: Final = "reads profiles"


@dataclass(frozen=True, slots=True)
class Scored:
    """Two records or devices of the person that are alike, and why: bars add up to the weight."""

    left: NodeKey
    right: NodeKey
    weight_bits: float
    probability: float
    model: str
    bars: Sequence[tuple[str, str, float]]


@dataclass(frozen=True, slots=True)
class Around:
    """What is known of a person beside their evidence.

    - `earlier`: ids that stand for them now; `scored`: pairs joined by likeness.
    - `exports`: what was handed out with them in it.
    - `horizons`: the day before which evidence of a kind has expired; `cutoffs`:
      as `GraphStore.cutoffs`; `retention`: for how long the policy keeps what.
    """

    earlier: Sequence[str] = ()
    scored: Sequence[Scored] = ()
    exports: Sequence[Exported] = ()
    horizons: Mapping[Expiring, int] = field(default_factory=dict)
    cutoffs: Mapping[str, int] = field(default_factory=dict)
    retention: Retention = field(default_factory=Retention)


class Gathering:
    """Gathers everything held about people, one after the other. One object per thread."""

    def __init__(
        self,
        builder: Builder,
        open_sealed: Open,
        payloads: Payloads,
        purposes: PurposePolicy,
        access: Access,
    ) -> None:
        self._builder = builder
        self._open = open_sealed
        self._payloads = payloads
        self._purposes = purposes
        self._access = access

    def everything(self, evidence: PersonEvidence, around: Around) -> dict[str, Any]:
        """All of it, under one key per part; the order of the evidence changes nothing."""
        values = {node.key: self._value(node) for node in evidence.nodes}
        folding = self._builder.fold(evidence)
        profile = Profile.FromString(b"".join(folding.sections.values()))
        use = _Use(self._purposes, folding.granted)
        found: dict[str, Any] = {
            "person": {"id": evidence.person, "earlier_ids": sorted(around.earlier)},
            "identifiers": self._identifiers(evidence, values, use),
            "attributes": _attributes(profile, use),
            "records": self._records(evidence),
            "devices": _devices(profile, use),
            "behaviour": _behaviour(profile, evidence, values, use),
            "purchases": self._purchases(evidence, use),
            "affinities": _affinities(profile, use),
            "consents": self._consents(evidence, values),
            "links": _links(evidence, values),
            "scored_links": [_scored(one, values) for one in around.scored],
            "decisions_of_staff": _decisions(evidence, values),
            "recipients": {
                "exports": [_export(one) for one in around.exports],
                "systems": _systems(self._access, self._purposes),
            },
            "retention": _retention(around),
        }
        found["unreadable"] = sum(one["values"] is None for one in found["records"])
        # What does not open has none of the fields of what was bought.
        found["unreadable"] += sum("value" not in one for one in found["purchases"])
        found["sources"] = _sources(evidence)
        return found

    def _value(self, node: Node) -> str:
        kind = kind_of(node.key)
        opened = node.sealed and self._open(node.sealed, contexts.of_identifier(kind, node.order))
        return opened.decode() if opened else ""

    def _identifiers(
        self, evidence: PersonEvidence, values: Mapping[NodeKey, str], use: _Use
    ) -> list[dict[str, Any]]:
        keys = sorted(node.key for node in evidence.nodes)
        return [
            {**_name(key, values), **use.of("identifiers", kind_of(key))}
            for key in keys
            if kind_of(key) != "record"
        ]

    def said_in(self, evidence: PersonEvidence, name: str) -> set[str]:
        """What the records say of an attribute, where they can be opened."""
        told = (record["values"] or {} for record in self._records(evidence))
        return {values[name] for values in told if name in values}

    def _records(self, evidence: PersonEvidence) -> list[dict[str, Any]]:
        found = []
        for kept in _facts(evidence, EvidenceKind.RECORD):
            place = contexts.of_record(kept.fact.subjects[0])
            opened = self._open(kept.fact.payload, place)
            values = None if opened is None else dict(sorted(self._payloads.record(opened).items()))
            token = token_of(kept.fact.subjects[0])
            found.append({"token": token, **_told(kept), "values": values})
        return found

    def _purchases(self, evidence: PersonEvidence, use: _Use) -> list[dict[str, Any]]:
        found = []
        for kept in _facts(evidence, EvidenceKind.PURCHASE):
            opened = self._open(kept.fact.payload, contexts.of_purchase(kept.signal))
            said = {} if opened is None else self._payloads.purchase(opened)._asdict()
            found.append({**_told(kept), **said, **use.of("purchases")})
        return found

    def _consents(self, evidence: PersonEvidence, values: Mapping[NodeKey, str]) -> dict[str, Any]:
        told = ledger(self._purposes, evidence, self._builder.seen(evidence))
        return {
            "now": [
                {
                    "purpose": state.purpose.name,
                    "words": state.purpose.words,
                    "granted": state.granted,
                    "why": state.why.value,
                }
                for state in told.states
            ],
            "set_apart": [_entry(entry, values) for entry in told.apart],
            "history": [_entry(entry, values) for entry in told.entries],
        }


class _Use:
    """Which purposes a part may serve, and which of them are granted."""

    def __init__(self, policy: PurposePolicy, granted: int) -> None:
        self._policy = policy
        self._granted = granted

    def of(self, part: str, item: str = "") -> dict[str, list[str]]:
        """Both, by the policy's ids."""
        bits = self._policy.served(part, item)
        return {
            "may_serve": [one.name for one in self._policy.purposes if bits & one.bit],
            "in_use_for": [
                one.name for one in self._policy.purposes if bits & one.bit & self._granted
            ],
        }


def provided(found: Mapping[str, Any]) -> dict[str, Any]:
    """What portability hands over of all that is held: what the person provided."""
    return {"person": found["person"], **{part: found[part] for part in OBSERVED}}


def _attributes(profile: Profile, use: _Use) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "value": one.value,
            "source": one.source,
            "observed_at": moment(one.observed_at.ToMicroseconds()),
            "rule": one.rule,
            "other_values": one.other_values,
            **use.of("attributes", one.name),
        }
        for one in sorted(profile.attributes, key=lambda one: one.name)
    ]


def _devices(profile: Profile, use: _Use) -> list[dict[str, Any]]:
    return [
        {
            "kind": one.kind,
            "token": one.token,
            "device_type": one.device_type,
            "system": one.system,
            "browser": one.browser,
            "first_seen": moment(one.first_seen.ToMicroseconds()),
            "last_seen": moment(one.last_seen.ToMicroseconds()),
            "signals": one.signals,
            **use.of("devices"),
        }
        for one in profile.devices
    ]


def _behaviour(
    profile: Profile, evidence: PersonEvidence, values: Mapping[NodeKey, str], use: _Use
) -> dict[str, Any]:
    presence = profile.presence
    return {
        "signals": presence.signals,
        "first_seen": moment(presence.first_seen.ToMicroseconds()),
        "last_seen": moment(presence.last_seen.ToMicroseconds()),
        "hours_utc": list(profile.hours.counts),
        "channels": [
            {
                "channel": one.channel,
                "signals": one.signals,
                "last_day": _day(one.last_day),
                **use.of("channels", one.channel),
            }
            for one in sorted(profile.channels, key=lambda one: one.channel)
        ],
        "networks": [
            {
                "token": one.token,
                "signals": one.signals,
                "first_day": _day(one.first_day),
                "last_day": _day(one.last_day),
                **use.of("networks"),
            }
            for one in profile.networks
        ],
        "days": [
            {
                "day": _day(day),
                "under": _name(holder, values),
                "signals": held.count,
                "hours_utc": {str(hour): n for hour, n in sorted(held.hours.items())},
                "counted": dict(sorted(held.cells.items())),
            }
            for holder, days in sorted(evidence.activity.items())
            for day, held in sorted(days.items())
        ],
    }


def _affinities(profile: Profile, use: _Use) -> list[dict[str, Any]]:
    return [
        {
            "category": one.category,
            "score": round(one.score, 6),
            "count": one.count,
            "last_day": _day(one.last_day),
            "as_of_day": _day(one.as_of_day),
            "half_life_days": one.half_life_days,
            **use.of("affinities", one.category),
        }
        for one in sorted(profile.affinities, key=lambda one: (-one.score, one.category))
    ]


def _links(evidence: PersonEvidence, values: Mapping[NodeKey, str]) -> list[dict[str, Any]]:
    return [
        {
            "left": _name(low, values),
            "right": _name(high, values),
            "basis": "seen together",
            "evidence": [
                {
                    "day": _day(one.day),
                    "source": one.source,
                    "assurance": _assurance(one.assurance),
                    "count": one.count,
                    "first_seen": moment(one.first_us),
                    "last_seen": moment(one.last_us),
                }
                for one in sorted(days)
            ],
        }
        for low, high, days in sorted(evidence.links, key=lambda link: link[:2])
    ]


def _scored(one: Scored, values: Mapping[NodeKey, str]) -> dict[str, Any]:
    return {
        "left": _name(one.left, values),
        "right": _name(one.right, values),
        "basis": "alike",
        "weight_bits": round(one.weight_bits, 3),
        "probability": round(one.probability, 6),
        "model": one.model,
        "evidence": [
            {"comparison": comparison, "level": level, "weight_bits": round(bits, 3)}
            for comparison, level, bits in one.bars
        ],
    }


def _decisions(evidence: PersonEvidence, values: Mapping[NodeKey, str]) -> list[dict[str, Any]]:
    return [
        {
            **_told(kept),
            "left": _name(kept.fact.subjects[0], values),
            "right": _name(kept.fact.subjects[-1], values),
            "same_person": bool(kept.fact.same),
        }
        for kept in _facts(evidence, EvidenceKind.DECISION)
    ]


def _export(one: Exported) -> dict[str, Any]:
    return {
        "what": one.what,
        "at": moment(one.at_us),
        "recipient": one.recipient,
        "purpose": one.purpose,
        "to_be_deleted_by": moment(one.expires_us) if one.expires_us else "",
    }


def _systems(access: Access, policy: PurposePolicy) -> list[dict[str, Any]]:
    """Callers that may look profiles up, and for what."""
    return [
        {
            "system": caller.name,
            "purposes": [one.name for one in policy.purposes if caller.grant.purposes & one.bit],
        }
        for caller in access.callers
        if _READS in caller.may
    ]


def _retention(around: Around) -> list[dict[str, Any]]:
    retention = around.retention
    kinds: list[Expiring] = list(EvidenceKind)
    kinds += sorted(kind for kind in {*retention.days, *around.horizons} if isinstance(kind, str))
    told = [
        _kept(name_of(kind), retention.days.get(kind), around.horizons.get(kind)) for kind in kinds
    ]
    days = {ATTRIBUTE + name: number for name, number in retention.attributes.items()}
    days |= {PURPOSE + name: number for name, number in retention.purposes.items()}
    return told + [
        _kept(name, days.get(name), around.cutoffs.get(name))
        for name in sorted({*days, *around.cutoffs})
    ]


def _kept(name: str, days: int | None, since: int | None) -> dict[str, Any]:
    return {
        "kind": name,
        "kept_for_days": days,
        "kept_since": "" if since is None else _day(since),
    }


def _sources(evidence: PersonEvidence) -> list[str]:
    told = {kept.source for kept in evidence.facts}
    return sorted(told | {one.source for _, _, days in evidence.links for one in days})


def _entry(entry: Entry, values: Mapping[NodeKey, str]) -> dict[str, Any]:
    decision = entry.decision
    return {
        "purpose": decision.purpose,
        "granted": not decision.withdrawn,
        "since": moment(decision.effective_us),
        "sent_at": moment(entry.sent_us),
        "source": decision.source,
        "text_version": entry.text_version,
        "place": entry.place,
        "under": [_name(key, values) for key in decision.subjects],
        "standing": entry.standing.value,
    }


def _facts(evidence: PersonEvidence, kind: EvidenceKind) -> Iterable[KeptFact]:
    found = (kept for kept in evidence.facts if kept.fact.kind is kind)
    return sorted(found, key=lambda kept: (kept.event_us, kept.digest))


def _told(kept: KeptFact) -> dict[str, Any]:
    return {
        "source": kept.source,
        "at": moment(kept.event_us),
        "assurance": _assurance(kept.assurance),
    }


def _assurance(assurance: Assurance) -> str:
    return _ASSURANCE.get(assurance, "authenticated")


def _name(key: NodeKey, values: Mapping[NodeKey, str]) -> dict[str, str]:
    return {"kind": kind_of(key), "value": values.get(key, ""), "token": token_of(key)}


def moment(at_us: int) -> str:
    """ISO 8601 in UTC, whole seconds; "" for what never was."""
    if not at_us:
        return ""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _day(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()

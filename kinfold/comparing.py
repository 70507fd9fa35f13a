"""What the resolver compares nodes with: the match models in force, over sealed records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from identity.matching.comparing import Comparer, Group, MayJoin
from identity.matching.devices.comparer import DeviceComparer
from identity.matching.devices.model import DeviceModel
from identity.matching.model import MatchModel
from identity.matching.records import RecordComparer
from identity.matching.score import Scorer
from identity.model import DAY_US, EvidenceKind, KeptFact, NodeEvidence, NodeKey
from identity.policy import IdentityPolicy
from identity.tokens import Tokens
from ingest.payloads import comparable, read_record
from kinfold.models import DEVICES, RECORDS, Kind, M, Models
from profiles import contexts
from profiles.consent import (
    RESERVED,
    Circumstances,
    age_at,
    decisions,
    granted_bits,
    grounds,
    standing,
)
from profiles.purposes import DEVICE_LINKING, PurposePolicy
from profiles.sealing import Sealer, Unreadable
from profiles.vault import KeyDestroyed


def record_comparer(model: MatchModel, tokens: Tokens, sealer: Sealer) -> RecordComparer:
    """Compares records under a model that was learnt with the matching key of these tokens.

    A record whose key was destroyed holds nothing to compare any more.
    """

    def opened(key: NodeKey, payload: bytes) -> Mapping[str, str]:
        try:
            return comparable(sealer.open(payload, contexts.of_record(key)))
        except (Unreadable, KeyDestroyed):
            return {}

    key = tokens.matching_key()
    return RecordComparer(Scorer(model, key), key, opened)


def device_comparer(model: DeviceModel, means: Means) -> DeviceComparer:
    """Compares the kinds of nodes that policy calls devices, as far as consent lets them be linked.

    A device is compared by what was decided under its own node: links of people
    that come and go change no score. It is joined with others only if what its
    person says allows it, too, and what both say as one.
    """
    purposes = means.purposes

    def may_link(evidence: NodeEvidence) -> bool:
        made = decisions(evidence.facts, {evidence.node.key})
        return purposes.allows(DEVICE_LINKING, granted_bits(purposes, standing(made, ())))

    kinds = [name for name, kind in means.identity.kinds.items() if kind.device]
    key = means.tokens.matching_key()
    return DeviceComparer(model, key, kinds, may_link, joining(purposes, means.sealer))


def joining(purposes: PurposePolicy, sealer: Sealer) -> MayJoin:
    """Whether a group's standing decisions let its devices be joined with others by their use.

    Nobody who is set apart may be, nor who is too young for the purpose by any
    birth date, on the day of their latest fact: whatever else they do changes
    nothing here. Where they are is left open: the purpose's own rule holds.
    """

    def may_join(group: Group) -> bool:
        holds = standing(decisions(group.facts, group.members), group.joined)
        if any(holds[name].withdrawn for name in RESERVED if name in holds):
            return False
        days = [kept.event_us // DAY_US for kept in group.facts]
        age = age_at(_birth_dates(group.facts, sealer), max(days, default=0))
        bits = granted_bits(purposes, holds, grounds(purposes, Circumstances(age=age)))
        return purposes.allows(DEVICE_LINKING, bits)

    return may_join


def _birth_dates(facts: Iterable[KeptFact], sealer: Sealer) -> Iterator[str]:
    for kept in facts:
        if kept.fact.kind is EvidenceKind.RECORD:
            try:
                said = sealer.open(kept.fact.payload, contexts.of_record(kept.fact.subjects[0]))
            except (Unreadable, KeyDestroyed):
                continue
            if birth_date := read_record(said).get("birth_date"):
                yield birth_date


@dataclass(frozen=True, slots=True)
class Means:
    """What models are used with: keys, seals and policy of one home."""

    tokens: Tokens
    sealer: Sealer
    identity: IdentityPolicy
    purposes: PurposePolicy


class ActiveModels:
    """The models in force in one home, as comparers; notices when others are put in force."""

    def __init__(self, models: Models, means: Means) -> None:
        self._models = models
        self._means = means
        self._pins: tuple[str | None, ...] = ()
        self._loaded: dict[str, Any] = {}

    def comparers(self) -> tuple[Comparer, ...]:
        """A comparer for each model that is in force now.

        Raises:
            ModelsError: it is not there, damaged, or belongs to other keys.
        """
        self._pins = records, devices = self._active()
        own, found = self._means, list[Comparer]()
        if records is not None:
            model = self._load(RECORDS, records)
            found.append(record_comparer(model, own.tokens, own.sealer))
        if devices is not None:
            device_model = self._load(DEVICES, devices)
            found.append(device_comparer(device_model, own))
        self._loaded = {pin: one for pin, one in self._loaded.items() if pin in self._pins}
        return tuple(found)

    def _load(self, kind: Kind[M], pin: str) -> M:
        """A model in force, read from its file once; its name is its content."""
        model: M | None = self._loaded.get(pin)
        if model is None:
            model = self._loaded[pin] = self._models.load(kind, pin)
        return model

    def changed(self) -> bool:
        """Whether other models are in force than when `comparers` was called."""
        return self._active() != self._pins

    def _active(self) -> tuple[str | None, str | None]:
        return self._models.active(RECORDS), self._models.active(DEVICES)

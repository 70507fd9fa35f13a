"""Purposes: what data may be used for, on which ground, and which part of a profile serves which.

Read from the policy's `[purposes.ID]`, `[serves]` and `[tcf]`, in which
`profiles.purposes_verify.verify` must have found nothing. A purpose's bit is
its place in order of appearance. What is stored by bits carries the digest of
the policy that gave them their meaning (`PurposePolicy.digest`).

A purpose has one rule of its own and may have laxer ones by place. The own
rule is the strictest, because it holds wherever nobody knows where somebody
is; and of several places somebody was seen in, the strictest one counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field
from typing import Any, Final

from profiles.policy_digest import digest_of
from profiles.v1.profile_pb2 import Profile

FIELDS: Final[dict[str, int]] = {f.name: f.number for f in Profile.DESCRIPTOR.fields}
"""Profile's top-level fields by name."""
FINER: Final = ("attributes", "identifiers", "affinities", "channels")
"""Fields whose items may serve purposes of their own: attributes by name, identifiers by kind,
affinities by category, channels by name."""
DEVICE_LINKING: Final = "device_linking"
EXPORT: Final = "export"
USES: Final = (DEVICE_LINKING, EXPORT)
"""What is done with profiles beyond serving them, and needs a purpose as well."""
ITEM_PARTS: Final = re.compile("[:/.]")
"""What an item's name is made up by, from general to special."""
_MEANING = 1
"""Raise it when the same policy comes to mean something else: other bits, or other sections."""


@dataclass(frozen=True, slots=True)
class Rule:
    """On which ground a purpose rests somewhere.

    - `needs_consent`: its basis is consent, so that not knowing means no.
    - `opt_out`: granted until withdrawn; else withheld until granted.
    - `minimum_age`: in years; 0 for any age.
    """

    needs_consent: bool
    opt_out: bool
    minimum_age: int = 0

    def stricter(self, other: Rule) -> Rule:
        """The stricter of the two in each respect."""
        return Rule(
            self.needs_consent or other.needs_consent,
            self.opt_out and other.opt_out,
            max(self.minimum_age, other.minimum_age),
        )


@dataclass(frozen=True, slots=True)
class Purpose:
    """One purpose.

    - `words`: what people are told.
    - `rule`: what holds where nothing laxer is known to; `places`: the laxer
      rules, by country or country and region (`US`, `US-CA`).
    - `age_may_be_unknown`: somebody of unknown age counts as old enough.
    - `tcf`, `tcf_features`: IAB TCF purposes and special features that a TCF
      consent string must all grant for this one to be granted by it.
    - `gpc`: it is selling or sharing of data, which Global Privacy Control opts out of.
    - `objectionable`: an objection ends it (GDPR Article 21(1) and (2)): it rests
      on legitimate interest, be it in one place only, or is direct marketing.
    """

    name: str
    bit: int
    words: str
    rule: Rule
    places: Mapping[str, Rule] = field(default_factory=dict)
    age_may_be_unknown: bool = False
    tcf: tuple[int, ...] = ()
    tcf_features: tuple[int, ...] = ()
    gpc: bool = False
    objectionable: bool = False

    @property
    def decides(self) -> list[object]:
        """All of it that decides whether somebody grants it, as plain values."""
        places = {place: astuple(rule) for place, rule in self.places.items()}
        return [self.name, self.bit, astuple(self.rule), places, self.age_may_be_unknown]

    def rule_in(self, places: Iterable[str]) -> Rule:
        """The rule for somebody seen in these places: the strictest of theirs, or its own."""
        found: Rule | None = None
        for place in places:
            rule = self.places.get(place) or self.places.get(place.partition("-")[0]) or self.rule
            found = rule if found is None else found.stricter(rule)
        return found or self.rule


@dataclass(frozen=True, slots=True)
class PurposePolicy:
    """The purposes in order of their bits, and what each part of a profile may serve.

    `tcf_vendor` is our id in the IAB's list of vendors; None where consent
    strings are read as the publisher that they were given to. `digest` is of all
    that the bits granted to somebody and the sections of a profile depend on:
    under another policy they mean nothing.
    """

    purposes: tuple[Purpose, ...] = ()
    serves: Mapping[str, int] = field(default_factory=dict)
    tcf_vendor: int | None = None
    by_name: Mapping[str, Purpose] = field(init=False)
    digest: int = field(init=False)
    _served: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_name = {purpose.name: purpose for purpose in self.purposes}
        object.__setattr__(self, "by_name", by_name)
        served = {part.casefold(): bits for part, bits in self.serves.items()}
        object.__setattr__(self, "_served", served)
        decides = [purpose.decides for purpose in self.purposes]
        laid_out = {part: bits for part, bits in self.serves.items() if part not in USES}
        object.__setattr__(self, "digest", digest_of([_MEANING, decides, laid_out]))

    @property
    def needs_consent(self) -> int:
        """Bits of the purposes whose basis is consent wherever nothing laxer is known to hold."""
        return sum(p.bit for p in self.purposes if p.rule.needs_consent)

    def bits(self, names: Iterable[str]) -> int | None:
        """The bits of these purposes; None when one is unknown."""
        bits = 0
        for name in names:
            purpose = self.by_name.get(name)
            if purpose is None:
                return None
            bits |= purpose.bit
        return bits

    def served(self, field: str, item: str = "") -> int:
        """Bits of the purposes that an item of a field may serve; 0: none, so no one gets it.

        An item without an entry of its own has that of the nearest name above
        it (`external:crm` that of `external`, `sport/running` that of `sport`,
        `address.city` that of `address`), in the end its field's. The case of
        letters makes no difference, nor do blanks around a part.
        """
        item = item.casefold().strip()
        while item:
            found = self._served.get(f"{field}.{item}")
            if found is not None:
                return found
            above = list(ITEM_PARTS.finditer(item))
            item = item[: above[-1].start()].rstrip() if above else ""
        return self._served.get(field, 0)

    def covered(self, purpose: Purpose) -> list[str]:
        """The parts of a profile and the uses that a purpose covers, in the policy's order."""
        return [part for part, bits in self.serves.items() if bits & purpose.bit]

    def allows(self, use: str, granted: int) -> bool:
        """Whether somebody who granted these bits allows a use of `USES`."""
        return bool(self.serves.get(use, 0) & granted)


def parse(document: Mapping[str, Any]) -> PurposePolicy:
    """The policy of a document in which `purposes_verify.verify` found nothing."""
    purposes = tuple(
        _purpose(name, 1 << place, body)
        for place, (name, body) in enumerate(document.get("purposes", {}).items())
    )
    bit = {purpose.name: purpose.bit for purpose in purposes}
    serves = {
        part: sum(bit[name] for name in set(names))
        for part, names in document.get("serves", {}).items()
    }
    return PurposePolicy(purposes, serves, document.get("tcf", {}).get("vendor_id"))


def _purpose(name: str, bit: int, body: Mapping[str, Any]) -> Purpose:
    return Purpose(
        name=name,
        bit=bit,
        words=body["words"],
        rule=rule_of(body, {}),
        places={place: rule_of(own, body) for place, own in body.get("places", {}).items()},
        age_may_be_unknown=body.get("unknown_age", "no") == "yes",
        tcf=tuple(body.get("tcf", ())),
        tcf_features=tuple(body.get("tcf_features", ())),
        gpc=body.get("gpc", False),
        objectionable=_objectionable(body),
    )


def _objectionable(body: Mapping[str, Any]) -> bool:
    bases = [body["basis"], *(own.get("basis") for own in body.get("places", {}).values())]
    return "legitimate_interest" in bases or bool(body.get("direct_marketing"))


def rule_of(body: Mapping[str, Any], above: Mapping[str, Any]) -> Rule:
    """The rule that a table writes; what it leaves out is as in the table above it."""
    said = {**above, **body}
    return Rule(said["basis"] == "consent", said["opt"] == "out", said.get("minimum_age", 0))

"""Purposes: what data may be used for, and which part of a profile serves which.

Read from the policy's `[purposes.ID]` and `[serves]`. `verify` returns every
problem at once, each naming its key; `parse` needs a verified document. A
purpose's bit is its place in order of appearance: append new purposes at the
end, or publish all profiles anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from profiles.v1.profile_pb2 import Profile

FIELDS: dict[str, int] = {f.name: f.number for f in Profile.DESCRIPTOR.fields}
"""Profile's top-level fields by name."""
FINER = ("attributes", "identifiers")
"""Fields whose items may serve purposes of their own: attributes by name, identifiers by kind."""
MAX_PURPOSES = 64
_ID = re.compile(r"[a-z][a-z0-9_]{0,63}")
_BASES = ("consent", "contract", "legitimate_interest")
_OPTS = ("in", "out")


@dataclass(frozen=True, slots=True)
class Purpose:
    """One purpose.

    - `words`: what people are told.
    - `needs_consent`: its basis is consent, so that not knowing means no.
    - `opt_out`: granted until withdrawn; else withheld until granted.
    """

    name: str
    bit: int
    words: str
    needs_consent: bool
    opt_out: bool


@dataclass(frozen=True, slots=True)
class PurposePolicy:
    """The purposes in order of their bits, and what each part of a profile may serve."""

    purposes: tuple[Purpose, ...] = ()
    serves: Mapping[str, int] = field(default_factory=dict)

    @property
    def needs_consent(self) -> int:
        """Bits of the purposes whose basis is consent."""
        return sum(p.bit for p in self.purposes if p.needs_consent)

    def bits(self, names: Iterable[str]) -> int | None:
        """The bits of these purposes; None when one is unknown."""
        known = {purpose.name: purpose.bit for purpose in self.purposes}
        bits = 0
        for name in names:
            bit = known.get(name)
            if bit is None:
                return None
            bits |= bit
        return bits

    def served(self, field: str, item: str = "") -> int:
        """Bits of the purposes that an item of a field may serve; 0: none, so no one gets it.

        An identifier of kind `external:NAME` without an entry of its own has `external`'s.
        """
        if item:
            found = self.serves.get(f"{field}.{item}")
            if found is None and ":" in item:
                found = self.serves.get(f"{field}.{item.partition(':')[0]}")
            if found is not None:
                return found
        return self.serves.get(field, 0)


def verify(document: Mapping[str, Any]) -> list[str]:
    """Every problem of the document's purposes, each naming its key; [] when sound."""
    purposes = document.get("purposes", {})
    serves = document.get("serves", {})
    problems = []
    if not isinstance(purposes, Mapping):
        problems.append("purposes: must be tables, for example [purposes.marketing]")
        purposes = {}
    if not isinstance(serves, Mapping):
        problems.append("serves: must be a table of lists of purposes")
        serves = {}
    if len(purposes) > MAX_PURPOSES:
        problems.append(f"purposes: at most {MAX_PURPOSES}, here are {len(purposes)}")
    for name, body in purposes.items():
        problems += _purpose_problems(f"purposes.{name}", str(name), body)
    for part, names in serves.items():
        problems += _serves_problems(f"serves.{part}", str(part), names, purposes)
    return problems


def _purpose_problems(where: str, name: str, body: object) -> list[str]:
    if not isinstance(body, Mapping):
        return [f"{where}: must be a table with words, basis and opt"]
    problems = []
    if not _ID.fullmatch(name):
        problems.append(f"{where}: a purpose's id is lower case letters, digits and _")
    if not isinstance(body.get("words"), str) or not body["words"].strip():
        problems.append(f"{where}.words: missing; say what it is for in words people understand")
    if body.get("basis") not in _BASES:
        problems.append(f"{where}.basis: must be one of {', '.join(_BASES)}")
    if body.get("opt") not in _OPTS:
        problems.append(f"{where}.opt: must be in (a yes is needed) or out (until a no)")
    elif body.get("basis") == "consent" and body["opt"] != "in":
        problems.append(f"{where}.opt: must be in: consent is nothing that one has until a no")
    problems += [
        f"{where}.{key}: unknown; known are words, basis, opt"
        for key in body
        if key not in ("words", "basis", "opt")
    ]
    return problems


def _serves_problems(
    where: str, part: str, names: object, purposes: Mapping[str, Any]
) -> list[str]:
    field, _, item = part.partition(".")
    if field not in FIELDS:
        return [f"{where}: no such field of a profile; there are {', '.join(FIELDS)}"]
    if item and field not in FINER:
        return [f"{where}: only {' and '.join(FINER)} may be told apart by item"]
    if not isinstance(names, list):
        return [f"{where}: must be a list of purposes"]
    return [
        f"{where}: {name!r} is no purpose; there are {', '.join(purposes) or 'none'}"
        for name in names
        if name not in purposes
    ]


def parse(document: Mapping[str, Any]) -> PurposePolicy:
    """The policy of a document in which `verify` found nothing."""
    purposes = tuple(
        Purpose(
            name=name,
            bit=1 << place,
            words=body["words"],
            needs_consent=body["basis"] == "consent",
            opt_out=body["opt"] == "out",
        )
        for place, (name, body) in enumerate(document.get("purposes", {}).items())
    )
    bit = {purpose.name: purpose.bit for purpose in purposes}
    serves = {
        part: sum(bit[name] for name in set(names))
        for part, names in document.get("serves", {}).items()
    }
    return PurposePolicy(purposes, serves)

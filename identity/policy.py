"""The identity policy: what each kind of identifier may join, and how far each source is believed.

Read from TOML (`[kinds.NAME]`, `[sources.NAME]`). `verify`
returns every problem at once, each naming its key; `parse` needs a verified
document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from identity.model import Assurance, NodeKey, kind_of
from identity.nearest import meant, unknown

EXTERNAL = "external"
MBITS = 1_000


@dataclass(frozen=True, slots=True)
class KindPolicy:
    """What one kind of identifier means.

    - `priority`: larger is nearer to a person; a customer id above a login
      above an e-mail above a cookie.
    - `max_per_person`: how many a person may have, None for any number.
    - `shared_beside`: by higher-priority kind, and under `""` for all others: an
      identifier directly beside more than so many distinct values of that kind
      is shared and joins nobody; a kind without a number never makes it so.
    - `shared_window_days`: the span of days in which those values must fall;
      None: the whole history.
    - `account`: two accounts that an authenticated login names are one person,
      whatever the limits.
    - `device`: holds context (user agent, network) in profiles.
    - `keep_value`: the raw value is kept, sealed.
    - `weight_mbits`: match weight of a link with this kind, in thousandths of
      a bit; a link has the smaller of its two ends'.
    - `blocked`, `blocked_patterns`: normalised values that name nobody.
    """

    priority: int
    max_per_person: int | None = None
    shared_beside: Mapping[str, int] = field(default_factory=dict)
    shared_window_days: int | None = None
    account: bool = False
    device: bool = False
    keep_value: bool = False
    weight_mbits: int = 10 * MBITS
    blocked: frozenset[str] = frozenset()
    blocked_patterns: tuple[re.Pattern[str], ...] = ()

    def blocks(self, value: str) -> bool:
        """Whether a normalised value names nobody; compared without regard to case."""
        folded = value.casefold()
        return folded in self.blocked or any(p.fullmatch(folded) for p in self.blocked_patterns)


@dataclass(frozen=True, slots=True)
class IdentityPolicy:
    """The policy in force.

    - `sources`: the highest assurance each may claim; others have `default_assurance`.
    - `deciders`: the sources through which staff may decide on links; no others may.
    - `record_weight_mbits`: weight of a record's link to an identifier.
    """

    kinds: Mapping[str, KindPolicy]
    sources: Mapping[str, Assurance] = field(default_factory=dict)
    deciders: frozenset[str] = frozenset()
    default_assurance: Assurance = Assurance.NONE
    record_weight_mbits: int = 20 * MBITS

    def kind(self, name: str) -> KindPolicy | None:
        """The kind's policy, or None; `external:NAME` without one of its own has `external`'s."""
        found = self.kinds.get(name)
        if found is None and name.startswith(EXTERNAL + ":"):
            return self.kinds.get(EXTERNAL)
        return found

    def source_assurance(self, source: str) -> Assurance:
        """The highest assurance the source may claim."""
        return self.sources.get(source, self.default_assurance)


def is_account(key: NodeKey, policy: IdentityPolicy) -> bool:
    """Whether a node is of a kind that is somebody's account."""
    kind = policy.kind(kind_of(key))
    return kind is not None and kind.account


_ASSURANCE = {
    "none": Assurance.NONE,
    "claimed": Assurance.CLAIMED,
    "authenticated": Assurance.AUTHENTICATED,
}
_KIND_KEYS: dict[str, type | tuple[type, ...]] = {
    "priority": int,
    "max_per_person": int,
    "shared_beside": (int, dict),
    "shared_window_days": int,
    "account": bool,
    "device": bool,
    "keep_value": bool,
    "weight_bits": (int, float),
    "blocked": list,
    "blocked_patterns": list,
}
_SOURCE_KEYS = ("max_assurance", "may_decide")
_OTHERS = "others"
_NAME = re.compile(r"[a-z][a-z0-9_]*(:[a-z0-9_.-]+)?")
_POSITIVE = ("max_per_person", "shared_window_days")


def verify(document: Mapping[str, Any]) -> list[str]:
    """Every problem of a policy document, each naming its key and the way out; [] when sound."""
    problems: list[str] = []
    kinds = document.get("kinds")
    if not isinstance(kinds, Mapping) or not kinds:
        problems.append("kinds: name at least one, for example [kinds.login] with priority = 50")
    else:
        for name, body in kinds.items():
            problems += _kind_problems(f"kinds.{name}", str(name), body, tuple(kinds))
    sources = document.get("sources", {})
    if not isinstance(sources, Mapping):
        return [*problems, "sources: must be tables, for example [sources.web]"]
    for name, body in sources.items():
        problems += _source_problems(f"sources.{name}", body)
    return problems


def unknown_kind(document: Mapping[str, Any], name: str) -> str | None:
    """Why a name is no kind of identifier of the document; None when it is one.

    A document without kinds has a problem of its own, and no other because of it.
    """
    kinds = document.get("kinds")
    if not isinstance(kinds, Mapping) or not kinds or name in kinds:
        return None
    if name.startswith(EXTERNAL + ":") and EXTERNAL in kinds:
        return None
    return f"no kind of identifier{meant(name, kinds)}; there are {', '.join(kinds)}"


def _source_problems(where: str, body: object) -> list[str]:
    if not isinstance(body, Mapping):
        return [f"{where}: must be a table with max_assurance"]
    problems = [
        unknown(f"{where}.{key}", key, _SOURCE_KEYS) for key in body if key not in _SOURCE_KEYS
    ]
    if body.get("max_assurance") not in _ASSURANCE:
        problems.append(f"{where}.max_assurance: must be one of {', '.join(_ASSURANCE)}")
    if not isinstance(body.get("may_decide", False), bool):
        problems.append(f"{where}.may_decide: must be true or false")
    return problems


def _kind_problems(where: str, name: str, body: object, kinds: tuple[str, ...]) -> list[str]:
    if not isinstance(body, Mapping):
        return [f"{where}: must be a table with at least priority"]
    problems = []
    if not _NAME.fullmatch(name) or name == "record":
        problems.append(f"{where}: a kind's name is lower case letters, digits and _; not 'record'")
    if "priority" not in body:
        problems.append(f"{where}.priority: missing; larger is nearer to a person")
    for key, value in body.items():
        wanted = _KIND_KEYS.get(key)
        if wanted is None:
            problems.append(unknown(f"{where}.{key}", key, _KIND_KEYS))
        elif not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            problems.append(f"{where}.{key}: wrong type {type(value).__name__}")
        elif key == "shared_beside":
            problems += _beside_problems(f"{where}.{key}", value, kinds)
        elif key in _POSITIVE and isinstance(value, int) and value < 1:
            problems.append(f"{where}.{key}: must be 1 or more; leave it out for no limit")
        elif isinstance(value, list) and not all(isinstance(one, str) for one in value):
            problems.append(f"{where}.{key}: must be a list of texts")
        elif key == "blocked_patterns":
            problems += _pattern_problems(f"{where}.{key}", value)
    return problems


def _beside_problems(where: str, value: object, kinds: tuple[str, ...]) -> list[str]:
    limits = value.items() if isinstance(value, Mapping) else [("", value)]
    problems = []
    for kind, limit in limits:
        at = f"{where}.{kind}" if kind else where
        if kind and kind not in kinds and kind != _OTHERS:
            problems.append(unknown(at, kind, (*kinds, _OTHERS)))
        elif isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            problems.append(f"{at}: must be a whole number, 1 or more")
    return problems


def _pattern_problems(where: str, patterns: object) -> list[str]:
    problems = []
    for index, pattern in enumerate(patterns if isinstance(patterns, list) else ()):
        try:
            re.compile(pattern)
        except re.error as error:
            problems.append(f"{where}[{index}]: not a regular expression: {error.msg}")
    return problems


def parse(document: Mapping[str, Any]) -> IdentityPolicy:
    """The policy of a document in which `verify` found nothing."""
    bodies = document.get("sources", {})
    sources = {name: _ASSURANCE[body["max_assurance"]] for name, body in bodies.items()}
    default = sources.pop("default", Assurance.NONE)
    deciders = frozenset(name for name, body in bodies.items() if body.get("may_decide"))
    kinds = {name: _kind(body) for name, body in document["kinds"].items()}
    return IdentityPolicy(kinds, sources, deciders, default)


def _kind(body: Mapping[str, Any]) -> KindPolicy:
    beside = body.get("shared_beside", {})
    return KindPolicy(
        priority=body["priority"],
        max_per_person=body.get("max_per_person"),
        shared_beside={"": beside} if isinstance(beside, int) else _beside(beside),
        shared_window_days=body.get("shared_window_days"),
        account=body.get("account", False),
        device=body.get("device", False),
        keep_value=body.get("keep_value", False),
        weight_mbits=round(body.get("weight_bits", 10) * MBITS),
        blocked=frozenset(value.casefold() for value in body.get("blocked", ())),
        blocked_patterns=tuple(re.compile(p) for p in body.get("blocked_patterns", ())),
    )


def _beside(limits: Mapping[str, int]) -> Mapping[str, int]:
    """In TOML all other kinds are written `others`; no kind may have that name's empty stand-in."""
    return {"" if kind == _OTHERS else kind: limit for kind, limit in limits.items()}

"""Survivorship: which value of an attribute stands when sources disagree, and why.

A chain of rules narrows down what was asserted until one value is left:
`most_trusted` keeps what the source nearest the top of the policy's list says,
`most_recent` the latest, `most_frequent` what was said most often. What the
rules leave undecided, the order of values decides. So the outcome depends on
the set of assertions alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from identity.nearest import meant, unknown
from profiles import declared

DEFAULT_RULES = ("most_trusted", "most_recent", "most_frequent")
ONLY_VALUE = "only_value"
ORDER_OF_VALUES = "order_of_values"
_COMPOSED = "address"
"""Its parts survive together: half of one address and half of another is no address."""


class Asserted(NamedTuple):
    """What one record says: attribute values by name, parts of the address as `address.city`."""

    source: str
    observed_us: int
    digest: bytes
    values: Mapping[str, str]


class Survivor(NamedTuple):
    """A value that stands, where it came from, by which rule, and how many others lost."""

    name: str
    value: str
    source: str
    observed_us: int
    rule: str
    other_values: int


@dataclass(frozen=True, slots=True)
class Survivorship:
    """The rules in force: sources from most to least trusted, and the chain per attribute.

    Sources that are not named are trusted less than all that are, and alike.
    """

    trust: tuple[str, ...] = ()
    rules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def chain(self, name: str) -> tuple[str, ...]:
        """The rules for an attribute, first to last."""
        return self.rules.get(name) or self.rules.get("") or DEFAULT_RULES

    def rank(self, source: str) -> int:
        """The source's place: 0 is most trusted."""
        return self.trust.index(source) if source in self.trust else len(self.trust)


class _Claim(NamedTuple):
    """One assertion of one attribute, or of the whole address."""

    parts: tuple[tuple[str, str], ...]
    said: Asserted


def survivors(asserted: Iterable[Asserted], rules: Survivorship) -> list[Survivor]:
    """The values that stand, ordered by name. Empty values assert nothing."""
    claims: dict[str, list[_Claim]] = {}
    for said in asserted:
        for name, parts in _units(said.values):
            claims.setdefault(name, []).append(_Claim(parts, said))
    found: list[Survivor] = []
    for name, made in claims.items():
        found += _stands(name, made, rules)
    found.sort()
    return found


def _units(values: Mapping[str, str]) -> Iterable[tuple[str, tuple[tuple[str, str], ...]]]:
    composed = []
    for name, value in values.items():
        if not value:
            continue
        if name.startswith(_COMPOSED + "."):
            composed.append((name, value))
        else:
            yield name, ((name, value),)
    if composed:
        yield _COMPOSED, tuple(sorted(composed))


def _stands(name: str, made: list[_Claim], rules: Survivorship) -> Iterable[Survivor]:
    others = len({claim.parts for claim in made}) - 1
    rule = ONLY_VALUE if not others else ORDER_OF_VALUES
    left = made
    for step in rules.chain(name):
        several = len({claim.parts for claim in left}) > 1
        left = _RULES[step](left, rules)
        if several and len({claim.parts for claim in left}) == 1:
            rule = step
    winner = min(left, key=lambda claim: (claim.parts, -claim.said.observed_us, claim.said[:3]))
    for part, value in winner.parts:
        said = winner.said
        yield Survivor(part, value, said.source, said.observed_us, rule, others)


def _most_trusted(claims: list[_Claim], rules: Survivorship) -> list[_Claim]:
    best = min(rules.rank(claim.said.source) for claim in claims)
    return [claim for claim in claims if rules.rank(claim.said.source) == best]


def _most_recent(claims: list[_Claim], _rules: Survivorship) -> list[_Claim]:
    latest = max(claim.said.observed_us for claim in claims)
    return [claim for claim in claims if claim.said.observed_us == latest]


def _most_frequent(claims: list[_Claim], _rules: Survivorship) -> list[_Claim]:
    counts = Counter(claim.parts for claim in claims)
    most = max(counts.values())
    return [claim for claim in claims if counts[claim.parts] == most]


_RULES: dict[str, Callable[[list[_Claim], Survivorship], list[_Claim]]] = {
    "most_trusted": _most_trusted,
    "most_recent": _most_recent,
    "most_frequent": _most_frequent,
}


def verify(document: Mapping[str, Any]) -> list[str]:
    """Every problem of the document's `[survivorship]` and of attributes in its `[retention]`, each
    naming its key; [] when sound.
    """
    body = document.get("survivorship", {})
    if not isinstance(body, Mapping):
        return ["survivorship: must be a table with trust and rules"]
    known = declared.known(document, "attributes")
    whole = [name for name in known if not name.startswith(_COMPOSED + ".")]
    problems = []
    for key, value in body.items():
        where = f"survivorship.{key}"
        table, _, name = key.partition(".")
        if table == "rules" and key != table and name not in whole:
            problems.append(unknown(where, name, whole))
        elif not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            problems.append(f"{where}: must be a list of names")
        elif table == "rules":
            problems += [
                f"{where}: {one!r} is no rule{meant(one, _RULES)}; there are {', '.join(_RULES)}"
                for one in value
                if one not in _RULES
            ]
        elif key != "trust":
            problems.append(unknown(where, key, ("trust", "rules", "rules.ATTRIBUTE")))
    return problems + _kept_problems(document.get("retention", {}), known)


def _kept_problems(retention: object, known: Iterable[str]) -> list[str]:
    kept = retention.get("attributes", {}) if isinstance(retention, Mapping) else {}
    named = kept if isinstance(kept, Mapping) else {}
    return [
        unknown(f"retention.attributes.{name}", name, known) for name in named if name not in known
    ]


def parse(document: Mapping[str, Any]) -> Survivorship:
    """The rules of a document in which `verify` found nothing."""
    body: Mapping[str, Sequence[str]] = document.get("survivorship", {})
    rules = {
        key.removeprefix("rules").removeprefix("."): tuple(value)
        for key, value in body.items()
        if key.startswith("rules")
    }
    return Survivorship(tuple(body.get("trust", ())), rules)

"""Horizons: the day before which evidence has expired, by its kind and by kinds of identifiers.

A horizon is a fact that only moves forward; what has expired under the horizons
of a moment depends on them and on nothing else. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from identity.model import (
    RECORD_KIND,
    Contribution,
    EvidenceKind,
    Expiring,
    NodeKey,
    kind_of,
)

Horizons = Mapping[Expiring, int]
"""The first day that is kept. A link is kept while the horizons of its kind of evidence and of both
its ends' kinds of identifiers let it, what a node did while that of activity and its own do; facts
go by their kind of evidence alone."""
NO_DAY = -(2**31)
"""Before all days."""
_RECORD = RECORD_KIND + ":"
_IDENTIFIERS = "identifiers."


def name_of(kind: Expiring) -> str:
    """What a horizon's kind is called: `link`, or `identifiers.cookie`."""
    return _IDENTIFIERS + kind if isinstance(kind, str) else kind.name.lower()


def kind_named(name: str) -> Expiring:
    """The reverse of `name_of`."""
    if name.startswith(_IDENTIFIERS):
        return name.removeprefix(_IDENTIFIERS)
    return EvidenceKind[name.upper()]


def alive(contribution: Contribution, horizons: Horizons) -> bool:
    """Whether any part of a contribution is on or after its horizon; retractions always are."""
    if not horizons or contribution.retracts is not None:
        return True
    day = contribution.day
    if any(is_active(holder, day, horizons) for holder, _ in contribution.activity):
        return True
    fact = contribution.fact
    if fact is not None and day >= horizons.get(fact.kind, day):
        return True
    return any(True for _ in pairs(contribution, horizons))


def is_active(holder: NodeKey, day: int, horizons: Horizons) -> bool:
    """Whether what a node did on a day is on or after its horizons."""
    return day >= horizons.get(EvidenceKind.ACTIVITY, day) and is_kept(holder, day, horizons)


def is_kept(key: NodeKey, day: int, horizons: Horizons) -> bool:
    """Whether a day is on or after the horizons of a node's kind of identifier."""
    kind, *family = families(key)
    if day < horizons.get(kind, day):
        return False
    return not family or day >= horizons.get(family[0], day)


def families(key: NodeKey) -> tuple[str, ...]:
    """The kinds whose horizons a node is under: `external:crm` is under `external` as well."""
    kind = kind_of(key)
    family, colon, _ = kind.partition(":")
    return (kind, family) if colon else (kind,)


def pairs(contribution: Contribution, horizons: Horizons) -> Iterable[tuple[NodeKey, NodeKey]]:
    """Every two nodes of a contribution, lower key first, that are on or after the horizon.

    A pair with a record expires with records, any other with links, and each
    with the kinds of its ends.
    """
    nodes = contribution.nodes
    if len(nodes) < 2:
        return
    day = contribution.day
    link_alive = record_alive = True
    keys = [node.key for node in nodes]
    if horizons:
        link_alive = day >= horizons.get(EvidenceKind.LINK, day)
        record_alive = day >= horizons.get(EvidenceKind.RECORD, day)
        keys = [key for key in keys if is_kept(key, day, horizons)]
    for i, left in enumerate(keys):
        for right in keys[i + 1 :]:
            is_record = left.startswith(_RECORD) or right.startswith(_RECORD)
            if record_alive if is_record else link_alive:
                yield (left, right) if left < right else (right, left)


def living(contribution: Contribution, horizons: Horizons) -> frozenset[NodeKey]:
    """The nodes of which a contribution gives evidence that is on or after its horizon."""
    day, fact = contribution.day, contribution.fact
    if day >= max(horizons.values(), default=day):
        return frozenset(node.key for node in contribution.nodes)
    found = {holder for holder, _ in contribution.activity if is_active(holder, day, horizons)}
    if fact is not None and day >= horizons.get(fact.kind, day):
        found.update(fact.subjects)
    for pair in pairs(contribution, horizons):
        found.update(pair)
    return frozenset(found)


def parts_of(contribution: Contribution) -> set[tuple[EvidenceKind, frozenset[str]]]:
    """Everything in a contribution that expires on its own: its kind, its identifiers' kinds."""
    parts: set[tuple[EvidenceKind, frozenset[str]]] = set()
    if contribution.fact is not None:
        parts.add((contribution.fact.kind, frozenset()))
    for holder, _ in contribution.activity:
        parts.add((EvidenceKind.ACTIVITY, frozenset((kind_of(holder),))))
    for low, high in pairs(contribution, {}):
        is_record = low.startswith(_RECORD) or high.startswith(_RECORD)
        kind = EvidenceKind.RECORD if is_record else EvidenceKind.LINK
        parts.add((kind, frozenset((kind_of(low), kind_of(high)))))
    return parts


def kinds_of(contribution: Contribution) -> frozenset[EvidenceKind]:
    """The kinds of evidence in a contribution; it is kept while any of them is."""
    kinds = set()
    if contribution.activity:
        kinds.add(EvidenceKind.ACTIVITY)
    if contribution.fact is not None:
        kinds.add(contribution.fact.kind)
    if len(contribution.nodes) > 1:
        records = sum(node.key.startswith(_RECORD) for node in contribution.nodes)
        if records:
            kinds.add(EvidenceKind.RECORD)
        if len(contribution.nodes) - records > 1:
            kinds.add(EvidenceKind.LINK)
    return frozenset(kinds)

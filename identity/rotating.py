"""What is remembered of a signal, rewritten: values wrapped anew, nodes named anew, records with
less in them. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from identity.evidence import Known, names_of
from identity.model import Contribution, EvidenceKind, Fact, NodeKey

SEALED = frozenset({EvidenceKind.RECORD, EvidenceKind.PURCHASE})
"""Facts of these kinds have a sealed payload."""
Rewrap = Callable[[bytes], bytes]
Rekey = Callable[[NodeKey], NodeKey]
Trim = Callable[[NodeKey, bytes], bytes]
"""From a record and its sealed payload to what is left of that; the same bytes when all is."""


def rewrapped(known: Known, rewrap: Rewrap) -> Known:
    """With every sealed value in it put through `rewrap`; the same object where none changed."""
    seen = tuple(one._replace(content=_rewrapped(one.content, rewrap)) for one in known.seen)
    if all(new.content is old.content for new, old in zip(seen, known.seen, strict=True)):
        return known
    return known._replace(seen=seen)


def rewrapped_fact(fact: Fact, rewrap: Rewrap) -> Fact:
    """With its sealed payload put through `rewrap`; the same object where nothing changed."""
    if fact.kind not in SEALED:
        return fact
    payload = rewrap(fact.payload)
    return fact if payload == fact.payload else replace(fact, payload=payload)


def _rewrapped(content: Contribution, rewrap: Rewrap) -> Contribution:
    nodes = tuple(
        node
        if not node.sealed or (sealed := rewrap(node.sealed)) == node.sealed
        else replace(node, sealed=sealed)
        for node in content.nodes
    )
    fact = content.fact and rewrapped_fact(content.fact, rewrap)
    if nodes == content.nodes and fact is content.fact:
        return content
    return replace(content, nodes=nodes, fact=fact)


class Cut(NamedTuple):
    """What the move of a cutoff makes of a signal: what is known then, and the nodes to mark."""

    known: Known
    marked: set[NodeKey]


def cut(known: Known, from_day: int, before_day: int, trim: Trim | None) -> Cut:
    """Put the records of these days through `trim`, see `GraphStore.move_cutoff`.

    `known` is the same object where nothing changed.
    """
    seen = []
    marked: set[NodeKey] = set()
    for place, one in enumerate(known.seen):
        content = one.content
        if not from_day <= content.day < before_day:
            seen.append(one)
            continue
        left = content if trim is None else _trimmed(content, trim)
        if place == 0 and known.live is not None and (trim is None or left is not content):
            marked |= names_of(content)
        seen.append(one if left is content else one._replace(content=left))
    changed = any(new is not old for new, old in zip(seen, known.seen, strict=True))
    return Cut(known._replace(seen=tuple(seen)) if changed else known, marked)


def _trimmed(content: Contribution, trim: Trim) -> Contribution:
    fact = content.fact
    if fact is None or fact.kind is not EvidenceKind.RECORD:
        return content
    payload = trim(fact.subjects[0], fact.payload)
    if payload == fact.payload:
        return content
    return replace(content, fact=replace(fact, payload=payload))


def rekeyed(known: Known, rekey: Rekey) -> Known:
    """With every node in it named anew."""
    return known._replace(
        seen=tuple(one._replace(content=rekeyed_content(one.content, rekey)) for one in known.seen)
    )


def rekeyed_content(content: Contribution, rekey: Rekey) -> Contribution:
    """With every node that it names named anew; nodes keep their order, since holders go by it."""
    fact = content.fact
    if fact is not None:
        subjects = tuple(rekey(key) for key in fact.subjects)
        if fact.kind is EvidenceKind.DECISION:
            subjects = tuple(sorted(subjects))
        fact = replace(fact, subjects=subjects)
    return replace(
        content,
        nodes=tuple(replace(node, key=rekey(node.key)) for node in content.nodes),
        activity=tuple((rekey(holder), cells) for holder, cells in content.activity),
        fact=fact,
    )

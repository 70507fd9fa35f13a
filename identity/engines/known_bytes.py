"""What is remembered of a signal as bytes and back, for engines that keep it as one value."""

from __future__ import annotations

from typing import Any

import msgpack

from identity.evidence import Known, Seen
from identity.model import Assurance, Contribution, EvidenceKind, Fact, Node


def pack_known(known: Known) -> bytes:
    """All of `known` as msgpack, for `unpack_known`."""
    rows = [(_row(seen.content), seen.latest_us) for seen in known.seen]
    packed: bytes = msgpack.packb((rows, known.retracted_us))
    return packed


def unpack_known(packed: bytes) -> Known:
    """What `pack_known` was given."""
    rows, retracted_us = msgpack.unpackb(packed, use_list=False)
    return Known(tuple(Seen(_content(row), latest_us) for row, latest_us in rows), retracted_us)


def _row(content: Contribution) -> tuple[Any, ...]:
    fact = content.fact
    return (
        content.signal,
        content.digest,
        content.event_us,
        content.published_us,
        content.source,
        int(content.assurance),
        [(node.key, node.order, node.sealed) for node in content.nodes],
        content.activity,
        None if fact is None else (int(fact.kind), fact.subjects, fact.payload, fact.same),
    )


def _content(row: tuple[Any, ...]) -> Contribution:
    signal, digest, event_us, published_us, source, assurance, nodes, activity, fact = row
    return Contribution(
        signal=signal,
        digest=digest,
        event_us=event_us,
        published_us=published_us,
        source=source,
        assurance=Assurance(assurance),
        nodes=tuple(Node(*node) for node in nodes),
        activity=activity,
        fact=None if fact is None else Fact(EvidenceKind(fact[0]), *fact[1:]),
    )

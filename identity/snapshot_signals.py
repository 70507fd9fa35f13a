"""Signals that count, turned into the rows of a snapshot; the same for every engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from identity.evidence import Known
from identity.horizons import Horizons, living
from identity.model import EvidenceKind, NodeKey
from identity.snapshot import CONSENTS, NAMED, SIGNALS, SignalsPart, framed_rows


class SignalRows:
    """Gathers signals under the horizons of one moment; `numbers` are the snapshot's nodes."""

    def __init__(self, numbers: Mapping[NodeKey, int], horizons: Horizons) -> None:
        self._numbers = numbers
        self._horizons = horizons
        self._signals: list[tuple[Any, ...]] = []
        self._named: list[tuple[Any, ...]] = []
        self._consents: list[tuple[Any, ...]] = []

    def add(self, known: Known) -> None:
        """Take in a signal, if it counts."""
        live, numbers = known.live, self._numbers
        if live is None:
            return
        fact, there = live.fact, living(live, self._horizons)
        kind = 0 if fact is None else _live_kind(fact.kind, live.day, self._horizons)
        if not there and not kind:
            return
        said = (live.event_us, live.published_us)
        self._signals.append(
            (live.signal, live.source, int(live.assurance), *said, known.seen[0].latest_us, kind)
        )
        named = [node.key for node in live.nodes if node.key in there]
        self._named += [
            (live.signal, place, numbers[key]) for place, key in enumerate(named) if key in numbers
        ]
        if fact is not None and kind == EvidenceKind.CONSENT:
            self._consents += [
                (live.signal, live.digest, *said, live.source, fact.payload, numbers[subject])
                for subject in dict.fromkeys(fact.subjects)
                if subject in numbers
            ]

    def part(self) -> SignalsPart:
        """What was taken in."""
        return SignalsPart(
            framed_rows(SIGNALS, self._signals),
            framed_rows(NAMED, self._named),
            framed_rows(CONSENTS, self._consents),
        )


def _live_kind(kind: int, day: int, horizons: Mapping[Any, int]) -> int:
    """The kind of a fact of a day, 0 when it has expired. `EvidenceKind` is its number."""
    return int(kind) if day >= horizons.get(kind, day) else 0

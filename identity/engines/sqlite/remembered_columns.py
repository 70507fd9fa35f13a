"""The remembered signals that count, as columns; for snapshots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import msgpack
import numpy as np
import polars as pl

from identity.engines.sqlite.database import Database
from identity.engines.sqlite.names import Names, Nodes
from identity.engines.sqlite.remembered import _WHOLE, Remembered
from identity.horizons import NO_DAY, Horizons
from identity.model import DAY_US, EvidenceKind
from identity.snapshot import CONSENTS, NAMED, SIGNALS, SignalsPart, framed_rows
from identity.snapshot_signals import SignalRows

_DIGEST, _EVENT, _DELAY, _SPREAD, _SOURCE, _ASSURANCE, _NODES, _, _FACT = range(9)
Short = tuple[int, int, Any]
"""Day, signal and the decoded body of a signal that is kept short."""


class SignalColumns:
    """Decodes rows of the table `known` under the horizons of one moment."""

    def __init__(self, database: Database, names: Names, horizons: Horizons) -> None:
        self._nodes = Nodes(database)
        self._names = names
        self._remembered = Remembered(database, self._nodes, names)
        self._horizons = horizons
        self._newest = max(horizons.values(), default=NO_DAY)

    def decode(self, rows: Sequence[tuple[int, int, bytes]]) -> SignalsPart:
        """The signals among the rows that count.

        Those that nothing can have expired of are most, and never leave columns.
        """
        newest = self._newest
        short = [row for row in rows if row[0] >= newest and row[2][:1] != _WHOLE]
        reader = msgpack.Unpacker(use_list=False)
        reader.feed(b"".join([body for _, _, body in short]))
        told = self._short(
            [(day, signal, body) for (day, signal, _), body in zip(short, reader, strict=True)]
        )
        if len(short) == len(rows):
            return told
        others = [row for row in rows if row[0] < newest or row[2][:1] == _WHOLE]
        rest = self._each(others)
        return SignalsPart(*(pl.concat(pair) for pair in zip(told, rest, strict=True)))

    def _short(self, rows: list[Short]) -> SignalsPart:
        text = self._names.texts
        event_us = np.fromiter(
            (day * DAY_US + body[_EVENT] for day, _, body in rows), np.int64, len(rows)
        )
        published_us = event_us + np.fromiter((body[_DELAY] for *_, body in rows), np.int64)
        spread_us = np.fromiter((body[_SPREAD] for *_, body in rows), np.int64)
        signal = np.fromiter((signal for _, signal, _ in rows), np.int64)
        signals = pl.DataFrame(
            {
                "signal": signal,
                "source": [text[body[_SOURCE]] for *_, body in rows],
                "assurance": [body[_ASSURANCE] for *_, body in rows],
                "event_us": event_us,
                "published_us": published_us,
                "latest_us": published_us + spread_us,
                "fact": [0 if body[_FACT] is None else body[_FACT][0] for *_, body in rows],
            },
            schema=SIGNALS,
        )
        lengths = [len(body[_NODES]) for *_, body in rows]
        named = pl.DataFrame(
            {
                "signal": np.repeat(signal, lengths),
                "place": np.fromiter(chain.from_iterable(map(range, lengths)), np.uint8),
                "node": np.fromiter(
                    chain.from_iterable([body[_NODES] for *_, body in rows]), np.int64
                ),
            },
            schema=NAMED,
        )
        return SignalsPart(signals, named, framed_rows(CONSENTS, list(self._consents(rows))))

    def _consents(self, rows: Iterable[Short]) -> Iterable[tuple[Any, ...]]:
        for day, signal, body in rows:
            fact = body[_FACT]
            if fact is None or fact[0] != EvidenceKind.CONSENT:
                continue
            event_us = day * DAY_US + body[_EVENT]
            source = self._names.texts[body[_SOURCE]]
            said = (signal, body[_DIGEST], event_us, event_us + body[_DELAY], source, fact[2])
            for node in dict.fromkeys(fact[1]):
                yield (*said, node)

    def _each(self, rows: Sequence[tuple[int, int, bytes]]) -> SignalsPart:
        """Signals of which parts may have expired, or of which more is known than one content."""
        signals = [known for _, known in self._remembered.decode(rows)]
        keys = {node.key for known in signals if known.live for node in known.live.nodes}
        told = SignalRows(self._nodes.ids(keys) if keys else {}, self._horizons)
        for known in signals:
            told.add(known)
        return told.part()

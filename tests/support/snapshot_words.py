"""What a snapshot says in keys and ids instead of its own numbers, so that engines compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from identity.snapshot import Snapshot

DIMENSIONS = ("category", "channel", "type", "network", "hour")
Row = tuple[Any, ...]


def told(snapshot: Snapshot) -> dict[str, Any]:
    """Every stream as sorted rows; a row that came twice is there twice."""
    key: dict[int, str] = dict(_rows(snapshot.keys()))
    person: dict[int | None, str | None] = {None: None, **dict(_rows(snapshot.ids()))}
    signals, named, consents = [], [], []
    for part in snapshot.signals():
        signals += part.signals.rows()
        named += [(s, at, key[node]) for s, at, node in part.named.rows() if node in key]
        consents += [(*row[:-1], key[row[-1]]) for row in part.consents.rows()]
    days, cells = [], []
    for activity in snapshot.activity(DIMENSIONS):
        days += [(key[node], *rest) for node, *rest in activity.days.rows()]
        cells += [(key[node], *rest) for node, *rest in activity.cells.rows()]
    moment = snapshot.moment()
    return {
        "moment": (moment.resolution, dict(moment.horizons), moment.outbox, moment.model),
        "marks": moment.marks,
        "nodes": sorted((key[n], kind, person[p], s) for n, kind, p, s in _rows(snapshot.nodes())),
        "links": sorted(
            (*sorted((key[left], key[right])), *rest)
            for left, right, *rest in _rows(snapshot.links())
        ),
        "days": sorted(days),
        "cells": sorted(cells),
        "signals": sorted(signals),
        "named": sorted(named),
        "consents": sorted(consents),
        "decisions": sorted(
            (signal, digest, key.get(left, ""), key.get(right, ""), same, at_us)
            for signal, digest, left, right, same, at_us in _rows(snapshot.decisions())
        ),
        "scored": sorted(
            (*sorted((key[left], key[right])), mbits)
            for left, right, mbits in _rows(snapshot.scored())
        ),
        "records": sorted(
            (key[node], name, payload) for node, name, payload in _rows(snapshot.records(10**6))
        ),
        "first_records": sorted(name for _, name, _ in _rows(snapshot.records(2))),
        "lineage": sorted(
            (change, person[one], person[other] or "", number, at_us)
            for change, one, other, number, at_us in _rows(snapshot.lineage())
        ),
        "keys": sorted(key.values()),
        "ids": sorted(filter(None, person.values())),
    }


def _rows(frames: Iterable[pl.DataFrame]) -> Iterator[Row]:
    for frame in frames:
        yield from frame.rows()

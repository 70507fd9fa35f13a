"""Rotated keys in the reference engine: everything known is rewritten, then derived anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from identity.engines.memory_evidence import derive
from identity.rotating import Rekey, Rewrap, rekeyed, rewrapped
from identity.store import Rewrapped

if TYPE_CHECKING:
    from identity.engines.memory import MemoryGraph


def rewrap_some(graph: MemoryGraph, rewrap: Rewrap, after: bytes, limit: int) -> Rewrapped:
    """Put the values of at most `limit` signals through `rewrap`, in order of signal."""
    last = int(after) if after else -1
    some = sorted(signal for signal in graph.known if signal > last)[:limit]
    changed = 0
    for signal in some:
        known = rewrapped(graph.known[signal], rewrap)
        changed += known is not graph.known[signal]
        graph.known[signal] = known
    if changed:
        graph.evidence = derive(graph.known.values(), graph.horizons)
    more = len(some) == limit
    return Rewrapped(b"%d" % some[-1] if more else b"", len(some), changed)


def rekey_all(graph: MemoryGraph, rekey: Rekey) -> None:
    """Name every node anew; people, flags, marks and the index of matching go with it."""
    graph.known = {signal: rekeyed(known, rekey) for signal, known in graph.known.items()}
    graph.evidence = derive(graph.known.values(), graph.horizons)
    graph.marks = {rekey(key): mark for key, mark in graph.marks.items()}
    graph.people = {rekey(key): person for key, person in graph.people.items()}
    graph.shared = {rekey(key) for key in graph.shared}
    graph.fences = {rekey(key): until_us for key, until_us in graph.fences.items()}
    index = graph.matching
    index.keys = {rekey(key): blocks for key, blocks in index.keys.items()}
    index.blocks = {block: set(map(rekey, held)) for block, held in index.blocks.items()}
    index.links = {
        rekey(key): {rekey(other): mbits for other, mbits in links.items()}
        for key, links in index.links.items()
    }

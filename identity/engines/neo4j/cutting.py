"""Moving a cutoff: whoever has evidence of the days left behind is marked, in steps.

The first step sets the cutoff, so that whoever is published meanwhile is
published under it; `swept_day` says up to where marks are done.
"""

from __future__ import annotations

from collections.abc import Sequence

from identity.engines.neo4j import nodes, signals
from identity.engines.neo4j.connection import Connection, Tx
from identity.engines.neo4j.consuming import lock_graph
from identity.engines.neo4j.expiring import FIRST_DAY, STEP
from identity.engines.neo4j.packing import date_of
from identity.horizons import NO_DAY
from identity.rotating import Trim, cut


def cutoffs(connection: Connection) -> dict[str, int]:
    """Per use the day before which nothing is used for it."""
    return dict(
        connection.read(
            lambda tx: tx.rows("MATCH (c:Cutoff) RETURN collect([c.name, c.before_day])")
        )
    )


def move_cutoff(connection: Connection, name: str, before_day: int, trim: Trim | None) -> None:
    """Mark whoever has evidence of the days left behind, see `GraphStore.move_cutoff`."""
    swept_day = connection.write(lambda tx: _set(tx, name, before_day))
    if swept_day is None:
        return
    ids = connection.read(
        lambda tx: tx.rows(
            "MATCH (s:Signal) WHERE s.seen >= date($first) AND s.seen < date($before) "
            "OR s:Disputed RETURN collect(s.id)",
            first=date_of(max(swept_day, FIRST_DAY)),
            before=date_of(before_day),
        )
    )
    for start in range(0, len(ids), STEP):
        some = ids[start : start + STEP]
        connection.write(
            lambda tx, some=some: _cut(tx, some, swept_day, before_day, trim)  # type: ignore[misc]
        )
    connection.write(
        lambda tx: tx.run(
            "MATCH (c:Cutoff {name: $name}) WHERE c.before_day = $day SET c.swept_day = $day",
            name=name,
            day=before_day,
        )
    )


def _set(tx: Tx, name: str, before_day: int) -> int | None:
    """Set the cutoff; up to which day it is swept, None if nothing is to be done."""
    lock_graph(tx)
    held, swept = tx.row(
        "MERGE (c:Cutoff {name: $name}) ON CREATE SET c.before_day = $none, c.swept_day = $none "
        "RETURN c.before_day, c.swept_day",
        name=name,
        none=NO_DAY,
    )
    if before_day < held or before_day <= swept:
        return None
    tx.run("MATCH (c:Cutoff {name: $name}) SET c.before_day = $day", name=name, day=before_day)
    return int(swept)


def _cut(tx: Tx, ids: Sequence[int], from_day: int, before_day: int, trim: Trim | None) -> None:
    before = signals.read_known(tx, ids)
    cuts = {signal: cut(known, from_day, before_day, trim) for signal, known in before.items()}
    after = {
        signal: made.known for signal, made in cuts.items() if made.known is not before[signal]
    }
    signals.write_known(tx, before, after)
    held = nodes.lock_nodes(tx, set().union(*(made.marked for made in cuts.values())))
    for state in held.values():
        state.changed |= nodes.ACTIVITY
    nodes.update_nodes(tx, held.values(), {})

"""Who is under a restriction or a legal hold at the moment of a snapshot: nothing is told of them.

Few people are, so only their own consents and links are looked into.
"""

from __future__ import annotations

import polars as pl

from identity.snapshot import CONSENTS, DECISIONS, LINKS, Snapshot
from kinfold.statistics.consenting import holding
from profiles.consent import RESERVED


def apart(snapshot: Snapshot, nodes: pl.DataFrame) -> pl.Series:
    """The people set apart, of those to whom the nodes (`node`, `person`) belong; as lookups say.

    Raises: StoreError.
    """
    reserved = pl.any_horizontal(pl.col("payload").bin.contains(name.encode()) for name in RESERVED)
    told = [part.consents.filter(reserved) for part in snapshot.signals()]
    consents = pl.concat([pl.DataFrame(schema=CONSENTS), *told]).join(nodes, on="node")
    people = consents["person"].unique()
    if people.is_empty():
        return people
    own = nodes.filter(pl.col("person").is_in(people.implode()))["node"].implode()
    within = pl.col("left").is_in(own) & pl.col("right").is_in(own)
    links = [frame.filter(within) for frame in snapshot.links()]
    first = (
        pl.concat([pl.DataFrame(schema=LINKS), *links])
        .group_by("left", "right")
        .agg(pl.col("first_us").min())
    )
    decisions = pl.concat([pl.DataFrame(schema=DECISIONS), *snapshot.decisions()])
    holds = holding(consents, nodes, first, decisions)
    return holds.filter(pl.col("purpose").is_in(RESERVED) & pl.col("withdrawn"))["person"].unique()

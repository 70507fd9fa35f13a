"""Sums over pairs of two people's nodes: a pair is both people's, whoever stands at which end.

One person may stand in many pairs. So that nobody can take many away at once,
pairs are taken in an order that never changes, as long as neither end stands in
more than the cap: then one person's arrival or erasure changes how many are taken
by no more than the cap, however the others hang together. (W. Day, N. Li, M. Lyu,
"Publishing Graph Degree Distribution with Node Differential Privacy", SIGMOD
2016: edge addition in a stable order.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import polars as pl

from kinfold.statistics.figure import CELLS, round_up, sums

PAIRS = {
    "person": pl.Int64,
    "other": pl.Int64,
    "low": pl.Int64,
    "high": pl.Int64,
    "group": pl.String,
    "part": pl.String,
}
"""Pairs with the people of both ends and the places of both nodes in the order of keys."""


def pair_sums(pairs: pl.DataFrame, minimum: int) -> pl.DataFrame:
    """Cells of SUMS from rows of `PAIRS`.

    A pair within one person is that person's, as in `sums`. Of those between
    two, `people` is how many there must be at least for what was taken.
    """
    if pairs.is_empty():
        return pl.DataFrame(schema=CELLS)
    within = pl.col("person") == pl.col("other")
    own = pairs.filter(within).with_columns(n=pl.lit(1, pl.Int64))
    cells = [sums(own, minimum, group=pl.col("group"), part=pl.col("part"))]
    between = pairs.filter(~within)
    cells += [
        _between(group, part, some, minimum)
        for (group, part), some in between.group_by("group", "part")
    ]
    return (
        pl.concat(cells)
        .group_by("group", "part")
        .agg(pl.col("people", "value", "capped").sum(), pl.col("cap").max())
        .select(*CELLS)
        .sort("group", "part")
    )


def _between(group: object, part: object, pairs: pl.DataFrame, minimum: int) -> pl.DataFrame:
    counted = pl.concat([pairs["person"], pairs["other"].alias("person")]).value_counts()
    cap = round_up(int(counted["count"].top_k(minimum).min()))  # type: ignore[arg-type]
    taken = pairs.height
    if int(counted["count"].max()) > cap:  # type: ignore[arg-type]  # there is a pair
        ordered = pairs.sort("low", "high").select("person", "other")
        taken = _taken(ordered.iter_rows(), cap)
    row = (group, part, -(-taken // cap), pairs.height, taken, cap)
    return pl.DataFrame([row], schema=CELLS, orient="row")


def _taken(pairs: Iterable[tuple[int, int]], cap: int) -> int:
    """How many pairs are taken when each end may stand in so many."""
    stands: Counter[int] = Counter()
    taken = 0
    for one, other in pairs:
        if stands[one] < cap and stands[other] < cap:
            stands[one] += 1
            stands[other] += 1
            taken += 1
    return taken

"""From a snapshot's streams to frames by person, which all figures are counted from.

Streams are joined to people and summed up as they come, so that what is held
grows with people and links, not with signals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import polars as pl

from identity.model import RECORD_KIND, Assurance
from identity.policy import IdentityPolicy
from identity.snapshot import (
    CELLS,
    CONSENTS,
    DAYS,
    DECISIONS,
    LINEAGE,
    LINKS,
    NAMED,
    NODES,
    SCORED,
    SIGNALS,
    ActivityPart,
    Moment,
    Schema,
    SignalsPart,
    Snapshot,
)
from kinfold.statistics.insight import NO_INSIGHT, Insight
from kinfold.statistics.reading import said

DIMENSIONS = ("category", "hour", "place")
LATE_S = (60, 3_600, 86_400, 7 * 86_400)
"""Where the bands of lateness end, seconds from event to first publication."""
Tell = Callable[[str], None]
_AT_ONCE = 4_000_000
_NO_SIGNALS = SignalsPart(*(pl.DataFrame(schema=each) for each in (SIGNALS, NAMED, CONSENTS)))
_NO_ACTIVITY = ActivityPart(*(pl.DataFrame(schema=each) for each in (DAYS, CELLS)))


@dataclass(frozen=True, slots=True)
class Gathered:
    """One moment of a graph by person. Only nodes that belong to somebody are in it.

    - `nodes`: node, kind, person, shared, and what the policy says of the kind:
      `account`, `device`, `record`.
    - `people`: person, nodes, identifiers, devices, records, has_account,
      has_other (an identifier that is neither account nor device, or a record),
      first_us, last_us, login_us (first authenticated signal naming an account; null: none).
    - `links`: left, right, first_us, authenticated, signals; each link once.
    - `link_days`: left, right, day.
    - `seen_by`: person, source, kind.
    - `arrivals`: person, source, late (band of `LATE_S`), repeated, signals.
    - `cells`: person, cell, signals, last_day.
    - `consents`, `decisions`, `lineage`, `scored`: as the snapshot gives them; consents with
      person.
    - `said`: `reading.SAID` of a sample of records.
    - `places`: node, place: of nodes in pairs that may be of two people, where they
      stand in the order of all keys that are among them.
    """

    moment: Moment
    nodes: pl.DataFrame
    people: pl.DataFrame
    links: pl.DataFrame
    link_days: pl.DataFrame
    seen_by: pl.DataFrame
    arrivals: pl.DataFrame
    cells: pl.DataFrame
    consents: pl.DataFrame
    decisions: pl.DataFrame
    lineage: pl.DataFrame
    scored: pl.DataFrame
    said: pl.DataFrame
    places: pl.DataFrame


def gather(
    snapshot: Snapshot,
    policy: IdentityPolicy,
    tell: Tell = lambda _: None,
    insight: Insight = NO_INSIGHT,
) -> Gathered:
    """Read a whole snapshot; `tell` hears what is being read."""
    tell("nodes")
    nodes = _nodes(snapshot, policy)
    tell("links")
    links, link_days = _links(snapshot)
    tell("signals")
    seen_by, arrivals, spans, consents = _signals(snapshot, nodes)
    tell("activity")
    cells = _cells(snapshot, nodes)
    tell("lineage")
    decisions = _whole(snapshot.decisions(), DECISIONS)
    scored = _whole(snapshot.scored(), SCORED)
    return Gathered(
        moment=snapshot.moment(),
        nodes=nodes,
        people=_people(nodes, spans),
        links=links,
        link_days=link_days,
        seen_by=seen_by,
        arrivals=arrivals,
        cells=cells,
        consents=consents,
        decisions=decisions,
        lineage=_whole(snapshot.lineage(), LINEAGE),
        scored=scored,
        said=said(snapshot, insight),
        places=_places(snapshot, nodes, links, decisions, scored),
    )


def _places(snapshot: Snapshot, nodes: pl.DataFrame, *pairs: pl.DataFrame) -> pl.DataFrame:
    own = nodes.select("node", "person")
    between = [
        some.select("left", "right")
        .join(own, left_on="left", right_on="node")
        .join(own, left_on="right", right_on="node", suffix="_right")
        .filter(pl.col("person") != pl.col("person_right"))
        for some in pairs
    ]
    wanted = pl.concat([some[end] for some in between for end in ("left", "right")]).unique()
    if wanted.is_empty():
        return pl.DataFrame(schema={"node": pl.Int64, "place": pl.Int64})
    is_wanted = pl.col("node").is_in(wanted.implode())
    named = snapshot.keys()
    keys = pl.concat([frame.filter(is_wanted) for frame in named])
    return keys.sort("key").select("node", place=pl.int_range(pl.len()))


def _whole(frames: Iterable[pl.DataFrame], schema: Schema) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=schema), *frames], rechunk=True)


def _nodes(snapshot: Snapshot, policy: IdentityPolicy) -> pl.DataFrame:
    kinds = pl.Categorical
    frames = (frame.with_columns(pl.col("kind").cast(kinds)) for frame in snapshot.nodes())
    nodes = _whole(frames, {**NODES, "kind": kinds}).filter(pl.col("person").is_not_null())
    names = nodes["kind"].cast(pl.String).unique().to_list()
    known = {name: found for name in names if (found := policy.kind(name)) is not None}
    accounts = [name for name, found in known.items() if found.account]
    devices = [name for name, found in known.items() if found.device]
    kind = pl.col("kind").cast(pl.String)
    return nodes.with_columns(
        account=kind.is_in(accounts),
        device=kind.is_in(devices),
        record=kind == RECORD_KIND,
    )


def _links(snapshot: Snapshot) -> tuple[pl.DataFrame, pl.DataFrame]:
    frames = [
        frame.select("left", "right", "day", "assurance", "signals", "first_us")
        for frame in snapshot.links()
    ]
    schema = {n: LINKS[n] for n in ("left", "right", "day", "assurance", "signals", "first_us")}
    days = _whole(frames, schema)
    links = days.group_by("left", "right").agg(
        pl.col("first_us").min(),
        (pl.col("assurance") == int(Assurance.AUTHENTICATED)).any().alias("authenticated"),
        pl.col("signals").sum(),
    )
    return links, days.select("left", "right", "day").unique()


def _signals(
    snapshot: Snapshot, nodes: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Seen-by, arrivals, spans of people, and consents."""
    own = nodes.select("node", "person", "kind", "account")
    seen_by = _Summed(["person", "source", "kind"], [])
    arrivals = _Summed(["person", "source", "late", "repeated"], [pl.col("signals").sum()])
    spans = _Summed(
        ["person"],
        [pl.col("first_us").min(), pl.col("last_us").max(), pl.col("login_us").min()],
    )
    consents = []
    for part in chain([_NO_SIGNALS], snapshot.signals()):
        signals = part.signals.with_columns(pl.col("source").cast(pl.Categorical))
        named = part.named.join(own, on="node").join(signals, on="signal")
        seen_by.add(named.select("person", "source", "kind").unique())
        spans.add(_spans(named))
        arrivals.add(_arrivals(signals, named))
        consents.append(part.consents.join(own.select("node", "person"), on="node"))
    return seen_by.whole(), arrivals.whole(), spans.whole(), pl.concat(consents, rechunk=True)


def _spans(named: pl.DataFrame) -> pl.DataFrame:
    is_login = pl.col("account") & (pl.col("assurance") == int(Assurance.AUTHENTICATED))
    return named.group_by("person").agg(
        first_us=pl.col("event_us").min(),
        last_us=pl.col("event_us").max(),
        login_us=pl.col("event_us").filter(is_login).min(),
    )


def _arrivals(signals: pl.DataFrame, named: pl.DataFrame) -> pl.DataFrame:
    """A signal counts with the person of the first of its nodes that is somebody's."""
    first = named.sort("place").unique("signal", keep="first").select("signal", "person")
    late_s = (pl.col("published_us") - pl.col("event_us")) / 1_000_000
    return (
        signals.join(first, on="signal")
        .with_columns(
            late=pl.sum_horizontal([(late_s >= end_s).cast(pl.UInt8) for end_s in LATE_S]),
            repeated=pl.col("latest_us") > pl.col("published_us"),
        )
        .group_by("person", "source", "late", "repeated")
        .agg(signals=pl.len().cast(pl.Int64))
    )


def _cells(snapshot: Snapshot, nodes: pl.DataFrame) -> pl.DataFrame:
    own = nodes.select("node", "person")
    summed = _Summed(["person", "cell"], [pl.col("signals").sum(), pl.col("last_day").max()])
    for part in chain([_NO_ACTIVITY], snapshot.activity(DIMENSIONS)):
        cells = part.cells.with_columns(pl.col("cell").cast(pl.Categorical))
        summed.add(
            cells.join(own, on="node")
            .group_by("person", "cell")
            .agg(pl.col("signals").sum(), last_day=pl.col("day").max())
        )
    return summed.whole()


class _Summed:
    """Frames summed up by keys as they come; holds at most some millions of rows too many."""

    def __init__(self, keys: Sequence[str], sums: Sequence[pl.Expr]) -> None:
        self._keys = keys
        self._sums = sums
        self._frames: list[pl.DataFrame] = []
        self._waiting = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Take in a frame."""
        self._frames.append(frame)
        self._waiting += frame.height
        if self._waiting > _AT_ONCE:
            self._frames = [self.whole()]
            self._waiting = 0

    def whole(self) -> pl.DataFrame:
        """What came so far, each key once."""
        together = pl.concat(self._frames)
        if not self._sums:
            return together.unique(list(self._keys))
        return together.group_by(self._keys).agg(self._sums)


def _people(nodes: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    other = ~(pl.col("account") | pl.col("device"))
    return (
        nodes.group_by("person")
        .agg(
            nodes=pl.len().cast(pl.Int64),
            identifiers=(~pl.col("record")).sum().cast(pl.Int64),
            devices=pl.col("device").sum().cast(pl.Int64),
            records=pl.col("record").sum().cast(pl.Int64),
            has_account=pl.col("account").any(),
            has_other=other.any(),
        )
        .join(spans, on="person", how="left")
    )

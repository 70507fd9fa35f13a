"""Figures of who is there: people, identifiers, records, devices, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from identity.limits import beside_counts
from identity.model import NodeView, Tie
from identity.policy import IdentityPolicy
from kinfold.statistics import scores
from kinfold.statistics.figure import (
    Figure,
    Shape,
    Spec,
    banded,
    counts,
    spread,
    sums,
    with_whole,
)
from kinfold.statistics.gathered import Gathered
from kinfold.statistics.insight import Scoring
from kinfold.statistics.pairs import PAIRS, pair_sums

ENDS = (0, 1, 2, 3, 4, 5, 10, 20, 50)
_NAMES = {"identifiers": "identifiers", "devices": "devices", "records": "records"}

SIZE = Spec(
    "size",
    "How much there is",
    "Identifiers by kind, and records, that belong to a person.",
    "Nodes with live evidence or a person, by kind. A shared identifier is a person of its own.",
    Shape.SUMS,
    "identifiers and records",
    part="kind",
)
PEOPLE_BY_KIND = Spec(
    "people_by_kind",
    "People by kind of identifier",
    "People who have at least one identifier of the kind, or a record.",
    "Each person once per kind; `all` is all people.",
    Shape.SUBSETS,
    "people",
    part="kind",
)
PER_PERSON = {
    name: Spec(
        f"{name}_per_person",
        f"{name.capitalize()} per person",
        f"People by how many {name} they have.",
        "Each person in one band.",
        Shape.PARTS,
        "people",
        part=f"{name} a person",
    )
    for name in _NAMES
}
SPREADS = Spec(
    "per_person_spread",
    "Identifiers, devices and records per person: middle and extremes",
    "What half of all people have at most (p50), what 99 in 100 have at most (p99), and the most.",
    "Nearest rank over all people. What fewer people than the minimum reach is "
    "told as the most that so many have.",
    Shape.SPREAD,
    "a person",
    group="of",
    order=("p50", "p99", "max"),
)
MATCH = Spec(
    "match_rate",
    "Matched people by source and kind",
    "Of the people whom a source names by a kind of identifier, those with anything else to them.",
    "A person counts once per source and kind, by the remembered signals; matched: the person has "
    "more than one identifier or record.",
    Shape.PARTS,
    "people",
    group="source and kind",
    part="matched or alone",
    open=True,
    closed_groups=False,
    order=("matched", "alone"),
)
ACROSS = Spec(
    "cross_source",
    "People whom several sources know",
    "People by the number of sources that named them.",
    "By the remembered signals that name one of the person's identifiers.",
    Shape.PARTS,
    "people",
    part="sources",
)
LINKS = Spec(
    "links_by_basis",
    "What people rest on",
    "Links inside people by what they rest on, and links that join nobody.",
    "Decided: staff said so, of decisions in force. Authenticated: two accounts in one login. "
    "Observed: seen together. Scored: alike enough for the match model in force to link them; "
    "all others are exact. A pair that rests on several counts under each. Joins nobody: seen "
    "together, but of two people, by a limit, a shared identifier or staff: such a link is both "
    "people's, and is taken only while neither stands in more than the cap.",
    Shape.SUMS,
    "links",
    part="basis",
)
KNOWN = Spec(
    "known",
    "Known and anonymous",
    "People with an account, people with an address or record but no account, and the rest.",
    "By kinds: `account` in the policy; a kind that is neither account nor device; only devices.",
    Shape.PARTS,
    "people",
    part="known",
    order=("has an account", "has an address or record", "anonymous"),
)
_HOUR_US = 3_600_000_000
_WAITS = (
    (_HOUR_US, "within an hour"),
    (24 * _HOUR_US, "within a day"),
    (7 * 24 * _HOUR_US, "within a week"),
    (30 * 24 * _HOUR_US, "within 30 days"),
    (90 * 24 * _HOUR_US, "within 90 days"),
)
FIRST_LOGIN = Spec(
    "first_login",
    "From first seen to first login",
    "How long until someone who has an account first logged in.",
    "From the earliest event of a remembered signal naming the person to the earliest "
    "authenticated one naming an account; 'never' has an account that no login proved.",
    Shape.PARTS,
    "people",
    part="time",
    order=(*(name for _, name in _WAITS), "later", "never"),
)
DEVICES = Spec(
    "cross_device",
    "Reach across devices",
    "People by whether they are known on no, one or several devices, accounts apart.",
    "Devices are the kinds that the policy calls so.",
    Shape.PARTS,
    "people",
    group="known",
    part="devices",
)
SHARED = Spec(
    "shared",
    "Shared identifiers, and why",
    "Identifiers that join nobody because too many people have them.",
    "By kind, and the highest kind of which more values than allowed stand beside it.",
    Shape.SUMS,
    "identifiers",
    group="kind",
    part="beside too many",
)


def figures(
    gathered: Gathered, policy: IdentityPolicy, models: tuple[Scoring, ...], minimum: int
) -> Iterator[Figure]:
    """Every figure of this module."""
    people, nodes = gathered.people, gathered.nodes
    kinds = nodes.select("person", n=pl.lit(1), kind=pl.col("kind").cast(pl.String))
    yield Figure(SIZE, sums(kinds, minimum, part=pl.col("kind")))
    yield Figure(
        PEOPLE_BY_KIND,
        with_whole(counts(kinds.unique(["person", "kind"]), part=pl.col("kind")), people.height),
    )
    for name, spec in PER_PERSON.items():
        yield Figure(spec, counts(people, part=banded(pl.col(name), ENDS)))
    spreads = [spread(people[name], minimum, group=name) for name in PER_PERSON]
    spans = {cell: span for each in spreads for cell, span in each.spans.items()}
    yield Figure(SPREADS, pl.concat([each.cells for each in spreads]), spans)
    yield _match_rate(gathered)
    sources = gathered.seen_by.group_by("person").agg(pl.col("source").n_unique())
    yield Figure(ACROSS, counts(sources, part=banded(pl.col("source"), (0, 1, 2, 3, 4))))
    yield _links(gathered, models, minimum)
    yield Figure(KNOWN, counts(people, part=known()))
    yield _first_login(people)
    devices = banded(pl.col("devices"), (0, 1))
    yield Figure(DEVICES, counts(people, group=known(), part=devices))
    yield _shared(gathered, policy, minimum)


def known() -> pl.Expr:
    """How well a person is known."""
    return (
        pl.when("has_account")
        .then(pl.lit("has an account"))
        .when("has_other")
        .then(pl.lit("has an address or record"))
        .otherwise(pl.lit("anonymous"))
    )


def _match_rate(gathered: Gathered) -> Figure:
    seen = gathered.seen_by.join(gathered.people.select("person", "nodes"), on="person")
    name = pl.concat_str(
        pl.col("source").cast(pl.String), pl.lit(" "), pl.col("kind").cast(pl.String)
    )
    matched = pl.when(pl.col("nodes") > 1).then(pl.lit("matched")).otherwise(pl.lit("alone"))
    return Figure(MATCH, counts(seen, group=name, part=matched))


def _links(gathered: Gathered, models: tuple[Scoring, ...], minimum: int) -> Figure:
    links = scores.ends(gathered, gathered.links, "left", "right")
    one = pl.col("person") == pl.col("other")
    both = pl.col("authenticated") & pl.col("account") & pl.col("account_right")
    basis = pl.when(both).then(pl.lit("authenticated")).otherwise(pl.lit("observed"))
    every = [
        links.filter(one).select("person", part=basis),
        _decided(gathered).select("person", part=pl.lit("decided")),
        scores.linked(gathered, models).select("person", part=pl.lit("scored")),
    ]
    own = pl.concat(every).with_columns(n=pl.lit(1, pl.Int64))
    apart = links.filter(~one).with_columns(group=pl.lit(""), part=pl.lit("joins nobody"))
    cells = [sums(own, minimum, part=pl.col("part")), pair_sums(apart.select(*PAIRS), minimum)]
    return Figure(LINKS, pl.concat(cells))


def _decided(gathered: Gathered) -> pl.DataFrame:
    """Pairs inside people that a decision in force says are the same: the latest of each pair."""
    latest = scores.in_force(gathered).filter("same")
    own = gathered.nodes.select("node", "person")
    return (
        latest.join(own, left_on="low", right_on="node")
        .join(own, left_on="high", right_on="node", suffix="_right")
        .filter(pl.col("person") == pl.col("person_right"))
    )


def _first_login(people: pl.DataFrame) -> Figure:
    wait_us = pl.col("login_us") - pl.col("first_us")
    band = pl.lit("later")
    for limit_us, name in reversed(_WAITS):
        band = pl.when(wait_us <= limit_us).then(pl.lit(name)).otherwise(band)
    band = pl.when(pl.col("login_us").is_null()).then(pl.lit("never")).otherwise(band)
    return Figure(FIRST_LOGIN, counts(people.filter("has_account"), part=band))


def _shared(gathered: Gathered, policy: IdentityPolicy, minimum: int) -> Figure:
    shared = gathered.nodes.filter("shared").select("node", "person", "kind")
    days = gathered.link_days
    around = pl.concat(
        [
            shared.join(days, left_on="node", right_on="left").rename({"right": "other"}),
            shared.join(days, left_on="node", right_on="right").rename({"left": "other"}),
        ]
    ).join(gathered.nodes.select("node", other_kind="kind"), left_on="other", right_on="node")
    ties = around.group_by("node", "other", "other_kind").agg(days=pl.col("day").unique())
    by_node: dict[int, list[Tie]] = {}
    for node, other, kind, days_seen in ties.rows():
        tie = Tie(f"{kind}:{other}", other, False, tuple(sorted(days_seen)), 1, 0, 0, False)
        by_node.setdefault(node, []).append(tie)
    rows = [
        (person, str(kind), _reason(policy, str(kind), by_node.get(node, [])), 1)
        for node, person, kind in shared.rows()
    ]
    schema = {"person": pl.Int64, "kind": pl.String, "reason": pl.String, "n": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return Figure(SHARED, sums(frame, minimum, group=pl.col("kind"), part=pl.col("reason")))


def _reason(policy: IdentityPolicy, kind: str, ties: list[Tie]) -> str:
    """The highest kind of which too many values stand beside it now; else it dropped back."""
    own = policy.kind(kind)
    over = []
    if own is not None:
        view = NodeView(f"{kind}:0", 0, True, None, tuple(ties))
        for other, count in beside_counts(view, policy).items():
            limit = own.shared_beside.get(other, own.shared_beside.get(""))
            found = policy.kind(other)
            if limit is not None and count > limit and found is not None:
                over.append((found.priority, other))
    return max(over)[1] if over else "no longer"

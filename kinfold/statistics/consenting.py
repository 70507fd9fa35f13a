"""Figures of consent: who said what, where, and who can be reached through which channel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgpack
import polars as pl

from identity.model import Assurance, EvidenceKind, Fact, KeptFact, NodeKey
from identity.policy import IdentityPolicy
from identity.snapshot import CONSENTS
from kinfold.statistics.figure import Figure, Shape, Spec, counts, weighed, with_whole
from kinfold.statistics.gathered import Gathered
from profiles import consent
from profiles.consent import ConsentDecision, Joined
from profiles.purposes import Purpose, PurposePolicy

_PLACE = "place:"
_ERRS = (
    "A purpose may have laxer rules by place and a minimum age: places are those somebody was "
    "seen in. What records say (country, birth date) is sealed and not opened for a figure, so "
    "whoever has a record also counts as of an unknown place, and everybody as of unknown age: "
    "the figure errs to the strict side."
)
CONSENT = Spec(
    "consent",
    "Consent by purpose",
    "People by what holds for each purpose, and why.",
    "By the decision that holds at lookup (the latest by effective time; a withdrawal beats a "
    "grant), and what the policy says where there is none. " + _ERRS,
    Shape.PARTS,
    "people",
    group="purpose",
    part="state",
    order=tuple(
        why.value
        for why in (
            consent.Why.GRANTED,
            consent.Why.NOT_OBJECTED,
            consent.Why.NOT_ASKED,
            consent.Why.WITHDRAWN,
        )
    ),
)
JURISDICTIONS = Spec(
    "consent_by_jurisdiction",
    "Consent by purpose and jurisdiction",
    "People by the country they were seen in and what holds for each purpose there, and why.",
    "As `consent`. `several` were seen in more countries than one, of which the strictest rule "
    "holds; `unknown` in none that could be told.",
    Shape.PARTS,
    "people",
    group="purpose",
    part="country and state",
    open=True,
)
RESTRICTED = Spec(
    "restricted",
    "Restricted people",
    "People who are served to nobody, by a restriction they asked for or a legal hold.",
    "By the decision that holds, as in `consent`; `all` is all people. Who is under both counts "
    "under each.",
    Shape.SUBSETS,
    "people",
    part="why",
    order=tuple(name.replace("_", " ") for name in consent.RESERVED),
)
REACH = Spec(
    "reach",
    "Who can be reached, by channel and purpose",
    "People by whether they have an address on the channel and it may be used for the purpose.",
    "Channels are the kinds that the policy's `[serves]` names under `identifiers.`; reachable: "
    "has an identifier of the kind that is not shared, the purpose is granted, as in `consent`, "
    "and nothing in `restricted` is in force.",
    Shape.PARTS,
    "people",
    group="channel for purpose",
    part="reach",
    order=("reachable", "no consent", "restricted", "no address"),
)


def figures(
    gathered: Gathered, identity: IdentityPolicy, purposes: PurposePolicy
) -> Iterator[Figure]:
    """Every figure of this module."""
    if not purposes.purposes:
        return
    holds = standing(gathered)
    apart = holds.filter(pl.col("purpose").is_in(consent.RESERVED) & pl.col("withdrawn"))
    held = counts(apart, part=pl.col("purpose").str.replace("_", " "))
    holds = holds.filter(~pl.col("purpose").is_in(consent.RESERVED))
    kinds = list(dict.fromkeys(kind for kind, _ in channels(purposes, identity)))
    is_apart = pl.col("person").is_in(apart["person"].unique().implode())
    circumstances = _circumstances(gathered, kinds).with_columns(apart=is_apart)
    cases = pl.concat([_cases(circumstances, holds, one, kinds) for one in purposes.purposes])
    by_state = cases.select("people", group="purpose", part="state")
    yield Figure(CONSENT, weighed(by_state))
    where = pl.concat_str(_country(), pl.lit(", "), pl.col("state"))
    by_country = cases.select("people", group="purpose", part=where)
    yield Figure(JURISDICTIONS, weighed(by_country))
    yield Figure(REACH, _reach(identity, purposes, cases))
    yield Figure(RESTRICTED, with_whole(held, gathered.people.height))


def _country() -> pl.Expr:
    """The country of a case's places."""
    countries = (
        pl.col("places")
        .str.split("|")
        .list.eval(pl.element().str.split("-").list.first())
        .list.unique()
        .list.set_difference([""])
    )
    return (
        pl.when(countries.list.len() > 1)
        .then(pl.lit("several"))
        .otherwise(countries.list.first())
        .fill_null("unknown")
    )


def standing(gathered: Gathered) -> pl.DataFrame:
    """Person, purpose and withdrawn of every decision that holds, as a lookup has it.

    Whoever decided under the same nodes each time needs no looking into: links
    are nothing to them, unless a grant was given before it was sent. Consents are
    often word for word the same, so each wording is read once. The others are
    looked into some at a time.
    """
    consents = gathered.consents
    words = _words(consents["payload"])
    older = words.filter(pl.col("given_us").is_not_null())["payload"].unique().implode()
    nodes, signals = pl.col("node").n_unique(), pl.col("signal").n_unique()
    is_same = (pl.len() == nodes * signals) & (
        (nodes == 1) | (signals == 1) | ~pl.col("payload").is_in(older).any()
    )
    people = consents.group_by("person").agg(same=is_same)
    same = people.filter("same").select("person")
    holds = [_latest(consents.join(same, on="person", how="semi"), words)]
    others = people.filter(~pl.col("same"))["person"].sort()
    for start in range(0, others.len(), _AT_ONCE):
        some = others.slice(start, _AT_ONCE).implode()
        mine = consents.filter(pl.col("person").is_in(some))
        holds.append(holding(mine, gathered.nodes, gathered.links, gathered.decisions))
    return pl.concat(holds)


_AT_ONCE = 50_000
_HOLDS = {"person": pl.Int64, "purpose": pl.String, "withdrawn": pl.Boolean}


def _latest(consents: pl.DataFrame, words: pl.DataFrame) -> pl.DataFrame:
    """The latest decision of each person and purpose, in the order of `ConsentDecision`."""
    sent_us = pl.min_horizontal("event_us", "published_us")
    given_us = pl.when(~pl.col("withdrawn")).then(pl.min_horizontal(sent_us, "given_us"))
    return (
        consents.unique(["person", "signal"])
        .join(words, on="payload")
        .with_columns(effective_us=pl.coalesce(given_us, sent_us))
        .sort("effective_us", "withdrawn")
        .unique(["person", "purpose"], keep="last")
        .select(*_HOLDS)
    )


def _words(payloads: pl.Series) -> pl.DataFrame:
    """payload, purpose, withdrawn, and when a grant was given if not when it was sent."""
    rows = []
    for payload in payloads.unique():
        said = msgpack.unpackb(payload)
        given_us = said.get("given_us")
        decided = said["decisions"].items()
        rows += [(payload, purpose, not granted, given_us) for purpose, granted in decided]
    schema = {
        "payload": pl.Binary,
        "purpose": pl.String,
        "withdrawn": pl.Boolean,
        "given_us": pl.Int64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def holding(
    consents: pl.DataFrame, nodes: pl.DataFrame, links: pl.DataFrame, decisions: pl.DataFrame
) -> pl.DataFrame:
    """`standing` of whoever these consents are of, each looked into.

    Columns as `Gathered` has them, of which are read: person and all of `CONSENTS`;
    node, person; left, right, first_us; left, right, same, decided_us.
    """
    by_person = consents.group_by("person").agg(pl.struct(*CONSENTS).alias("said"))
    joins = _joins(by_person["person"], nodes, links, decisions)
    rows = []
    for person, said in by_person.iter_rows():
        holds = consent.standing(_made(said), joins.get(person, ()))
        rows += [(person, purpose, decision.withdrawn) for purpose, decision in holds.items()]
    return pl.DataFrame(rows, schema=_HOLDS, orient="row")


def _made(said: Sequence[dict[str, Any]]) -> list[ConsentDecision]:
    """Decisions of one person's consents, whose rows are one per subject."""
    by_signal: dict[int, list[dict[str, Any]]] = {}
    for row in said:
        by_signal.setdefault(row["signal"], []).append(row)
    facts = []
    for signal, rows in by_signal.items():
        first = rows[0]
        facts.append(
            KeptFact(
                signal=signal,
                digest=first["digest"],
                event_us=first["event_us"],
                published_us=first["published_us"],
                source=first["source"],
                assurance=Assurance.NONE,
                fact=Fact(
                    EvidenceKind.CONSENT,
                    tuple(_name(row["node"]) for row in rows),
                    first["payload"],
                ),
            )
        )
    members = {subject for fact in facts for subject in fact.fact.subjects}
    return consent.decisions(facts, members)


def _name(node: int) -> NodeKey:
    """A key for a node's number; consent needs keys only to tell nodes apart."""
    return str(node)


def _joins(
    people: pl.Series, nodes: pl.DataFrame, links: pl.DataFrame, decisions: pl.DataFrame
) -> dict[int, list[Joined]]:
    """When the nodes of these people were first joined, by being seen together or by staff."""
    own = nodes.select("node", "person").filter(pl.col("person").is_in(people.implode()))
    joined = pl.concat(
        [
            links.select("left", "right", at_us="first_us"),
            decisions.filter("same").select("left", "right", at_us="decided_us"),
        ]
    )
    within = (
        joined.join(own, left_on="left", right_on="node")
        .join(own, left_on="right", right_on="node", suffix="_right")
        .filter(pl.col("person") == pl.col("person_right"))
    )
    joins: dict[int, list[Joined]] = {}
    for person, at_us, left, right in within.select("person", "at_us", "left", "right").rows():
        joins.setdefault(person, []).append((at_us, _name(left), _name(right)))
    return joins


def _circumstances(gathered: Gathered, kinds: Sequence[str]) -> pl.DataFrame:
    """Person, the distinct places they were seen in, and which of the kinds they have.

    "" is beside the places when there is a record.
    """
    seen = gathered.cells.with_columns(pl.col("cell").cast(pl.String)).filter(
        pl.col("cell").str.starts_with(_PLACE)
    )
    places = seen.select("person", place=pl.col("cell").str.strip_prefix(_PLACE))
    lives = gathered.people.filter(pl.col("records") > 0).select("person", place=pl.lit(""))
    together = pl.concat([places, lives]).group_by("person").agg(pl.col("place").unique().sort())
    told = (
        gathered.people.select("person")
        .join(together, on="person", how="left")
        .select("person", places=pl.col("place").list.join("|"))
    )
    own = gathered.nodes.filter(~pl.col("shared")).select("person", "kind")
    for kind in kinds:
        having = own.filter(pl.col("kind") == kind)["person"].unique()
        told = told.with_columns(pl.col("person").is_in(having.implode()).alias(kind))
    return told


def _cases(
    circumstances: pl.DataFrame, holds: pl.DataFrame, purpose: Purpose, kinds: Sequence[str]
) -> pl.DataFrame:
    """How many people there are in each case of one purpose, with the verdict of a lookup."""
    decided = holds.filter(pl.col("purpose") == purpose.name).select("person", "withdrawn")
    keys = ["places", "withdrawn", "apart", *kinds]
    cases = (
        circumstances.join(decided, on="person", how="left")
        .group_by(keys)
        .agg(people=pl.len().cast(pl.Int64))
    )
    verdicts = [_verdict(purpose, *case) for case in cases.select("places", "withdrawn").rows()]
    return cases.with_columns(
        pl.Series("granted", [granted for granted, _ in verdicts], dtype=pl.Boolean),
        pl.Series("state", [state for _, state in verdicts], dtype=pl.String),
        purpose=pl.lit(purpose.name),
    )


def _verdict(purpose: Purpose, places: str | None, withdrawn: bool | None) -> tuple[bool, str]:
    seen = frozenset() if places is None else frozenset(places.split("|"))
    decision = None
    if withdrawn is not None:
        decision = ConsentDecision(0, withdrawn, "", b"", purpose.name, ())
    verdict = consent.judge(purpose, decision, consent.Circumstances(seen))
    return verdict.granted, verdict.why.value


def channels(purposes: PurposePolicy, identity: IdentityPolicy) -> list[tuple[str, Purpose]]:
    """Each kind through which people are reached with each purpose it may serve."""
    found = []
    for part, bits in purposes.serves.items():
        field, _, kind = part.partition(".")
        if field == "identifiers" and kind and identity.kind(kind) is not None:
            found += [(kind, purpose) for purpose in purposes.purposes if purpose.bit & bits]
    return found


def _reach(identity: IdentityPolicy, purposes: PurposePolicy, cases: pl.DataFrame) -> pl.DataFrame:
    told = [cases.clear().select("people", group="purpose", part="state")]
    for kind, purpose in channels(purposes, identity):
        reach = (
            pl.when(~pl.col(kind))
            .then(pl.lit("no address"))
            .when("apart")
            .then(pl.lit("restricted"))
            .when("granted")
            .then(pl.lit("reachable"))
            .otherwise(pl.lit("no consent"))
        )
        mine = cases.filter(pl.col("purpose") == purpose.name)
        told.append(mine.select("people", group=pl.lit(f"{kind} for {purpose.name}"), part=reach))
    return weighed(pl.concat(told))

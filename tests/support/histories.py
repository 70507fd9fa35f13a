"""Hypothesis strategies for whole histories of a small world, in any order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from identity.model import (
    DAY_US,
    Assurance,
    Contribution,
    EvidenceKind,
    Expiring,
    Fact,
    Node,
    NodeKey,
)
from identity.policy import IdentityPolicy, KindPolicy
from identity.store import FOREVER_US
from tests.support import match_world

PRIORITY = {"customer_id": 90, "login": 80, "email": 60, "device": 20, "cookie": 10}
VALUES_PER_KIND = 4


def policy() -> IdentityPolicy:
    """A policy with every kind of limit, tight enough that small worlds cross them."""
    return IdentityPolicy(
        kinds={
            "customer_id": KindPolicy(90, max_per_person=1, account=True, weight_mbits=30_000),
            "login": KindPolicy(
                80,
                max_per_person=2,
                shared_beside={"customer_id": 1},
                account=True,
                weight_mbits=28_000,
            ),
            "email": KindPolicy(60, shared_beside={"": 1}, weight_mbits=22_000),
            "device": KindPolicy(
                20,
                max_per_person=3,
                shared_beside={"login": 1, "": 2},
                shared_window_days=3,
                device=True,
                weight_mbits=14_000,
            ),
            "cookie": KindPolicy(10, shared_beside={"": 1}, device=True, weight_mbits=14_000),
        },
        sources={"web": Assurance.AUTHENTICATED, "crm": Assurance.CLAIMED},
    )


def _number(text: str, size: int = 8) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=size).digest(), "big") >> 1


def node(kind: str, value: int) -> Node:
    """An identifier of the small world."""
    token = f"{kind[:3]}{value}".ljust(22, "0")
    return Node(f"{kind}:{token}", _number(f"{kind}{value}"))


def record_node(signal: int) -> Node:
    """The record that a signal asserts."""
    return Node(f"record:{signal:022d}", _number(f"record{signal}"))


WORLD = [node(kind, value) for kind in PRIORITY for value in range(VALUES_PER_KIND)]


def _ordered(nodes: list[Node]) -> tuple[Node, ...]:
    def place(n: Node) -> tuple[int, NodeKey]:
        return (-PRIORITY.get(n.key.partition(":")[0], 0), n.key)

    return tuple(sorted(nodes, key=place))


MIXED = ("seen", "seen", "seen", "seen", "record", "decision", "retract")
RECORDS = ("record",) * 9 + ("seen", "decision", "retract")
"""What signals are: of everything some, or mostly records, so that blocks fill up."""


@st.composite
def contributions(draw: st.DrawFn, signals: int = 12, kinds: Sequence[str] = MIXED) -> Contribution:
    """One contribution; few signal ids, so that duplicates, conflicts and retractions meet."""
    signal = draw(st.integers(1, signals))
    event_us = draw(st.integers(0, 8)) * DAY_US + draw(st.integers(0, 3)) * 3_600_000_000
    published_us = event_us + draw(st.sampled_from([0, 2 * DAY_US, 30 * DAY_US]))
    source = draw(st.sampled_from(["web", "crm"]))
    assurance = draw(st.sampled_from([Assurance.NONE, Assurance.AUTHENTICATED]))
    what = draw(st.sampled_from(kinds))
    nodes: tuple[Node, ...] = ()
    activity: tuple[tuple[NodeKey, tuple[str, ...]], ...] = ()
    fact: Fact | None = None
    retracts: int | None = None
    if what in ("seen", "record"):
        # Records are joined by their scores where no identifier stands beside them.
        least, most = (0, draw(st.sampled_from([0, 0, 2]))) if what == "record" else (1, 3)
        chosen = draw(st.lists(st.sampled_from(WORLD), min_size=least, max_size=most, unique=True))
        if what == "record":
            asserted = record_node(signal)
            chosen.append(asserted)
            said = match_world.payload(draw(st.sampled_from(match_world.RECORDS)))
            fact = Fact(EvidenceKind.RECORD, (asserted.key,), said)
        nodes = _ordered(chosen)
        category = draw(st.sampled_from(["sport", "music"]))
        activity = ((nodes[0].key, (f"category:{category}", "channel:web")),)
    elif what == "decision":
        ends = draw(st.lists(st.sampled_from(WORLD), min_size=2, max_size=2, unique=True))
        subjects = (ends[0].key, ends[1].key)
        fact = Fact(EvidenceKind.DECISION, subjects, same=draw(st.booleans()))
    else:
        retracts = draw(st.integers(1, signals))
    body = repr((signal, event_us, source, assurance, nodes, activity, fact, retracts))
    digest = hashlib.blake2b(body.encode(), digest_size=8).digest()
    return Contribution(
        signal, digest, event_us, published_us, source, assurance, nodes, activity, fact, retracts
    )


@dataclass(frozen=True)
class Drain:
    """The resolver runs, at most so many marks at a time."""

    limit: int


@dataclass(frozen=True)
class Horizon:
    """A horizon moves."""

    kind: Expiring
    before_day: int


@dataclass(frozen=True)
class Fence:
    """Nodes are fenced, up to a moment each, and what counts of it is swept away."""

    fences: tuple[tuple[NodeKey, int], ...]


Step = tuple[Contribution, ...] | Drain | Horizon


def histories(max_steps: int = 8) -> st.SearchStrategy[list[Step]]:
    """Batches of contributions with drains between them, in any order."""
    drain = st.builds(Drain, st.sampled_from([1, 2, 1000]))
    mixed = st.lists(contributions(), min_size=1, max_size=6).map(tuple)
    records = st.lists(contributions(18, RECORDS), min_size=2, max_size=8).map(tuple)
    return st.one_of(
        st.lists(st.one_of(mixed, mixed, drain), min_size=1, max_size=max_steps),
        st.lists(st.one_of(records, records, drain), min_size=2, max_size=max_steps),
    )


def horizons() -> st.SearchStrategy[Horizon]:
    """A move of one kind's horizon within the days of `contributions`."""
    kinds: st.SearchStrategy[Expiring] = st.sampled_from(
        [
            EvidenceKind.LINK,
            EvidenceKind.ACTIVITY,
            EvidenceKind.DECISION,
            EvidenceKind.RECORD,
            "email",
            "cookie",
        ]
    )
    return st.builds(Horizon, kinds, st.integers(1, 6))


def fences() -> st.SearchStrategy[Fence]:
    """Some nodes of the world, and records, fenced up to a day of `contributions` or for good."""
    keys = [each.key for each in WORLD] + [record_node(signal).key for signal in range(1, 8)]
    moments = st.sampled_from([FOREVER_US, *(day * DAY_US - 1 for day in (2, 4, 6))])
    drawn = st.dictionaries(st.sampled_from(keys), moments, min_size=1, max_size=3)
    return drawn.map(lambda found: Fence(tuple(sorted(found.items()))))

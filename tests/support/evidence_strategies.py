"""Small worlds of evidence, drawn so that ids, days, links and contents collide often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import combinations

from hypothesis import strategies as st

from identity.model import (
    DAY_US,
    HOUR_US,
    Assurance,
    Contribution,
    EvidenceKind,
    Expiring,
    Fact,
    Node,
    NodeKey,
    kind_of,
)

FIRST_DAY = 20_000
DAYS = range(FIRST_DAY, FIRST_DAY + 5)
SIGNALS = range(1, 13)
SOURCES = ("crm", "web")
MOMENTS_US = (0, HOUR_US + 1, 13 * HOUR_US, DAY_US - 1)
CELLS = ("category:sport", "channel:web", "network:" + "n" * 22, "type:click")


def node(name: str) -> Node:
    """The node of a name like ``login:ann``: its order, and its sealed value where kept, follow."""
    kind, _, value = name.rpartition(":")
    key = f"{kind}:{value.ljust(22, 'A')}"
    order = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") >> 1
    return Node(key, order, b"" if kind in {"device", "record"} else b"sealed " + key.encode())


WORLD = tuple(
    node(name)
    for name in (
        "login:a",
        "login:b",
        "external:crm:a",
        "email:a",
        "device:a",
        "device:b",
        "record:a",
        "record:b",
    )
)
"""Every node there is, by falling priority."""
EXPIRING: tuple[Expiring, ...] = (*EvidenceKind, "login", "external", "external:crm", "device")
KEYS = tuple(each.key for each in WORLD)
PAIRS = tuple(combinations(sorted(KEYS), 2))


def contribution(
    signal: int,
    *names: str,
    day: int = FIRST_DAY,
    at_us: int = 0,
    source: str = "web",
    assurance: Assurance = Assurance.CLAIMED,
    cells: Sequence[str] = ("type:click",),
    fact: Fact | None = None,
    published_us: int | None = None,
    retracts: int | None = None,
) -> Contribution:
    """A contribution of named nodes; the first holds the activity, the digest is the content's."""
    nodes = tuple(node(name) for name in names)
    event_us = day * DAY_US + at_us
    return digested(
        Contribution(
            signal=signal,
            digest=b"",
            event_us=event_us,
            published_us=event_us if published_us is None else published_us,
            source=source,
            assurance=assurance,
            nodes=nodes,
            activity=((nodes[0].key, tuple(cells)),) if nodes else (),
            fact=fact,
            retracts=retracts,
        )
    )


def digested(content: Contribution) -> Contribution:
    """The same with the digest of all but its publication."""
    bare = replace(content, digest=b"", published_us=0)
    return replace(content, digest=blake2b(repr(bare).encode(), digest_size=8).digest())


def decision(
    signal: int, left: str, right: str, same: bool, *, day: int = FIRST_DAY, at_us: int = 0
) -> Contribution:
    """A decision of staff about two named nodes."""
    subjects = (node(left).key, node(right).key)
    fact = Fact(EvidenceKind.DECISION, subjects, same=same)
    return contribution(signal, day=day, at_us=at_us, source="staff", fact=fact)


def retraction(signal: int, target: int, *, day: int = FIRST_DAY, at_us: int = 0) -> Contribution:
    """A retraction of `target`."""
    return contribution(signal, day=day, at_us=at_us, retracts=target)


def holding(
    nodes: Sequence[Node],
) -> st.SearchStrategy[tuple[tuple[NodeKey, tuple[str, ...]], ...]]:
    """Activity of some of the nodes; of a node that is alone in any case."""
    cells = st.lists(st.sampled_from(CELLS), unique=True, max_size=3).map(tuple)
    keys = [each.key for each in nodes]
    holders = st.lists(
        st.sampled_from(keys), unique=True, min_size=int(len(keys) == 1), max_size=min(2, len(keys))
    )
    return holders.flatmap(
        lambda held: st.tuples(*(st.tuples(st.just(key), cells) for key in held))
    )


def _fact(kind: EvidenceKind | None, nodes: Sequence[Node], payload: bytes) -> Fact | None:
    if kind is None:
        return None
    records = tuple(each.key for each in nodes if kind_of(each.key) == "record")
    if kind is EvidenceKind.RECORD:
        return Fact(kind, records[:1], payload) if records else None
    every = tuple(each.key for each in nodes)
    return Fact(kind, every if kind is EvidenceKind.CONSENT else every[:1], payload)


@st.composite
def sightings(draw: st.DrawFn) -> Contribution:
    """Nodes seen together, some with a record, purchase or consent."""
    nodes = tuple(
        sorted(
            draw(st.lists(st.sampled_from(WORLD), unique=True, min_size=1, max_size=3)),
            key=WORLD.index,
        )
    )
    kinds = (None, None, EvidenceKind.RECORD, EvidenceKind.PURCHASE, EvidenceKind.CONSENT)
    kind = draw(st.sampled_from(kinds))
    return _draw_envelope(
        draw,
        nodes=nodes,
        activity=draw(holding(nodes)),
        fact=_fact(kind, nodes, draw(st.sampled_from((b"", b"one", b"two")))),
    )


@st.composite
def decisions(draw: st.DrawFn) -> Contribution:
    """Decisions of staff about two nodes, seen or never seen."""
    left, right = draw(st.lists(st.sampled_from(KEYS), unique=True, min_size=2, max_size=2))
    fact = Fact(EvidenceKind.DECISION, (left, right), same=draw(st.booleans()))
    return _draw_envelope(draw, fact=fact)


@st.composite
def retractions(draw: st.DrawFn) -> Contribution:
    """Retractions, of a signal that has come, is to come, or is a retraction."""
    return _draw_envelope(draw, retracts=draw(st.sampled_from(SIGNALS)))


def _draw_envelope(
    draw: st.DrawFn,
    nodes: tuple[Node, ...] = (),
    activity: tuple[tuple[NodeKey, tuple[str, ...]], ...] = (),
    fact: Fact | None = None,
    retracts: int | None = None,
) -> Contribution:
    event_us = draw(st.sampled_from(DAYS)) * DAY_US + draw(st.sampled_from(MOMENTS_US))
    return digested(
        Contribution(
            signal=draw(st.sampled_from(SIGNALS)),
            digest=b"",
            event_us=event_us,
            published_us=draw(_publications()),
            source=draw(st.sampled_from(SOURCES)),
            assurance=draw(st.sampled_from(Assurance)),
            nodes=nodes,
            activity=activity,
            fact=fact,
            retracts=retracts,
        )
    )


def _publications() -> st.SearchStrategy[int]:
    return st.sampled_from([(FIRST_DAY + day) * DAY_US + HOUR_US for day in range(7)])


def contributions() -> st.SearchStrategy[Contribution]:
    """Any contribution of the small world."""
    return st.one_of(sightings(), sightings(), sightings(), decisions(), retractions())


@st.composite
def repeated(draw: st.DrawFn) -> list[Contribution]:
    """Distinct contributions, and some again: as they were, or published at another time."""
    fresh = draw(st.lists(contributions(), min_size=1, max_size=14))
    again = draw(st.lists(st.tuples(st.sampled_from(fresh), _publications()), max_size=6))
    return fresh + [replace(content, published_us=at_us) for content, at_us in again]


@dataclass(frozen=True, slots=True)
class Commit:
    """Commit these contributions as one batch."""

    contributions: tuple[Contribution, ...]


@dataclass(frozen=True, slots=True)
class MoveHorizon:
    """Expire evidence of the kind with a day before `before_day`."""

    kind: Expiring
    before_day: int


@dataclass(frozen=True, slots=True)
class Resolve:
    """Clear every mark, give every node to one person, drop nodes that have no evidence."""


Step = Commit | MoveHorizon | Resolve


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """Contributions in some order and batching, horizons moved and marks cleared in between."""
    waiting = draw(repeated().flatmap(st.permutations))
    steps: list[Step] = []
    while waiting:
        size = draw(st.integers(1, 6))
        steps.append(Commit(tuple(waiting[:size])))
        waiting = waiting[size:]
    for _ in range(draw(st.integers(0, 3))):
        moved = MoveHorizon(
            draw(st.sampled_from(EXPIRING)), FIRST_DAY + draw(st.integers(0, len(DAYS)))
        )
        steps.insert(draw(st.integers(0, len(steps))), moved)
    for _ in range(draw(st.integers(0, 2))):
        steps.insert(draw(st.integers(0, len(steps))), Resolve())
    return steps


def canonical(steps: Sequence[Step]) -> list[Step]:
    """The same evidence as one batch in a fixed order, then the horizons."""
    everything = [one for step in steps if isinstance(step, Commit) for one in step.contributions]
    everything.sort(key=lambda one: (one.signal, one.digest, one.published_us))
    moved = [step for step in steps if isinstance(step, MoveHorizon)]
    return [Commit(tuple(everything)), *moved]

"""The identity graph's words as plain values: nodes, what signals contribute, evidence, people.

Everything here is immutable, hashable where it is a key, and free of clocks and
drivers. Times are integer microseconds since 1970-01-01 UTC (`_us`), days are
whole UTC days since then (`day`). What is made by the thousand for each call is
a named tuple, which is made in less than half the time of a frozen dataclass
(its `count` field takes the place of the tuple's method, which nobody needs).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import NamedTuple

NodeKey = str
"""``kind:token``. The token is 22 characters of base64url (16 bytes of a keyed hash).
A kind may itself hold a colon (``external:crm``); a record's kind is ``record``."""

BlockKey = int
"""63 bits: a keyed hash of a model's blocking rule and value, the rule's number in the low 8."""

PersonId = str
"""26 characters of lower-case base32: 128 random bits."""

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
RECORD_KIND = "record"


def kind_of(key: NodeKey) -> str:
    """The kind of a node key: everything before its last colon."""
    return key.rpartition(":")[0]


def token_of(key: NodeKey) -> str:
    """The token of a node key: everything after its last colon."""
    return key.rpartition(":")[2]


class Assurance(IntEnum):
    """How a source knows who it was; larger is surer."""

    NONE = 1
    CLAIMED = 2
    AUTHENTICATED = 3


class EvidenceKind(IntEnum):
    """What is kept and expires together; each has a horizon of its own."""

    LINK = 1
    ACTIVITY = 2
    RECORD = 3
    PURCHASE = 4
    CONSENT = 5
    DECISION = 6


Expiring = EvidenceKind | str
"""What has a horizon: a kind of evidence, or a kind of identifier by its name (``cookie``)."""


@dataclass(frozen=True, slots=True)
class Node:
    """An identifier or a record, as it enters the graph.

    `order` is a 63-bit keyed digest of kind and raw value that no rotation of
    token keys changes; canonical order rests on it. `sealed` holds the sealed
    raw value where policy keeps it, else it is empty.
    """

    key: NodeKey
    order: int
    sealed: bytes = b""


@dataclass(frozen=True, slots=True)
class Fact:
    """Evidence kept by signal id: a record, purchase, consent or decision of staff.

    `payload` is opaque to the graph: sealed for records and purchases, msgpack
    for consents (``{"decisions": {purpose: granted}, "text_version", "place"}``).
    A decision has its two ends in `subjects`, `same` set, and no payload.
    """

    kind: EvidenceKind
    subjects: tuple[NodeKey, ...]
    payload: bytes = b""
    same: bool | None = None


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one signal adds to the evidence: the unit that counts once.

    - `signal`: 63-bit keyed hash of source and signal id.
    - `digest`: 8 bytes of the content's digest; of two contents under one
      `signal` the smaller counts.
    - `nodes`: distinct, in order of policy priority, then `order`; every two of
      them were seen together. Empty for decisions and retractions.
    - `activity`: per holder the cells that count one each on the event's day,
      for example ``("login:…", ("category:sport", "channel:web"))``. A cell is
      ``dimension:value``. Every node has a link or is a holder.
    - `retracts`: the `signal` that no longer counts, or None.
    """

    signal: int
    digest: bytes
    event_us: int
    published_us: int
    source: str
    assurance: Assurance
    nodes: tuple[Node, ...] = ()
    activity: tuple[tuple[NodeKey, tuple[str, ...]], ...] = ()
    fact: Fact | None = None
    retracts: int | None = None

    @property
    def day(self) -> int:
        """The UTC day of the event."""
        return self.event_us // DAY_US


class LinkDay(NamedTuple):
    """Sightings of one link by one source on one day."""

    day: int
    source: str
    assurance: Assurance
    count: int  # type: ignore[assignment]
    first_us: int
    last_us: int


class ActivityDay(NamedTuple):
    """What one holder did on one day: signals, first and last, per hour (UTC), per cell."""

    count: int  # type: ignore[assignment]
    first_us: int
    last_us: int
    hours: Mapping[int, int]
    cells: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class KeptFact:
    """A fact as the graph keeps it."""

    signal: int
    digest: bytes
    event_us: int
    published_us: int
    source: str
    assurance: Assurance
    fact: Fact


@dataclass(frozen=True, slots=True)
class NodeEvidence:
    """What a node holds of its own: facts by signal and activity by day."""

    node: Node
    facts: tuple[KeptFact, ...]
    activity: Mapping[int, ActivityDay]


class Tie(NamedTuple):
    """A link as one of its ends sees it, over all sources.

    `other_shared` is what the last resolution said of the other end.
    """

    other: NodeKey
    other_order: int
    other_shared: bool
    days: tuple[int, ...]
    count: int  # type: ignore[assignment]
    first_us: int
    last_us: int
    authenticated: bool


class NodeView(NamedTuple):
    """A node with what the last resolution made of it and its present ties."""

    key: NodeKey
    order: int
    shared: bool
    person: PersonId | None
    ties: tuple[Tie, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision of staff that two nodes are, or are not, one person."""

    left: NodeKey
    right: NodeKey
    same: bool
    decided_us: int
    digest: bytes


class Changed(IntFlag):
    """Why a node is marked dirty."""

    ACTIVITY = 1
    ADDED = 2
    REMOVED = 4
    DECIDED = 8


@dataclass(frozen=True, slots=True)
class Mark:
    """A dirty node. `count` grows with every marking; a mark is cleared only at the count read.

    `changed` gathers the reasons since the mark was last cleared; `shared` is
    what the last resolution said of the node.
    """

    key: NodeKey
    count: int
    changed: Changed
    shared: bool


class LineageChange(IntEnum):
    """What can happen to a person id."""

    CREATED = 1
    MERGED = 2
    SPLIT = 3
    RETIRED = 4


@dataclass(frozen=True, slots=True)
class LineageEntry:
    """One change in the life of a person id.

    `other` is the id it was merged into (MERGED), split from (SPLIT), or None.
    `resolution` and `at_us` are set by the resolution that did it.
    """

    change: LineageChange
    person: PersonId
    other: PersonId | None
    resolution: int
    at_us: int


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A person whose profile must be published, with the resolution that changed it.

    `merged_into` names the id it stands for now, when merged; `gone` is set
    when it stands for nobody.
    """

    person: PersonId
    resolution: int
    merged_into: PersonId | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class PersonEvidence:
    """All live evidence of one person, from which the profile is folded.

    `links` lists each link inside the person once as (low key, high key, days).
    `activity` is by holder, then day.
    """

    person: PersonId
    nodes: tuple[Node, ...]
    links: tuple[tuple[NodeKey, NodeKey, tuple[LinkDay, ...]], ...]
    activity: Mapping[NodeKey, Mapping[int, ActivityDay]]
    facts: tuple[KeptFact, ...] = field(default=())

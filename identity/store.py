"""The GraphStore port: where evidence and people rest.

Engines: memory (reference), SQLite (embedded default), Neo4j. All run one
contract suite; each promise below has a test of the same name there.

Promises
--------
- *Each signal counts once.* `commit` adds a batch's evidence, remembers its
  signals, advances the checkpoint and marks what changed, in one transaction,
  or does nothing.
- *Fenced.* `commit` succeeds only if the checkpoint still holds the position
  and epoch that the caller read; `commit_resolution` and `clear_outbox` only
  if the lease still holds the caller's epoch. Otherwise: `Fenced`, nothing written.
- *Evidence is a set.* The state after any sequence of commits depends on the
  set of contributions and horizons alone, not on order, batching or repetition.
- *No mark is lost.* A mark is cleared only if its count is the one that was read.
- *Erased stays out.* Once `fence` has returned, nothing that it keeps out counts
  again, whatever is late, replayed, sent again or under way; once `sweep` has
  returned, evidence and people are as if it had never come.
- *Keys move on.* Once `require` or `rekey` has returned, nothing sealed or named
  under older keys comes in; rewrapping and rekeying change no people, no
  evidence and no count, whatever is committed meanwhile and wherever they die.
- *Durable.* What a call returned from survives kill -9.

Not promised: reads see each other's moment only within one call. The resolver
needs no more: whatever is committed after it read is marked again.

Threads: one store object per thread. Several objects, processes or machines
may use one store at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, Protocol

from identity.model import (
    BlockKey,
    Contribution,
    Decision,
    Expiring,
    LineageEntry,
    LinkDay,
    Mark,
    NodeEvidence,
    NodeKey,
    NodeView,
    OutboxEntry,
    PersonEvidence,
    PersonId,
)


class StoreError(Exception):
    """An operational failure of a graph store.

    StoreError
    ├── Fenced            another owner has taken over; stop, do not retry
    ├── Outdated          made under keys that were rotated; make it anew, then retry
    ├── StoreUnavailable  cannot be reached or stayed busy; retry later
    └── StoreDamaged      holds what this version cannot read
    """


class Fenced(StoreError):
    """Another consumer or resolver has taken over. Nothing was written."""


class Outdated(StoreError):
    """The batch was made under keys that have been rotated since. Nothing was written."""


class StoreUnavailable(StoreError):
    """The store cannot be reached, or stayed busy past all retries. Nothing was written."""


class StoreDamaged(StoreError):
    """The store holds what this version cannot read."""


FOREVER_US = 1 << 62
"""A fence at this moment never opens: whoever holds the node asked to be suppressed."""


class Outcome(IntEnum):
    """What became of one contribution in a commit."""

    COUNTED = 1
    """Its content counts now."""
    DUPLICATE = 2
    """The same content was known; nothing changed."""
    REPLACED = 3
    """Its content counts now, in place of one with a larger digest: that one is a dead letter."""
    OUTDONE = 4
    """A content with a smaller digest is known under its id: this one is a dead letter."""
    EXPIRED = 5
    """All of it is older than the horizon: a dead letter."""
    WITHHELD = 6
    """It is retracted; remembered, not counted."""
    RETRACTION = 7
    """It is a retraction; remembered."""
    ERASED = 8
    """A fence keeps it out: nothing of it is remembered, and it is no dead letter."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a partition is consumed, under which epoch; `position` is opaque, b"" at first."""

    partition: str
    position: bytes
    epoch: int


class KeyAge(NamedTuple):
    """Under which keys something was made: the epoch that sealed, how many token keys named it.

    Both only grow (`profiles.vault`). Nothing is older than (0, 0).
    """

    epoch: int
    tokens: int

    def is_older(self, than: KeyAge) -> bool:
        """Whether either key has been rotated since."""
        return self.epoch < than.epoch or self.tokens < than.tokens

    def admit(self, keys: KeyAge) -> None:
        """Take in what was made under these keys, where this age is required.

        Raises:
            Outdated: they have been rotated since.
            StoreUnavailable: nodes are yet to be named under so many token keys.
        """
        if keys.is_older(self):
            raise Outdated("keys were rotated since the batch was made")
        if keys.tokens > max(self.tokens, 1):
            raise StoreUnavailable("the graph is yet to be brought up to the newer token keys")

    def newest(self, other: KeyAge) -> KeyAge:
        """The later of both, key by key."""
        return KeyAge(max(self.epoch, other.epoch), max(self.tokens, other.tokens))


NO_KEYS = KeyAge(0, 0)


@dataclass(frozen=True, slots=True)
class Batch:
    """Contributions read from one partition, and the checkpoint to go from and to.

    `expected` is what the caller last read or wrote; `position` the new position;
    `keys` how old the keys are under which the contributions were made.
    """

    contributions: Sequence[Contribution]
    expected: Checkpoint
    position: bytes
    keys: KeyAge = NO_KEYS


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to resolve, until another takes it. `epoch` grows with every owner."""

    owner: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Matching:
    """What a resolution changes in the index that matching keeps beside the evidence.

    - `keys`: node to all its block keys from now on; none takes the node out.
    - `links`: (low key, high key) to the match weight in thousandths of a bit;
      None where the two are no longer linked.
    - `marked`: nodes to mark as `Changed.ADDED`.
    - `model`: what the index is of from now on, or None while it stays what it was.
    """

    keys: Mapping[NodeKey, Sequence[BlockKey]] = field(default_factory=dict)
    links: Mapping[tuple[NodeKey, NodeKey], int | None] = field(default_factory=dict)
    marked: Sequence[NodeKey] = ()
    model: str | None = None


NO_MATCHING = Matching()


@dataclass(frozen=True, slots=True)
class Resolution:
    """What one run of the resolver changes.

    - `people`: node to person, only where it changed (None: belongs to nobody,
      for nodes whose evidence is gone; the engine may drop such nodes once they
      are not marked any more).
    - `shared`: node to flag, only where it changed.
    - `lineage`: entries; their `resolution` is set by the engine.
    - `outbox`: entries; their `resolution` is set by the engine.
    - `cleared`: marks as read.
    - `matching`: what changes in the index of matching; nodes that are gone
      must have been taken out of it.
    - `folding`: by what profiles are folded from now on, or None while it stays
      what it was.
    """

    people: Mapping[NodeKey, PersonId | None]
    shared: Mapping[NodeKey, bool]
    lineage: Sequence[LineageEntry]
    outbox: Sequence[OutboxEntry]
    cleared: Sequence[Mark]
    matching: Matching = NO_MATCHING
    folding: str | None = None


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep removed: contents of signals, counted or not."""

    contents: int


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """How far a rewrapping is: go on from `position`, until it is b""."""

    position: bytes
    looked: int
    changed: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts over the whole graph; `nodes` by kind."""

    nodes: Mapping[str, int]
    links: int
    people: int
    signals: int
    marks: int
    outbox: int


class GraphStore(Protocol):
    """Where evidence and people rest. See the module for the promises."""

    def close(self) -> None:
        """Release what is held. The store cannot be used afterwards."""

    # ---- consumers -------------------------------------------------------

    def claim(self, partition: str) -> Checkpoint:
        """Become the owner of a partition: raise its epoch by one and return the checkpoint."""

    def commit(self, batch: Batch) -> list[Outcome]:
        """Count a batch, in one transaction; outcomes in the order of its contributions.

        1. Compare the checkpoint with `expected`, else `Fenced`; and the keys with
           what `require` asks for, else `Outdated`.
        2. Settle every signal against what is known of it and against the fences
           (`identity.evidence.settle`).
        3. Apply what the settling adds to and takes from links, activity and facts.
        4. Mark every node of whatever changed, with the reason.
        5. Set the checkpoint to `position`.
        """

    def fence(self, fences: Mapping[NodeKey, int]) -> None:
        """Keep out whatever names one of the nodes and happened up to its moment, microseconds.

        What was published up to then is kept out as well, so that nothing is
        dated past a fence. Of two moments for one node the later stands. What
        counts already goes with `sweep`; but whoever holds such a node enters
        the outbox at once, with a resolution of its own.
        """

    def fences(self, keys: Iterable[NodeKey]) -> dict[NodeKey, int]:
        """The moment up to which each node is fenced; nodes without a fence are left out."""

    def lift(self, fences: Mapping[NodeKey, int]) -> None:
        """Lower fences to these moments; 0 takes them away. Nodes without one are left alone."""

    def sweep(self, keys: Iterable[NodeKey]) -> Swept:
        """Remove all that the fences of these nodes keep out, and mark the nodes of it.

        In steps, each a transaction: cut short, call it again. A content goes
        whole, with what it said of other nodes, and another of the same
        signal that the fences let through takes its place.
        """

    def keys(self) -> KeyAge:
        """How old keys may be for a batch to be taken in; (0, 0) at first."""

    def require(self, keys: KeyAge) -> None:
        """From now on take in no contribution made under older keys; asked for before: a no-op."""

    def rewrap(self, rewrap: Callable[[bytes], bytes], after: bytes, limit: int) -> Rewrapped:
        """Put sealed values through `rewrap`, in one transaction: about `limit` places after one.

        b"" is the beginning. Every value that was there when the position was
        first b"" is given to `rewrap` before it is b"" again: those of nodes, of
        facts, and of contents that do not count. It may be called several times
        for one value, and gives the same bytes where nothing is to be changed.
        """

    def rekey(self, lease: Lease, rekey: Callable[[NodeKey], NodeKey], keys: KeyAge) -> bool:
        """Give every node the key that `rekey` makes of its own, wherever the graph names it.

        And `require` the keys, so that whoever names nodes as before is told
        `Outdated`. Nobody changes person, nothing is marked or published. False,
        and nothing was done, where keys of this age or later were required before.

        Raises:
            Fenced: the lease is lost; nothing was done.
        """

    def horizons(self) -> dict[Expiring, int]:
        """Per kind the day before which evidence has expired; kinds without one are left out."""

    def move_horizon(self, kind: Expiring, before_day: int) -> None:
        """Expire all evidence of the kind with a day before `before_day`; earlier moves are no-ops.

        A kind of evidence, or a kind of identifier: of that go the links to such
        identifiers and what they did, while facts about them stay for as long as
        facts of their kind do. Marks the nodes of all that went. Links and
        activity expire by their day, facts by their event's day.
        """

    def cutoffs(self) -> dict[str, int]:
        """Per use the day before which nothing is used for it; uses without one are left out."""

    def move_cutoff(
        self, name: str, before_day: int, trim: Callable[[NodeKey, bytes], bytes] | None = None
    ) -> None:
        """Remember that evidence before a day is no longer used for something; earlier moves are
        no-ops.

        What is used is up to who makes profiles: with `trim`, every record of
        those days is put through it, first; without, nothing is taken away.
        Marks the nodes that the signals of those days name, with `trim` of
        those records that changed, so that all who hold them are made anew.
        Cut short, it is to be called again, and does all of it.
        """

    # ---- the resolver ----------------------------------------------------

    def acquire_lease(self, owner: str, now_ms: int, lease_ms: int) -> Lease | None:
        """Take or renew the lease; None while another owner's has not run out at `now_ms`.

        Renewing keeps the epoch, taking raises it.
        """

    def marks(self, limit: int) -> list[Mark]:
        """At most `limit` dirty nodes, longest marked first where the engine can tell."""

    def views(self, keys: Iterable[NodeKey]) -> dict[NodeKey, NodeView]:
        """The nodes with their ties; left out are unknown keys and nodes with no live evidence.

        A node has live evidence while it has a link, an activity entry or a
        fact (other than a decision) with it among its subjects.
        """

    def decisions(self, keys: Iterable[NodeKey]) -> list[Decision]:
        """Live decisions of staff with an end among the keys, each once."""

    def members(self, people: Iterable[PersonId]) -> dict[PersonId, frozenset[NodeKey]]:
        """The nodes assigned to each person; people with none are left out."""

    def commit_resolution(self, lease: Lease, resolution: Resolution) -> int:
        """Write a resolution in one transaction and return its number (1, 2, …), else `Fenced`.

        An outbox entry replaces an older one of the same person.
        """

    # ---- matching --------------------------------------------------------

    def evidence_at(
        self, keys: Iterable[NodeKey], *, activity: bool = True
    ) -> dict[NodeKey, NodeEvidence]:
        """What each node holds of its own; nodes without facts or activity may be left out.

        Not asked for, activity may be left empty.
        """

    def nodes_of(self, kind: str, after: NodeKey, limit: int) -> list[NodeKey]:
        """At most `limit` nodes of a kind with a greater key than `after`, by key.

        Those included that are gone, while they are in the index.
        """

    def model(self) -> str:
        """What the index of matching is of, as the last `Matching` that named it said; "" at first.

        Written by `commit_resolution` alone, like the rest of the index.
        """

    def block_keys(self, keys: Iterable[NodeKey]) -> dict[NodeKey, tuple[BlockKey, ...]]:
        """The block keys of each node in ascending order; nodes without any are left out."""

    def blocks(
        self, keys: Iterable[BlockKey], at_most: int
    ) -> dict[BlockKey, tuple[int, tuple[NodeKey, ...]]]:
        """Size and members of each block, members by key; empty blocks are left out.

        Of a block with more than `at_most` members the size alone is read.
        """

    def scored(self, keys: Iterable[NodeKey]) -> dict[NodeKey, dict[NodeKey, int]]:
        """The scored links of each node: other end to match weight; nodes without are left out."""

    # ---- the feeder ------------------------------------------------------

    def outbox(self, limit: int) -> list[OutboxEntry]:
        """At least all entries of the lowest resolutions, up to about `limit`, by resolution.

        Entries of one resolution are never cut in two.
        """

    def evidence(self, people: Iterable[PersonId]) -> dict[PersonId, PersonEvidence]:
        """All live evidence of each person; people with no node are left out."""

    def folding(self) -> str:
        """By what profiles are folded, as the last `Resolution` that named it said; "" at first.

        Whoever folds by something else has to publish everybody anew.
        """

    def clear_outbox(self, lease: Lease, entries: Sequence[OutboxEntry]) -> None:
        """Remove entries whose resolution is still the one given; `Fenced` if the lease is lost."""

    # ---- readers ---------------------------------------------------------

    def link_days(
        self, pairs: Iterable[tuple[NodeKey, NodeKey]]
    ) -> dict[tuple[NodeKey, NodeKey], tuple[LinkDay, ...]]:
        """Daily sightings by pair as given, ordered by day, source, assurance; none: left out."""

    def named_by(self, signals: Iterable[int]) -> dict[int, frozenset[NodeKey]]:
        """Every node that each signal says something of; those that do not count are left out."""

    def person_of(self, keys: Iterable[NodeKey]) -> dict[NodeKey, PersonId]:
        """The person each node is assigned to; unassigned nodes are left out."""

    def current(self, person: PersonId) -> PersonId | None:
        """The id that an id stands for now; None when it stands for nobody or was never given."""

    def lineage(self, person: PersonId) -> list[LineageEntry]:
        """Entries of the id and of all ids connected with it by merge or split, oldest first."""

    def all_people(self) -> Iterable[PersonId]:
        """Every current person id, in no promised order."""

    def all_ids(self) -> Iterable[PersonId]:
        """Every id ever given out."""

    def totals(self) -> Totals:
        """Counts over the whole graph; may take a scan."""

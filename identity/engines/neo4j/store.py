"""`GraphStore` on Neo4j.

How it reads in Neo4j's own browser:

    (:Person {id})-[:HAS {since}]->(:Identifier:Device {key, kind, first_seen, last_seen})
    (:Identifier)-[:SEEN_WITH {count, first_seen, last_seen, authenticated}]->(:Identifier)
    (:Identifier)-[:SEEN_WITH]-(:Record)
    (:Identifier)-[:ACTIVE_IN]->(:Activity {month, signals, first_seen, last_seen})
    (:Signal:Purchase {id, seen})-[:ABOUT {at}]->(:Identifier)
    (:Signal:Decision {left, right, same, seen})
    (:Record {blocks})-[:IN_BLOCK]->(:Block {key})
    (:Record)-[:SCORED {mbits}]->(:Record)
    (:Person:Former)-[:MERGED_INTO {resolution, at}]->(:Person)
    (:Person)-[:SPLIT_FROM {resolution, at}]->(:Person)
    (:Fence {key, until_us, change})

`:Dirty` is on what the resolver has yet to look at, `:Unpublished` on people
whose profile must be published, `:Disputed` on signals of which more is known
than one content. Beside them stand `:Checkpoint`, `:Horizon`, `:Lease`,
`:Graph` and `:Migration`. Fine grain (sightings by day and source, activity by
day, bodies of signals) is bytes; identifiers are tokens, values are sealed.
`names` of a signal is the beginning of the token of each node it names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from identity.engines.neo4j import (
    consuming,
    cutting,
    erasing,
    expiring,
    feeding,
    matching,
    reading,
    resolving,
    rotating,
)
from identity.engines.neo4j import people as persons
from identity.engines.neo4j.connection import Connection
from identity.engines.neo4j.migrations import migrate
from identity.model import (
    BlockKey,
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
from identity.rotating import Rekey, Rewrap, Trim
from identity.store import (
    Batch,
    Checkpoint,
    KeyAge,
    Lease,
    Outcome,
    Resolution,
    Rewrapped,
    Swept,
    Totals,
)


class Neo4jGraphStore:
    """`GraphStore` in one Neo4j database; any number of programs may use it at once.

    Opening it brings the database to the present version. Whatever is transient
    (deadlocks, a server that starts again) is tried anew for `patience_s`.

    Raises:
        StoreUnavailable: the server cannot be reached.
        StoreDamaged: a later version of kinfold has migrated the database.
    """

    def __init__(
        self,
        uri: str,
        auth: tuple[str, str] | None,
        database: str = "neo4j",
        *,
        patience_s: float = 30.0,
    ) -> None:
        self._connection = Connection(uri, auth, database, patience_s)
        try:
            migrate(self._connection)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close every connection."""
        self._connection.close()

    # ---- consumers -------------------------------------------------------

    def claim(self, partition: str) -> Checkpoint:
        """Become the owner of a partition: raise its epoch by one and return the checkpoint."""
        return consuming.claim(self._connection, partition)

    def commit(self, batch: Batch) -> list[Outcome]:
        """Count a batch in one transaction, see `GraphStore.commit`."""
        return consuming.commit(self._connection, batch)

    def keys(self) -> KeyAge:
        """How old keys may be for a batch to be taken in."""
        return rotating.keys(self._connection)

    def require(self, keys: KeyAge) -> None:
        """From now on take in no contribution made under older keys."""
        rotating.require(self._connection, keys)

    def rewrap(self, rewrap: Rewrap, after: bytes, limit: int) -> Rewrapped:
        """Put the sealed values of `limit` identifiers or signals through `rewrap`."""
        return rotating.rewrap(self._connection, rewrap, after, limit)

    def rekey(self, lease: Lease, rekey: Rekey, keys: KeyAge) -> bool:
        """Give every node the key that `rekey` makes of its own, in steps.

        Cut short, it is finished by the same call again; until then whatever
        is committed or resolved meets `StoreUnavailable`.
        """
        return rotating.rekey(self._connection, lease, rekey, keys)

    def horizons(self) -> dict[Expiring, int]:
        """Per kind the day before which evidence has expired."""
        return expiring.horizons(self._connection)

    def move_horizon(self, kind: Expiring, before_day: int) -> None:
        """Expire all evidence of the kind with a day before `before_day`.

        Nothing older comes in from the first moment on; what is there goes in
        steps. A call that was cut short is finished by the same call again.
        """
        expiring.move_horizon(self._connection, kind, before_day)

    def cutoffs(self) -> dict[str, int]:
        """Per use the day before which nothing is used for it."""
        return cutting.cutoffs(self._connection)

    def move_cutoff(self, name: str, before_day: int, trim: Trim | None = None) -> None:
        """Mark whoever has evidence of the days left behind, with `trim` whose records changed.

        Goes in steps; a call that was cut short is finished by the same call again.
        """
        cutting.move_cutoff(self._connection, name, before_day, trim)

    def fence(self, fences: Mapping[NodeKey, int]) -> None:
        """Keep out whatever names one of the nodes and happened up to its moment.

        A call that was cut short is finished by the same call again.
        """
        erasing.fence(self._connection, fences)

    def fences(self, keys: Iterable[NodeKey]) -> dict[NodeKey, int]:
        """The moment up to which each node is fenced."""
        return erasing.fences(self._connection, keys)

    def lift(self, fences: Mapping[NodeKey, int]) -> None:
        """Lower fences to these moments."""
        erasing.lift(self._connection, fences)

    def sweep(self, keys: Iterable[NodeKey]) -> Swept:
        """Remove all that the fences of these nodes keep out, in steps.

        It looks through all signals of each day on which the nodes were seen,
        so one call for many people costs hardly more than for one.
        """
        return erasing.sweep(self._connection, keys)

    # ---- the resolver ----------------------------------------------------

    def acquire_lease(self, owner: str, now_ms: int, lease_ms: int) -> Lease | None:
        """Take or renew the lease; None while another owner's has not run out."""
        return resolving.acquire_lease(self._connection, owner, now_ms, lease_ms)

    def marks(self, limit: int) -> list[Mark]:
        """At most `limit` dirty nodes, in no promised order."""
        return resolving.marks(self._connection, limit)

    def views(self, keys: Iterable[NodeKey]) -> dict[NodeKey, NodeView]:
        """The nodes that have live evidence, with their ties."""
        return resolving.views(self._connection, keys)

    def decisions(self, keys: Iterable[NodeKey]) -> list[Decision]:
        """Live decisions of staff with an end among the keys, each once."""
        return resolving.decisions(self._connection, keys)

    def members(self, people: Iterable[PersonId]) -> dict[PersonId, frozenset[NodeKey]]:
        """The nodes assigned to each person; people with none are left out."""
        return persons.members(self._connection, people)

    def commit_resolution(self, lease: Lease, resolution: Resolution) -> int:
        """Write a resolution in one transaction and return its number, else `Fenced`."""
        return resolving.commit_resolution(self._connection, lease, resolution)

    # ---- matching --------------------------------------------------------

    def evidence_at(
        self, keys: Iterable[NodeKey], *, activity: bool = True
    ) -> dict[NodeKey, NodeEvidence]:
        """What each node holds of its own."""
        return matching.evidence_at(self._connection, keys, activity)

    def nodes_of(self, kind: str, after: NodeKey, limit: int) -> list[NodeKey]:
        """At most `limit` nodes of a kind with a greater key than `after`, by key."""
        return matching.nodes_of(self._connection, kind, after, limit)

    def model(self) -> str:
        """What the index of matching is of."""
        return matching.model(self._connection)

    def block_keys(self, keys: Iterable[NodeKey]) -> dict[NodeKey, tuple[BlockKey, ...]]:
        """The block keys of each node in ascending order."""
        return matching.block_keys(self._connection, keys)

    def blocks(
        self, keys: Iterable[BlockKey], at_most: int
    ) -> dict[BlockKey, tuple[int, tuple[NodeKey, ...]]]:
        """Size and members of each block; of larger ones than `at_most` the size alone."""
        return matching.blocks(self._connection, keys, at_most)

    def scored(self, keys: Iterable[NodeKey]) -> dict[NodeKey, dict[NodeKey, int]]:
        """The scored links of each node."""
        return matching.scored(self._connection, keys)

    # ---- the feeder ------------------------------------------------------

    def outbox(self, limit: int) -> list[OutboxEntry]:
        """At least all entries of the lowest resolutions, up to about `limit`, never cut in two."""
        return feeding.outbox(self._connection, limit)

    def evidence(self, people: Iterable[PersonId]) -> dict[PersonId, PersonEvidence]:
        """All live evidence of each person; people with no node are left out."""
        return feeding.evidence(self._connection, people)

    def folding(self) -> str:
        """By what profiles are folded."""
        return persons.folding(self._connection)

    def clear_outbox(self, lease: Lease, entries: Sequence[OutboxEntry]) -> None:
        """Remove entries whose resolution is still the one given, else `Fenced`."""
        feeding.clear_outbox(self._connection, lease, entries)

    # ---- readers ---------------------------------------------------------

    def link_days(
        self, pairs: Iterable[tuple[NodeKey, NodeKey]]
    ) -> dict[tuple[NodeKey, NodeKey], tuple[LinkDay, ...]]:
        """Daily sightings by pair as given, ordered by day, source, assurance."""
        return reading.link_days(self._connection, pairs)

    def named_by(self, signals: Iterable[int]) -> dict[int, frozenset[NodeKey]]:
        """Every node that each signal that counts says something of."""
        return reading.named_by(self._connection, signals)

    def person_of(self, keys: Iterable[NodeKey]) -> dict[NodeKey, PersonId]:
        """The person each node is assigned to; unassigned nodes are left out."""
        return persons.person_of(self._connection, keys)

    def current(self, person: PersonId) -> PersonId | None:
        """The id that an id stands for now; None when nobody's or never given out."""
        return persons.current(self._connection, person)

    def lineage(self, person: PersonId) -> list[LineageEntry]:
        """Entries of the id and of all ids connected with it, oldest first."""
        return persons.lineage(self._connection, person)

    def all_people(self) -> Iterable[PersonId]:
        """Every current person id, in no promised order."""
        return persons.all_people(self._connection)

    def all_ids(self) -> Iterable[PersonId]:
        """Every id ever given out."""
        return persons.all_ids(self._connection)

    def totals(self) -> Totals:
        """Counts over the whole graph; takes a scan."""
        return reading.totals(self._connection)

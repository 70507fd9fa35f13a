"""The embedded graph store: the port's calls, each one transaction on one file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from identity.engines.sqlite.arrivals import Arrivals
from identity.engines.sqlite.counting import Counting
from identity.engines.sqlite.database import Database
from identity.engines.sqlite.erasing import (
    Erased,
    days_of,
    fences_of,
    lower_fences,
    read_fences,
    write_fences,
)
from identity.engines.sqlite.expiry import expire_grain
from identity.engines.sqlite.feeding import (
    Gathering,
    clear_outbox,
    read_link_days,
    read_outbox,
    read_totals,
)
from identity.engines.sqlite.matching import (
    read_block_keys,
    read_blocks,
    read_evidence_at,
    read_model,
    read_nodes_of,
    read_scored,
)
from identity.engines.sqlite.names import Names, Nodes
from identity.engines.sqlite.people import (
    Resolving,
    hold,
    read_all_people,
    read_current,
    read_decisions,
    read_lineage,
    read_marks,
    read_members,
    read_views,
)
from identity.engines.sqlite.remembered import Remembered
from identity.engines.sqlite.rotating import read_keys, rekey_all, rewrap_some, write_keys
from identity.engines.sqlite.state import (
    State,
    read_cutoffs,
    read_folding,
    read_horizons,
    read_state,
    write_cutoff,
    write_horizon,
    write_state,
)
from identity.evidence import Known, expire, named_by, settle
from identity.horizons import NO_DAY
from identity.model import (
    BlockKey,
    Changed,
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
from identity.rotating import Rekey, Rewrap, Trim, cut
from identity.store import (
    Batch,
    Checkpoint,
    Fenced,
    KeyAge,
    Lease,
    Outcome,
    Resolution,
    Rewrapped,
    Swept,
    Totals,
)

_AT_ONCE = 2_000
WAIT_S = 30.0
"""How long a call waits for another writer before it is `StoreUnavailable`."""


class SqliteGraphStore:
    """`GraphStore` in the SQLite file at `path`, which is made, readable by its owner alone.

    Commits survive kill -9 and power loss. Several store objects and processes
    on one machine may use one file; writers wait for each other, at most `wait_s`.
    """

    def __init__(self, path: Path, wait_s: float = WAIT_S) -> None:
        self._database = Database(path, wait_s)
        self._nodes = Nodes(self._database)
        self._names = Names(self._database)
        self._arrivals = Arrivals(self._database)
        self._forgets = 0

    def close(self) -> None:
        """Release the file."""
        self._database.close()

    @contextmanager
    def _writing(self) -> Iterator[State]:
        """A write transaction with the counters, which are written back."""
        began = False
        try:
            with self._database.transaction("IMMEDIATE"):
                began = True
                state = read_state(self._database)
                self._catch_up(state.forgets)
                before = State(state.commits, state.next_node, state.forgets)
                yield state
                if state != before:
                    write_state(self._database, state)
                self._forgets = state.forgets
        except BaseException:
            if began:
                self._nodes.forget()
                self._names.forget()
                self._arrivals.forget()
            raise

    def _catch_up(self, forgets: int) -> None:
        """Ids cached before another dropped nodes may be of nodes that are gone."""
        if forgets != self._forgets:
            self._nodes.forget()
            self._forgets = forgets

    @contextmanager
    def _reading(self) -> Iterator[Database]:
        """A read transaction: everything in it is of one moment."""
        with self._database.transaction("DEFERRED"):
            yield self._database

    def _remembered(self) -> Remembered:
        return Remembered(self._database, self._nodes, self._names)

    # ---- consumers -------------------------------------------------------

    def claim(self, partition: str) -> Checkpoint:
        """Become the owner of a partition: raise its epoch by one and return the checkpoint."""
        with self._database.transaction("IMMEDIATE"):
            row = self._database.execute(
                "INSERT INTO checkpoint VALUES (?, x'', 1) ON CONFLICT (partition)"
                " DO UPDATE SET epoch = epoch + 1 RETURNING position, epoch",
                (partition,),
            ).fetchone()
        return Checkpoint(partition, *row)

    def commit(self, batch: Batch) -> list[Outcome]:
        """Count a batch, in one transaction; see `GraphStore.commit` for the steps."""
        with self._writing() as state:
            # 1. Compare the checkpoint; 5. and set it, which is undone with the rest.
            self._advance(batch)
            if batch.contributions:
                read_keys(self._database).admit(batch.keys)
            horizons = read_horizons(self._database)
            arrived = self._arrivals.up_to(state.commits)
            # 2. Settle.
            remembered = self._remembered()
            known = remembered.find(batch.contributions, arrived)
            fences = fences_of(self._database, batch.contributions)
            settled = settle(known, batch.contributions, horizons, fences)
            if settled.known:
                # 3. Apply; 4. mark.
                state.commits += 1
                counting = Counting(
                    self._database, self._nodes, self._names, remembered, state, horizons
                )
                new = counting.apply(settled.added, settled.taken, settled.known)
                self._arrivals.note(state.commits, new)
        return settled.outcomes

    def _advance(self, batch: Batch) -> None:
        expected = batch.expected
        moved = self._database.execute(
            "UPDATE checkpoint SET position = ? WHERE partition = ? AND position = ? AND epoch = ?",
            (batch.position, expected.partition, expected.position, expected.epoch),
        )
        if moved.rowcount != 1:
            raise Fenced("another consumer has taken over the partition")

    def keys(self) -> KeyAge:
        """How old keys may be for a batch to be taken in."""
        with self._reading() as database:
            return read_keys(database)

    def require(self, keys: KeyAge) -> None:
        """From now on take in no contribution made under older keys."""
        with self._database.transaction("IMMEDIATE"):
            write_keys(self._database, keys)

    def rewrap(self, rewrap: Rewrap, after: bytes, limit: int) -> Rewrapped:
        """Put the sealed values of `limit` nodes or signals through `rewrap`."""
        with self._database.transaction("IMMEDIATE"):
            return rewrap_some(self._database, rewrap, after, limit)

    def rekey(self, lease: Lease, rekey: Rekey, keys: KeyAge) -> bool:
        """Give every node the key that `rekey` makes of its own, in one transaction."""
        with self._writing() as state:
            hold(self._database, lease)
            if not read_keys(self._database).is_older(keys):
                return False
            rekey_all(self._database, rekey)
            write_keys(self._database, keys)
            # Whoever keeps ids by key in memory lets go of them.
            state.forgets += 1
            self._nodes.forget()
            return True

    def horizons(self) -> dict[Expiring, int]:
        """Per kind the day before which evidence has expired; kinds without one are left out."""
        with self._reading():
            return read_horizons(self._database)

    def move_horizon(self, kind: Expiring, before_day: int) -> None:
        """Expire all evidence of the kind with a day before `before_day`.

        1. Delete its rows.
        2. Forget signals of which nothing is left; a content that stood behind
           one that went is counted.
        3. Mark.
        """
        with self._writing() as state:
            horizons = read_horizons(self._database)
            from_day = horizons.get(kind, NO_DAY)
            if before_day <= from_day:
                return
            horizons[kind] = before_day
            write_horizon(self._database, kind, before_day)
            marks = expire_grain(self._database, kind, (from_day, before_day))
            remembered = self._remembered()
            forgotten: list[tuple[int, int]] = []
            known: dict[int, Known] = {}
            added: list[Contribution] = []
            # Whatever dies of this move is of the days that it leaves behind.
            for day, signal, one in remembered.within(from_day, before_day):
                left = expire(one, horizons)
                if left is None:
                    forgotten.append((day, signal))
                elif left is not one:
                    known[signal] = left
                    if left.seen[:1] != one.seen[:1] and left.live is not None:
                        added.append(left.live)
            remembered.delete(forgotten)
            state.commits += 1
            counting = Counting(
                self._database, self._nodes, self._names, remembered, state, horizons
            )
            counting.apply(added, (), known, marks)
            self._arrivals.note(state.commits, ())

    def cutoffs(self) -> dict[str, int]:
        """Per use the day before which nothing is used for it."""
        with self._reading() as database:
            return read_cutoffs(database)

    def move_cutoff(self, name: str, before_day: int, trim: Trim | None = None) -> None:
        """Mark whoever has evidence of the days left behind, with `trim` whose records changed."""
        with self._writing() as state:
            from_day = read_cutoffs(self._database).get(name, NO_DAY)
            if before_day <= from_day:
                return
            write_cutoff(self._database, name, before_day)
            remembered = self._remembered()
            known: dict[int, Known] = {}
            marked: set[NodeKey] = set()
            for _, signal, one in remembered.within(from_day, before_day):
                made = cut(one, from_day, before_day, trim)
                marked |= made.marked
                if made.known is not one:
                    known[signal] = made.known
            marks = dict.fromkeys(self._nodes.ids(marked).values(), int(Changed.ACTIVITY))
            state.commits += 1
            horizons = read_horizons(self._database)
            counting = Counting(
                self._database, self._nodes, self._names, remembered, state, horizons
            )
            counting.apply((), (), known, marks)
            self._arrivals.note(state.commits, ())

    # ---- fences ----------------------------------------------------------

    def fence(self, fences: Mapping[NodeKey, int]) -> None:
        """Keep out whatever names one of the nodes and happened up to its moment."""
        with self._database.transaction("IMMEDIATE"):
            write_fences(self._database, fences)

    def fences(self, keys: Iterable[NodeKey]) -> dict[NodeKey, int]:
        """The moment up to which each node is fenced."""
        with self._reading() as database:
            return read_fences(database, keys)

    def lift(self, fences: Mapping[NodeKey, int]) -> None:
        """Lower fences to these moments."""
        with self._database.transaction("IMMEDIATE"):
            lower_fences(self._database, fences)

    def sweep(self, keys: Iterable[NodeKey]) -> Swept:
        """Remove all that the fences of these nodes keep out, a day at a time."""
        fenced = sorted(self.fences(keys))
        with self._reading() as database:
            self._catch_up(read_state(database).forgets)
            days = days_of(database, self._nodes, fenced)
            whole = self._remembered().whole(fenced)
        contents = 0
        for day, ids in sorted(days.items()):
            wanted = sorted(ids)
            contents += self._erase(fenced, lambda known, d=day, w=wanted: known.naming(d, w))  # type: ignore[misc]
        for at in range(0, len(whole), _AT_ONCE):
            some = whole[at : at + _AT_ONCE]
            contents += self._erase(fenced, lambda known, some=some: known.found_at(some))  # type: ignore[misc]
        return Swept(contents)

    def _erase(
        self, fenced: Sequence[NodeKey], find: Callable[[Remembered], dict[int, Known]]
    ) -> int:
        """One step of a sweep: of the signals found, those go that the fences keep out."""
        with self._writing() as state:
            remembered = self._remembered()
            erased = Erased(find(remembered), read_fences(self._database, fenced))
            if not erased.contents and not erased.after:
                return 0
            state.commits += 1
            horizons = read_horizons(self._database)
            counting = Counting(
                self._database, self._nodes, self._names, remembered, state, horizons
            )
            remembered.delete([remembered.place(signal) for signal in erased.forgotten])
            counting.apply(erased.added, erased.taken, erased.after)
            self._arrivals.note(state.commits, ())
            return erased.contents

    # ---- the resolver ----------------------------------------------------

    def acquire_lease(self, owner: str, now_ms: int, lease_ms: int) -> Lease | None:
        """Take or renew the lease; None while another owner's has not run out at `now_ms`."""
        with self._database.transaction("IMMEDIATE"):
            held, epoch, until_ms = self._database.execute(
                "SELECT lease_owner, lease_epoch, lease_until_ms FROM state"
            ).fetchone()
            if held != owner or epoch == 0:
                if now_ms < until_ms:
                    return None
                epoch += 1
            self._database.execute(
                "UPDATE state SET lease_owner = ?, lease_epoch = ?, lease_until_ms = ?",
                (owner, epoch, now_ms + lease_ms),
            )
        return Lease(owner, epoch)

    def marks(self, limit: int) -> list[Mark]:
        """At most `limit` dirty nodes, longest marked first."""
        with self._reading() as database:
            return read_marks(database, limit)

    def views(self, keys: Iterable[NodeKey]) -> dict[NodeKey, NodeView]:
        """The nodes with their ties; left out are unknown keys and nodes with no live evidence."""
        with self._reading() as database:
            return read_views(database, keys)

    def decisions(self, keys: Iterable[NodeKey]) -> list[Decision]:
        """Live decisions of staff with an end among the keys, each once."""
        with self._reading() as database:
            return read_decisions(database, keys)

    def members(self, people: Iterable[PersonId]) -> dict[PersonId, frozenset[NodeKey]]:
        """The nodes assigned to each person; people with none are left out."""
        with self._reading() as database:
            return read_members(database, people)

    def commit_resolution(self, lease: Lease, resolution: Resolution) -> int:
        """Write a resolution in one transaction and return its number (1, 2, …), else `Fenced`."""
        with self._writing() as state:
            hold(self._database, lease)
            return Resolving(self._database, self._nodes, state).apply(resolution)

    # ---- matching --------------------------------------------------------

    def evidence_at(
        self, keys: Iterable[NodeKey], *, activity: bool = True
    ) -> dict[NodeKey, NodeEvidence]:
        """What each node holds of its own; of those that hold anything."""
        with self._reading() as database:
            return read_evidence_at(database, self._names, self._remembered(), keys, activity)

    def nodes_of(self, kind: str, after: NodeKey, limit: int) -> list[NodeKey]:
        """At most `limit` nodes of a kind with a greater key than `after`, by key."""
        with self._reading() as database:
            return read_nodes_of(database, kind, after, limit)

    def model(self) -> str:
        """What the index of matching is of."""
        with self._reading() as database:
            return read_model(database)

    def block_keys(self, keys: Iterable[NodeKey]) -> dict[NodeKey, tuple[BlockKey, ...]]:
        """The block keys of each node in ascending order."""
        with self._reading() as database:
            return read_block_keys(database, keys)

    def blocks(
        self, keys: Iterable[BlockKey], at_most: int
    ) -> dict[BlockKey, tuple[int, tuple[NodeKey, ...]]]:
        """Size and members of each block; of larger ones than `at_most` the size alone."""
        with self._reading() as database:
            return read_blocks(database, keys, at_most)

    def scored(self, keys: Iterable[NodeKey]) -> dict[NodeKey, dict[NodeKey, int]]:
        """The scored links of each node."""
        with self._reading() as database:
            return read_scored(database, keys)

    # ---- the feeder ------------------------------------------------------

    def outbox(self, limit: int) -> list[OutboxEntry]:
        """At least all entries of the lowest resolutions, up to about `limit`, by resolution."""
        with self._reading() as database:
            return read_outbox(database, limit)

    def evidence(self, people: Iterable[PersonId]) -> dict[PersonId, PersonEvidence]:
        """All live evidence of each person; people with no node are left out."""
        with self._reading() as database:
            return Gathering(database, self._names, self._remembered()).gather(people)

    def folding(self) -> str:
        """By what profiles are folded."""
        with self._reading() as database:
            return read_folding(database)

    def clear_outbox(self, lease: Lease, entries: Sequence[OutboxEntry]) -> None:
        """Remove entries whose resolution is still the one given, else `Fenced`."""
        with self._database.transaction("IMMEDIATE"):
            hold(self._database, lease)
            clear_outbox(self._database, entries)

    # ---- readers ---------------------------------------------------------

    def link_days(
        self, pairs: Iterable[tuple[NodeKey, NodeKey]]
    ) -> dict[tuple[NodeKey, NodeKey], tuple[LinkDay, ...]]:
        """Daily sightings of each pair as given, ordered by day, source, assurance."""
        asked = list(pairs)
        with self._reading() as database:
            self._catch_up(read_state(database).forgets)
            ids = self._nodes.ids({key for pair in asked for key in pair})
            return read_link_days(database, self._names, ids, asked)

    def named_by(self, signals: Iterable[int]) -> dict[int, frozenset[NodeKey]]:
        """Every node that each signal that counts says something of."""
        with self._reading() as database:
            self._catch_up(read_state(database).forgets)
            return named_by(self._remembered().of(signals))

    def person_of(self, keys: Iterable[NodeKey]) -> dict[NodeKey, PersonId]:
        """The person each node is assigned to; unassigned nodes are left out."""
        select = (
            "SELECT node.key, person.name FROM node JOIN person ON person.id = node.person"
            " WHERE node.key IN (SELECT value FROM json_each(?))"
        )
        with self._reading() as database:
            return dict(database.look_up(select, keys))

    def current(self, person: PersonId) -> PersonId | None:
        """The id that an id stands for now; None when never given out or nobody's."""
        with self._reading() as database:
            return read_current(database, person)

    def lineage(self, person: PersonId) -> list[LineageEntry]:
        """Entries of the id and of all ids connected with it by merge or split, oldest first."""
        with self._reading() as database:
            return read_lineage(database, person)

    def all_people(self) -> Iterable[PersonId]:
        """Every current person id, in no promised order."""
        with self._reading() as database:
            return read_all_people(database)

    def all_ids(self) -> Iterable[PersonId]:
        """Every id ever given out."""
        with self._reading() as database:
            return [name for (name,) in database.execute("SELECT name FROM person").fetchall()]

    def totals(self) -> Totals:
        """Counts over the whole graph, by scans."""
        with self._reading() as database:
            return read_totals(database)

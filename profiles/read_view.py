"""The read view: each replica's own LMDB file, from which alone lookups are answered.

Promises
--------
- *Whole sequences.* A reader sees all records of a sequence or none.
- *The newest stands.* Of two records of one id the one of the higher sequence
  stands, and an alias leads to the person whose listing of it has the higher
  sequence, in whatever order they came and however often.
- *Nothing left over.* An alias that nobody lists any more leads nowhere.
- *Sealed.* The file holds tokens, ids, consent bits and times openly, all else sealed.
- *Survives kill -9*, and whatever `apply` returned from survives a power cut.

One process writes a view, any number may read it; a process opens it once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import lmdb

from identity.model import NodeKey, PersonId
from profiles.feed import Group
from profiles.v1.feed_pb2 import FeedRecord, StoredProfile
from profiles.v1.profile_service_pb2 import GetProfileResponse

MAP_BYTES = 64 << 30
"""Address space set aside; the file grows only as far as it is used."""
PROFILE, MERGED, GONE = 1, 2, 3
HEAD = struct.Struct("<BQQQQHHI")
"""What a stored state begins with: state, sequence, version, granted, digest of the purposes under
which these were granted, then the lengths of layout, reply and sealed, which follow, and after them
the aliases or the id it was merged into."""
HEARD, POSITION, _WHOLE, _FEED = b"heard", b"position", b"whole", b"feed"
_FORMAT, _FORMAT_NOW = b"format", b"2"
MS = struct.Struct("<Q")
_STATE_SEQUENCE = struct.Struct("<BQ")
_ALIASES_APART = b"\n"
_MAX_READERS = 512


class ViewError(Exception):
    """An operational failure of a read view.

    ViewError
    ├── ViewFull      the file has reached its size, or the disk its end
    └── ViewDamaged   it cannot be opened, or another version wrote it: remove it, it is rebuilt
    """


class ViewFull(ViewError):
    """The view's file has reached its largest size, or the disk is full."""


class ViewDamaged(ViewError):
    """The view cannot be opened or was written by another version; remove it and it is rebuilt."""


class Stored(NamedTuple):
    """A person's stored state, unpacked. `granted` and what follows are for profiles only."""

    state: int
    sequence: int
    version: int
    granted: int
    policy: int
    layout: bytes
    reply: bytes
    sealed: bytes
    rest: bytes

    @property
    def aliases(self) -> list[bytes]:
        """The node keys that a profile lists."""
        return self.rest.split(_ALIASES_APART) if self.state == PROFILE and self.rest else []


class Opened(NamedTuple):
    """An open file: how to begin to read, and its databases. All are of one file, always."""

    begin: Any
    people: Any
    aliases: Any
    meta: Any


class ReadView:
    """A replica's view.

    `apply` and `clear` belong to the one writer; `at` is for `profiles.lookup`,
    which reads in transactions of its own and asks for it each time: the view
    may become another file at any moment (`become`).
    """

    def __init__(self, path: Path, *, read_only: bool = False, map_bytes: int = MAP_BYTES) -> None:
        """Open the view in a folder; a writer makes it when absent.

        Raises:
            ViewDamaged: see there. Reading a view that no writer has made yet, too.
        """
        try:
            if not read_only:
                path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.env: Any = lmdb.open(
                str(path),
                max_dbs=3,
                map_size=map_bytes,
                max_readers=_MAX_READERS,
                readonly=read_only,
                readahead=False,
                mode=0o600,
            )
            self.people: Any = self.env.open_db(b"people", create=not read_only)
            self.aliases: Any = self.env.open_db(b"aliases", create=not read_only)
            self.meta: Any = self.env.open_db(b"meta", create=not read_only)
        except (lmdb.Error, OSError):
            raise ViewDamaged(f"cannot open the read view {path}: absent or damaged") from None
        self._check_format(read_only)
        self.at = Opened(self.env.begin, self.people, self.aliases, self.meta)

    def become(self, other: ReadView) -> Any:
        """Read and write another view's file from now on, which must be used no more otherwise.

        Gives the environment so far, to be closed when nobody reads in it.
        """
        former = self.env
        self.env, self.at = other.env, other.at
        _, self.people, self.aliases, self.meta = other.at
        return former

    def _check_format(self, read_only: bool) -> None:
        with self.env.begin(db=self.meta) as txn:
            found = txn.get(_FORMAT)
        if found is None and not read_only:
            with self._writing() as txn:
                txn.put(_FORMAT, _FORMAT_NOW, db=self.meta)
        elif found != _FORMAT_NOW:
            self.env.close()
            raise ViewDamaged("the read view is of another version: remove it, it is rebuilt")

    def close(self) -> None:
        """Close the file. Readers must be done."""
        self.env.close()

    # ---- the writer ------------------------------------------------------

    def apply(self, groups: Iterable[Group], now_ms: int) -> int:
        """Apply whole sequences in one transaction; returns how many records changed the view.

        Remembers the last group's position and the newest publish time, but no
        time after `now_ms`: a feed whose clock was ahead once must not hide how
        long it has been silent since. Groups of no records (beats) set the time
        only.

        Raises:
            ViewFull: nothing of it was applied.
        """
        changed, position, heard_ms = 0, b"", 0
        with self._writing() as txn:
            for group in groups:
                changed += _Applying(self, txn, group.sequence).take(group.records)
                position = group.position or position
                heard_ms = max(heard_ms, group.published_ms)
            if position:
                txn.put(POSITION, position, db=self.meta)
            before_ms = self._heard(txn)
            heard_ms = min(max(heard_ms, before_ms), now_ms)
            if heard_ms != before_ms:
                txn.put(HEARD, MS.pack(heard_ms), db=self.meta)
        return changed

    def clear(self) -> None:
        """Forget everything, position and time too: the view is built from the feed's beginning."""
        with self._writing() as txn:
            for database in (self.people, self.aliases):
                txn.drop(database, delete=False)
            for key in (POSITION, HEARD, _WHOLE):
                txn.delete(key, db=self.meta)

    def feed(self) -> int:
        """The number of the feed's topic that this file was filled from."""
        with self.env.begin(db=self.meta) as txn:
            return int(txn.get(_FEED, b"0"))

    def set_feed(self, number: int) -> None:
        """Put down which of the feed's topics fills this file."""
        with self._writing() as txn:
            txn.put(_FEED, b"%d" % number, db=self.meta)

    def is_whole(self) -> bool:
        """Whether `mark_whole` was ever called and the view not cleared since."""
        with self.env.begin(db=self.meta) as txn:
            return txn.get(_WHOLE) is not None

    def mark_whole(self) -> None:
        """Say that everybody was published into this view, or durably waits to be."""
        with self._writing() as txn:
            txn.put(_WHOLE, b"1", db=self.meta)

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        try:
            with self.env.begin(write=True) as txn:
                yield txn
        except (lmdb.MapFullError, lmdb.DiskError):
            raise ViewFull("the read view is full: give it a larger size or disk") from None

    # ---- readers ---------------------------------------------------------

    def position(self) -> bytes:
        """From where to follow the feed; b"" from the beginning."""
        with self.env.begin(db=self.meta) as txn:
            return bytes(txn.get(POSITION, b""))

    def heard_ms(self) -> int:
        """When what was last heard from the feed was published; 0: never heard anything."""
        with self.env.begin() as txn:
            return self._heard(txn)

    def _heard(self, txn: Any) -> int:
        found = txn.get(HEARD, db=self.meta)
        return MS.unpack(found)[0] if found else 0

    def person_of(self, alias: NodeKey) -> PersonId | None:
        """The person an alias leads to now."""
        with self.env.begin(db=self.aliases) as txn:
            found = txn.get(alias.encode())
        return found.decode() if found else None

    def stored(self, person: PersonId) -> Stored | None:
        """The stored state of an id; None when the view never heard of it."""
        with self.env.begin(db=self.people) as txn:
            found = txn.get(person.encode())
        return unpack(found) if found else None

    def people_count(self) -> int:
        """How many ids the view knows, merged and gone ones included."""
        with self.env.begin() as txn:
            return int(txn.stat(self.people)["entries"])

    def everything(self) -> Iterator[tuple[PersonId, Stored]]:
        """Every id with its state, in order of ids, from one moment."""
        with self.env.begin(db=self.people) as txn:
            for key, value in txn.cursor():
                yield key.decode(), unpack(value)

    def all_aliases(self) -> dict[NodeKey, PersonId]:
        """Every alias and where it leads, from one moment."""
        with self.env.begin(db=self.aliases) as txn:
            return {key.decode(): value.decode() for key, value in txn.cursor()}


class _Applying:
    """Applies the records of one sequence inside the writer's transaction."""

    def __init__(self, view: ReadView, txn: Any, sequence: int) -> None:
        self._txn = txn
        self._sequence = sequence
        self._people, self._aliases = view.people, view.aliases

    def take(self, records: Sequence[FeedRecord]) -> int:
        """Profiles first, so that what merged or went away finds its heirs."""
        changed = 0
        for record in records:
            if record.WhichOneof("state") == "profile":
                changed += self._profile(record.person_id.encode(), record.profile)
        for record in records:
            if record.WhichOneof("state") == "merged_into":
                changed += self._merged(record.person_id.encode(), record.merged_into.encode())
            elif record.WhichOneof("state") == "gone":
                changed += self._gone(record.person_id.encode())
        return changed

    def _before(self, person: bytes) -> bytes | None:
        """The aliases stored, still joined; None when what is stored is newer than this."""
        value = self._txn.get(person, db=self._people)
        if value is None:
            return b""
        state, sequence, _, _, _, layout, reply, sealed = HEAD.unpack_from(value)
        if sequence > self._sequence:
            return None
        return value[HEAD.size + layout + reply + sealed :] if state == PROFILE else b""

    def _profile(self, person: bytes, profile: StoredProfile) -> bool:
        listed = self._before(person)
        if listed is None:
            return False
        txn, database = self._txn, self._aliases
        aliases = [alias.encode() for alias in profile.aliases]
        joined = _ALIASES_APART.join(aliases)
        txn.put(person, pack(person, self._sequence, profile, joined), db=self._people)
        for alias in aliases:
            holder = txn.get(alias, db=database)
            if holder != person and (holder is None or self._yields(holder)):
                txn.put(alias, person, db=database)
        if listed not in (joined, b""):
            self._drop(set(listed.split(_ALIASES_APART)).difference(aliases), person)
        return True

    def _yields(self, holder: bytes) -> bool:
        """Whether an alias's holder is of no higher sequence than this one."""
        value = self._txn.get(holder, db=self._people)
        return value is None or _STATE_SEQUENCE.unpack_from(value)[1] <= self._sequence

    def _drop(self, aliases: Iterable[bytes], person: bytes) -> None:
        for alias in aliases:
            if self._txn.get(alias, db=self._aliases) == person:
                self._txn.delete(alias, db=self._aliases)

    def _merged(self, person: bytes, into: bytes) -> bool:
        before = self._before(person)
        if before is None:
            return False
        listed = before.split(_ALIASES_APART) if before else []
        heir = self._txn.get(into, db=self._people)
        if heir is not None:
            state, sequence = _STATE_SEQUENCE.unpack_from(heir)
            if state == PROFILE and sequence < self._sequence:
                self._bequeath(listed, person, into, unpack(heir))
        self._drop(listed, person)
        head = HEAD.pack(MERGED, self._sequence, 0, 0, 0, 0, 0, 0)
        self._txn.put(person, head + into, db=self._people)
        return True

    def _bequeath(self, listed: list[bytes], person: bytes, into: bytes, heir: Stored) -> None:
        """Until the heir's own record of this sequence comes, aliases go on leading to it."""
        passed = [a for a in listed if self._txn.get(a, db=self._aliases) == person]
        for alias in passed:
            self._txn.put(alias, into, db=self._aliases)
        rest = _ALIASES_APART.join([*heir.aliases, *passed])
        self._txn.put(into, repack(heir._replace(rest=rest)), db=self._people)

    def _gone(self, person: bytes) -> bool:
        before = self._before(person)
        if before is None:
            return False
        self._drop(before.split(_ALIASES_APART) if before else (), person)
        self._txn.put(person, HEAD.pack(GONE, self._sequence, 0, 0, 0, 0, 0, 0), db=self._people)
        return True


def pack(person: bytes, sequence: int, profile: StoredProfile, aliases: bytes) -> bytes:
    """A profile as it is stored, with the unchanging part of its answer already written."""
    version = profile.version
    answer = GetProfileResponse(person_id=person.decode(), version=version)
    answer.as_of.FromMicroseconds(profile.as_of_us)
    reply = answer.SerializeToString()
    layout, sealed = profile.layout, profile.sealed
    granted, policy = profile.granted_purposes, profile.policy
    lengths = (len(layout), len(reply), len(sealed))
    head = HEAD.pack(PROFILE, sequence, version, granted, policy, *lengths)
    return b"".join((head, layout, reply, sealed, aliases))


def repack(stored: Stored) -> bytes:
    """The bytes of which `unpack` makes this."""
    *said, layout, reply, sealed, rest = stored
    head = HEAD.pack(*said, len(layout), len(reply), len(sealed))
    return b"".join((head, layout, reply, sealed, rest))


def unpack(value: bytes) -> Stored:
    """A stored state, taken apart."""
    *said, layout, reply, sealed = HEAD.unpack_from(value)
    layout_at = HEAD.size
    reply_at = layout_at + layout
    sealed_at = reply_at + reply
    rest_at = sealed_at + sealed
    parts = (value[layout_at:reply_at], value[reply_at:sealed_at], value[sealed_at:rest_at])
    return Stored._make((*said, *parts, value[rest_at:]))

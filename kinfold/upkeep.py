"""Keeps people and profiles up with the evidence: resolver and feeder in turn, under one lease."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from identity.resolver import Drained, Resolver
from identity.store import Fenced, GraphStore, Lease, StoreUnavailable
from ingest.dead_letters import LettersError
from kinfold.comparing import ActiveModels
from kinfold.keys import KeyWatch
from kinfold.model_errors import ModelsError
from kinfold.rotating import Rotation
from profiles.audit import AuditError
from profiles.deletions import LedgerError
from profiles.feed import FeedUnavailable
from profiles.feeder import Feeder
from profiles.read_view import ReadView, ViewError
from profiles.request_store import RequestsError
from profiles.vault import VaultError

IDLE_S = 0.01
RETRY_S = 0.5
BEAT_MS = 5_000
MODELS_MS = 2_000
EVERY_SIGNALS = 50_000
EVERY_S = 10.0
_ELSEWHERE = (VaultError, LettersError, AuditError, ViewError, LedgerError, RequestsError)
"""What keeps a rotation of keys waiting, and nothing else."""


@dataclass(slots=True)
class Kept:
    """What upkeep has done so far; another thread may read it."""

    marks: int = 0
    created: int = 0
    merged: int = 0
    split: int = 0
    published: int = 0
    lost_leases: int = 0

    def add(self, drained: Drained) -> None:
        """Count one resolution."""
        self.marks += drained.marks
        self.created += drained.created
        self.merged += drained.merged
        self.split += drained.split


class Upkeep:
    """Resolver and feeder of one process; one thread, which owns the store.

    While another process holds the lease this one does nothing and tries again.
    `now_us` is the clock, microseconds since 1970 UTC. `view` is where a feed
    that keeps no log ends: a view that was lost is filled again. Whoever takes the
    lease under a policy that folds profiles otherwise than the last one publishes
    everybody anew, a thousand at a time, so that whoever changes meanwhile need
    not wait. Where `models`
    are given, others that are put in force are used within seconds. `watch` hears
    of rotated keys, `rotation` carries rotations out while this process has the lease.
    """

    def __init__(
        self,
        store: GraphStore,
        resolver: Resolver,
        feeder: Feeder,
        *,
        owner: str,
        lease_ms: int,
        now_us: Callable[[], int],
        view: ReadView | None = None,
        models: ActiveModels | None = None,
        watch: KeyWatch | None = None,
        rotation: Rotation | None = None,
    ) -> None:
        self.kept = Kept()
        self._store = store
        self._resolver = resolver
        self._feeder = feeder
        self._owner = owner
        self._lease_ms = lease_ms
        self._now_us = now_us
        self._view = view
        self._models = models
        self._models_ms = 0
        self._also: list[Callable[[], object]] = [] if watch is None else [watch.look]
        self._rotation = rotation
        self._led = 0
        self._refolding: Iterator[int] | None = None
        self._lease: Lease | None = None
        self._renew_ms = 0
        self._beat_ms = 0
        self._waiting = 0
        self._due_us = 0

    def also(self, look: Callable[[], object]) -> None:
        """Do this as well, each time."""
        self._also.append(look)

    def once(self) -> bool:
        """Resolve what is marked and publish who changed; whether there was anything to do.

        Raises:
            StoreUnavailable, FeedUnavailable: nothing is lost; call again later.
        """
        for look in self._also:
            look()
        lease = self._hold()
        if lease is None:
            return False
        try:
            if self._view is not None:
                self._feeder.refill(lease, self._view)
                self._view = None
            self._renew_models()
            refolding = self._refold(lease)
            drained = self._resolver.drain(lease, self._now_us())
            if drained is not None:
                self.kept.add(drained)
            fed = self._feeder.drain(lease)
            rotating = self._rotate(lease, published=fed == 0)
        except Fenced:
            self._lease = None
            self.kept.lost_leases += 1
            return False
        self.kept.published += fed
        self._beat(heard=fed > 0)
        return drained is not None or refolding or fed > 0 or rotating

    def settle(self) -> None:
        """Until nothing is marked and the outbox is empty, whoever does the work.

        Raises: as `once`.
        """
        pause = threading.Event()
        while self.once() or self._store.marks(1) or self._store.outbox(1):
            if self._lease is None:
                pause.wait(IDLE_S)

    def run(self, stop: threading.Event) -> None:
        """Go on until told to stop; what is out of reach is tried again."""
        while not stop.is_set():
            try:
                pause_s = 0.0 if self.once() else IDLE_S
            except (StoreUnavailable, FeedUnavailable):
                pause_s = RETRY_S
            stop.wait(pause_s)

    def after(self, signals: int) -> None:
        """Between batches of the same thread: settle when enough has come or time has passed.

        A profile that changes in every batch is then built once for many of
        them, which is what makes bulk loading fast.

        Raises: as `once`.
        """
        self._waiting += signals
        now_us = self._now_us()
        if self._waiting >= EVERY_SIGNALS or now_us >= self._due_us:
            self._waiting = 0
            while self.once():
                pass
            self._due_us = self._now_us() + int(EVERY_S * 1_000_000)

    def beat(self) -> None:
        """Tell followers now that the feeder lives, if this process holds the lease."""
        if self._hold() is not None:
            self._feeder.beat()

    def release(self) -> None:
        """Let go of the lease, so that nobody has to wait until it runs out. Call it at the end."""
        if self._rotation is not None:
            self._rotation.close()
        if self._lease is not None:
            # Out of reach, or lost already: then it runs out by itself.
            with suppress(StoreUnavailable):
                self._store.acquire_lease(self._owner, self._now_us() // 1_000, 0)
            self._lease = None

    def _hold(self) -> Lease | None:
        """The lease, renewed when a third of its time has gone."""
        now_ms = self._now_us() // 1_000
        if self._lease is None or now_ms >= self._renew_ms:
            self._lease = self._store.acquire_lease(self._owner, now_ms, self._lease_ms)
            self._renew_ms = now_ms + self._lease_ms // 3
            # While another has the lease it may have turned feed and view over.
            epoch = 0 if self._lease is None else self._lease.epoch
            if self._rotation is not None and (not epoch or epoch != self._led):
                self._rotation.restart()
            if epoch != self._led:
                self._refolding = None
            self._led = epoch
        return self._lease

    def _refold(self, lease: Lease) -> bool:
        """Enqueue some more of everybody, where the policy has changed; whether there were any."""
        refolding = self._refolding or self._feeder.refolding(lease)
        # One that is cut short by a failure is at its end: begin anew then.
        self._refolding = None
        enqueued = next(refolding, 0)
        self._refolding = refolding
        return enqueued > 0

    def _rotate(self, lease: Lease, *, published: bool) -> bool:
        """One step of a rotation of keys; what is out of reach is tried again the next time."""
        if self._rotation is None:
            return False
        with suppress(*_ELSEWHERE):
            return self._rotation.step(lease, self._now_us(), published=published)
        return False

    def _renew_models(self) -> None:
        """Look now and then which models are in force; what cannot be read changes nothing."""
        now_ms = self._now_us() // 1_000
        if self._models is None or now_ms < self._models_ms:
            return
        self._models_ms = now_ms + MODELS_MS
        with suppress(ModelsError):
            if self._models.changed():
                self._resolver.use(self._models.comparers())

    def _beat(self, heard: bool) -> None:
        now_ms = self._now_us() // 1_000
        if heard:
            self._beat_ms = now_ms + BEAT_MS
        elif now_ms >= self._beat_ms:
            self._feeder.beat()
            self._beat_ms = now_ms + BEAT_MS

"""Rotates epoch keys and token keys in small steps, between which resolver and feeder go on.

1. Whoever uses keys is given time to notice; then the graph takes in nothing
   made under older keys.
2. Nodes are named anew, where there is a new token key.
3. Sealed values in the graph are wrapped anew, then those of dead letters.
4. Everybody is published anew into a fresh feed and view; followers go over,
   the former ones are deleted.
5. Older epochs' keys are destroyed, and the audit log says so.

How far it is stands in the vault. Killed between any two steps, whoever holds
the lease next goes on; each step may be done again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from enum import IntEnum
from typing import Protocol

from identity.store import GraphStore, KeyAge, Lease
from identity.tokens import rekeying
from kinfold.keys import CHAIN, STAGE, age_of, chain_of
from profiles.feeder import Feeder
from profiles.sealing import Sealer, Unreadable
from profiles.turning import Turning
from profiles.vault import KeyDestroyed, KeyVault

BEGAN_US, ROTATED_US, MADE_US, DONE = "began_us", "rotated_us", "made_us", "done"
"""Numbers in the vault: since when, when the last one ended, when the present epoch was made, and
how many places the present stage has been through."""
AT_ONCE = 1_000
NOTICE_US = 3_000_000
"""How long whoever uses keys has to notice new ones; they look every second."""
LOOK_US = 1_000_000
DAY_US = 86_400_000_000


class Stage(IntEnum):
    """How far a rotation is."""

    IDLE = 0
    NOTICE = 1
    NODES = 2
    GRAPH = 3
    LETTERS = 4
    PUBLISH = 5
    FOLLOWERS = 6
    DESTROY = 7


class Letters(Protocol):
    """What else holds sealed values beside the graph (`ingest.dead_letters.DeadLetters`)."""

    def rewrap(self, rewrap: Callable[[bytes], bytes]) -> int:
        """Put every sealed value through `rewrap`; how many changed."""


class Announce(Protocol):
    """Whom a rotation asks, and tells of its end before and after keys are destroyed."""

    def before(self, epochs: tuple[int, ...], at_us: int) -> None:
        """These are about to be destroyed; called again where that was cut short."""

    def may_rename(self, chain: int) -> bool:
        """Whether nothing is under way that still names nodes as they were; from here on nothing
        begins that names them under fewer token keys than these.
        """

    def after(self, age: KeyAge, at_us: int) -> None:
        """Keys of this age are the only ones left; called again where that was cut short."""


def begin(vault: KeyVault, at_us: int, *, epoch: bool = True, tokens: bool = False) -> bool:
    """Ask for a rotation: whoever keeps people up carries it out. False: one is under way."""
    if is_under_way(vault):
        return False
    vault.agree(BEGAN_US, at_us)
    if epoch:
        vault.agree(MADE_US, at_us)
        vault.new_epoch()
    if tokens:
        vault.new_token_key()
    return True


def next_rotation_us(vault: KeyVault, every_days: int) -> int:
    """When the present epoch's key is due to be replaced and destroyed; 0: only by hand."""
    made_us = vault.agreed(MADE_US)
    return made_us + every_days * DAY_US if made_us and every_days else 0


def is_under_way(vault: KeyVault) -> bool:
    """Whether a rotation was asked for that is not at its end."""
    return (
        vault.agreed(STAGE) != Stage.IDLE
        or len(vault.epochs()) > 1
        or len(vault.token_keys()) > len(chain_of(vault))
    )


class Rotation:
    """Carries rotations out, step by step, in the process that holds the resolver's lease.

    `every_days` begins one when the epoch is so old; 0: never. `letters` gives
    what holds sealed values beside the graph, opened for this thread; `renamed`
    lets go of what is kept in memory by node.
    """

    def __init__(
        self,
        vault: KeyVault,
        store: GraphStore,
        feeder: Feeder,
        turning: Turning,
        sealer: Sealer,
        letters: Callable[[], AbstractContextManager[Iterable[Letters]]],
        announce: Announce,
        renamed: Callable[[], None],
        *,
        every_days: int,
    ) -> None:
        self._vault = vault
        self._store = store
        self._feeder = feeder
        self._turning = turning
        self._sealer = sealer
        self._letters = letters
        self._announce = announce
        self._renamed = renamed
        self._every_us = every_days * DAY_US
        self._look_us = 0
        self._position = b""
        self._looked = 0
        self._tell_us = 0
        self._enqueuing: Iterator[int] | None = None
        self._resumed = False
        self._steps: dict[Stage, Callable[[Lease, bool, int], Stage]] = {
            Stage.IDLE: self._idle,
            Stage.NOTICE: self._notice,
            Stage.NODES: self._nodes,
            Stage.GRAPH: self._graph,
            Stage.LETTERS: self._dead_letters,
            Stage.PUBLISH: self._publish,
            Stage.FOLLOWERS: self._followers,
            Stage.DESTROY: self._destroy,
        }

    def step(self, lease: Lease, now_us: int, *, published: bool) -> bool:
        """Do one small step; whether there is more to do at once.

        `published` says that the outbox was found empty just now.

        Raises:
            Fenced: another has taken over the lease, and goes on.
            StoreError, FeedError, VaultError, LettersError, AuditError: try again.
        """
        stage = Stage(self._vault.agreed(STAGE)) if self._is_time(now_us) else Stage.IDLE
        if stage is Stage.IDLE and now_us < self._look_us:
            return False
        after = self._steps[stage](lease, published, now_us)
        if after is not stage:
            self._vault.agree(DONE, 0)
            self._vault.agree(STAGE, after)
            self._begin_stage()
        elif self._looked and now_us >= self._tell_us:
            self._tell_us = now_us + LOOK_US
            self._vault.agree(DONE, self._looked)
        return after not in (Stage.IDLE, Stage.FOLLOWERS) and now_us >= self._look_us

    def _is_time(self, now_us: int) -> bool:
        return self._enqueuing is not None or self._position != b"" or now_us >= self._look_us

    def _begin_stage(self) -> None:
        self._position, self._looked, self._enqueuing, self._look_us = b"", 0, None, 0

    def restart(self) -> None:
        """Forget how far the present stage is: the lease was another's, or the stage is done."""
        self._begin_stage()
        self._resumed = False
        self._feeder.use(self._turning.present())

    def close(self) -> None:
        """Let go of the feeds that a rotation opened."""
        self._turning.close()

    # ---- stages ----------------------------------------------------------

    def _idle(self, lease: Lease, published: bool, now_us: int) -> Stage:
        del lease, published
        self._look_us = now_us + LOOK_US
        if not self._vault.agreed(MADE_US):
            self._vault.agree(MADE_US, now_us)
        if not is_under_way(self._vault):
            made_us = self._vault.agreed(MADE_US)
            if not self._every_us or now_us < made_us + self._every_us:
                return Stage.IDLE
            begin(self._vault, now_us)
        return Stage.NOTICE

    def _notice(self, lease: Lease, published: bool, now_us: int) -> Stage:
        """Wait until everybody who runs has noticed; then older keys are of no use any more."""
        del lease, published
        if now_us < self._vault.agreed(BEGAN_US) + NOTICE_US:
            self._look_us = now_us + LOOK_US // 10
            return Stage.NOTICE
        self._sealer.renew()
        self._store.require(age_of(self._vault))
        return Stage.NODES

    def _nodes(self, lease: Lease, published: bool, now_us: int) -> Stage:
        """Name nodes anew where the graph's are named under fewer keys than there are."""
        del published
        chain = self._vault.token_keys()
        named = max(self._store.keys().tokens, 1)
        if named < len(chain):
            if not self._announce.may_rename(len(chain)):
                self._look_us = now_us + LOOK_US
                return Stage.NODES
            age = KeyAge(self._vault.current_epoch(), len(chain))
            self._store.rekey(lease, rekeying(chain[named:]), age)
            self._renamed()
        self._vault.agree(CHAIN, len(chain))
        return Stage.GRAPH

    def _graph(self, lease: Lease, published: bool, now_us: int) -> Stage:
        """Wrap some values anew. None comes in under an older epoch, so one pass is all."""
        del lease, published, now_us
        self._renewed()
        step = self._store.rewrap(self._rewrap, self._position, AT_ONCE)
        self._position = step.position
        self._looked += step.looked
        return Stage.GRAPH if step.position else Stage.LETTERS

    def _dead_letters(self, lease: Lease, published: bool, now_us: int) -> Stage:
        del lease, published, now_us
        self._rewrap_letters()
        return Stage.PUBLISH

    def _publish(self, lease: Lease, published: bool, now_us: int) -> Stage:
        """Enqueue everybody, a thousand at a time; done when the outbox was empty after the last.

        Each thousand raises what is sealed; what changes meanwhile is published to both.
        """
        del now_us
        self._renewed()
        if self._enqueuing is None:
            self._feeder.use(self._turning.begin())
            self._enqueuing = iter(self._feeder.enqueuing(lease))
            self._looked = 0
            return Stage.PUBLISH
        for enqueued in self._enqueuing:
            self._looked += enqueued
            return Stage.PUBLISH
        if not published:
            return Stage.PUBLISH
        self._turning.switch()
        return Stage.FOLLOWERS

    def _followers(self, lease: Lease, published: bool, now_us: int) -> Stage:
        del lease, published
        if not self._resumed:
            self._resumed = True
            self._feeder.use(self._turning.resume())
        if not self._turning.is_left():
            self._look_us = now_us + LOOK_US // 2
            return Stage.FOLLOWERS
        self.restart()
        return Stage.DESTROY

    def _destroy(self, lease: Lease, published: bool, now_us: int) -> Stage:
        """Destroy all epochs but the current one; a last look at letters, for whoever was slow."""
        del lease, published
        self._renewed()
        self._rewrap_letters()
        at_us = self._vault.agreed(ROTATED_US)
        if at_us < self._vault.agreed(BEGAN_US):
            at_us = now_us
            self._vault.agree(ROTATED_US, at_us)
        older = self._vault.epochs()[:-1]
        self._announce.before(older, at_us)
        for epoch in older:
            self._vault.destroy_epoch(epoch)
        self._announce.after(age_of(self._vault), at_us)
        self._sealer.renew()
        return Stage.IDLE

    # ---- what stages share -----------------------------------------------

    def _renewed(self) -> None:
        if self._sealer.epoch != self._vault.current_epoch():
            self._sealer.renew()

    def _rewrap(self, sealed: bytes) -> bytes:
        """Wrapped anew; what nobody can open any more, or never could, stays as it is."""
        with suppress(KeyDestroyed, Unreadable):
            return self._sealer.rewrap(sealed)
        return sealed

    def _rewrap_letters(self) -> None:
        with self._letters() as opened:
            for letters in opened:
                letters.rewrap(self._rewrap)

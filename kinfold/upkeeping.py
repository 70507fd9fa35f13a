"""Upkeep from settings: resolver, feeder and rotation of keys over one store and one feed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager

from identity.resolver import Resolver
from identity.store import GraphStore, KeyAge
from kinfold.auditing import open_audit
from kinfold.clusters import cluster_of
from kinfold.keys import KeyWatch
from kinfold.letters import open_letters
from kinfold.requests import open_requests
from kinfold.rotating import MADE_US, Letters, Rotation
from kinfold.settings import Settings
from kinfold.upkeep import Upkeep
from kinfold.wiring import (
    Policies,
    ledger_path,
    new_person_id,
    now_us,
    open_active_models,
    open_builder,
    open_sealer,
    open_tokens,
    owner_name,
    view_root,
)
from profiles.audit import Event, Kind
from profiles.deletions import DeletionLedger
from profiles.feed import ProfileFeed
from profiles.feed_local import LocalFeed
from profiles.feeder import Feeder
from profiles.sealing import Sealer
from profiles.turning import LocalTurning, Turning, ViewTurning
from profiles.vault import KeyVault


def open_upkeep(
    settings: Settings, policies: Policies, vault: KeyVault, store: GraphStore, feed: ProfileFeed
) -> Upkeep:
    """Resolver and feeder over a store and a feed, with the match models in force.

    Raises:
        ModelsError: a model in force cannot be used.
    """
    sealer = open_sealer(vault)
    models = open_active_models(settings, policies, vault, sealer)
    resolver = Resolver(store, policies.identity, new_person_id, models.comparers())
    feeder = Feeder(store, open_builder(policies, vault, sealer), feed)
    watch = KeyWatch(vault, time.monotonic)
    watch.tell(sealer.renew)
    watch.tell(resolver.forget)
    return Upkeep(
        store,
        resolver,
        feeder,
        owner=owner_name(),
        lease_ms=settings.graph.lease_ms,
        now_us=now_us,
        view=feed.view if isinstance(feed, LocalFeed) else None,
        models=models,
        watch=watch,
        rotation=open_rotation(settings, vault, store, feeder, feed, sealer, resolver.forget),
    )


def open_rotation(
    settings: Settings,
    vault: KeyVault,
    store: GraphStore,
    feeder: Feeder,
    feed: ProfileFeed,
    sealer: Sealer,
    renamed: Callable[[], None],
) -> Rotation:
    """What rotates the keys of all that this home holds, and publishes by the feeder."""

    @contextmanager
    def letters() -> Iterator[Iterable[Letters]]:
        with (
            closing(open_letters(settings)) as opened,
            closing(open_requests(settings, vault)) as requests,
        ):
            yield (opened, requests)

    return Rotation(
        vault,
        store,
        feeder,
        _turning(settings, vault, feed),
        sealer,
        letters,
        Announced(settings, vault),
        renamed,
        every_days=settings.keys.rotate_days,
    )


def _turning(settings: Settings, vault: KeyVault, feed: ProfileFeed) -> Turning:
    if isinstance(feed, LocalFeed):
        files = ViewTurning(view_root(settings), feed.view, time.monotonic)
        return LocalTurning(feed, files, lambda: now_us() // 1_000)
    # Here, not above: a driver that is not asked for need not be loaded.
    from profiles.feed_pulsar import PulsarFeed  # noqa: PLC0415
    from profiles.turning_pulsar import PulsarTurning  # noqa: PLC0415

    cluster = cluster_of(settings)
    assert cluster is not None, "a feed that is not local is Pulsar's"
    assert isinstance(feed, PulsarFeed), "there are two engines of the feed"
    return PulsarTurning(cluster, settings.pulsar.feed_topic, vault, feed)


class Announced:
    """Writes the end of rotations to the deletion ledger and the audit log."""

    def __init__(self, settings: Settings, vault: KeyVault) -> None:
        self._settings = settings
        self._vault = vault

    def before(self, epochs: tuple[int, ...], at_us: int) -> None:
        """Put down which keys must exist no more: a vault restored later loses them again."""
        with closing(self._ledger()) as ledger:
            for epoch in epochs:
                ledger.destroyed(epoch, at_us)

    def may_rename(self, chain: int) -> bool:
        """Whether no erasure is under way; from here on none begins under fewer token keys."""
        with closing(self._ledger()) as ledger:
            return ledger.rename(chain)

    def _ledger(self) -> DeletionLedger:
        tokens = open_tokens(self._vault)
        return DeletionLedger(ledger_path(self._settings), tokens.forward, tokens.chain)

    def after(self, age: KeyAge, at_us: int) -> None:
        """Log since when no copy made before can be read, once however often it is told."""
        event = Event(
            Kind.KEYS,
            f"epoch:{age.epoch}:tokens:{age.tokens}",
            at_us,
            "kinfold",
            (),
            {
                "epoch": age.epoch,
                "token_keys": age.tokens,
                "epoch_made_us": self._vault.agreed(MADE_US),
                "unreadable_before_us": at_us,
            },
        )
        with closing(open_audit(self._settings, self._vault)) as log:
            log.append([event])

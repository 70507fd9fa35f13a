"""A whole kinfold in one process, from signals to a read view, for asking over gRPC."""

from __future__ import annotations

import itertools
import random
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import orjson

from identity import policy as identity_policy
from identity.engines.memory import MemoryGraph, MemoryGraphStore
from identity.engines.sqlite import SqliteGraphStore
from identity.matching.model import MatchModel
from identity.model import Contribution, PersonId
from identity.naming import Naming
from identity.resolver import Resolver
from identity.retention import Retention
from identity.store import GraphStore
from identity.tokens import Tokens
from ingest.intake import Intake
from ingest.payloads import read_purchase, read_record
from ingest.rejected import Rejected
from kinfold.comparing import record_comparer
from kinfold.retention import Expired, Trims, expire_due
from profiles import attributes, purposes
from profiles.build import Builder, Payloads, ProfilePolicy
from profiles.feed import ProfileFeed
from profiles.feed_local import LocalFeed
from profiles.feeder import Feeder
from profiles.lookup import Lookup
from profiles.read_view import ReadView
from profiles.sealing import Sealer
from profiles.vault_memory import MemoryVault
from tests.support.store_driver import Consumer, lease_of

ROOT = Path(__file__).parents[2]
NOW_US = 1_790_000_000_000_000
MAX_SILENCE_MS = 60_000
_BASE32 = str.maketrans("0123456789", "abcdefghij")


Model = Callable[[bytes], MatchModel]
"""A match model learnt with a matching key."""


class Made(Protocol):
    """What a kinfold is made of; it is closed with it."""

    store: GraphStore

    def feed(self, view: ReadView, now_ms: Callable[[], int]) -> ProfileFeed:
        """The feed into a view."""

    def caught_up(self, view: ReadView) -> None:
        """Return when the view shows all that was published."""

    def close(self) -> None:
        """Let go of the store, and of what the feed is read with."""


class InProcess:
    """Over any graph store, with a feed into the view of the same process."""

    def __init__(self, store: GraphStore) -> None:
        self.store = store

    def feed(self, view: ReadView, now_ms: Callable[[], int]) -> ProfileFeed:
        """Applied as it is published."""
        return LocalFeed(view, now_ms)

    def caught_up(self, view: ReadView) -> None:
        """It always is."""

    def close(self) -> None:
        """Close the store."""
        self.store.close()


class Served:
    """Signals in, lookups out; every part is the real one, and the clock is `now_us`.

    `model` learns the match model for records that is in force.
    """

    def __init__(self, folder: Path, made: Made | None = None, model: Model | None = None) -> None:
        document = tomllib.loads((ROOT / "kinfold" / "default_policy.toml").read_text("utf-8"))
        policy = ProfilePolicy(
            identity_policy.parse(document), purposes.parse(document), attributes.parse(document)
        )
        vault = MemoryVault(random.Random(1).randbytes)
        sealer = self.sealer = Sealer(vault, random.Random(2).randbytes)
        self.now_us = NOW_US
        self.graph = MemoryGraph()
        self._made = made or InProcess(MemoryGraphStore(self.graph))
        self.store = self._made.store
        self.policies = policy
        self.policy = policy.identity
        tokens = Tokens(vault.token_keys(), vault.order_key())
        self.naming = Naming(policy.identity, tokens, region="CH")
        self.view = ReadView(folder)
        self.feed = self._made.feed(self.view, lambda: self.now_us // 1_000)
        self.lookup = Lookup(self.view, sealer, policy.purposes, self.naming, MAX_SILENCE_MS)
        ids = itertools.count(1)
        self._resolver = Resolver(
            self.store,
            policy.identity,
            lambda: f"{next(ids):026d}".translate(_BASE32),
            ()
            if model is None
            else (record_comparer(model(tokens.matching_key()), tokens, sealer),),
        )
        self.purposes = policy.purposes
        self.builder = Builder(policy, sealer, Payloads(read_record, read_purchase))
        self._feeder = Feeder(self.store, self.builder, self.feed)
        self._keys = (vault.token_keys(), vault.order_key(), sealer)
        self.retention = Retention()
        self._intake = self.new_intake()
        self._consumer = Consumer(self.store)

    def clock_us(self) -> int:
        """The time."""
        return self.now_us

    def take(self, *signals: dict[str, Any]) -> None:
        """Take signals in, resolve them and publish whoever changed."""
        refused = self.take_some(*signals)
        assert not refused, refused

    def take_some(self, *signals: dict[str, Any]) -> list[Rejected]:
        """As `take`, of signals of which some may be refused; those that were."""
        taken = [self._intake.from_json(orjson.dumps(signal), self.now_us) for signal in signals]
        self._consumer.take(*(one for one in taken if isinstance(one, Contribution)))
        self.settle()
        return [one for one in taken if isinstance(one, Rejected)]

    def new_intake(self) -> Intake:
        """An intake with the same keys and policy."""
        return Intake(self.policy, *self._keys, purposes=self.purposes, retention=self.retention)

    def keep(self, retention: Retention) -> None:
        """Keep things for so long from now on."""
        self.retention = retention
        self._intake = self.new_intake()

    def expire_due(self) -> Expired:
        """Let expire what is due, resolve and publish."""
        trims = Trims(self.sealer)
        outcome = expire_due(self.store, self.policies, self.retention, self.now_us, trims)
        self.settle()
        return outcome

    def settle(self) -> None:
        """Resolve what is marked and publish whoever changed."""
        lease = lease_of(self.store)
        while self._resolver.drain(lease, self.now_us):
            pass
        while self._feeder.drain(lease):
            pass
        self._made.caught_up(self.view)

    def person(self, kind: str, value: str) -> PersonId:
        """Who an identifier stands for in the graph."""
        key = self.naming(kind, value)
        assert key is not None
        return self.store.person_of((key,))[key]

    def beat(self) -> None:
        """The feed is heard from."""
        self.feed.beat()
        self._made.caught_up(self.view)

    def heard_us(self) -> int:
        """When the view heard from the feed last."""
        return self.view.heard_ms() * 1_000

    def close(self) -> None:
        """Close all of it."""
        self.feed.close()
        self._made.close()
        self.view.close()


Make = Callable[[], Served]
"""Makes a whole kinfold with nothing in it, in place of the one before."""


@contextmanager
def one_at_a_time(made: Callable[[int], Served]) -> Iterator[Make]:
    """Makes kinfolds by number, each in place of the one before; the last is closed at the end."""
    numbers, opened = itertools.count(), list[Served]()

    def make() -> Served:
        clear()
        opened.append(made(next(numbers)))
        return opened[-1]

    def clear() -> None:
        while opened:
            opened.pop().close()

    try:
        yield make
    finally:
        clear()


@contextmanager
def in_memory(folder: Path, model: Model | None = None) -> Iterator[Make]:
    """Kinfolds on the reference engine."""
    with one_at_a_time(lambda number: Served(folder / f"{number}", model=model)) as make:
        yield make


@contextmanager
def embedded(folder: Path, model: Model | None = None) -> Iterator[Make]:
    """Kinfolds on the embedded engine, a fresh file for each."""

    def made(number: int) -> Served:
        store = SqliteGraphStore(folder / f"{number}.graph")
        return Served(folder / f"{number}", InProcess(store), model)

    with one_at_a_time(made) as make:
        yield make


_numbers = itertools.count(1)


def signal(*identifiers: tuple[str, str], **content: Any) -> dict[str, Any]:
    """A signal in proto JSON with an id of its own; a login of these identifiers by default."""
    return {
        "source": "crm",
        "signal_id": f"s-{next(_numbers)}",
        "event_time": "2026-03-01T12:00:00Z",
        "assurance": "ASSURANCE_AUTHENTICATED",
        "identifiers": [{"kind": kind, "value": value} for kind, value in identifiers],
        **(content or {"logged_in": {"method": "password"}}),
    }


def viewed(category: str) -> dict[str, Any]:
    """The content of a page view."""
    return {"behaviour": {"type": "BEHAVIOUR_TYPE_PAGE_VIEW", "category": category}}


def decided(**granted: bool) -> dict[str, Any]:
    """The content of a consent decision."""
    decisions = [{"purpose": name, "granted": is_granted} for name, is_granted in granted.items()]
    return {"consent_decided": {"decisions": decisions, "text_version": "1"}}

"""A whole kinfold in one process, from signals to a read view, for asking over gRPC."""

from __future__ import annotations

import itertools
import random
import tomllib
from pathlib import Path
from typing import Any

import orjson

from identity import policy as identity_policy
from identity.engines.memory import MemoryGraph, MemoryGraphStore
from identity.model import Contribution, PersonId
from identity.naming import Naming
from identity.resolver import Resolver
from identity.tokens import Tokens
from ingest.intake import Intake
from ingest.payloads import read_purchase, read_record
from profiles import attributes, purposes
from profiles.build import Builder, Payloads, ProfilePolicy
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


class Served:
    """Signals in, lookups out; every part is the real one, and the clock is `now_us`."""

    def __init__(self, folder: Path) -> None:
        document = tomllib.loads((ROOT / "kinfold" / "default_policy.toml").read_text("utf-8"))
        policy = ProfilePolicy(
            identity_policy.parse(document), purposes.parse(document), attributes.parse(document)
        )
        vault = MemoryVault(random.Random(1).randbytes)
        sealer = self.sealer = Sealer(vault, random.Random(2).randbytes)
        self.now_us = NOW_US
        self.graph = MemoryGraph()
        self.store = MemoryGraphStore(self.graph)
        self.policy = policy.identity
        self.naming = Naming(
            policy.identity, Tokens(vault.token_keys(), vault.order_key()), region="CH"
        )
        self.view = ReadView(folder)
        self.feed = LocalFeed(self.view, lambda: self.now_us // 1_000)
        self.lookup = Lookup(self.view, sealer, policy.purposes, self.naming, MAX_SILENCE_MS)
        ids = itertools.count(1)
        self._resolver = Resolver(
            self.store, policy.identity, lambda: f"{next(ids):026d}".translate(_BASE32)
        )
        self.purposes = policy.purposes
        self.builder = Builder(policy, sealer, Payloads(read_record, read_purchase))
        self._feeder = Feeder(self.store, self.builder, self.feed)
        self._keys = (vault.token_keys(), vault.order_key(), sealer)
        self._intake = self.new_intake()
        self._consumer = Consumer(self.store)

    def clock_us(self) -> int:
        """The time."""
        return self.now_us

    def take(self, *signals: dict[str, Any]) -> None:
        """Take signals in, resolve them and publish whoever changed."""
        taken = [self._intake.from_json(orjson.dumps(signal), self.now_us) for signal in signals]
        contributions = [one for one in taken if isinstance(one, Contribution)]
        assert len(contributions) == len(taken), taken
        self._consumer.take(*contributions)
        self.settle()

    def new_intake(self) -> Intake:
        """An intake with the same keys and policy."""
        return Intake(self.policy, *self._keys, purposes=self.purposes)

    def settle(self) -> None:
        """Resolve what is marked and publish whoever changed."""
        lease = lease_of(self.store)
        while self._resolver.drain(lease, self.now_us):
            pass
        while self._feeder.drain(lease):
            pass

    def person(self, kind: str, value: str) -> PersonId:
        """Who an identifier stands for in the graph."""
        key = self.naming(kind, value)
        assert key is not None
        return self.store.person_of((key,))[key]

    def close(self) -> None:
        """Close the view."""
        self.view.close()


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

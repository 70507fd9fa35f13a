"""Records through intake, a store and the resolver: what the matching figures time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import count

from identity.matching.model import MatchModel
from identity.model import Contribution
from identity.resolver import Resolver
from identity.store import Batch, Checkpoint, GraphStore
from kinfold.collecting import collect_less_often
from kinfold.comparing import record_comparer
from kinfold.evaluate.signals import lines
from kinfold.evaluate.streaming import keys_of
from kinfold.settings import load
from kinfold.wiring import open_intake, open_policies, open_sealer, open_tokens

SEED = 1
_LEASE_MS = 10**12
Record = Mapping[str, str]


def matching_key() -> bytes:
    """What models of these figures are keyed with."""
    return open_tokens(keys_of(SEED)).matching_key()


class Stage:
    """One consumer and one resolver over a store, in one thread."""

    def __init__(self, store: GraphStore, model: MatchModel) -> None:
        # As the verbs that resolve do.
        collect_less_often()
        settings, vault, ids = load({}, {}), keys_of(SEED), count()
        policies = open_policies(settings)
        lease = store.acquire_lease("figure", 0, _LEASE_MS)
        assert lease is not None, "an empty store's lease is free"
        self._lease = lease
        self._store = store
        self._intake = open_intake(settings, policies, vault)
        comparer = record_comparer(model, open_tokens(vault), open_sealer(vault))
        self._resolver = Resolver(store, policies.identity, lambda: f"{next(ids):026d}", [comparer])
        self._at: Checkpoint = store.claim("figure")
        self._told = 0

    def take(self, records: Sequence[Record]) -> float:
        """Take records in and resolve them; gives the seconds it took, signals made beforehand."""
        told = list(lines(records, self._told))
        self._told += len(told)
        began_s = time.perf_counter()
        taken: list[Contribution] = []
        for line in told:
            outcome = self._intake.from_json(line, _NOW_US, None)
            assert isinstance(outcome, Contribution), outcome
            taken.append(outcome)
        position = str(self._told).encode()
        self._store.commit(Batch(taken, self._at, position))
        self._at = Checkpoint(self._at.partition, position, self._at.epoch)
        while self._resolver.drain(self._lease, 0) is not None:
            pass
        return time.perf_counter() - began_s


_NOW_US = 1_800_000_000_000_000

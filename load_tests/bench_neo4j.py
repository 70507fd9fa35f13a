"""Ingest into Neo4j against a bare writer: `python -m load_tests.bench_neo4j URI USER PASSWORD`.

The bare writer sends the same signals as batched `UNWIND … MERGE`: per signal
the nodes of its signal, device and login, and two relationships between them,
under constraints, at its best batch size. Ours counts a signal once it is
deduplicated, its evidence and the checkpoint are committed, its people are
resolved, their evidence is read for the profile and the outbox is cleared;
consumer, resolver and feeder have a process each, as in production. Both take
turns on the same shares of one stream; the median of the rounds counts.

- `ingest_neo4j_known_ratio`: four signals in five say nothing new about
  identity (a device and a login seen before, with a page view).
- `ingest_neo4j_new_ratio`: every signal brings a device and a login never seen.
- `…_per_s`, `…_bare_per_s`: the rates behind a ratio.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import random
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from multiprocessing.synchronize import Event
from statistics import median

from neo4j import Driver, GraphDatabase, ManagedTransaction

from identity.engines.neo4j.store import Neo4jGraphStore
from identity.model import DAY_US, Assurance, Contribution, Node, PersonId
from identity.policy import IdentityPolicy, KindPolicy
from identity.resolver import Resolver
from identity.store import Batch, Checkpoint, Lease, Outcome

Auth = tuple[str, str]
ROUNDS = 4
OURS_BATCH = 5_000
BARE_BATCHES = (500, 1_000, 2_000, 5_000)
FIRST_DAY = 20_000
POLICY = IdentityPolicy(
    kinds={
        "login": KindPolicy(
            80, max_per_person=3, account=True, keep_value=True, weight_mbits=28_000
        ),
        "device": KindPolicy(
            20, max_per_person=20, shared_beside={"login": 4}, device=True, weight_mbits=14_000
        ),
    },
    sources={"web": Assurance.AUTHENTICATED},
)

BARE = """
UNWIND $rows AS row
MERGE (s:BareSignal {id: row[0]})
MERGE (d:BareDevice {key: row[1]})
MERGE (l:BareLogin {key: row[2]})
MERGE (s)-[:FROM]->(d)
MERGE (s)-[:BY]->(l)
"""
BARE_KEYS = {"BareSignal": "id", "BareDevice": "key", "BareLogin": "key"}


@dataclass(slots=True)
class Traffic:
    """A seeded stream of page views by pairs of a device and a login."""

    random: random.Random
    signals: Iterator[int] = field(default_factory=lambda: count(1))
    pairs: list[tuple[Node, Node, tuple[str, ...]]] = field(default_factory=list)

    def new_pair(self) -> int:
        """A device and a login never seen before, by number."""
        draw = self.random
        context = (
            f"network:{_token(draw)}",
            f"browser:{draw.choice(('Chrome', 'Safari', 'Firefox', 'Edge'))}",
            f"system:{draw.choice(('Android', 'iOS', 'Windows', 'macOS'))}",
            f"device_type:{draw.choice(('phone', 'tablet', 'desktop'))}",
            f"locale:{draw.choice(('en-GB', 'de-DE', 'fr-FR'))}",
        )
        login = Node(f"login:{_token(draw)}", draw.getrandbits(62), draw.randbytes(120))
        device = Node(f"device:{_token(draw)}", draw.getrandbits(62))
        self.pairs.append((login, device, context))
        return len(self.pairs) - 1

    def view(self, pair: int) -> Contribution:
        """One page view of a pair."""
        login, device, context = self.pairs[pair]
        number = next(self.signals)
        at_us = FIRST_DAY * DAY_US + number * 250_000
        page = (f"category:c{self.random.randrange(40)}", "type:page_view", "channel:web")
        return Contribution(
            signal=self.random.getrandbits(62),
            digest=self.random.randbytes(8),
            event_us=at_us,
            published_us=at_us + 1_000_000,
            source="web",
            assurance=Assurance.AUTHENTICATED,
            nodes=(login, device),
            activity=((login.key, page), (device.key, context)),
        )

    def share(self, signals: int, new: float) -> list[Contribution]:
        """A share of the stream, of which a part is by pairs never seen."""
        draw = self.random
        return [
            self.view(self.new_pair() if draw.random() < new else draw.randrange(len(self.pairs)))
            for _ in range(signals)
        ]


def _token(draw: random.Random) -> str:
    return urlsafe_b64encode(draw.randbytes(16)).decode()[:22]


# ---- bare ----------------------------------------------------------------


@dataclass(slots=True)
class Bare:
    """The bare writer at its best batch size."""

    driver: Driver
    batch: int = BARE_BATCHES[0]

    def prepare(self) -> None:
        """Make its constraints."""
        with self.driver.session() as session:
            for label, name in BARE_KEYS.items():
                session.run(
                    f"CREATE CONSTRAINT IF NOT EXISTS FOR (n:{label}) REQUIRE n.{name} IS UNIQUE"
                ).consume()

    def write(self, share: Sequence[Contribution], batch: int = 0) -> float:
        """Write a share; the seconds it took."""
        size = batch or self.batch
        rows: list[list[object]] = [
            [one.signal, one.nodes[1].key, one.nodes[0].key] for one in share
        ]
        start_s = time.perf_counter()
        with self.driver.session() as session:
            for start in range(0, len(rows), size):
                session.execute_write(_send, rows[start : start + size])
        return time.perf_counter() - start_s

    def choose(self, traffic: Traffic, new: float) -> None:
        """Find its best batch size, on traffic that does not count; also warms the server up."""
        share_size = BARE_BATCHES[-1]
        self.write(traffic.share(share_size, new))
        taken_s = {size: self.write(traffic.share(share_size, new), size) for size in BARE_BATCHES}
        self.batch = min(taken_s, key=lambda size: taken_s[size])


def _send(transaction: ManagedTransaction, rows: list[list[object]]) -> None:
    transaction.run(BARE, rows=rows).consume()


# ---- ours ----------------------------------------------------------------


class Ours:
    """Consumer in this process, resolver and feeder in one each beside it."""

    def __init__(self, uri: str, auth: Auth) -> None:
        self._store = Neo4jGraphStore(uri, auth)
        self._at = self._store.claim(f"bench-{time.time_ns()}")
        context = multiprocessing.get_context("spawn")
        self._ended = context.Event()
        self._helpers = [
            context.Process(target=work, args=(uri, auth, self._ended), daemon=True)
            for work in (_resolve_until, _feed_until)
        ]
        for helper in self._helpers:
            helper.start()

    def close(self) -> None:
        """End the helpers."""
        self._ended.set()
        for helper in self._helpers:
            helper.join(30)
        self._store.close()

    def write(self, share: Sequence[Contribution]) -> float:
        """Commit a share and wait until all of it is resolved and published; the seconds taken."""
        start_s = time.perf_counter()
        for start in range(0, len(share), OURS_BATCH):
            some = share[start : start + OURS_BATCH]
            position = str(time.time_ns()).encode()
            outcomes = self._store.commit(Batch(some, self._at, position))
            assert all(outcome is Outcome.COUNTED for outcome in outcomes)
            self._at = Checkpoint(self._at.partition, position, self._at.epoch)
        while not self._idle():
            time.sleep(0.005)
        return time.perf_counter() - start_s

    def _idle(self) -> bool:
        # A resolution that begins after the first look ends in the outbox before the second.
        return not self._store.marks(1) and not self._store.outbox(1)


def _lease(store: Neo4jGraphStore) -> Lease:
    lease = store.acquire_lease("bench", time.time_ns() // 1_000_000, 10**9)
    assert lease is not None
    return lease


def _resolve_until(uri: str, auth: Auth, ended: Event) -> None:
    _collect_rarely()
    with closing(Neo4jGraphStore(uri, auth)) as store:
        lease = _lease(store)
        ids = random.Random(time.time_ns())

        def new_id() -> PersonId:
            return f"{ids.getrandbits(128):032x}"[:26]

        resolver = Resolver(store, POLICY, new_id)
        while not ended.is_set():
            if resolver.drain(lease, time.time_ns() // 1_000) is None:
                time.sleep(0.005)


def _feed_until(uri: str, auth: Auth, ended: Event) -> None:
    _collect_rarely()
    with closing(Neo4jGraphStore(uri, auth)) as store:
        lease = _lease(store)
        while not ended.is_set():
            entries = store.outbox(5_000)
            if not entries:
                time.sleep(0.005)
                continue
            found = store.evidence(entry.person for entry in entries)
            assert len(found) == len(entries)
            store.clear_outbox(lease, entries)


def _collect_rarely() -> None:
    """A batch makes hundreds of thousands of objects that all go at once, without cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 50)


# ---- the figures ---------------------------------------------------------


def run(uri: str, auth: Auth, signals: int = 20_000) -> dict[str, float]:
    """Both ratios and the rates behind them; leaves its people in the database."""
    _collect_rarely()
    figures: dict[str, float] = {}
    with GraphDatabase.driver(uri, auth=auth, notifications_min_severity="OFF") as driver:
        bare = Bare(driver)
        bare.prepare()
        with closing(Ours(uri, auth)) as ours:
            for name, new, people in (("known", 0.2, 5_000), ("new", 1.0, 0)):
                traffic = Traffic(random.Random(time.time_ns()))
                _warm_up(bare, ours, traffic, new, people)
                figures |= _turns(name, bare, ours, traffic, new, signals // ROUNDS)
    return figures


def _warm_up(bare: Bare, ours: Ours, traffic: Traffic, new: float, people: int) -> None:
    """Let both see the people there are, and the server compile what it runs."""
    if people:
        before = [traffic.view(traffic.new_pair()) for _ in range(people)]
        bare.write(before, BARE_BATCHES[-1])
        ours.write(before)
    bare.choose(traffic, new)
    ours.write(traffic.share(2 * OURS_BATCH, new))


def _turns(
    name: str, bare: Bare, ours: Ours, traffic: Traffic, new: float, signals: int
) -> dict[str, float]:
    bare_s, ours_s = [], []
    for _ in range(ROUNDS):
        share = traffic.share(signals, new)
        bare_s.append(bare.write(share))
        ours_s.append(ours.write(share))
    prefix = f"ingest_neo4j_{name}"
    return {
        f"{prefix}_ratio": median(b / o for b, o in zip(bare_s, ours_s, strict=True)),
        f"{prefix}_per_s": signals / median(ours_s),
        f"{prefix}_bare_per_s": signals / median(bare_s),
        f"{prefix}_bare_batch": float(bare.batch),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("uri")
    parser.add_argument("user")
    parser.add_argument("password")
    parser.add_argument("--signals", type=int, default=20_000)
    arguments = parser.parse_args()
    auth = (arguments.user, arguments.password)
    for name, figure in run(arguments.uri, auth, arguments.signals).items():
        print(f"{name:36} {figure:12,.2f}")


if __name__ == "__main__":
    main()

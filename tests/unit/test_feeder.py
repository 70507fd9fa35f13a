"""The feeder publishes whoever changed, and goes on where it was stopped, at whatever step."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from identity.engines.memory import MemoryGraphStore
from identity.engines.sqlite import SqliteGraphStore
from identity.model import DAY_US, Assurance, Contribution, EvidenceKind, Node
from identity.store import Fenced
from profiles.feed import FeedUnavailable
from profiles.feed_local import LocalFeed
from profiles.feeder import Feeder
from profiles.read_view import GONE, MERGED, PROFILE, ReadView
from profiles.sealing import Sealer
from profiles.v1.feed_pb2 import FeedRecord
from profiles.vault_sqlite import SqliteVault
from tests.support.profile_parts import DAY, key, new_builder, new_sealer
from tests.support.profile_works import Works, shown
from tests.support.store_driver import ENDLESS_MS, lease_of

ROOT = Path(__file__).parents[2]


def seen(
    number: int, *nodes: tuple[str, str], day: int = DAY, assurance: Assurance = Assurance.NONE
) -> Contribution:
    """A page view under these identifiers; of one number there is only one."""
    named = tuple(
        Node(key(kind, name), int.from_bytes(hashlib.sha256(name.encode()).digest()[:7]))
        for kind, name in nodes
    )
    at_us = day * DAY_US + number
    cells = ("type:page_view", f"category:c{number % 5}", "channel:web")
    return Contribution(
        number,
        number.to_bytes(8),
        at_us,
        at_us,
        "web",
        assurance,
        named,
        ((named[0].key, cells),),
    )


@pytest.fixture
def works(tmp_path: Path) -> Works:
    """Everything over the reference engine."""
    return Works(MemoryGraphStore(), new_sealer(), ReadView(tmp_path / "view"))


def test_whoever_changed_is_published(works: Works) -> None:
    """A signal shows in the profile that its identifiers lead to, and the outbox is empty."""
    works.take(seen(1, ("login", "ada"), ("device", "phone")), seen(2, ("cookie", "bob")))
    found = works.shown()
    assert set(found) == {key("login", "ada"), key("device", "phone"), key("cookie", "bob")}
    assert found[key("login", "ada")] == found[key("device", "phone")]
    assert found[key("login", "ada")].presence.signals == 1
    assert works.store.outbox(10) == []
    works.take(seen(3, ("login", "ada")))
    assert works.shown()[key("device", "phone")].presence.signals == 2


def test_a_merge_and_an_unmerge_are_followed(works: Works) -> None:
    """Two devices become one person by a login, and two again when that is retracted."""
    works.take(seen(1, ("login", "ada"), ("device", "phone")), seen(2, ("cookie", "ada")))
    apart = works.shown()
    works.take(seen(3, ("login", "ada"), ("cookie", "ada")))
    found = works.shown()
    assert found[key("cookie", "ada")] == found[key("device", "phone")]
    states = sorted(stored.state for _, stored in works.view.everything())
    assert states == [PROFILE, MERGED]
    retraction = Contribution(
        9, b"retracts", DAY * DAY_US + 50, DAY * DAY_US + 50, "web", Assurance.NONE, retracts=3
    )
    works.take(retraction)
    assert works.shown() == apart


def test_people_whose_evidence_is_gone_are_gone(works: Works) -> None:
    """When all evidence has expired, nobody is found, and the ids stand for nobody."""
    works.take(seen(1, ("login", "ada"), ("device", "phone")))
    for kind in (EvidenceKind.LINK, EvidenceKind.ACTIVITY):
        works.store.move_horizon(kind, DAY + 1)
    works.resolve()
    works.feeder.drain(lease_of(works.store))
    assert works.view.all_aliases() == {}
    assert [stored.state for _, stored in works.view.everything()] == [GONE]


def test_whoever_is_swept_and_not_resolved_yet_waits_for_it(tmp_path: Path) -> None:
    """An outbox of nobody else, between the steps of an erasure by another process, is no end."""
    store = SqliteGraphStore(tmp_path / "graph.sqlite3")
    works = Works(store, new_sealer(), ReadView(tmp_path / "view"))
    works.take(seen(1, ("login", "ada"), ("device", "phone")))
    nodes = [key("login", "ada"), key("device", "phone")]
    store.fence(dict.fromkeys(nodes, DAY * DAY_US + 2))
    store.sweep(nodes)
    assert works.feeder.drain(lease_of(store)) == 1
    works.settle()
    assert [stored.state for _, stored in works.view.everything()] == [GONE]
    store.close()


class FailingFeed(LocalFeed):
    """Loses its way at the given record: what came before in the call was taken."""

    fails_at = 0

    def publish(self, records: Sequence[FeedRecord]) -> None:
        """Take some, then fail."""
        super().publish(records[: self.fails_at])
        raise FeedUnavailable("out of reach")


@pytest.mark.parametrize("taken", [0, 1, 2, 3])
def test_what_was_half_published_is_published_again(works: Works, taken: int) -> None:
    """After a feed that failed half way, the next run brings all of it."""
    failing = FailingFeed(works.view, lambda: 1)
    failing.fails_at = taken
    works.consumer.take(*(seen(n, ("login", f"p{n}")) for n in range(3)))
    works.resolve()
    lease = lease_of(works.store)
    with pytest.raises(FeedUnavailable):
        Feeder(works.store, new_builder(works.sealer), failing).drain(lease)
    assert len(works.store.outbox(10)) == 3
    assert works.feeder.drain(lease) == 3
    assert len(works.shown()) == 3


def test_a_feeder_without_the_lease_clears_nothing(works: Works) -> None:
    """Whoever lost the lease may publish once more, which is harmless, but clears no entry."""
    works.consumer.take(seen(1, ("login", "ada")))
    works.resolve()
    stale = lease_of(works.store)
    assert works.store.acquire_lease("another", ENDLESS_MS + 1, 10)
    with pytest.raises(Fenced):
        works.feeder.drain(stale)
    assert len(works.store.outbox(10)) == 1


def test_a_lost_view_is_refilled(works: Works, tmp_path: Path) -> None:
    """A view that starts from nothing comes to show every id ever given out, as before; once."""
    works.take(seen(1, ("login", "ada"), ("device", "phone")), seen(2, ("cookie", "ada")))
    works.take(seen(3, ("login", "ada"), ("cookie", "ada")))
    works.take(seen(4, ("login", "bob")))
    before = works.shown()
    states = {person: stored.state for person, stored in works.view.everything()}
    view, lease = ReadView(tmp_path / "other"), lease_of(works.store)
    feeder = Feeder(works.store, new_builder(works.sealer), LocalFeed(view, lambda: 1))
    assert feeder.refill(lease, view) == 3
    assert feeder.drain(lease) == 3
    assert feeder.refill(lease, view) == 0
    assert shown(view, works.sealer) == before
    assert {person: stored.state for person, stored in view.everything()} == states
    versions = {person: stored.version for person, stored in works.view.everything()}
    assert all(
        stored.version > versions[person]
        for person, stored in view.everything()
        if stored.state == PROFILE
    )
    view.clear()
    assert feeder.refill(lease, view) == 3


def test_nothing_to_do_is_told(works: Works) -> None:
    """An empty outbox is zero entries."""
    assert works.feeder.drain(lease_of(works.store)) == 0


WORKER = """
import os, signal, sys
from itertools import count
from pathlib import Path
from identity.engines.sqlite import SqliteGraphStore
from profiles.read_view import ReadView
from profiles.sealing import Sealer
from profiles.vault_sqlite import SqliteVault
from tests.support.profile_works import Works
from tests.unit.test_feeder import crash_signals
folder = Path(sys.argv[1])
store = SqliteGraphStore(folder / "graph")
sealer = Sealer(SqliteVault(folder / "vault", folder / "root"), os.urandom)
works = Works(store, sealer, ReadView(folder / "view"), count(len(list(store.all_ids()))))
signals, left = crash_signals(), int(sys.argv[2])
while batch := signals[(at := int(works.consumer.at.position or 0)) : at + 5]:
    works.take(*batch)
    print(at, flush=True)
    left -= 1
    while left == 0:
        signal.pause()
works.resolve()
works.take()
"""
KILLS = 8


def crash_signals() -> list[Contribution]:
    """Some people whose devices come together and go apart, the same in every process."""
    drawn = random.Random(5)
    made = [
        seen(
            number,
            ("login", f"l{drawn.randrange(20)}"),
            (drawn.choice(["cookie", "device"]), f"d{drawn.randrange(40)}"),
            day=DAY + number % 7,
        )
        for number in range(1, 200)
    ]
    retracts = [
        Contribution(
            1_000 + n, b"retracts", (DAY + 9) * DAY_US, 0, "web", Assurance.NONE, retracts=n
        )
        for n in drawn.sample(range(1, 200), 40)
    ]
    return made + retracts


@pytest.mark.slow
def test_kill_9_at_any_step_ends_like_an_undisturbed_run(tmp_path: Path) -> None:
    """Killed again and again at random moments, the profiles end as if nothing had happened."""
    undisturbed = Works(MemoryGraphStore(), new_sealer(), ReadView(tmp_path / "other"))
    undisturbed.take(*crash_signals())
    drawn, command = random.Random(11), [sys.executable, "-c", WORKER, str(tmp_path)]
    for _ in range(KILLS):
        # However fast the machine is, a worker that is to be killed leaves something to the next.
        with subprocess.Popen([*command, "5"], stdout=subprocess.PIPE, cwd=ROOT) as worker:
            assert worker.stdout is not None
            batch_s = 0.0
            for _ in range(drawn.randrange(1, 5)):
                began_s = time.monotonic()
                assert worker.stdout.readline()
                batch_s = time.monotonic() - began_s
            time.sleep(drawn.random() * min(batch_s, 0.1))
            worker.send_signal(signal.SIGKILL)
        assert worker.returncode == -signal.SIGKILL
    subprocess.run([*command, "-1"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    vault = SqliteVault(tmp_path / "vault", tmp_path / "root")
    view = ReadView(tmp_path / "view")
    store = SqliteGraphStore(tmp_path / "graph")
    assert store.outbox(1) == []
    assert shown(view, Sealer(vault, os.urandom)) == undisturbed.shown()
    for closing in (vault, view, store):
        closing.close()

"""Home folders with people already in them, made quickly through the parts' own ports.

Everybody was seen once, is a person and has a profile in the read view: what
the resolver and the feeder would have come to, without their work. The profile
is a stand-in of the usual size; the first visit replaces it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

from identity.model import Contribution, LineageChange, LineageEntry, Mark, NodeKey, PersonId
from identity.store import Batch, Checkpoint, GraphStore, Lease, Resolution
from ingest.intake import Intake
from kinfold.feeds import local_feed
from kinfold.settings import load
from kinfold.wiring import (
    new_person_id,
    now_us,
    open_builder,
    open_intake,
    open_policies,
    open_sealer,
    open_store,
    open_vault,
    open_view,
)
from load_tests.figures.visits import first_consents, first_sights
from profiles.feed import ProfileFeed
from profiles.sealing import Sealer
from profiles.v1.feed_pb2 import FeedRecord, StoredProfile

AT_ONCE = 20_000
BATCH = 2_000
PROFILE_BYTES = 900
LEASE_MS = 3_600_000


def make_home(home: Path, people: int, *, consents: bool = False) -> None:
    """A home folder that knows so many people by a login and a device each, and their consents."""
    settings = load({"home.dir": str(home)}, {})
    with (
        closing(open_vault(settings)) as vault,
        closing(open_store(settings)) as store,
        closing(open_view(settings)) as view,
    ):
        policies = open_policies(settings)
        intake, folding = (
            open_intake(settings, policies, vault),
            open_builder(policies, vault).folding,
        )
        feed, sealer = local_feed(view), open_sealer(vault)
        signals = first_sights(people)
        decisions = first_consents(people) if consents else iter(())
        checkpoint = store.claim("seed")
        lease = store.acquire_lease("seed", now_us() // 1_000, LEASE_MS)
        assert lease is not None
        while some := list(islice(signals, AT_ONCE)):
            contributions = _understood(intake, some)
            checkpoint = _commit(store, checkpoint, contributions)
            said = _understood(intake, list(islice(decisions, AT_ONCE * 5 // 4)))
            checkpoint = _commit(store, checkpoint, said)
            _resolve(store, lease, contributions, feed, sealer)
        # As if a feeder had been through: nobody is published anew at the first start.
        store.commit_resolution(lease, Resolution({}, {}, (), (), (), folding=folding))
        view.mark_whole()
        # Whoever comes next need not wait until the lease runs out.
        store.acquire_lease("seed", 0, 1)


def _understood(intake: Intake, lines: Sequence[bytes]) -> list[Contribution]:
    taken = [intake.from_json(line, now_us()) for line in lines]
    contributions = [one for one in taken if isinstance(one, Contribution)]
    assert len(contributions) == len(lines), taken
    return contributions


def _commit(
    store: GraphStore, checkpoint: Checkpoint, contributions: Sequence[Contribution]
) -> Checkpoint:
    for start in range(0, len(contributions), BATCH):
        position = contributions[start].signal.to_bytes(8, "big")
        store.commit(Batch(contributions[start : start + BATCH], checkpoint, position))
        checkpoint = Checkpoint(checkpoint.partition, position, checkpoint.epoch)
    return checkpoint


def _resolve(
    store: GraphStore,
    lease: Lease,
    contributions: Sequence[Contribution],
    feed: ProfileFeed,
    sealer: Sealer,
) -> None:
    """Every contribution a person; cleared marks, ids and profiles as the resolver would leave."""
    keys_of = {new_person_id(): [node.key for node in one.nodes] for one in contributions}
    people = {key: person for person, keys in keys_of.items() for key in keys}
    marks = store.marks(2 * len(people))
    assert _concern(marks, people.keys()), "only what was just committed is marked"
    at_us = now_us()
    entries = [LineageEntry(LineageChange.CREATED, person, None, 0, at_us) for person in keys_of]
    number = store.commit_resolution(lease, Resolution(people, {}, entries, (), marks))
    # Under a key that there is, or the view is taken for one from before a rotation.
    sealed = sealer.seal(os.urandom(PROFILE_BYTES), b"")
    feed.publish(list(_records(keys_of, number, sealed)))


def _concern(marks: Sequence[Mark], keys: object) -> bool:
    return {mark.key for mark in marks} == keys


def _records(
    keys_of: dict[PersonId, list[NodeKey]], number: int, sealed: bytes
) -> Iterator[FeedRecord]:
    for left, (person, keys) in enumerate(keys_of.items(), 1):
        profile = StoredProfile(version=number, aliases=keys, sealed=sealed)
        is_last = left == len(keys_of)
        yield FeedRecord(
            person_id=person, sequence=number, last_of_sequence=is_last, profile=profile
        )

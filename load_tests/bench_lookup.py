"""CPU time of our own part of a lookup: `python -m load_tests.bench_lookup [people]`.

`lookup_handler_us` is from the serialized request to the serialized answer:
parsing the request, finding the person in LMDB, consent, unsealing, joining.
Every lookup is about another person, so that no cache of people could help.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

from identity import policy as identity_policy
from identity.naming import Naming
from identity.tokens import Tokens
from ingest.payloads import read_purchase, read_record
from load_tests.sample_people import sample_person
from profiles import attributes, purposes
from profiles.build import Builder, Payloads, ProfilePolicy
from profiles.feed_local import LocalFeed
from profiles.lookup import Lookup
from profiles.read_view import ReadView
from profiles.sealing import Sealer
from profiles.serve.calls import Gate
from profiles.serve.options import ServeOptions
from profiles.serve.profile_service import ProfileService
from profiles.v1.feed_pb2 import FeedRecord
from profiles.v1.profile_service_pb2 import BatchGetProfilesRequest, GetProfileRequest, Subject
from profiles.vault_memory import MemoryVault

PURPOSES = ("personalisation", "marketing")
_POLICY = Path(__file__).parent.parent / "kinfold" / "default_policy.toml"


def profile_policy() -> ProfilePolicy:
    """The policy that ships with kinfold."""
    document = tomllib.loads(_POLICY.read_text("utf-8"))
    return ProfilePolicy(
        identity_policy.parse(document), purposes.parse(document), attributes.parse(document)
    )


def now_ms() -> int:
    """The clock."""
    return time.time_ns() // 1_000_000


def fill(view: ReadView, sealer: Sealer, people: int) -> tuple[list[str], float]:
    """Build and publish people; their ids, and CPU microseconds each for both together."""
    builder = Builder(profile_policy(), sealer, Payloads(read_record, read_purchase))
    feed = LocalFeed(view, now_ms)
    samples = [sample_person(seed, sealer) for seed in range(people)]
    gc.collect()
    gc.freeze()
    begun = time.process_time()
    for at in range(0, people, 500):
        records = [
            FeedRecord(
                person_id=sample.person, sequence=at + 1, profile=builder.build(sample, at + 1)
            )
            for sample in samples[at : at + 500]
        ]
        records[-1].last_of_sequence = True
        feed.publish(records)
    spent_us = (time.process_time() - begun) * 1e6
    return [sample.person for sample in samples], spent_us / people


def cpu_us(call: Callable[[bytes], object], requests: list[bytes], rounds: int = 5) -> float:
    """The best of some rounds, per request."""
    best = float("inf")
    for _ in range(rounds):
        begun = time.process_time()
        for request in requests:
            call(request)
        best = min(best, time.process_time() - begun)
    return best / len(requests) * 1e6


def main(people: int) -> None:
    """Print the figures."""
    vault = MemoryVault(os.urandom)
    sealer = Sealer(vault, os.urandom)
    with tempfile.TemporaryDirectory() as folder:
        view = ReadView(Path(folder))
        ids, build_us = fill(view, sealer, people)
        policy = profile_policy()
        naming = Naming(policy.identity, Tokens(vault.token_keys(), vault.order_key()), "CH")
        lookup = Lookup(view, sealer, policy.purposes, naming, 60_000)
        service = ProfileService(
            lookup, lambda: time.time_ns() // 1_000, Gate(is_open=True), ServeOptions()
        )
        random.Random(7).shuffle(ids)
        subjects = [Subject(person_id=person) for person in ids]
        singles = [
            GetProfileRequest(subject=subject, purposes=PURPOSES).SerializeToString()
            for subject in subjects
        ]
        batches = [
            BatchGetProfilesRequest(
                subjects=subjects[at : at + 100], purposes=PURPOSES
            ).SerializeToString()
            for at in range(0, people, 100)
        ]
        answer = service.get(singles[0])
        assert isinstance(answer, bytes), answer
        print(f"build_seal_write_us  {build_us:8.1f}")
        print(f"answer_bytes         {len(answer):8d}")
        print(f"lookup_handler_us    {cpu_us(service.get, singles):8.2f}")
        print(f"batch_of_100_us      {cpu_us(service.batch, batches):8.1f}")
        view.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)

"""Parts that tests of profiles are made of: keys, policies, people, answers."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from pathlib import Path

import msgpack

from identity import policy as identity_policy
from identity.model import (
    DAY_US,
    HOUR_US,
    ActivityDay,
    Assurance,
    EvidenceKind,
    Fact,
    KeptFact,
    LinkDay,
    Node,
    NodeKey,
    PersonEvidence,
)
from ingest.payloads import read_purchase, read_record
from ingest.v1.signal_pb2 import Behaviour, RecordAsserted
from profiles import attributes, contexts, purposes
from profiles.build import Builder, Payloads, ProfilePolicy
from profiles.sealing import Sealer
from profiles.v1.feed_pb2 import FeedRecord, StoredProfile
from profiles.v1.profile_pb2 import Profile
from profiles.vault_memory import MemoryVault

DAY = 20_000
POLICY = tomllib.loads(
    (Path(__file__).parents[2] / "kinfold" / "default_policy.toml").read_text("utf-8")
)


def person_id(name: str) -> str:
    """A valid person id that shows whose it is; names have lower-case letters only."""
    return name.ljust(26, "2")


def key(kind: str, name: str) -> NodeKey:
    """A valid node key that shows whose it is."""
    return f"{kind}:{name.ljust(22, '0')}"


def profile_policy() -> ProfilePolicy:
    """The policy that ships with kinfold."""
    return ProfilePolicy(
        identity_policy.parse(POLICY), purposes.parse(POLICY), attributes.parse(POLICY)
    )


def new_sealer() -> Sealer:
    """A sealer over a vault of its own."""
    return Sealer(MemoryVault(os.urandom), os.urandom)


def new_builder(sealer: Sealer, policy: ProfilePolicy | None = None) -> Builder:
    """A builder under a policy, by default the shipped one, that reads what ingest writes."""
    return Builder(policy or profile_policy(), sealer, Payloads(read_record, read_purchase))


def node(sealer: Sealer, kind: str, name: str, value: str = "") -> Node:
    """An identifier, with its sealed value where one is given."""
    named = key(kind, name)
    place = contexts.of_identifier(kind, len(name))
    return Node(named, len(name), sealer.seal(value.encode(), place) if value else b"")


def active(day: int, count: int = 1, hour: int = 9, **cells: int) -> ActivityDay:
    """A day's activity; cells are named `category__sport`."""
    first_us = day * DAY_US + hour * HOUR_US
    named = {name.replace("__", ":", 1): n for name, n in cells.items()}
    return ActivityDay(count, first_us, first_us + count, {hour: count}, named)


def sighting(at_us: int, count: int = 1, source: str = "web") -> LinkDay:
    """One day's sightings of a link, all at one moment."""
    return LinkDay(at_us // DAY_US, source, Assurance.AUTHENTICATED, count, at_us, at_us)


def kept(fact: Fact, at_us: int, source: str = "web", digest: bytes = b"digest01") -> KeptFact:
    """A fact as the graph keeps it, published when it happened."""
    return KeptFact(1, digest, at_us, at_us, source, Assurance.CLAIMED, fact)


def consent(at_us: int, subjects: Iterable[NodeKey], **said: bool) -> KeptFact:
    """A decision on purposes."""
    payload = msgpack.packb({"decisions": said, "text_version": "1", "place": ""})
    return kept(Fact(EvidenceKind.CONSENT, tuple(subjects), payload), at_us)


def record(
    sealer: Sealer, name: str, at_us: int, source: str, said: RecordAsserted
) -> tuple[Node, KeptFact]:
    """A record's node and its fact, as ingest writes them."""
    named = key("record", name)
    payload = sealer.seal(said.SerializeToString(deterministic=True), named.encode())
    fact = Fact(EvidenceKind.RECORD, (named,), payload)
    return Node(named, len(name)), kept(fact, at_us, source, name.encode())


def purchase(sealer: Sealer, holder: NodeKey, at_us: int, item: str) -> KeptFact:
    """A purchase's fact, as ingest writes it."""
    said = Behaviour(item=item, category="shoes", value=99.5, unit="CHF", channel="web")
    payload = sealer.seal(said.SerializeToString(deterministic=True), contexts.of_purchase(1))
    return kept(Fact(EvidenceKind.PURCHASE, (holder,), payload), at_us, digest=item.encode())


def sample(sealer: Sealer, name: str = "ada", *, grants: bool = True) -> PersonEvidence:
    """One person with something in every field of a profile."""
    email = node(sealer, "email", name, f"{name}@mail.example.org")
    login, device = node(sealer, "login", name, name), node(sealer, "device", name)
    at_us = DAY * DAY_US
    said = RecordAsserted(given_name=name.title(), email=f"{name}@mail.example.org")
    said.address.city = "Bern"
    asserted, fact = record(sealer, name, at_us, "crm", said)
    decided = dict.fromkeys(("personalisation", "marketing"), grants)
    return PersonEvidence(
        person_id(name),
        (email, login, device, asserted),
        (
            (device.key, login.key, (sighting(at_us), sighting(at_us + 2 * DAY_US))),
            (email.key, asserted.key, (sighting(at_us, source="crm"),)),
        ),
        {
            login.key: {
                DAY: active(DAY, 3, category__sport=2, type__page_view=3, channel__web=3),
                DAY + 2: active(DAY + 2, 1, 20, category__garden=1, type__click=1, channel__app=1),
            },
            device.key: {
                DAY: active(
                    DAY,
                    3,
                    network__home00000000000000000=3,
                    browser__Firefox=3,
                    system__Linux=3,
                    device_type__desktop=3,
                    locale__de=3,
                )
            },
        },
        (
            fact,
            purchase(sealer, login.key, at_us + 5, "red shoe"),
            consent(at_us, (login.key,), **decided),
        ),
    )


def opened(sealer: Sealer, person: str, stored: StoredProfile) -> Profile:
    """All of a stored profile, opened."""
    context = person.encode() + stored.layout
    return Profile.FromString(sealer.open(stored.sealed, context))


def feed_records(sequence: int, *records: FeedRecord) -> list[FeedRecord]:
    """The records of one sequence, the last one marked."""
    for one in records:
        one.sequence = sequence
        one.last_of_sequence = one is records[-1]
    return list(records)


def lists(name: str, *aliases: NodeKey, version: int = 1, sealed: bytes = b"") -> FeedRecord:
    """A record of a person who lists these aliases; its sections, if any, do not open."""
    profile = StoredProfile(version=version, aliases=sorted(aliases), sealed=sealed)
    return FeedRecord(person_id=person_id(name), profile=profile)


def merged(name: str, into: str) -> FeedRecord:
    """A record of an id that stands for another now."""
    return FeedRecord(person_id=person_id(name), merged_into=person_id(into))


def gone(name: str) -> FeedRecord:
    """A record of an id that stands for nobody any more."""
    return FeedRecord(person_id=person_id(name), gone=True)

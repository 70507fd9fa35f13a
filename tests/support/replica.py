"""A replica that knows somebody, and lookups over it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.field_mask_pb2 import FieldMask

from identity.model import PersonEvidence
from identity.refused import Refused
from profiles.build import Builder
from profiles.feed import Group
from profiles.lookup import Lookup
from profiles.read_view import ReadView
from profiles.sealing import Sealer
from profiles.v1.feed_pb2 import FeedRecord
from profiles.v1.profile_pb2 import Profile
from profiles.v1.profile_service_pb2 import (
    GetProfileRequest,
    GetProfileResponse,
    Subject,
    SubjectIdentifier,
)
from profiles.vault_memory import MemoryVault
from tests.support.profile_parts import (
    feed_records,
    key,
    new_builder,
    person_id,
    profile_policy,
    sample,
)
from tests.support.rights import EVERYTHING

NOW_MS = 1_800_000_000_000
MAX_SILENCE_MS = 60_000
ALL = ("service", "personalisation", "marketing", "analytics")


@dataclass
class Replica:
    """A view with its keys, and lookups over it."""

    view: ReadView
    vault: MemoryVault
    sealer: Sealer
    builder: Builder
    lookup: Lookup
    sequence: int = 0

    def apply(self, *records: FeedRecord, at_ms: int = NOW_MS) -> None:
        """Apply the next sequence."""
        self.sequence += 1
        made = feed_records(self.sequence, *records)
        self.view.apply([Group(self.sequence, made, b"", at_ms)], NOW_MS)

    def publish(self, evidence: PersonEvidence, version: int = 1) -> None:
        """Apply a person's profile."""
        profile = self.builder.build(evidence, version)
        self.apply(FeedRecord(person_id=evidence.person, profile=profile))

    def ask(self, request: GetProfileRequest, at_ms: int = NOW_MS) -> GetProfileResponse | Refused:
        """Ask, and read the answer as a client would."""
        answer = self.lookup.get(request, at_ms * 1_000, EVERYTHING)
        serialized = request.SerializeToString()
        for _ in range(2):
            assert self.lookup.get_serialized(serialized, at_ms * 1_000, EVERYTHING) == answer
        return answer if isinstance(answer, Refused) else GetProfileResponse.FromString(answer)

    def answer(
        self, *purposes: str, fields: tuple[str, ...] = (), at_ms: int = NOW_MS
    ) -> GetProfileResponse:
        """What is answered about Ada."""
        request = GetProfileRequest(
            subject=by_id("ada"), purposes=purposes, mask=FieldMask(paths=fields)
        )
        answer = self.ask(request, at_ms)
        assert isinstance(answer, GetProfileResponse)
        return answer


def by_id(name: str) -> Subject:
    """A subject by person id."""
    return Subject(person_id=person_id(name))


def by_identifier(kind: str, value: str) -> Subject:
    """A subject by identifier."""
    return Subject(identifier=SubjectIdentifier(kind=kind, value=value))


def name_of(kind: str, value: str) -> str | None:
    """Names as `tests.support.profile_parts` gives them; only letters are valid."""
    return key(kind, value) if value.isalpha() else None


def names(profile: Profile) -> set[str]:
    """The fields that hold something."""
    return {field.name for field, _ in profile.ListFields()}


@contextmanager
def new_replica(folder: Path) -> Iterator[Replica]:
    """A replica that knows Ada, who granted everything."""
    vault = MemoryVault(os.urandom)
    sealer = Sealer(vault, os.urandom)
    view = ReadView(folder)
    lookup = Lookup(view, sealer, profile_policy().purposes, name_of, MAX_SILENCE_MS)
    made = Replica(view, vault, sealer, new_builder(sealer), lookup)
    made.publish(sample(sealer), version=7)
    yield made
    view.close()

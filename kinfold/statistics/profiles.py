"""Profiles as rows of a file: for one purpose, of those who allow both it and the export."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import polars as pl
from google.protobuf.json_format import MessageToDict

from identity.model import PersonId
from identity.refused import Refused
from profiles.access import unlimited
from profiles.lookup import Lookup
from profiles.purposes import EXPORT, FIELDS, PurposePolicy
from profiles.read_view import PROFILE, ReadView
from profiles.v1.profile_service_pb2 import GetProfileRequest, GetProfileResponse

SCHEMA = {"person_id": pl.String, **dict.fromkeys(FIELDS, pl.String)}
"""One column per field of a profile, as JSON text; null where the purpose does not cover it."""


def rows(
    view: ReadView, lookup: Lookup, policy: PurposePolicy, purpose: str, now_us: int
) -> Iterator[dict[str, str]]:
    """A row per person who granted the purpose and the export; what a lookup for it answers.

    Tokens are left out: none stands beside an attribute.
    """
    bit = policy.by_name[purpose].bit
    for person, stored in view.everything():
        if stored.state != PROFILE or not stored.granted & bit:
            continue
        if not policy.allows(EXPORT, stored.granted):
            continue
        request = GetProfileRequest(purposes=[purpose])
        request.subject.person_id = person
        answer = lookup.get(request, now_us, unlimited(policy).callers[0].grant)
        if not isinstance(answer, Refused):
            yield _row(person, GetProfileResponse.FromString(answer))


def _row(person: PersonId, answer: GetProfileResponse) -> dict[str, str]:
    profile = answer.profile
    for held in (*profile.identifiers, *profile.devices, *profile.networks):
        held.ClearField("token")
    told = MessageToDict(profile, preserving_proto_field_name=True)
    fields = {name: orjson.dumps(value).decode() for name, value in told.items()}
    return {"person_id": person, **fields}


def write(found: Iterator[dict[str, str]], path: Path) -> list[PersonId]:
    """Write the rows as Parquet; gives whom they are about, in the file's order."""
    table = pl.DataFrame(list(found), schema=SCHEMA)
    table.write_parquet(path)
    return table["person_id"].to_list()

"""Profiles as rows of a file: for one purpose, of those who said yes to it and allow the export.

A row has an id of its own in every export, so that files cannot be joined with
each other, nor with the tokens of an exported graph. The register knows whose it is.
"""

from __future__ import annotations

import base64
import hmac
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
from profiles.read_view import ReadView
from profiles.v1.profile_pb2 import Profile
from profiles.v1.profile_service_pb2 import GetProfileRequest, GetProfileResponse

SCHEMA = {"row_id": pl.String, **dict.fromkeys(FIELDS, pl.String)}
"""One column per field of a profile, as JSON text; null where the purpose does not cover it."""
CONSENTS = "consents"
"""The field that tells who said yes: a purpose that it may not serve has nobody to export."""


def rows(
    view: ReadView, lookup: Lookup, policy: PurposePolicy, purpose: str, now_us: int, key: bytes
) -> Iterator[tuple[PersonId, dict[str, str]]]:
    """Whoever said yes to the purpose and allows the export, and their row under a fresh `key`.

    A row holds what a lookup for the purpose answers, and both count as they do
    for a lookup: no yes counts in a view that has not heard from the feed for too
    long. What holds until a no is no yes. Tokens are left out: none stands beside
    an attribute.
    """
    bit = policy.by_name[purpose].bit
    for person, _ in view.everything():
        # As a lookup counts it, and as it is by now: not the bits that rest in the view.
        granted = lookup.granted(person, now_us)
        if not granted & bit or not policy.allows(EXPORT, granted):
            continue
        request = GetProfileRequest(purposes=[purpose])
        request.subject.person_id = person
        answer = lookup.get(request, now_us, unlimited(policy).callers[0].grant)
        if isinstance(answer, Refused):
            continue
        profile = GetProfileResponse.FromString(answer).profile
        if any(said.purpose == purpose and said.granted for said in profile.consents):
            yield person, _row(row_id(key, person), profile)


def row_id(key: bytes, person: PersonId) -> str:
    """What a person is called in one export."""
    digest = hmac.digest(key, person.encode(), "sha256")[:16]
    return base64.b32encode(digest).decode().rstrip("=").lower()


def _row(name: str, profile: Profile) -> dict[str, str]:
    for held in (*profile.identifiers, *profile.devices, *profile.networks):
        held.ClearField("token")
    told = MessageToDict(profile, preserving_proto_field_name=True)
    fields = {name: orjson.dumps(value).decode() for name, value in told.items()}
    return {"row_id": name, **fields}


def write(found: Iterator[tuple[PersonId, dict[str, str]]], path: Path) -> dict[PersonId, str]:
    """Write the rows as Parquet; gives each person's row."""
    rows = list(found)
    # By ids that say nothing: those of people rise in the order in which they were given out.
    table = pl.DataFrame([row for _, row in rows], schema=SCHEMA).sort("row_id")
    table.write_parquet(path)
    return {person: row["row_id"] for person, row in rows}

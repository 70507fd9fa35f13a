"""Somebody of whom everything that can be held is held."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from identity.model import DAY_US, EvidenceKind, Fact, PersonEvidence
from identity.retention import Retention
from ingest.payloads import read_purchase, read_record
from ingest.v1.signal_pb2 import RecordAsserted
from kinfold.held.gather import Around, Gathering, Scored
from kinfold.held.page import page
from kinfold.privacy_held import open_with
from kinfold.register import Exported
from profiles.access import unlimited
from profiles.build import Payloads
from profiles.sealing import Sealer
from tests.support.profile_parts import (
    DAY,
    consent,
    kept,
    key,
    new_builder,
    profile_policy,
    record,
    sample,
)

AT_US = DAY * DAY_US
EVIL = "<script>alert('x')</script>\" onload=x & </table>"
LOGIN, EMAIL = key("login", "ada"), key("email", "ada")
PURPOSES = profile_policy().purposes


def gathering(sealer: Sealer) -> Gathering:
    """What gathers, under the shipped policy."""
    payloads = Payloads(read_record, read_purchase)
    access = unlimited(PURPOSES)
    return Gathering(new_builder(sealer), open_with(sealer), payloads, PURPOSES, access)


def somebody(sealer: Sealer) -> PersonEvidence:
    """Somebody with something in every field, a decision of staff, and a record full of HTML."""
    evidence = sample(sealer)
    said = RecordAsserted(given_name=EVIL)
    said.other[EVIL[:8]] = EVIL
    node, fact = record(sealer, "evil", AT_US, EVIL[:60], said)
    decision = kept(Fact(EvidenceKind.DECISION, (EMAIL, LOGIN), same=True), AT_US, "staff")
    hold = consent(AT_US, (LOGIN,), legal_hold=False)
    facts = (*evidence.facts, fact, decision, hold)
    return replace(evidence, nodes=(*evidence.nodes, node), facts=facts)


AROUND = Around(
    ["b" * 26],
    [Scored(LOGIN, EMAIL, 9.25, 0.99, "m" * 12, [("given_name", EVIL, 9.25)])],
    [Exported(EVIL, AT_US, EVIL, "analytics", AT_US, "x.parquet", 3)],
    {EvidenceKind.LINK: DAY},
    {"purpose.marketing": DAY},
    Retention({EvidenceKind.LINK: 730, "cookie": 90}, {"phone": 365}, {"marketing": 400}),
)


def told(found: dict[str, Any]) -> str:
    """The page of it."""
    request = {"id": "r-1", "received": "2026-03-01"}
    made = {"request": request, "made_at": "2026-03-02T12:00:00Z", "controller": EVIL}
    return page({**found, **made})

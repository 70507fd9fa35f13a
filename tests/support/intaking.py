"""An intake with known keys under the policy kinfold ships, for tests."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from google.protobuf import json_format

from identity.model import Contribution
from identity.policy import IdentityPolicy, parse
from identity.retention import Retention
from ingest.intake import Intake, Outcome
from ingest.rejected import Rejected
from ingest.segment import SegmentOptions
from ingest.v1 import signal_pb2
from kinfold.keys import VaultKeys
from profiles import purposes
from profiles.sealing import Sealer
from profiles.vault_memory import MemoryVault

ROOT = Path(__file__).parent.parent.parent
NOW_US = 1_790_000_000_000_000
"""2026-09-21, by which every signal here has arrived."""
EVENT = "2026-03-01T12:00:00Z"
EVENT_US = 1_772_366_400_000_000
TOKEN_KEYS = [b"token key of thirty-two bytes...."]
ORDER_KEY = b"order key of thirty-two bytes...."


def policy() -> IdentityPolicy:
    """The policy kinfold ships."""
    return parse(document())


def document() -> dict[str, Any]:
    """The policy file kinfold ships."""
    return tomllib.loads((ROOT / "kinfold" / "default_policy.toml").read_text())


def sealer(seed: int = 1) -> Sealer:
    """A real sealer; the same seed opens what another sealed."""
    return Sealer(MemoryVault(random.Random(seed).randbytes), random.Random(seed + 99).randbytes)


def intake(
    region: str | None = "CH",
    segment: SegmentOptions | None = None,
    token_keys: Sequence[bytes] = TOKEN_KEYS,
    keys: VaultKeys | None = None,
    retention: Retention | None = None,
) -> Intake:
    """A fresh intake with the keys above, with another chain, or with keys that rotate."""
    return Intake(
        policy(),
        keys.chain if keys else token_keys,
        ORDER_KEY,
        keys.sealer if keys else sealer(),
        region=region,
        segment_options=segment,
        purposes=purposes.parse(document()),
        keys=keys,
        retention=retention,
    )


def vault_keys(vault: MemoryVault | None = None) -> VaultKeys:
    """The keys of a vault, a new one unless given, with a sealer of their own."""
    vault = vault or MemoryVault(random.Random(1).randbytes)
    return VaultKeys(vault, Sealer(vault, random.Random(2).randbytes))


def said(**fields: Any) -> dict[str, Any]:
    """A whole signal as proto JSON, a page view by one device, with other fields as given.

    Naming another content takes the behaviour away; decisions come from staff.
    """
    signal: dict[str, Any] = {
        "source": "staff" if "link_decided" in fields else "web",
        "signal_id": "s-1",
        "event_time": EVENT,
        "identifiers": [{"kind": "device", "value": "d-1"}],
        "behaviour": {"type": "BEHAVIOUR_TYPE_PAGE_VIEW", "category": "sport", "channel": "web"},
    }
    if CONTENTS & set(fields):
        del signal["behaviour"]
    signal.update(fields)
    return {name: value for name, value in signal.items() if value is not None}


CONTENTS = {
    "device_seen",
    "logged_in",
    "record_asserted",
    "behaviour",
    "consent_decided",
    "link_decided",
    "retracted",
}


def line(**fields: Any) -> bytes:
    """`said` as a line."""
    return orjson.dumps(said(**fields))


def protobuf(**fields: Any) -> bytes:
    """`said` as protobuf's own library reads it, serialized."""
    return json_format.Parse(line(**fields), signal_pb2.Signal()).SerializeToString()


def taken(**fields: Any) -> Contribution:
    """What `said` contributes."""
    return counted(intake().from_json(line(**fields), NOW_US))


def refused(**fields: Any) -> Rejected:
    """Why `said` is rejected."""
    outcome = intake().from_json(line(**fields), NOW_US)
    assert isinstance(outcome, Rejected), outcome
    return outcome


def counted(outcome: Outcome) -> Contribution:
    """The outcome, which must be a contribution."""
    assert isinstance(outcome, Contribution), outcome
    return outcome


def kinds(contribution: Contribution) -> list[str]:
    """Its nodes' kinds, in order."""
    return [node.key.rpartition(":")[0] for node in contribution.nodes]


def cells(contribution: Contribution) -> dict[str, tuple[str, ...]]:
    """Its cells by the kind of their holder."""
    return {holder.rpartition(":")[0]: each for holder, each in contribution.activity}

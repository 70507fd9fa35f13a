"""The one shape in which every decoder hands on a signal: `ingest.v1.Signal` as plain tuples.

Decoders for proto JSON, protobuf, Segment JSON and mapped rows all build
`RawSignal`; everything behind them reads only that. Field names, defaults and
meaning are the proto's. Tuples cost a fraction of a protobuf message to build
from JSON, hash by value, and pack deterministically, on which the digest rests:

- what has no order in meaning is sorted by the decoder (`other`, `decisions`);
- an absent string is "", an absent message None, an absent time None;
- times are microseconds since 1970 UTC, finer digits cut off;
- `assurance`, `type` and `verdict` hold the proto's numbers, known or not.

Raw values live here and nowhere behind: keep no reference to one of these.
"""

from __future__ import annotations

from typing import NamedTuple


class Context(NamedTuple):
    """`ingest.v1.Context`."""

    user_agent: str = ""
    network_address: str = ""
    time_zone: str = ""
    locale: str = ""
    device_type: str = ""
    coarse_place: str = ""
    site: str = ""


class DeviceSeen(NamedTuple):
    """`ingest.v1.DeviceSeen`."""


class LoggedIn(NamedTuple):
    """`ingest.v1.LoggedIn`."""

    method: str = ""


class PostalAddress(NamedTuple):
    """`ingest.v1.PostalAddress`."""

    line: str = ""
    street_number: str = ""
    street: str = ""
    unit: str = ""
    city: str = ""
    region: str = ""
    postcode: str = ""
    country: str = ""


class RecordAsserted(NamedTuple):
    """`ingest.v1.RecordAsserted`; `other` is sorted by name."""

    full_name: str = ""
    given_name: str = ""
    middle_name: str = ""
    family_name: str = ""
    birth_date: str = ""
    gender: str = ""
    email: str = ""
    phone: str = ""
    address: PostalAddress | None = None
    occupation: str = ""
    birth_place: str = ""
    national_id: str = ""
    passport: str = ""
    driving_licence: str = ""
    other: tuple[tuple[str, str], ...] = ()


class Behaviour(NamedTuple):
    """`ingest.v1.Behaviour`."""

    type: int = 0
    category: str = ""
    item: str = ""
    value: float = 0.0
    unit: str = ""
    channel: str = ""
    campaign: str = ""


class ConsentDecided(NamedTuple):
    """`ingest.v1.ConsentDecided`; `decisions` are (purpose, granted), sorted."""

    decisions: tuple[tuple[str, bool], ...] = ()
    text_version: str = ""
    place: str = ""
    tcf_string: str = ""
    global_privacy_control: bool = False


class LinkEnd(NamedTuple):
    """`ingest.v1.LinkEnd`: (kind, value), (source, signal id) or a token, exactly one of them."""

    identifier: tuple[str, str] | None = None
    record: tuple[str, str] | None = None
    record_token: str = ""


class LinkDecided(NamedTuple):
    """`ingest.v1.LinkDecided`."""

    left: LinkEnd | None = None
    right: LinkEnd | None = None
    verdict: int = 0
    reason: str = ""


class Retracted(NamedTuple):
    """`ingest.v1.Retracted`."""

    signal_id: str = ""
    reason: str = ""


Content = (
    DeviceSeen | LoggedIn | RecordAsserted | Behaviour | ConsentDecided | LinkDecided | Retracted
)
Identifiers = tuple[tuple[str, str], ...]
"""(kind, value) each, as sent."""


class RawSignal(NamedTuple):
    """`ingest.v1.Signal`. Nothing of it is checked yet but its types."""

    source: str = ""
    signal_id: str = ""
    event_us: int | None = None
    published_us: int | None = None
    assurance: int = 0
    identifiers: Identifiers = ()
    context: Context | None = None
    content: Content | None = None


NO_SIGNAL = RawSignal()

"""What the facts of a person hold, once opened: read the way this package wrote it."""

from __future__ import annotations

from collections.abc import Collection

from identity.matching.attributes import ATTRIBUTES, LINE, OTHER, STATE
from ingest.v1.signal_pb2 import Behaviour, RecordAsserted
from profiles.build import PurchaseSaid

_SAID = [
    field.name
    for field in RecordAsserted.DESCRIPTOR.fields
    if field.name not in ("address", "other")
]

_COMPARED = {"address.line": LINE, "address.region": STATE, "address.country": ""}


def read_record(payload: bytes) -> dict[str, str]:
    """A record's attributes by name, parts of the address as `address.city`; no empty ones."""
    record = RecordAsserted.FromString(payload)
    values = dict(record.other)
    for name in _SAID:
        value = getattr(record, name)
        if value:
            values[name] = value
    if record.HasField("address"):
        for part, value in record.address.ListFields():
            values[f"address.{part.name}"] = value
    return values


def without(payload: bytes, names: Collection[str]) -> bytes:
    """A record without these attributes, `address` for all its parts.

    The same object where it has none of them.
    """
    record = RecordAsserted.FromString(payload)
    for name in names:
        part = name.removeprefix("address.")
        if part != name:
            if record.HasField("address") and part in record.address.DESCRIPTOR.fields_by_name:
                record.address.ClearField(part)  # type: ignore[arg-type]
        elif name in record.DESCRIPTOR.fields_by_name and name != "other":
            record.ClearField(name)  # type: ignore[arg-type]
        elif name in record.other:
            del record.other[name]
    if record.HasField("address") and not record.address.ListFields():
        record.ClearField("address")
    left = record.SerializeToString(deterministic=True)
    return payload if RecordAsserted.FromString(payload) == record else left


def comparable(payload: bytes) -> dict[str, str]:
    """A record's attributes under the names that matching compares them by.

    Anything else that its source said is `other:NAME`; the country is left out.
    """
    found = {}
    for name, value in read_record(payload).items():
        own = _COMPARED.get(name, name.removeprefix("address."))
        if own:
            found[own if own in ATTRIBUTES else OTHER + own] = value
    return found


def read_purchase(payload: bytes) -> PurchaseSaid:
    """What was bought."""
    said = Behaviour.FromString(payload)
    return PurchaseSaid(said.category, said.item, said.value, said.unit, said.channel)

"""A serialized `ingest.v1.Signal` to `RawSignal`.

Fields this version does not know are skipped, as protobuf means them to be; a
signal whose only content is unknown has none, and validation refuses it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError

from ingest import raw
from ingest.decode_json import MAX_LINE_BYTES
from ingest.rejected import Rejected
from ingest.v1 import signal_pb2

_parse = signal_pb2.Signal.FromString


def decode(data: bytes) -> raw.RawSignal | Rejected:
    """A serialized signal as a `RawSignal`, or why it is none. Never raises."""
    if len(data) > MAX_LINE_BYTES:
        return Rejected("signal", "size", f"send at most {MAX_LINE_BYTES} bytes a signal")
    try:
        signal = _parse(data)
    except DecodeError:
        return Rejected("signal", "protobuf", "send the message as protobuf serializes it")
    event_us = _time(signal, "event_time")
    published_us = _time(signal, "publish_time")
    for field, at_us in (("event_time", event_us), ("publish_time", published_us)):
        if isinstance(at_us, Rejected):
            return Rejected(field, at_us.rule, at_us.hint)
    content = signal.WhichOneof("content")
    return raw.RawSignal(
        signal.source,
        signal.signal_id,
        event_us,  # type: ignore[arg-type]  # Rejected was returned above
        published_us,  # type: ignore[arg-type]
        signal.assurance,
        tuple([(each.kind, each.value) for each in signal.identifiers]),
        _context(signal.context) if signal.HasField("context") else None,
        _CONTENTS[content](getattr(signal, content)) if content is not None else None,
    )


def _time(signal: signal_pb2.Signal, field: str) -> int | Rejected | None:
    if not signal.HasField(field):  # type: ignore[arg-type]  # one of two literals
        return None
    at = getattr(signal, field)
    if not 0 <= at.nanos < 1_000_000_000:
        return Rejected(field, "time", "send nanos from 0 to 999,999,999")
    return int(at.seconds * 1_000_000 + at.nanos // 1_000)


def _context(message: signal_pb2.Context) -> raw.Context:
    return raw.Context(
        message.user_agent,
        message.network_address,
        message.time_zone,
        message.locale,
        message.device_type,
        message.coarse_place,
        message.site,
    )


def _behaviour(message: signal_pb2.Behaviour) -> raw.Behaviour:
    return raw.Behaviour(
        message.type,
        message.category,
        message.item,
        message.value,
        message.unit,
        message.channel,
        message.campaign,
    )


def _record(message: signal_pb2.RecordAsserted) -> raw.RecordAsserted:
    special = {
        "address": _strings(raw.PostalAddress, message.address)
        if message.HasField("address")
        else None,
        "other": tuple(sorted(message.other.items())),
    }
    return raw.RecordAsserted._make(
        special[name] if name in special else getattr(message, name)
        for name in raw.RecordAsserted._fields
    )


def _consent(message: signal_pb2.ConsentDecided) -> raw.ConsentDecided:
    decisions = sorted((each.purpose, each.granted) for each in message.decisions)
    return raw.ConsentDecided(
        tuple(decisions),
        message.text_version,
        message.place,
        message.tcf_string,
        message.global_privacy_control,
    )


def _link(message: signal_pb2.LinkDecided) -> raw.LinkDecided:
    return raw.LinkDecided(
        _end(message.left) if message.HasField("left") else None,
        _end(message.right) if message.HasField("right") else None,
        message.verdict,
        message.reason,
    )


def _end(message: signal_pb2.LinkEnd) -> raw.LinkEnd:
    end = message.WhichOneof("end")
    return raw.LinkEnd(
        (message.identifier.kind, message.identifier.value) if end == "identifier" else None,
        (message.record.source, message.record.signal_id) if end == "record" else None,
        message.record_token,
    )


def _strings(kind: Any, message: Any) -> Any:
    return kind._make(getattr(message, name) for name in kind._fields)


_CONTENTS: dict[str, Callable[[Any], raw.Content]] = {
    "device_seen": lambda _: raw.DeviceSeen(),
    "logged_in": lambda message: raw.LoggedIn(message.method),
    "record_asserted": _record,
    "behaviour": _behaviour,
    "consent_decided": _consent,
    "link_decided": _link,
    "retracted": lambda message: raw.Retracted(message.signal_id, message.reason),
}

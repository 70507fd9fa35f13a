"""The Segment spec's JSON (identify, track, page, screen, group, alias; RudderStack's too).

What becomes of each message:

- identify: a record of its traits, seen beside user id, anonymous id and
  device; without traits, a log-in.
- track: behaviour; the spec's event names choose its type ("Order Completed"
  is a purchase). "Signed In" is a log-in.
- page, screen: a page view, its category `properties.category` or the name.
- group: a record whose `other` names the group.
- alias: user id and previous id, seen together.

The spec is open: unknown fields are skipped, and what an SDK fills in by itself
(time zone, locale, place) is left out when it cannot be read. Only the content
decides: a message sent again gives the same signal, whenever it arrives.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

import orjson

from identity.model import Assurance
from ingest import normalise, raw
from ingest.decode_json import MAX_LINE_BYTES
from ingest.rejected import Rejected
from ingest.segment_traits import record_of
from ingest.times import rfc3339_us
from ingest.v1 import signal_pb2

MAX_BATCH = 500
MAX_BATCH_BYTES = 4 * MAX_LINE_BYTES
_Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """How a workspace uses the spec.

    - `source`: the signals' source.
    - `user_kind`, `anonymous_kind`, `device_kind`: kinds of `userId`,
      `anonymousId` and `context.device.id`.
    - `assurance`: how sure a message with a user id is; others say none, and an
      alias at most claimed.
    """

    source: str = "segment"
    user_kind: str = "customer_id"
    anonymous_kind: str = "cookie"
    device_kind: str = "device"
    assurance: Assurance = Assurance.CLAIMED


def decode(line: bytes, options: SegmentOptions) -> list[raw.RawSignal | Rejected]:
    """The signals of a message, or of each message of a batch, in order. Never raises."""
    if len(line) > MAX_BATCH_BYTES:
        return [Rejected("signal", "size", f"send at most {MAX_BATCH_BYTES} bytes at once")]
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return [Rejected("signal", "json", "send one JSON object per line, in UTF-8")]
    if not isinstance(document, dict):
        return [Rejected("signal", "type", "send an object")]
    batch = document.get("batch")
    if batch is None:
        return [_message(document, options)]
    if not isinstance(batch, list):
        return [Rejected("batch", "type", "send a list of messages")]
    if len(batch) > MAX_BATCH:
        return [Rejected("batch", "count", f"send at most {MAX_BATCH} messages")]
    shared = {name: document[name] for name in ("sentAt", "receivedAt") if name in document}
    context = _object(document, "context")
    return [_of_batch(one, shared, context, options) for one in batch]


def _of_batch(
    message: object, shared: _Json, context: _Json, options: SegmentOptions
) -> raw.RawSignal | Rejected:
    if not isinstance(message, dict):
        return Rejected("batch", "type", "send a list of objects")
    own = {"context": {**context, **_object(message, "context")}}
    return _message({**shared, **message, **own}, options)


def _message(message: _Json, options: SegmentOptions) -> raw.RawSignal | Rejected:
    kind = message.get("type")
    known = ("identify", "track", "page", "screen", "group", "alias")
    if kind not in known:
        return Rejected("type", "segment", f"send one of {', '.join(known)}")
    signal_id = _string(message, "messageId")
    if not signal_id:
        return Rejected("messageId", "required", "every message has an id of its own")
    times = _times(message)
    if isinstance(times, Rejected):
        return times
    return raw.RawSignal(
        options.source,
        signal_id,
        *times,
        int(_assurance(str(kind), message, options)),
        _identifiers(message, options),
        _context(_object(message, "context")),
        _content(str(kind), message),
    )


def _assurance(kind: str, message: _Json, options: SegmentOptions) -> Assurance:
    """How sure a message is; an alias is what an application says of two ids, not a log-in."""
    if not message.get("userId"):
        return Assurance.NONE
    return min(options.assurance, Assurance.CLAIMED) if kind == "alias" else options.assurance


def _times(message: _Json) -> tuple[int, int | None] | Rejected:
    """Event and publish time.

    `timestamp` is the event's where a server has set it (`originalTimestamp` is
    there too) or the client's own; with only `originalTimestamp`, the client's
    clock is corrected as the spec does: receivedAt - (sentAt - originalTimestamp).
    """
    found = {}
    for name in ("timestamp", "originalTimestamp", "sentAt", "receivedAt"):
        text = message.get(name)
        found[name] = at_us = rfc3339_us(text) if isinstance(text, str) else None
        if text is not None and at_us is None:
            return Rejected(name, "time", "send ISO 8601, for example 2026-03-01T12:00:00Z")
    sent, received, original = found["sentAt"], found["receivedAt"], found["originalTimestamp"]
    event = found["timestamp"] if found["timestamp"] is not None else original
    if found["timestamp"] is None and None not in (sent, received, original):
        assert sent is not None
        assert received is not None
        assert original is not None
        event = received - max(0, sent - original)
    if event is None:
        return Rejected("timestamp", "required", "say when it happened")
    return event, received if received is not None else sent


def _identifiers(message: _Json, options: SegmentOptions) -> raw.Identifiers:
    device = _object(_object(message, "context"), "device")
    advertising = _string(device, "advertisingId") or _string(device, "idfa")
    tracked = device.get("adTrackingEnabled") is not False
    named = [
        (options.user_kind, _string(message, "userId")),
        (options.anonymous_kind, _string(message, "anonymousId")),
        (options.device_kind, _string(device, "id")),
        ("advertising_id", advertising if tracked else ""),
    ]
    if message.get("type") == "alias":
        named.append(_previous(_string(message, "previousId"), message, options))
    return tuple(dict.fromkeys(pair for pair in named if pair[1]))


def _previous(value: str, message: _Json, options: SegmentOptions) -> tuple[str, str]:
    """An alias replaces the anonymous id, unless it names one beside it: then an older user id."""
    anonymous = _string(message, "anonymousId")
    kind = options.user_kind if anonymous and anonymous != value else options.anonymous_kind
    return kind, value


def _context(context: _Json) -> raw.Context | None:
    place, device = _object(context, "location"), _object(context, "device")
    locale, zone = _string(context, "locale"), _string(context, "timezone")
    country, region = _string(place, "country"), _string(place, "region")
    coarse = f"{country}-{region}" if region else country
    kind = _string(device, "type").lower()
    found = raw.Context(
        user_agent=_string(context, "userAgent")[: normalise.MAX_AGENT_CHARS],
        network_address=_string(context, "ip")[: normalise.MAX_NETWORK_CHARS],
        time_zone=zone if normalise.is_zone(zone) else "",
        locale=normalise.locale(locale) or "" if locale else "",
        device_type=_DEVICES.get(kind, kind if kind in normalise.DEVICE_TYPES else ""),
        coarse_place=next((p for p in (coarse, country) if normalise.is_place(p)), ""),
    )
    return found if any(found) else None


# The SDKs put the system where the type belongs.
_DEVICES: Final = {"ios": "phone", "android": "phone", "mobile": "phone"}


def _content(kind: str, message: _Json) -> raw.Content:
    if kind in ("page", "screen"):
        return _view(kind, message)
    if kind == "track":
        return _track(message)
    if kind == "alias":
        return raw.LoggedIn("alias")
    traits = _object(message, "traits") or _object(_object(message, "context"), "traits")
    if kind == "group":
        group = {"group_id": _string(message, "groupId"), "group_name": _string(traits, "name")}
        return raw.RecordAsserted(other=tuple((k, v) for k, v in group.items() if v))
    record = record_of(traits)
    return record if any(record) else raw.LoggedIn("identify")


def _view(kind: str, message: _Json) -> raw.Behaviour:
    """A page's address is not read: it may hold anything about anybody."""
    properties = _object(message, "properties")
    category = (
        _string(properties, "category")
        or _string(message, "category")
        or _string(message, "name")
        or _string(properties, "name")
    )
    return raw.Behaviour(
        type=signal_pb2.BEHAVIOUR_TYPE_PAGE_VIEW,
        category=category[:128],
        channel=_channel(message) or ("app" if kind == "screen" else "web"),
        campaign=_campaign(message),
    )


_EVENTS: Final = (
    (re.compile(r"order completed|product purchased|purchased?"), "PURCHASE"),
    (re.compile(r"products? searched|search(ed)?"), "SEARCH"),
    (re.compile(r"email opened"), "EMAIL_OPENED"),
    (re.compile(r"push notification (opened|tapped)"), "PUSH_OPENED"),
    (re.compile(r"(product|promotion|email link|link|button) clicked|.* clicked?"), "CLICK"),
    (re.compile(r"(product|product list|promotion|page|screen|cart) viewed"), "PAGE_VIEW"),
    (re.compile(r".* (shared|liked|followed|commented|reviewed)"), "SOCIAL_INTERACTION"),
)


def _track(message: _Json) -> raw.Content:
    properties = _object(message, "properties")
    event = " ".join(_string(message, "event").lower().split())[:128]
    if event in ("signed in", "logged in"):
        return raw.LoggedIn(_string(properties, "method")[:64] or "signed in")
    name = next((name for form, name in _EVENTS if form.fullmatch(event)), "OTHER")
    kind = signal_pb2.BehaviourType.Value(f"BEHAVIOUR_TYPE_{name}")
    category = _string(properties, "category") or (event if name == "OTHER" else "")
    found = raw.Behaviour(
        kind, category[:128], channel=_channel(message), campaign=_campaign(message)
    )
    if name != "PURCHASE":
        return found
    return found._replace(
        item=_items(properties),
        value=next(
            (v for k in ("total", "revenue", "value", "price") if (v := _number(properties, k))),
            0.0,
        ),
        unit=_string(properties, "currency")[:128],
    )


def _items(properties: _Json) -> str:
    products = properties.get("products")
    listed = products if isinstance(products, list) and products else [properties]
    found = []
    for one in listed:
        if isinstance(one, dict):
            names = (_string(one, name) for name in ("name", "sku", "product_id", "productId"))
            found.append(next(filter(None, names), ""))
    return ", ".join(filter(None, found))[:512]


def _channel(message: _Json) -> str:
    """RudderStack and Segment's servers say by which library it came."""
    channel = _string(message, "channel").lower()
    known = {"browser": "web", "web": "web", "mobile": "app", "server": "", "sources": ""}
    return known.get(channel, channel)[:128]


def _campaign(message: _Json) -> str:
    return _string(_object(_object(message, "context"), "campaign"), "name")[:128]


def _object(document: _Json, name: str) -> _Json:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _string(document: _Json, name: str) -> str:
    """A string, or a number as it is written: ids are often numbers."""
    found = document.get(name)
    if isinstance(found, str):
        return found
    return str(found) if type(found) is int else ""


def _number(document: _Json, name: str) -> float:
    found = document.get(name)
    if not isinstance(found, (str, int, float)):
        return 0.0
    try:
        number = float(found)
    except ValueError:
        return 0.0
    return number if isfinite(number) else 0.0

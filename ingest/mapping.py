"""Mapping files: how the rows of any JSON Lines, CSV or Parquet file become signals.

A TOML document; kinfold/mappings holds examples. Where a value is wanted, a
string names a column (a dotted path reaches into JSON objects), and a table
says more: `column` or `const`; of a column `before` (what stands before the first
such text), `strip_prefix`, `map`, `default`, `prefix`, done in that order. A missing
or empty value is left out.

    source = "shop"                     # required
    assurance = "claimed"               # none (default), claimed, authenticated
    signal_id = "order_no"              # left out: from the row and its place in the file
    event_time = { column = "at", format = "unix_ms" }
                                        # rfc3339 (default), unix_s, unix_ms, unix_us, or
                                        # a pattern like "%d.%m.%Y"; `zone` (default UTC) is
                                        # whose time it is where the value does not say
    [[identifiers]]
    kind = "customer_id"
    value = "customer"
    [context]                           # fields of ingest.v1.Context
    user_agent = "browser"
    [behaviour]                         # one of device_seen, logged_in, record_asserted
    type = { const = "purchase" }       # (with `address.NAME` and `other.NAME`), behaviour,
    value = "total"                     # consent_decided (`purpose`, `granted`)
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Mapping
from datetime import date, datetime
from math import nan
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from ingest import raw
from ingest.decode_json import MAX_LINE_BYTES
from ingest.mapping_verify import ASSURANCES, content_of, problems
from ingest.rejected import Rejected
from ingest.times import datetime_us, rfc3339_us
from ingest.v1 import signal_pb2

Row = Mapping[str, Any]
_Get = Callable[[Row], str]
_UNITS_US = {"unix_s": 1_000_000, "unix_ms": 1_000, "unix_us": 1}
_YES = frozenset({"true", "1", "yes", "y", "granted", "t"})
_NO = frozenset({"false", "0", "no", "n", "withdrawn", "f"})


def read(text: str) -> RowMapping | list[str]:
    """The mapping a TOML text says, or every problem of it, each naming its key."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return [f"not TOML: {error}"]
    return problems(document) or RowMapping(document)


class _Identifier(NamedTuple):
    kind: str
    value: _Get


class RowMapping:
    """Turns rows into signals; made by `read` from a document without problems."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._source: str = document["source"]
        self._assurance = ASSURANCES[document.get("assurance", "none")]
        self._signal_id = _getter(document["signal_id"]) if "signal_id" in document else None
        self._event_us = _timer(document["event_time"])
        self._published_us = (
            _timer(document["publish_time"]) if "publish_time" in document else None
        )
        self._identifiers = [
            _Identifier(one["kind"], _getter(one["value"]))
            for one in document.get("identifiers", ())
        ]
        self._context = _getters(document.get("context", {}))
        name = content_of(document)[0]
        self._content = _CONTENTS[name](_getters(document[name]))

    def decode(self, row: bytes | Row, position: int) -> raw.RawSignal | Rejected:
        """The row as a signal, or why it is none. Never raises.

        Without a `signal_id` column the signal is named by the row's content and
        `position`: reading a file again counts nothing twice, and equal rows of
        one file are signals of their own.
        """
        columns = _columns(row)
        if isinstance(columns, Rejected):
            return columns
        event_us = self._event_us(columns)
        if event_us is _NO_TIME:
            return Rejected("event_time", "time", "check the mapping's column, format and zone")
        published_us = None if self._published_us is None else self._published_us(columns)
        if published_us is _NO_TIME:
            return Rejected("publish_time", "time", "check the mapping's column, format and zone")
        content = self._content(columns)
        if isinstance(content, Rejected):
            return content
        pairs = [(one.kind, one.value(columns)) for one in self._identifiers]
        context = {name: value for name, get in self._context.items() if (value := get(columns))}
        return raw.RawSignal(
            self._source,
            self._signal_id(columns) if self._signal_id else _name_of(row, position),
            event_us,
            published_us,
            self._assurance,
            tuple(pair for pair in pairs if pair[1]),
            raw.Context(**context) if context else None,
            content,
        )


def _columns(row: bytes | Row) -> Row | Rejected:
    if not isinstance(row, bytes):
        return row
    if len(row) > MAX_LINE_BYTES:
        return Rejected("signal", "size", f"send at most {MAX_LINE_BYTES} bytes a row")
    try:
        found = orjson.loads(row)
    except orjson.JSONDecodeError:
        return Rejected("signal", "json", "send one JSON object per line, in UTF-8")
    return found if isinstance(found, dict) else Rejected("signal", "type", "send an object")


def _name_of(row: bytes | Row, position: int) -> str:
    if isinstance(row, bytes):
        said = row.strip()
    else:
        said = repr(sorted(row.items(), key=lambda item: item[0])).encode()
    return f"{hashlib.blake2b(said, digest_size=16).hexdigest()}-{position}"


def _getters(table: Mapping[str, Any], under: str = "") -> dict[str, _Get]:
    """A getter per field; nested tables of fields (`address`, `other`) get dotted names."""
    found: dict[str, _Get] = {}
    for name, spec in table.items():
        if isinstance(spec, dict) and not ("column" in spec or "const" in spec):
            found.update(_getters(spec, f"{under}{name}."))
        else:
            found[under + name] = _getter(spec)
    return found


def _getter(spec: str | Mapping[str, Any]) -> _Get:
    if isinstance(spec, str):
        spec = {"column": spec}
    if "const" in spec:
        const = _said(spec["const"])
        return lambda _: const
    column, default, prefix = spec["column"], spec.get("default", ""), spec.get("prefix", "")
    before, strip, translated = spec.get("before"), spec.get("strip_prefix", ""), spec.get("map")
    path = column.split(".")
    if len(spec) == 1:
        return lambda row: _said(_at(row, column, path))

    def get(row: Row) -> str:
        value = _said(_at(row, column, path))
        if before:
            value = value.partition(before)[0]
        value = value.removeprefix(strip)
        if translated is not None:
            value = translated.get(value, "")
        value = value or default
        return prefix + value if value else ""

    return get


def _at(row: Row, column: str, path: list[str]) -> object:
    found: Any = row.get(column)
    if found is None and len(path) > 1:
        found = row
        for part in path:
            found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _said(value: object) -> str:
    """A plain value as text; whole floats without their point: empty cells turn ids into floats."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, (list, dict)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return value.isoformat() if isinstance(value, (date, datetime)) else str(value)


_NO_TIME = -(2**63)
"""A time that cannot be read; an absent one is None."""


def _timer(spec: str | Mapping[str, Any]) -> Callable[[Row], int | None]:
    if isinstance(spec, str):
        spec = {"column": spec}
    get = _getter({k: v for k, v in spec.items() if k not in ("format", "zone")})
    column, path = spec.get("column", ""), spec.get("column", "").split(".")
    form, zone = spec.get("format", "rfc3339"), ZoneInfo(spec.get("zone", "UTC"))

    def at(row: Row) -> int | None:
        moment = _at(row, column, path) if column else None
        if isinstance(moment, datetime):
            return _instant(moment, zone)
        text = get(row)
        return _parsed(text.strip(), form, zone) if text else None

    return at


def _parsed(text: str, form: str, zone: ZoneInfo) -> int:
    try:
        if form == "rfc3339":
            return _iso(text.replace(" ", "T", 1), zone)
        if form in _UNITS_US:
            whole, _, fraction = text.partition(".")
            digits = (fraction + "000000")[: len(str(_UNITS_US[form])) - 1]
            return int(whole) * _UNITS_US[form] + (int(digits) if digits else 0)
        return _instant(datetime.strptime(text, form), zone)  # noqa: DTZ007 - zone is put on next
    except (ValueError, OverflowError):
        return _NO_TIME


def _iso(text: str, zone: ZoneInfo) -> int:
    at_us = rfc3339_us(text)
    if at_us is not None:
        return at_us
    if rfc3339_us(f"{text}Z") is None:
        return _NO_TIME
    return _instant(datetime.fromisoformat(text), zone)


def _instant(moment: datetime, zone: ZoneInfo) -> int:
    return datetime_us(moment if moment.tzinfo is not None else moment.replace(tzinfo=zone))


_Content = Callable[[Row], raw.Content | Rejected]


def _behaviour(fields: dict[str, _Get]) -> _Content:
    types = {
        name.removeprefix("BEHAVIOUR_TYPE_").lower(): n
        for name, n in signal_pb2.BehaviourType.items()
    }

    def read_row(row: Row) -> raw.Content | Rejected:
        found: dict[str, Any] = {n: v for n, get in fields.items() if (v := get(row))}
        if "type" in found:
            found["type"] = types.get(found["type"].lower().removeprefix("behaviour_type_"), 0)
        if "value" in found:
            try:
                found["value"] = float(found["value"])
            except ValueError:
                found["value"] = nan
        return raw.Behaviour(**found)

    return read_row


def _record(fields: dict[str, _Get]) -> _Content:
    def read_row(row: Row) -> raw.Content | Rejected:
        found: dict[str, Any] = {n: v for n, get in fields.items() if (v := get(row))}
        address = {n[8:]: found.pop(n) for n in list(found) if n.startswith("address.")}
        other = sorted((n[6:], found.pop(n)) for n in list(found) if n.startswith("other."))
        return raw.RecordAsserted(
            **found,
            address=raw.PostalAddress(**address) if address else None,
            other=tuple(other),
        )

    return read_row


def _consent(fields: dict[str, _Get]) -> _Content:
    def read_row(row: Row) -> raw.Content | Rejected:
        found = {n: get(row) for n, get in fields.items()}
        granted = found.pop("granted").strip().lower()
        if granted not in _YES and granted not in _NO:
            return Rejected(
                "consent_decided.granted", "type", "send true or false, or map the words"
            )
        decisions = ((found.pop("purpose"), granted in _YES),)
        return raw.ConsentDecided(decisions, found.get("text_version", ""), found.get("place", ""))

    return read_row


_CONTENTS: dict[str, Callable[[dict[str, _Get]], _Content]] = {
    "device_seen": lambda _: lambda _: raw.DeviceSeen(),
    "logged_in": lambda fields: (
        lambda row: raw.LoggedIn(**{n: get(row) for n, get in fields.items()})
    ),
    "record_asserted": _record,
    "behaviour": _behaviour,
    "consent_decided": _consent,
}

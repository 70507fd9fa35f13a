"""Every problem of a mapping document at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from ingest import raw
from ingest.times import rfc3339_us

ASSURANCES: Final = {"none": 1, "claimed": 2, "authenticated": 3}
_CONTENT_FIELDS: Final[dict[str, frozenset[str]]] = {
    "device_seen": frozenset(),
    "logged_in": frozenset(raw.LoggedIn._fields),
    "record_asserted": frozenset(raw.RecordAsserted._fields),
    "behaviour": frozenset(raw.Behaviour._fields),
    "consent_decided": frozenset({"purpose", "granted", "text_version", "place"}),
}
_REQUIRED: Final = {"behaviour": ("type",), "consent_decided": ("purpose", "granted")}
_TOP: Final = "source assurance signal_id event_time publish_time identifiers context".split()
_VALUE_KEYS: Final = {
    "column": str,
    "const": (str, int, float, bool),
    "before": str,
    "strip_prefix": str,
    "map": dict,
    "default": str,
    "prefix": str,
}
_TIME_KEYS: Final = {**_VALUE_KEYS, "format": str, "zone": str}
_TIME_FORMATS: Final = ("rfc3339", "unix_s", "unix_ms", "unix_us")


def content_of(document: Mapping[str, Any]) -> list[str]:
    """The contents a mapping names; a sound one names one."""
    return [name for name in _CONTENT_FIELDS if name in document]


def problems(document: Mapping[str, Any]) -> list[str]:
    """Every problem of a mapping document, each naming its key and the way out; [] when sound."""
    found = [
        f"{key}: unknown; known are {', '.join([*_TOP, *_CONTENT_FIELDS])}"
        for key in document
        if key not in _TOP and key not in _CONTENT_FIELDS
    ]
    if not isinstance(document.get("source"), str) or not document["source"]:
        found.append('source: missing; name the system the rows come from, for example "shop"')
    if document.get("assurance", "none") not in ASSURANCES:
        found.append(f"assurance: must be one of {', '.join(ASSURANCES)}")
    if "event_time" not in document:
        found.append('event_time: missing; name the column, for example event_time = "at"')
    for key in ("event_time", "publish_time"):
        if key in document:
            found += _time(key, document[key])
    if "signal_id" in document:
        found += _value("signal_id", document["signal_id"])
    found += _fields("context", document.get("context", {}), raw.Context._fields)
    found += _identifiers(document.get("identifiers", []))
    return found + _content(document)


def _content(document: Mapping[str, Any]) -> list[str]:
    named = content_of(document)
    if len(named) != 1:
        return [f"content: name exactly one of {', '.join(_CONTENT_FIELDS)}"]
    name, body = named[0], document[named[0]]
    found = _fields(name, body, _CONTENT_FIELDS[name])
    for key in _REQUIRED.get(name, ()):
        if isinstance(body, Mapping) and key not in body:
            found.append(f"{name}.{key}: missing")
    return found


def _identifiers(body: object) -> list[str]:
    if not isinstance(body, list):
        return ["identifiers: write each as [[identifiers]] with kind and value"]
    found = []
    for index, one in enumerate(body):
        where = f"identifiers[{index}]"
        if not isinstance(one, Mapping) or not isinstance(one.get("kind"), str):
            found.append(f"{where}.kind: missing; name one of the policy's kinds")
        elif "value" not in one:
            found.append(f"{where}.value: missing; name the column")
        else:
            found += [f"{where}.{key}: unknown" for key in one if key not in ("kind", "value")]
            found += _value(f"{where}.value", one["value"])
    return found


def _fields(where: str, body: object, known: Iterable[str]) -> list[str]:
    if not isinstance(body, Mapping):
        return [f"{where}: must be a table of fields"]
    names, found = frozenset(known), []
    for name, spec in body.items():
        at = f"{where}.{name}"
        if name not in names:
            found.append(f"{at}: unknown; known are {', '.join(sorted(names)) or 'none'}")
        elif at == "record_asserted.address":
            found += _fields(at, spec, raw.PostalAddress._fields)
        elif at == "record_asserted.other":
            found += _fields(at, spec, spec if isinstance(spec, Mapping) else ())
        else:
            found += _value(at, spec)
    return found


def _value(where: str, spec: object, keys: Mapping[str, Any] = _VALUE_KEYS) -> list[str]:
    if isinstance(spec, str):
        return [] if spec else [f"{where}: name a column"]
    if not isinstance(spec, Mapping):
        return [f"{where}: must be a column's name or a table with column or const"]
    found = [
        f"{where}.{key}: unknown; known are {', '.join(keys)}" for key in spec if key not in keys
    ]
    for key, wanted in keys.items():
        if key in spec and not isinstance(spec[key], wanted):
            found.append(f"{where}.{key}: wrong type {type(spec[key]).__name__}")
    if ("column" in spec) == ("const" in spec):
        found.append(f"{where}: name either column or const")
    elif "const" in spec and set(spec) & {"before", "strip_prefix", "map", "default", "prefix"}:
        found.append(f"{where}.const: stands as it is; leave the other keys out")
    translated = spec.get("map")
    if isinstance(translated, dict) and not all(isinstance(v, str) for v in translated.values()):
        found.append(f"{where}.map: must lead to strings")
    return found


def _time(where: str, spec: object) -> list[str]:
    found = _value(where, spec, _TIME_KEYS)
    if found or not isinstance(spec, Mapping):
        return found
    form = spec.get("format", "rfc3339")
    if form not in _TIME_FORMATS and "%" not in form:
        found.append(f"{where}.format: must be {', '.join(_TIME_FORMATS)} or a pattern with %")
    if form == "rfc3339" and "const" in spec and rfc3339_us(str(spec["const"])) is None:
        found.append(f"{where}.const: not RFC 3339, for example 2026-03-01T12:00:00Z")
    try:
        ZoneInfo(spec.get("zone", "UTC"))
    except (OSError, ValueError, KeyError):
        found.append(f"{where}.zone: not an IANA time zone")
    return found

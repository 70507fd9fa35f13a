"""Whether a decoded signal keeps the rules of `ingest.v1`, and if not, which one it breaks.

Judges form only: what can be told from the signal and the time it was received.
Identifiers are judged by policy (`ingest.pseudonymise`), context by
`ingest.normalise`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import isfinite
from typing import Any

from ingest.raw import (
    Behaviour,
    ConsentDecided,
    DeviceSeen,
    LinkDecided,
    LinkEnd,
    LoggedIn,
    RawSignal,
    RecordAsserted,
    Retracted,
)
from ingest.rejected import Rejected
from ingest.v1 import signal_pb2

MAX_AHEAD_S = 300
MAX_IDENTIFIERS = 16
MAX_SOURCE_CHARS = 64
MAX_SIGNAL_ID_CHARS = 128
MAX_CATEGORY_CHARS = 128
MAX_TEXT_CHARS = 512
MAX_OTHER = 64
MAX_DECISIONS = 64
CONTENTS = (
    "device_seen, logged_in, record_asserted, behaviour, consent_decided, link_decided, retracted"
)
_BIRTH_DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?", re.ASCII)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
_BEHAVIOURS = frozenset(signal_pb2.BehaviourType.values()) - {0}
_ASSURANCES = frozenset(signal_pb2.Assurance.values())
_VERDICTS = frozenset(signal_pb2.LinkVerdict.values()) - {0}


def check(signal: RawSignal, received_us: int, max_ahead_s: int = MAX_AHEAD_S) -> Rejected | None:
    """The first rule the signal breaks, or None.

    `received_us` is when it arrived, in microseconds since 1970; times further
    ahead of it than `max_ahead_s` are refused, times long past are normal.
    """
    wrong = _names(signal) or _times(signal, received_us + max_ahead_s * 1_000_000, max_ahead_s)
    if wrong is not None:
        return wrong
    if signal.assurance not in _ASSURANCES:
        return Rejected("assurance", "enum", "send ASSURANCE_NONE, _CLAIMED or _AUTHENTICATED")
    if len(signal.identifiers) > MAX_IDENTIFIERS:
        return Rejected("identifiers", "count", f"send at most {MAX_IDENTIFIERS}")
    content = signal.content
    if content is None:
        return Rejected("signal", "one_of", f"send one of {CONTENTS}")
    return _CONTENTS[type(content)](signal, content)


def _names(signal: RawSignal) -> Rejected | None:
    source, signal_id = signal.source, signal.signal_id
    if (
        0 < len(source) <= MAX_SOURCE_CHARS
        and 0 < len(signal_id) <= MAX_SIGNAL_ID_CHARS
        and source.isprintable()
        and signal_id.isprintable()
        and not source.isspace()
        and not signal_id.isspace()
    ):
        return None
    return _name("source", signal.source, MAX_SOURCE_CHARS) or _name(
        "signal_id", signal.signal_id, MAX_SIGNAL_ID_CHARS
    )


def _name(field: str, value: str, max_chars: int) -> Rejected | None:
    if not value or value.isspace():
        return Rejected(field, "required", "every signal names its source and its id there")
    if len(value) > max_chars:
        return Rejected(field, "length", f"send at most {max_chars} characters")
    if not value.isprintable():
        return Rejected(field, "printable", "send printable characters only")
    return None


def _times(signal: RawSignal, latest_us: int, max_ahead_s: int) -> Rejected | None:
    event_us, published_us = signal.event_us, signal.published_us
    if event_us is None:
        return Rejected("event_time", "required", "say when it happened")
    if 0 <= event_us <= latest_us and (published_us is None or 0 <= published_us <= latest_us):
        return None
    field = "publish_time" if 0 <= event_us <= latest_us else "event_time"
    at_us = published_us if field == "publish_time" else event_us
    assert at_us is not None, "an absent time is not out of range"
    if at_us < 0:
        return Rejected(field, "time_range", "send a time of 1970 or later")
    return Rejected(field, "ahead", f"set the source's clock; up to {max_ahead_s} s are allowed")


def _some_identifier(signal: RawSignal) -> Rejected | None:
    if signal.identifiers:
        return None
    return Rejected("identifiers", "required", "send at least one identifier")


def _no_identifier(signal: RawSignal, content: str) -> Rejected | None:
    if not signal.identifiers:
        return None
    return Rejected("identifiers", "forbidden", f"leave them out of a signal with {content}")


def _device_seen(signal: RawSignal, _: DeviceSeen) -> Rejected | None:
    return _some_identifier(signal)


def _logged_in(signal: RawSignal, content: LoggedIn) -> Rejected | None:
    return _some_identifier(signal) or _texts("logged_in", content, ("method",), 64)


def _behaviour(signal: RawSignal, content: Behaviour) -> Rejected | None:
    if content.type not in _BEHAVIOURS:
        return Rejected("behaviour.type", "enum", "send a type other than UNSPECIFIED")
    if len(content.category) > MAX_CATEGORY_CHARS:
        return Rejected(
            "behaviour.category", "length", f"send at most {MAX_CATEGORY_CHARS} characters"
        )
    if not isfinite(content.value):
        return Rejected("behaviour.value", "finite", "send a finite number, or leave it out")
    if len(content.item) > MAX_TEXT_CHARS:
        return Rejected("behaviour.item", "length", f"send at most {MAX_TEXT_CHARS} characters")
    if len(content.unit) + len(content.channel) + len(content.campaign) > MAX_CATEGORY_CHARS:
        wrong = _texts("behaviour", content, ("unit", "channel", "campaign"), MAX_CATEGORY_CHARS)
        if wrong is not None:
            return wrong
    return _some_identifier(signal)


def _record(signal: RawSignal, content: RecordAsserted) -> Rejected | None:
    """A record may come without identifiers: it can still be compared with others."""
    at = "record_asserted"
    if not says_something(content) and not signal.identifiers:
        return Rejected(at, "required", "send an attribute or an identifier")
    names = tuple(name for name in content._fields if name not in ("address", "other"))
    wrong = _texts(at, content, names, MAX_TEXT_CHARS)
    if wrong is None and content.address is not None:
        wrong = _texts(f"{at}.address", content.address, content.address._fields, MAX_TEXT_CHARS)
    if wrong is not None:
        return wrong
    if content.birth_date and _BIRTH_DATE.fullmatch(content.birth_date.strip()) is None:
        return Rejected(f"{at}.birth_date", "shape", "send 1990-12-31, 1990-12 or 1990")
    if len(content.other) > MAX_OTHER:
        return Rejected(f"{at}.other", "count", f"send at most {MAX_OTHER}")
    for name, value in content.other:
        if _NAME.fullmatch(name) is None:
            return Rejected(
                f"{at}.other", "shape", "name attributes with up to 64 of A-Z a-z 0-9 _ . -"
            )
        if len(value) > MAX_TEXT_CHARS:
            return Rejected(f"{at}.other", "length", f"send at most {MAX_TEXT_CHARS} characters")
    return None


def says_something(content: RecordAsserted) -> bool:
    """Whether a record holds any attribute."""
    return any(content._replace(address=None)) or any(content.address or ())


def _consent(signal: RawSignal, content: ConsentDecided) -> Rejected | None:
    at = "consent_decided.decisions"
    forms = (content.decisions, content.tcf_string, content.global_privacy_control)
    given = sum(map(bool, forms))
    if not given:
        return Rejected(at, "required", "name at least one purpose, or send a consent string")
    if given > 1:
        hint = "send decisions, a consent string or global_privacy_control in signals of their own"
        return Rejected("consent_decided", "one_of", hint)
    if len(content.decisions) > MAX_DECISIONS:
        return Rejected(at, "count", f"send at most {MAX_DECISIONS}")
    seen: dict[str, bool] = {}
    for purpose, granted in content.decisions:
        if _NAME.fullmatch(purpose) is None:
            return Rejected(f"{at}.purpose", "shape", "send the policy's id of the purpose")
        if seen.setdefault(purpose, granted) != granted:
            return Rejected(at, "twice", "decide on each purpose once")
    return _some_identifier(signal) or _texts(
        "consent_decided", content, ("text_version", "place"), MAX_TEXT_CHARS
    )


def _link(signal: RawSignal, content: LinkDecided) -> Rejected | None:
    at = "link_decided"
    if content.verdict not in _VERDICTS:
        return Rejected(f"{at}.verdict", "enum", "send LINK_VERDICT_SAME or _NOT_SAME")
    return (
        _end(f"{at}.left", content.left)
        or _end(f"{at}.right", content.right)
        or _texts(at, content, ("reason",), MAX_TEXT_CHARS)
        or _no_identifier(signal, at)
    )


def _end(at: str, end: LinkEnd | None) -> Rejected | None:
    said = 0 if end is None else sum(bool(one) for one in end)
    if end is None or said != 1:
        return Rejected(at, "one_of", "send an identifier, a record or a record's token")
    if end.record_token and not _TOKEN.fullmatch(end.record_token):
        hint = "send the 22 characters behind record: of a pair that is listed"
        return Rejected(f"{at}.record_token", "shape", hint)
    if end.record is None:
        return None
    source, signal_id = end.record
    return _name(f"{at}.record.source", source, MAX_SOURCE_CHARS) or _name(
        f"{at}.record.signal_id", signal_id, MAX_SIGNAL_ID_CHARS
    )


def _retracted(signal: RawSignal, content: Retracted) -> Rejected | None:
    if content.signal_id == signal.signal_id:
        return Rejected("retracted.signal_id", "same_ends", "name an earlier signal, not itself")
    return (
        _name("retracted.signal_id", content.signal_id, MAX_SIGNAL_ID_CHARS)
        or _texts("retracted", content, ("reason",), MAX_TEXT_CHARS)
        or _no_identifier(signal, "retracted")
    )


def _texts(at: str, message: Any, names: tuple[str, ...], max_chars: int) -> Rejected | None:
    for name in names:
        if len(getattr(message, name)) > max_chars:
            return Rejected(f"{at}.{name}", "length", f"send at most {max_chars} characters")
    return None


_CONTENTS: dict[type, Callable[[RawSignal, Any], Rejected | None]] = {
    DeviceSeen: _device_seen,
    LoggedIn: _logged_in,
    RecordAsserted: _record,
    Behaviour: _behaviour,
    ConsentDecided: _consent,
    LinkDecided: _link,
    Retracted: _retracted,
}

"""Proto JSON is read as protobuf's own library reads it, only strictly and fast."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import decode_json, decode_protobuf
from ingest.raw import Behaviour, RawSignal
from ingest.rejected import RULES, Rejected
from ingest.times import rfc3339_us
from ingest.v1 import signal_pb2
from tests.support.intaking import EVENT_US, line, said

FINITE = st.floats(width=32, allow_infinity=False, allow_nan=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ENUM_FREE: dict[str, Any] = {
    "logged_in": st.fixed_dictionaries({}, optional={"method": TEXT}),
    "device_seen": st.just({}),
    "record_asserted": st.fixed_dictionaries(
        {},
        optional={
            "full_name": TEXT,
            "email": TEXT,
            "address": st.fixed_dictionaries({}, optional={"city": TEXT, "country": TEXT}),
            "other": st.dictionaries(TEXT, TEXT, max_size=3),
        },
    ),
    "behaviour": st.fixed_dictionaries(
        {"type": st.sampled_from(["BEHAVIOUR_TYPE_CLICK", "BEHAVIOUR_TYPE_PURCHASE", 4])},
        optional={
            "category": TEXT,
            "value": st.floats(width=32, allow_infinity=False, allow_nan=False),
            "item": TEXT,
        },
    ),
    "consent_decided": st.fixed_dictionaries(
        {
            "decisions": st.lists(
                st.fixed_dictionaries({"purpose": TEXT, "granted": st.booleans()}), max_size=3
            )
        },
        optional={"tcf_string": TEXT, "global_privacy_control": st.booleans()},
    ),
    "link_decided": st.fixed_dictionaries(
        {
            "left": st.fixed_dictionaries({"record": st.fixed_dictionaries({"source": TEXT})})
            | st.fixed_dictionaries({"record_token": TEXT}),
            "right": st.fixed_dictionaries({"identifier": st.fixed_dictionaries({"kind": TEXT})}),
            "verdict": st.sampled_from(["LINK_VERDICT_SAME", 2]),
        }
    ),
    "retracted": st.fixed_dictionaries({"signal_id": TEXT}, optional={"reason": TEXT}),
}
CONTENT = st.sampled_from(sorted(ENUM_FREE)).flatmap(
    lambda name: ENUM_FREE[name].map(lambda body: {name: body})
)
ENVELOPE = st.fixed_dictionaries(
    {},
    optional={
        "source": TEXT,
        "signal_id": TEXT,
        "event_time": st.sampled_from(
            [
                "2026-03-01T12:00:00Z",
                "1990-01-01T00:00:00.123456789+05:30",
                "1969-12-31T23:59:59.5Z",
            ]
        ),
        "publish_time": st.sampled_from(["2026-03-01T12:00:00.1-11:00"]),
        "assurance": st.sampled_from(["ASSURANCE_CLAIMED", 3, 0]),
        "identifiers": st.lists(
            st.fixed_dictionaries({}, optional={"kind": TEXT, "value": TEXT}), max_size=3
        ),
        "context": st.fixed_dictionaries({}, optional={"user_agent": TEXT, "locale": TEXT}),
    },
)


@settings(deadline=None)
@given(ENVELOPE, CONTENT)
def test_json_reads_as_protobuf_reads_it(envelope: dict[str, Any], content: dict[str, Any]) -> None:
    """Whatever json_format accepts, both decoders turn into the same signal."""
    document = {**envelope, **content}
    message = json_format.ParseDict(document, signal_pb2.Signal())
    text = json_format.MessageToJson(message).encode()
    assert repr(decode_json.decode(text)) == repr(
        decode_protobuf.decode(message.SerializeToString())
    )


def _refusal(document: object) -> Rejected:
    found = decode_json.decode(orjson.dumps(document))
    assert isinstance(found, Rejected), found
    return found


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        ({"colour": 1}, "colour", "unknown_field"),
        ({"context": {"userAgnet": "x"}}, "context.userAgnet", "unknown_field"),
        (
            {"identifiers": [{"kind": "device", "value": "a"}, {"kind": 7}]},
            "identifiers[1].kind",
            "type",
        ),
        ({"identifiers": [{"kind": "device", "value": 7}]}, "identifiers[0].value", "type"),
        ({"identifiers": {}}, "identifiers", "type"),
        ({"identifiers": [None]}, "identifiers[0]", "type"),
        ({"source": 7}, "source", "type"),
        ({"eventTime": "2026-03-01T12:00:00Z"}, "event_time", "twice"),
        ({"logged_in": {}}, "logged_in", "one_of"),
        ({"event_time": "yesterday"}, "event_time", "time"),
        ({"event_time": 7}, "event_time", "time"),
        ({"assurance": "SURE"}, "assurance", "enum"),
        ({"assurance": True}, "assurance", "enum"),
        ({"behaviour": {"type": "CLICK"}}, "behaviour.type", "enum"),
        ({"behaviour": {"value": "much"}}, "behaviour.value", "type"),
        ({"behaviour": {"value": True}}, "behaviour.value", "type"),
        ({"behaviour": []}, "behaviour", "type"),
    ],
)
def test_what_is_wrong_is_named_by_field_and_rule(
    change: dict[str, Any], field: str, rule: str
) -> None:
    """Each fault names the path of its field, and the rule it breaks."""
    found = _refusal({**said(), **change})
    assert (found.field, found.rule) == (field, rule)
    assert RULES[rule] in str(found)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (b"", "json"),
        (b"{", "json"),
        (b'"\xff"', "json"),
        (b'{"source":"\\ud800"}', "json"),
        (b"[]", "type"),
        (b"null", "type"),
        (b" " * 300_000, "size"),
        (b"[" * 5_000, "json"),
    ],
)
def test_what_is_no_signal_is_said_to_be_none(text: bytes, rule: str) -> None:
    """Broken, nested and oversized lines are rejected, not raised."""
    found = decode_json.decode(text)
    assert isinstance(found, Rejected)
    assert (found.field, found.rule) == ("signal", rule)


def test_a_field_name_that_may_be_somebodys_data_is_not_repeated() -> None:
    """An unknown field is named only if it looks like a field's name."""
    assert _refusal({"anna@kinfold.io": 1}).field == "?"
    assert "anna" not in str(_refusal({"record_asserted": {"other": {"anna b": 7}}}))


def test_null_means_absent() -> None:
    """A field that is null is as if it were not there."""
    assert decode_json.decode(line()) == decode_json.decode(
        orjson.dumps({**said(), "context": None, "loggedIn": None, "publishTime": None})
    )


def test_numbers_may_be_strings() -> None:
    """A double may be a string, as protobuf's JSON form allows, infinity and NaN included."""
    found = decode_json.decode(line(behaviour={"type": 3, "value": "12.5e1"}))
    assert isinstance(found, RawSignal)
    assert found.content == Behaviour(type=3, value=125.0)
    infinite = decode_json.decode(line(behaviour={"type": 3, "value": "-Infinity"}))
    assert isinstance(infinite, RawSignal)
    assert infinite.content == Behaviour(type=3, value=float("-inf"))


@pytest.mark.parametrize(
    ("text", "at_us"),
    [
        ("2026-03-01T12:00:00Z", EVENT_US),
        ("2026-03-01T12:00:00.5Z", EVENT_US + 500_000),
        ("2026-03-01T12:00:00.000000999Z", EVENT_US),
        ("2026-03-01T13:30:00.000001+01:30", EVENT_US + 1),
        ("2026-03-01T01:00:00-11:00", EVENT_US),
        ("1969-12-31T23:59:59.9999999Z", -1),
        ("0001-01-01T00:00:00+05:00", -62_135_614_800_000_000),
        ("2026-03-01", None),
        ("2026-03-01 12:00:00Z", None),
        ("2026-03-01T12:00:00", None),
        ("2026-02-30T12:00:00Z", None),
        ("2026-W09-7T12:00:00Z", None),
        ("2026-03-01T24:00:00Z", None),
        ("2026-03-01T12:00:60Z", None),
        ("2026-03-01T12:00:00.1234567890Z", None),
        ("٢٠٢٦-03-01T12:00:00Z", None),
        ("0000-01-01T00:00:00Z", None),
    ],
)
def test_times_are_rfc_3339_and_nothing_else(text: str, at_us: int | None) -> None:
    """Any offset and up to nine digits; finer than a microsecond is cut off towards the past."""
    assert rfc3339_us(text) == at_us

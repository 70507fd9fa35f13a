"""Signals that break a rule of the envelope are rejected with field, rule and way out."""

from __future__ import annotations

from typing import Any

import pytest

from ingest.rejected import RULES
from tests.support.intaking import EVENT_US, NOW_US, counted, intake, line, refused, taken

DEVICE = [{"kind": "device", "value": "d-1"}]
LINK = {
    "left": {"identifier": {"kind": "login", "value": "anna"}},
    "right": {"record": {"source": "crm", "signal_id": "7"}},
    "verdict": "LINK_VERDICT_SAME",
}
LONG = "x" * 513


BROKEN: list[tuple[dict[str, Any], str, str]] = [
    ({"source": None}, "source", "required"),
    ({"source": "  "}, "source", "required"),
    ({"source": "w" * 65}, "source", "length"),
    ({"source": "we\0b"}, "source", "printable"),
    ({"signal_id": None}, "signal_id", "required"),
    ({"signal_id": "s" * 129}, "signal_id", "length"),
    ({"signal_id": "s\n"}, "signal_id", "printable"),
    ({"event_time": None}, "event_time", "required"),
    ({"event_time": "1969-12-31T23:59:59Z"}, "event_time", "time_range"),
    ({"event_time": "2226-01-01T00:00:00Z"}, "event_time", "ahead"),
    ({"publish_time": "2226-01-01T00:00:00Z"}, "publish_time", "ahead"),
    ({"assurance": 4}, "assurance", "enum"),
    ({"identifiers": DEVICE * 17}, "identifiers", "count"),
    ({"identifiers": None}, "identifiers", "required"),
    ({"behaviour": None}, "signal", "one_of"),
    ({"behaviour": {}}, "behaviour.type", "enum"),
    ({"behaviour": {"type": 99}}, "behaviour.type", "enum"),
    ({"behaviour": {"type": 1, "category": "c" * 129}}, "behaviour.category", "length"),
    ({"behaviour": {"type": 3, "value": "NaN"}}, "behaviour.value", "finite"),
    ({"behaviour": {"type": 3, "item": LONG}}, "behaviour.item", "length"),
    ({"behaviour": {"type": 3, "campaign": "c" * 129}}, "behaviour.campaign", "length"),
    ({"device_seen": {}, "identifiers": []}, "identifiers", "required"),
    ({"logged_in": {"method": "m" * 65}}, "logged_in.method", "length"),
    ({"record_asserted": {}, "identifiers": []}, "record_asserted", "required"),
    ({"record_asserted": {"address": {}}, "identifiers": []}, "record_asserted", "required"),
    ({"record_asserted": {"full_name": LONG}}, "record_asserted.full_name", "length"),
    (
        {"record_asserted": {"address": {"city": LONG}}},
        "record_asserted.address.city",
        "length",
    ),
    ({"record_asserted": {"birth_date": "31.12.1990"}}, "record_asserted.birth_date", "shape"),
    ({"record_asserted": {"other": {"a b": "c"}}}, "record_asserted.other", "shape"),
    ({"record_asserted": {"other": {"a": LONG}}}, "record_asserted.other", "length"),
    (
        {"record_asserted": {"other": {f"a{n}": "b" for n in range(65)}}},
        "record_asserted.other",
        "count",
    ),
    ({"consent_decided": {}}, "consent_decided.decisions", "required"),
    (
        {"consent_decided": {"global_privacy_control": False}},
        "consent_decided.decisions",
        "required",
    ),
    (
        {"consent_decided": {"global_privacy_control": True, "tcf_string": "C"}},
        "consent_decided",
        "one_of",
    ),
    (
        {"consent_decided": {"decisions": [{"purpose": "a"}], "tcf_string": "C"}},
        "consent_decided",
        "one_of",
    ),
    (
        {"consent_decided": {"decisions": [{"granted": True}]}},
        "consent_decided.decisions.purpose",
        "shape",
    ),
    (
        {"consent_decided": {"decisions": [{"purpose": "a"}, {"purpose": "a", "granted": True}]}},
        "consent_decided.decisions",
        "twice",
    ),
    ({"link_decided": LINK}, "identifiers", "forbidden"),
    ({"link_decided": {**LINK, "verdict": 0}}, "link_decided.verdict", "enum"),
    ({"link_decided": {**LINK, "left": {}}}, "link_decided.left", "one_of"),
    (
        {"link_decided": {**LINK, "right": {"record": {"source": "crm"}}}},
        "link_decided.right.record.signal_id",
        "required",
    ),
    (
        {"link_decided": {**LINK, "right": {"record_token": "short"}}},
        "link_decided.right.record_token",
        "shape",
    ),
    (
        {"link_decided": {**LINK, "right": {"record_token": "x" * 22, "identifier": {}}}},
        "link_decided.right",
        "one_of",
    ),
    ({"retracted": {"signal_id": "s-0"}}, "identifiers", "forbidden"),
    ({"retracted": {}}, "retracted.signal_id", "required"),
    ({"retracted": {"signal_id": "s-1"}}, "retracted.signal_id", "same_ends"),
]


@pytest.mark.parametrize(("change", "field", "rule"), BROKEN)
def test_each_rule_names_its_field(change: dict[str, Any], field: str, rule: str) -> None:
    """One signal per rule; the rejection tells the field, the rule and a way out."""
    found = refused(**change)
    assert (found.field, found.rule) == (field, rule)
    assert found.hint
    assert RULES[rule] in str(found)


def test_late_times_are_normal() -> None:
    """An event of 1970 counts as one of today does."""
    assert taken(event_time="1970-01-01T00:00:00Z").event_us == 0


def test_a_little_ahead_is_allowed() -> None:
    """A clock may be ahead by as much as set, and not by a microsecond more."""
    outcome = intake().from_json(line(), EVENT_US - 300_000_000)
    assert counted(outcome).event_us == EVENT_US
    assert not hasattr(intake().from_json(line(), EVENT_US - 300_000_001), "event_us")


def test_publish_time_is_the_signals_then_the_transports_then_the_events() -> None:
    """The first that is there counts."""
    own = line(publish_time="2026-03-01T12:00:01Z")
    assert counted(intake().from_json(own, NOW_US, 5)).published_us == EVENT_US + 1_000_000
    assert counted(intake().from_json(line(), NOW_US, 5)).published_us == 5
    assert counted(intake().from_json(line(), NOW_US)).published_us == EVENT_US


def test_a_record_needs_no_identifier() -> None:
    """A record that only holds a name counts: it can still be compared."""
    contribution = taken(record_asserted={"full_name": "Anna Muster"}, identifiers=None)
    assert [node.key.partition(":")[0] for node in contribution.nodes] == ["record"]

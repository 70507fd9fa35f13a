"""Messages of the Segment spec become the signals they stand for."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.model import Assurance, Contribution
from ingest.raw import Behaviour, Context, LoggedIn, PostalAddress, RawSignal, RecordAsserted
from ingest.rejected import Rejected
from ingest.segment import SegmentOptions, decode
from tests.support.intaking import EVENT, EVENT_US, NOW_US, counted, intake, kinds

CONTEXT = {
    "ip": "8.8.8.8",
    "userAgent": "curl/8",
    "locale": "en_US",
    "timezone": "Europe/Amsterdam",
    "campaign": {"name": "spring"},
    "location": {"country": "NL", "region": "NH", "city": "Amsterdam"},
    "device": {"id": "D1", "type": "ios", "advertisingId": "38400000-8CF0-11BD-B23E-10B96E40000D"},
}
IDENTIFIERS = (
    ("customer_id", "97980cfea0067"),
    ("cookie", "anon-1"),
    ("device", "D1"),
    ("advertising_id", "38400000-8CF0-11BD-B23E-10B96E40000D"),
)


def _message(**fields: Any) -> dict[str, Any]:
    return {
        "messageId": "m-1",
        "anonymousId": "anon-1",
        "userId": "97980cfea0067",
        "timestamp": EVENT,
        "context": CONTEXT,
        "integrations": {"All": True},
        **fields,
    }


def _decoded(options: SegmentOptions | None = None, **fields: Any) -> RawSignal:
    (found,) = decode(orjson.dumps(_message(**fields)), options or SegmentOptions())
    assert isinstance(found, RawSignal), found
    return found


def _refused(**fields: Any) -> Rejected:
    (found,) = decode(orjson.dumps(_message(**fields)), SegmentOptions())
    assert isinstance(found, Rejected), found
    return found


def test_identify_asserts_a_record_beside_its_identifiers() -> None:
    """The spec's reserved traits go where they belong, other plain ones by their names."""
    traits = {
        "email": "peter@kinfold.io",
        "firstName": "Peter",
        "lastName": "Gibbons",
        "birthday": "1990-12-31T00:00:00.000Z",
        "phone": "+41446681800",
        "address": {"street": "Langstrasse", "city": "Zürich", "postalCode": 8004, "country": "CH"},
        "plan": "premium",
        "logins": 5,
        "vip": True,
        "friends": ["a"],
        "avatar": "https://kinfold.io/a.png",
    }
    found = _decoded(type="identify", traits=traits)
    assert found.identifiers == IDENTIFIERS
    assert found.content == RecordAsserted(
        given_name="Peter",
        family_name="Gibbons",
        birth_date="1990-12-31",
        email="peter@kinfold.io",
        phone="+41446681800",
        address=PostalAddress(street="Langstrasse", city="Zürich", postcode="8004", country="CH"),
        other=(("logins", "5"), ("plan", "premium"), ("vip", "true")),
    )


def test_identify_without_traits_is_a_log_in() -> None:
    """Who it is, and nothing about them."""
    assert _decoded(type="identify").content == LoggedIn("identify")


def test_identify_is_one_contribution() -> None:
    """Record, its e-mail, user, cookie and device are linked by one signal."""
    text = orjson.dumps(_message(type="identify", traits={"email": "peter@kinfold.io"}))
    (outcome,) = intake().from_segment(text, NOW_US)
    expected = ["customer_id", "email", "advertising_id", "device", "cookie", "record"]
    assert kinds(counted(outcome)) == expected


def test_context_is_read() -> None:
    """Address, agent, zone, locale, place and the device's type."""
    assert _decoded(type="page").context == Context(
        "curl/8", "8.8.8.8", "Europe/Amsterdam", "en-US", "phone", "NL-NH"
    )


def test_context_an_sdk_garbled_is_left_out() -> None:
    """What cannot be read of what SDKs fill in by themselves does not cost the message."""
    context = {
        "timezone": "Etc/Unknown?",
        "locale": "?",
        "location": {"country": "United States", "region": "Ohio"},
        "device": {"type": "toaster", "id": 7},
        "ip": 7,
    }
    found = _decoded(type="page", context=context)
    assert found.context == Context(network_address="7")
    assert ("device", "7") in found.identifiers


def test_a_refused_advertising_id_is_not_read() -> None:
    """Who turned ad tracking off is not followed by that id."""
    device = {**CONTEXT["device"], "adTrackingEnabled": False}  # type: ignore[dict-item]
    found = _decoded(type="page", context={"device": device})
    assert [kind for kind, _ in found.identifiers] == ["customer_id", "cookie", "device"]


@pytest.mark.parametrize(
    ("fields", "content"),
    [
        ({"type": "page", "name": "Home"}, Behaviour(1, "Home", channel="web", campaign="spring")),
        (
            {"type": "page", "name": "Home", "properties": {"category": "Docs", "url": "x"}},
            Behaviour(1, "Docs", channel="web", campaign="spring"),
        ),
        (
            {"type": "screen", "name": "Main"},
            Behaviour(1, "Main", channel="app", campaign="spring"),
        ),
        (
            {"type": "track", "event": "Products Searched", "channel": "browser"},
            Behaviour(4, channel="web", campaign="spring"),
        ),
        ({"type": "track", "event": "Email Opened"}, Behaviour(5, campaign="spring")),
        ({"type": "track", "event": "Push Notification Tapped"}, Behaviour(6, campaign="spring")),
        ({"type": "track", "event": "Product Clicked"}, Behaviour(2, campaign="spring")),
        ({"type": "track", "event": "Product Shared"}, Behaviour(9, campaign="spring")),
        (
            {"type": "track", "event": "Video  Played", "channel": "mobile"},
            Behaviour(10, "video played", channel="app", campaign="spring"),
        ),
        ({"type": "track", "event": "Signed In"}, LoggedIn("signed in")),
        ({"type": "track"}, Behaviour(10, campaign="spring")),
        (
            {"type": "group", "groupId": "g1", "traits": {"name": "Initech"}},
            RecordAsserted(other=(("group_id", "g1"), ("group_name", "Initech"))),
        ),
    ],
)
def test_each_kind_of_message_means_a_content(fields: dict[str, Any], content: object) -> None:
    """Pages and screens are views, tracked events go by the spec's names, groups are records."""
    assert _decoded(**fields).content == content


def test_an_order_is_a_purchase_with_its_items() -> None:
    """Total, currency and products of the e-commerce spec are kept."""
    properties = {
        "total": "27.50",
        "currency": "USD",
        "category": "games",
        "products": [{"name": "Monopoly", "sku": "1"}, {"sku": "46"}, 7],
    }
    assert _decoded(type="track", event="Order Completed", properties=properties).content == (
        Behaviour(3, "games", "Monopoly, 46", 27.5, "USD", campaign="spring")
    )


def test_an_alias_links_the_previous_id() -> None:
    """The previous id is the anonymous one, or an older user id when both are there."""
    one = _decoded(type="alias", previousId="anon-1")
    assert one.identifiers[:2] == IDENTIFIERS[:2]
    two = _decoded(type="alias", previousId="old-user")
    assert ("customer_id", "old-user") in two.identifiers
    three = _decoded(type="alias", previousId="anon-7", anonymousId=None)
    assert ("cookie", "anon-7") in three.identifiers


def test_kinds_source_and_assurance_are_the_workspaces() -> None:
    """Options say what a user id is; a message without one is sure of nobody."""
    options = SegmentOptions("shop", "login", "device", "external:mac", Assurance.AUTHENTICATED)
    found = _decoded(options, type="page")
    assert found.source == "shop"
    assert found.assurance == Assurance.AUTHENTICATED
    assert [kind for kind, _ in found.identifiers[:3]] == ["login", "device", "external:mac"]
    assert _decoded(options, type="page", userId=None).assurance == Assurance.NONE
    assert _decoded(options, type="alias", previousId="old").assurance == Assurance.CLAIMED


@pytest.mark.parametrize(
    ("times", "event_us", "published_us"),
    [
        ({"timestamp": EVENT}, EVENT_US, None),
        ({"timestamp": EVENT, "sentAt": "2026-03-01T12:00:05Z"}, EVENT_US, EVENT_US + 5_000_000),
        (
            {
                "timestamp": None,
                "originalTimestamp": "2026-03-01T13:00:00Z",
                "sentAt": "2026-03-01T13:00:10Z",
                "receivedAt": "2026-03-01T12:00:10Z",
            },
            EVENT_US,
            EVENT_US + 10_000_000,
        ),
        ({"timestamp": None, "originalTimestamp": EVENT}, EVENT_US, None),
    ],
)
def test_times_follow_the_spec(
    times: dict[str, Any], event_us: int, published_us: int | None
) -> None:
    """A server's timestamp stands; a client's clock is corrected by when it sent and they heard."""
    found = _decoded(type="page", **times)
    assert (found.event_us, found.published_us) == (event_us, published_us)


@pytest.mark.parametrize(
    ("fields", "field", "rule"),
    [
        ({"type": "dance"}, "type", "segment"),
        ({"type": ["page"]}, "type", "segment"),
        ({"type": "page", "messageId": None}, "messageId", "required"),
        ({"type": "page", "timestamp": None}, "timestamp", "required"),
        ({"type": "page", "timestamp": "yesterday"}, "timestamp", "time"),
        ({"type": "page", "sentAt": "yesterday"}, "sentAt", "time"),
    ],
)
def test_what_cannot_be_read_is_named(fields: dict[str, Any], field: str, rule: str) -> None:
    """The field is named as the spec names it."""
    found = _refused(**fields)
    assert (found.field, found.rule) == (field, rule)


def test_a_batch_gives_an_outcome_per_message() -> None:
    """Each message stands for itself; a broken one does not cost the others."""
    alone = {"context": {"ip": "9.9.9.9"}}
    batch = {
        "batch": [_message(type="page"), 7, _message(type="page", messageId="m-2", **alone)],
        "sentAt": "2026-03-01T12:00:05Z",
        "context": {"timezone": "Europe/Zurich"},
    }
    one, two, three = decode(orjson.dumps(batch), SegmentOptions())
    assert isinstance(one, RawSignal)
    assert one.published_us == EVENT_US + 5_000_000
    assert isinstance(two, Rejected)
    assert isinstance(three, RawSignal)
    assert three.context == Context(network_address="9.9.9.9", time_zone="Europe/Zurich")


@pytest.mark.parametrize(
    ("text", "field", "rule"),
    [
        (b"{", "signal", "json"),
        (b"[]", "signal", "type"),
        (b'{"batch":7}', "batch", "type"),
        (b'{"batch":[' + b"7," * 500 + b"7]}", "batch", "count"),
        (b" " * 1_100_000, "signal", "size"),
    ],
)
def test_what_is_no_message_is_said_to_be_none(text: bytes, field: str, rule: str) -> None:
    """Broken and oversized input is one rejection."""
    (found,) = decode(text, SegmentOptions())
    assert isinstance(found, Rejected)
    assert (found.field, found.rule) == (field, rule)


def test_a_message_sent_again_is_the_same_signal() -> None:
    """What an SDK sends again with another `sentAt` has the digest it had."""
    first, again = (
        counted(intake().from_segment(orjson.dumps(_message(type="page", sentAt=at)), NOW_US)[0])
        for at in ("2026-03-01T12:00:05Z", "2026-03-01T12:10:00Z")
    )
    assert (first.signal, first.digest) == (again.signal, again.digest)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = ["type", "context", "traits", "properties", "timestamp", "userId", "event", "batch"]


@settings(deadline=None)
@given(
    st.sampled_from(["identify", "track", "page", "screen", "group", "alias"]),
    st.sampled_from(NAMES),
    st.sampled_from(["device", "address", "products", "total", "campaign", "email", "birthday"]),
    ANY,
)
def test_no_message_raises(kind: str, name: str, inner: str, value: object) -> None:
    """Whatever stands in any field, every outcome is a contribution or a rejection."""
    for body in (value, {inner: value}):
        text = orjson.dumps({**_message(type=kind, event="Order Completed"), name: body})
        for outcome in _shared.from_segment(text, NOW_US):
            assert isinstance(outcome, (Contribution, Rejected))


_shared = intake()

"""Context, behaviour and records are brought into one form."""

from __future__ import annotations

from typing import Any

import pytest

from ingest import normalise
from ingest.raw import Behaviour, Context, PostalAddress, RecordAsserted
from ingest.rejected import Rejected
from ingest.v1 import signal_pb2

CHROME = (
    "Mozilla/5.0 (Linux; Android 13; Pixel 7) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/120.0.0.0 Mobile Safari/537.36"
)
SAFARI_PAD = (
    "Mozilla/5.0 (iPad; CPU OS 16_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/16.5 Mobile/15E148 Safari/604.1"
)
CHROME_MAC = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_2) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/50.0.2661.86 Safari/537.36"
)
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:120.0) Gecko/20100101 Firefox/120.0"


def _cells(**fields: str) -> tuple[str, ...] | Rejected:
    return normalise.context_cells(Context(**fields), "net:{}".format)


@pytest.mark.parametrize(
    ("user_agent", "read"),
    [
        (CHROME, ("Chrome Mobile", "Android", "phone")),
        (CHROME.replace(" Mobile", ""), ("Chrome", "Android", "tablet")),
        (SAFARI_PAD, ("Mobile Safari", "iOS", "tablet")),
        (FIREFOX, ("Firefox", "Windows", "desktop")),
        (CHROME_MAC, ("Chrome", "Mac OS X", "desktop")),
        ("curl/8", ("curl", "", "")),
        ("", ("", "", "")),
    ],
)
def test_agents_are_kept_as_families(user_agent: str, read: tuple[str, str, str]) -> None:
    """Browser and system families and the type of device; no versions, no models."""
    assert normalise.agent(user_agent) == read


@pytest.mark.parametrize("user_agent", [CHROME, CHROME_MAC, SAFARI_PAD, FIREFOX])
def test_agents_in_lower_case_are_read_as_well(user_agent: str) -> None:
    """Logs that lower the case of user agents lose nothing by it."""
    assert normalise.agent(user_agent.lower()) == normalise.agent(user_agent)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.168.1.7", "192.168.1.7"),
        (" 8.8.8.8 ", "8.8.8.8"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::99", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::1]", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:8.8.8.8", "8.8.8.8"),
        ("999.1.1.1", "999.1.1.1"),
        ("85132b2fc51d9783", "85132b2fc51d9783"),
        ("office Wi-Fi", "office Wi-Fi"),
    ],
)
def test_addresses_become_networks(address: str, network: str) -> None:
    """IPv4 as it is, IPv6 as its /64, any other name verbatim."""
    assert normalise.network(address) == network


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("News.Example", "news.example"),
        ("https://www.news.example/anna?q=1", "news.example"),
        ("//news.example:8443", "news.example"),
        ("user:secret@news.example/x", "news.example"),
        ("news.example.", "news.example"),
        ("/only/a/path", ""),
        ("https://", ""),
        ("http://[broken", ""),
        ("not a host", ""),
    ],
)
def test_addresses_of_pages_become_hosts(address: str, host: str) -> None:
    """The host alone is left, in one form; what has none is no site."""
    assert normalise.site(address) == host


def test_a_context_becomes_cells() -> None:
    """Every part is a cell of its dimension; the network is named by the caller's word for it."""
    assert _cells(
        user_agent=CHROME,
        network_address="2001:db8::1",
        time_zone="Europe/Zurich",
        locale="DE_ch",
        coarse_place="ch-zh",
    ) == (
        "net:2001:db8::/64",
        "browser:Chrome Mobile",
        "system:Android",
        "device_type:phone",
        "locale:de-CH",
        "zone:Europe/Zurich",
        "place:CH-ZH",
    )


def test_a_device_type_that_is_said_beats_the_derived_one() -> None:
    """What the source says goes before what the user agent lets guess."""
    found = _cells(user_agent=CHROME, device_type="TV")
    assert found == ("browser:Chrome Mobile", "system:Android", "device_type:tv")


@pytest.mark.parametrize(
    ("fields", "field", "rule"),
    [
        ({"time_zone": "Mars/Olympus"}, "context.time_zone", "zone"),
        ({"time_zone": "../../etc/passwd"}, "context.time_zone", "zone"),
        ({"locale": "German"}, None, None),
        ({"locale": "d"}, "context.locale", "shape"),
        ({"locale": "de--CH"}, "context.locale", "shape"),
        ({"coarse_place": "Zurich"}, "context.coarse_place", "shape"),
        ({"device_type": "toaster"}, "context.device_type", "enum"),
        ({"user_agent": "x" * 2_049}, "context.user_agent", "length"),
        ({"network_address": "x" * 257}, "context.network_address", "length"),
    ],
)
def test_context_that_cannot_be_read_names_its_field(
    fields: dict[str, str], field: str | None, rule: str | None
) -> None:
    """A wrong field is named with its rule; a locale is judged by shape alone."""
    found = _cells(**fields)
    assert isinstance(found, Rejected) == (field is not None)
    if isinstance(found, Rejected):
        assert (found.field, found.rule) == (field, rule)


@pytest.mark.parametrize(
    ("tag", "form"),
    [
        ("de", "de"),
        ("EN-us", "en-US"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("", None),
    ],
)
def test_locales_have_one_case(tag: str, form: str | None) -> None:
    """Language low, script titled, region high, as RFC 5646 recommends."""
    assert normalise.locale(tag) == form


@pytest.mark.parametrize(
    ("content", "cells"),
    [
        (Behaviour(1, " sport "), ("type:page_view", "category:sport")),
        (Behaviour(5), ("type:email_opened", "channel:email")),
        (Behaviour(7, channel="Speaker"), ("type:voice_query", "channel:speaker")),
        (Behaviour(2, campaign="spring"), ("type:click", "campaign:spring")),
    ],
)
def test_behaviour_becomes_cells(content: Behaviour, cells: tuple[str, ...]) -> None:
    """Type, category, channel and campaign; some types tell the channel by themselves."""
    kind, category, _, _, _, channel, campaign = content
    assert normalise.behaviour_cells(kind, category, channel, campaign) == cells


RECORD = RecordAsserted(
    full_name="  Anna\tMuster ",
    email="Anna@Kinfold.io",
    phone="044 668 18 00",
    address=PostalAddress(city=" Zürich\n", country="ch"),
    other=(("note", " a  b "),),
)


def test_records_are_tidied_not_changed() -> None:
    """Blanks go, e-mail and phone get their canonical forms, all else stays as it was said."""
    found = normalise.record(RECORD, "CH")
    assert found.full_name == "Anna Muster"
    assert (found.email, found.phone) == ("anna@kinfold.io", "+41446681800")
    assert found.address == PostalAddress(city="Zürich", country="CH")
    assert found.other == (("note", "a b"),)


def test_an_email_or_phone_that_is_none_is_kept_as_said() -> None:
    """A record's own e-mail and phone may be anything."""
    found = normalise.record(RecordAsserted(email="at work", phone="ask Anna"), "CH")
    assert (found.email, found.phone) == ("at work", "ask Anna")


def test_a_record_is_serialized_as_the_proto_has_it() -> None:
    """Every field of the record arrives in the message under its own name."""
    values: dict[str, Any] = {
        name: f"value of {name}"
        for name in RecordAsserted._fields
        if name not in ("address", "other")
    }
    address = PostalAddress(*(f"part {n}" for n in range(8)))
    record = RecordAsserted(**values, address=address, other=(("a", "1"), ("b", "2")))
    message = signal_pb2.RecordAsserted.FromString(normalise.serialized(record))
    assert {name: getattr(message, name) for name in values} == values
    assert [getattr(message.address, name) for name in address._fields] == list(address)
    assert dict(message.other) == {"a": "1", "b": "2"}


def test_a_purchase_keeps_item_and_price() -> None:
    """What was bought is serialized with its value and currency."""
    message = signal_pb2.Behaviour.FromString(
        normalise.purchase(Behaviour(3, "shoes", " Runner ", 99.5, "chf", "Web", "spring"))
    )
    assert (message.item, message.value, message.unit) == ("Runner", 99.5, "CHF")
    assert (message.category, message.channel, message.campaign) == ("shoes", "web", "spring")

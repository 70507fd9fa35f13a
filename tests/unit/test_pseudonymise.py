"""Signals become contributions that hold tokens and sealed values, and nothing raw."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import msgpack
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.matching.devices.activity import device_of_activity
from identity.model import ActivityDay, Contribution, EvidenceKind
from identity.tokens import Tokens
from ingest.intake import Intake
from ingest.rejected import Rejected
from ingest.v1 import signal_pb2
from profiles import contexts
from tests.support.intaking import (
    EVENT_US,
    NOW_US,
    ORDER_KEY,
    TOKEN_KEYS,
    cells,
    counted,
    intake,
    kinds,
    line,
    policy,
    protobuf,
    refused,
    said,
    sealer,
    taken,
    vault_keys,
)

TOKENS = Tokens(TOKEN_KEYS, ORDER_KEY)
DEVICE = {"kind": "device", "value": "d-1"}
LOGIN = {"kind": "login", "value": "Anna"}
CONTEXT = {"network_address": "10.0.0.1", "time_zone": "Europe/Zurich"}
EVERY: dict[str, Any] = {
    "device_seen": {},
    "logged_in": {"method": "password"},
    "record_asserted": {
        "full_name": "Anna Muster",
        "email": "anna@kinfold.io",
        "address": {"city": "Zug"},
        "other": {"b": "2", "a": "1"},
    },
    "behaviour": {"type": "BEHAVIOUR_TYPE_PURCHASE", "item": "shoe", "value": 9.5, "unit": "CHF"},
    "consent_decided": {"decisions": [{"purpose": "marketing", "granted": True}, {"purpose": "a"}]},
}
UNNAMED: dict[str, Any] = {
    "link_decided": {
        "left": {"identifier": LOGIN},
        "right": {"record": {"source": "crm", "signal_id": "7"}},
        "verdict": "LINK_VERDICT_NOT_SAME",
    },
    "retracted": {"signal_id": "s-0", "reason": "mistake"},
}


def test_nodes_are_tokens_in_order_of_priority() -> None:
    """A login goes before a device; both are named by the tokens of their normalised values."""
    contribution = taken(identifiers=[DEVICE, LOGIN, DEVICE])
    keys = [node.key for node in contribution.nodes]
    assert keys == [TOKENS.key("login", "anna"), TOKENS.key("device", "d-1")]
    assert [n.order for n in contribution.nodes] == [
        TOKENS.order("login", "anna"),
        TOKENS.order("device", "d-1"),
    ]


def test_what_rests_outlives_a_rotation_of_token_keys() -> None:
    """Order of nodes, holders, cells and what values are sealed for are as under an older chain."""
    sent = {"identifiers": [LOGIN, DEVICE, {"kind": "device", "value": "d-2"}], "context": CONTEXT}
    rotated = intake(token_keys=[*TOKEN_KEYS, b"2" * 32])
    before, after = taken(**sent), counted(rotated.from_json(line(**sent), NOW_US))
    assert [node.order for node in before.nodes] == [node.order for node in after.nodes]
    assert [node.key for node in before.nodes] != [node.key for node in after.nodes]
    assert [cells for _, cells in before.activity] == [cells for _, cells in after.activity]
    login = after.nodes[0]
    place = contexts.of_identifier("login", before.nodes[0].order)
    assert sealer().open(login.sealed, place) == b"anna"


def test_a_kept_value_is_sealed_for_its_node() -> None:
    """Where policy keeps a kind's value, the node holds it sealed; other nodes hold nothing."""
    login, device = taken(identifiers=[DEVICE, LOGIN]).nodes
    assert sealer().open(login.sealed, contexts.of_identifier("login", login.order)) == b"anna"
    assert device.sealed == b""


def test_behaviour_counts_for_the_person_and_context_for_the_device() -> None:
    """The highest identifier holds what was done, the device where and with what."""
    contribution = taken(identifiers=[DEVICE, LOGIN], context=CONTEXT)
    network = f"network:{TOKENS.cell('network', '10.0.0.1')}"
    assert cells(contribution) == {
        "login": ("type:page_view", "category:sport", "channel:web"),
        "device": (network, "zone:Europe/Zurich", f"{network.replace('network', 'slot')}@6"),
    }


@pytest.mark.parametrize(("hour", "slot"), [(0, 0), (1, 0), (2, 1), (13, 6), (23, 11)])
def test_a_network_counts_in_its_slot_of_two_hours(hour: int, slot: int) -> None:
    """Of twelve slots a day, that of the event's time in UTC."""
    event_time = f"2026-03-01T{hour:02}:59:59Z"
    contribution = taken(context={"network_address": "10.0.0.1"}, event_time=event_time)
    network = TOKENS.cell("network", "10.0.0.1")
    assert cells(contribution)["device"][-1] == f"slot:{network}@{slot}"


def test_a_site_counts_as_the_token_of_its_host() -> None:
    """A page's address and its host name are one site; the rest of the address is not kept."""
    expected = f"site:{TOKENS.cell('site', 'news.example')}"
    for site in ("news.example", "https://WWW.news.example:8443/a/b?user=anna#top"):
        contribution = taken(context={"site": site})
        assert cells(contribution)["device"][-1] == expected


@pytest.mark.parametrize(("site", "rule"), [("https://", "shape"), ("x" * 2_049, "length")])
def test_a_site_without_a_host_is_refused(site: str, rule: str) -> None:
    """The dead letter names the field and the rule, never the value."""
    found = refused(context={"site": site})
    assert (found.field, found.rule) == ("context.site", rule)


def test_a_device_of_the_graph_is_made_of_what_intake_counts() -> None:
    """Networks by day and slot, hours, sites and what a device says of itself come through."""
    hours, said = (1, 13, 37), {"site": "news.example", "device_type": "phone", "locale": "fr-CH"}
    days: dict[int, ActivityDay] = {}
    for hour in hours:
        event_time = f"2026-03-{1 + hour // 24:02}T{hour % 24:02}:00:00Z"
        contribution = taken(context=CONTEXT | said, event_time=event_time)
        at_us, ((_, own),) = contribution.event_us, contribution.activity
        day = days.setdefault(contribution.day, ActivityDay(0, at_us, at_us, Counter(), Counter()))
        days[contribution.day] = ActivityDay(
            day.count + 1,
            day.first_us,
            at_us,
            Counter(day.hours) + Counter([hour % 24]),
            Counter(day.cells) + Counter(own),
        )
    device = device_of_activity("device:x", days, may_link=True)
    network = TOKENS.cell("network", "10.0.0.1")
    first = min(days)
    assert device.type == "phone"
    assert device.traits.languages == {"fr"}
    assert device.traits.zone == "Europe/Zurich"
    assert device.network_days == {network: {first, first + 1}}
    assert device.slots == dict.fromkeys((first * 12, first * 12 + 6, first * 12 + 18), network)
    assert device.hours == {first * 24 + hour for hour in hours}
    assert device.visited[f"site:{TOKENS.cell('site', 'news.example')}"] == set(days)


def test_one_holder_has_one_entry() -> None:
    """A device alone holds behaviour and context together."""
    contribution = taken(context={"time_zone": "Europe/Zurich"})
    expected = ("type:page_view", "category:sport", "channel:web", "zone:Europe/Zurich")
    assert cells(contribution) == {"device": expected}


@pytest.mark.parametrize("content", [name for name in EVERY if name != "record_asserted"])
def test_a_node_without_a_link_is_a_holder(content: str) -> None:
    """One identifier alone always has an entry, if an empty one."""
    contribution = taken(**{content: EVERY[content]})
    assert [holder for holder, _ in contribution.activity] == [contribution.nodes[0].key]


def test_a_record_is_a_node_beside_its_own_email() -> None:
    """The record's e-mail becomes an identifier, the record a node and a sealed fact."""
    contribution = taken(record_asserted=EVERY["record_asserted"])
    assert kinds(contribution) == ["email", "device", "record"]
    fact, key = contribution.fact, TOKENS.record("web", "s-1")
    assert fact is not None
    assert (fact.kind, fact.subjects) == (EvidenceKind.RECORD, (key,))
    opened = sealer().open(fact.payload, contexts.of_record(key))
    assert signal_pb2.RecordAsserted.FromString(opened).full_name == "Anna Muster"


def test_a_records_broken_email_and_phone_make_no_identifier() -> None:
    """What is no address or names nobody stays an attribute."""
    record = {"full_name": "Anna", "email": "at work", "phone": "000000000"}
    assert kinds(taken(record_asserted=record)) == ["device", "record"]


def test_a_purchase_is_a_sealed_fact_of_the_first_node() -> None:
    """Item and price rest sealed; what can be counted is counted as for any behaviour."""
    contribution = taken(behaviour=EVERY["behaviour"], identifiers=[DEVICE, LOGIN])
    fact, holder = contribution.fact, contribution.nodes[0].key
    assert fact is not None
    assert (fact.kind, fact.subjects) == (EvidenceKind.PURCHASE, (holder,))
    place = contexts.of_purchase(contribution.signal)
    opened = signal_pb2.Behaviour.FromString(sealer().open(fact.payload, place))
    assert (opened.item, opened.value) == ("shoe", 9.5)
    assert cells(contribution) == {"login": ("type:purchase",)}


def test_a_consent_names_every_identifier() -> None:
    """The decisions are a plain fact of all that the signal names."""
    contribution = taken(consent_decided=EVERY["consent_decided"], identifiers=[DEVICE, LOGIN])
    fact = contribution.fact
    assert fact is not None
    assert fact.kind is EvidenceKind.CONSENT
    assert fact.subjects == tuple(node.key for node in contribution.nodes)
    assert msgpack.unpackb(fact.payload) == {
        "decisions": {"marketing": True, "a": False},
        "text_version": "",
        "place": "",
    }


def test_a_decision_of_staff_has_two_ends_and_no_node() -> None:
    """The ends are keys in order, whichever was called left."""
    link = UNNAMED["link_decided"]
    turned = {**link, "left": link["right"], "right": link["left"]}
    ends = tuple(sorted((TOKENS.key("login", "anna"), TOKENS.record("crm", "7"))))
    for decision in (link, turned):
        contribution = taken(link_decided=decision, identifiers=None)
        assert contribution.nodes == ()
        assert contribution.fact is not None
        assert (contribution.fact.subjects, contribution.fact.same) == (ends, False)


def test_a_record_is_named_by_its_token_as_by_its_signal() -> None:
    """A record's token is for good, so a decision may say the one or the other."""
    link = UNNAMED["link_decided"]
    token = TOKENS.record("crm", "7").removeprefix("record:")
    by_token = taken(link_decided={**link, "right": {"record_token": token}}, identifiers=None)
    by_signal = taken(link_decided=link, identifiers=None)
    assert by_token.fact == by_signal.fact
    assert by_token.digest != by_signal.digest
    # As before tokens could be said: what was taken in then stays known.
    assert taken(link_decided={**link, "left": {"identifier": LOGIN}}, identifiers=None).digest == (
        bytes.fromhex("ca0adefcb9ab7706")
    )


def test_only_sources_of_staff_decide_on_links() -> None:
    """Whoever may not decide joins nobody and holds nobody apart, whatever it claims."""
    found = refused(source="web", link_decided=UNNAMED["link_decided"], identifiers=None)
    assert (found.field, found.rule) == ("source", "may_decide")


@pytest.mark.parametrize("reserved", ["restriction", "legal_hold"])
def test_only_sources_of_staff_set_apart(reserved: str) -> None:
    """A restriction or a legal hold comes from staff alone, to be put in force and to be lifted."""
    for granted in (True, False):
        said = {"decisions": [{"purpose": reserved, "granted": granted}]}
        found = refused(source="web", consent_decided=said)
        assert (found.field, found.rule) == ("source", "may_decide")
        assert taken(source="staff", consent_decided=said).fact is not None


def test_a_decision_about_one_thing_is_refused() -> None:
    """Two ends that normalise to one say nothing."""
    left, right = {"identifier": LOGIN}, {"identifier": {"kind": "login", "value": "ANNA "}}
    found = refused(link_decided={"left": left, "right": right, "verdict": 1}, identifiers=None)
    assert (found.field, found.rule) == ("link_decided.right", "same_ends")


def test_a_retraction_names_a_signal_of_its_source() -> None:
    """It contributes nothing but the key of what no longer counts."""
    contribution = taken(retracted={"signal_id": "s-0"}, identifiers=None)
    assert contribution.retracts == TOKENS.signal("web", "s-0")
    assert (contribution.nodes, contribution.activity, contribution.fact) == ((), (), None)
    assert contribution.signal == TOKENS.signal("web", "s-1")


def test_a_blocked_identifier_is_dropped_and_counted() -> None:
    """Placeholders name nobody; the rest of the signal counts."""
    null = {"kind": "login", "value": " NULL "}
    ours = intake()
    for _ in range(2):
        assert kinds(counted(ours.from_json(line(identifiers=[null, DEVICE]), NOW_US))) == [
            "device"
        ]
    assert ours.blocked == {"login": 2}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("login", "unknown"),
        ("device", "000000"),
        ("email", "Test@Example.com"),
        ("phone", "000 000 000"),
        ("advertising_id", "00000000-0000-0000-0000-000000000000"),
    ],
)
def test_a_signal_with_blocked_identifiers_only_is_refused(kind: str, value: str) -> None:
    """Nobody is left whom it could be about, and the rule says so."""
    found = refused(identifiers=[{"kind": kind, "value": value}])
    assert (found.field, found.rule) == ("identifiers", "blocked")


@pytest.mark.parametrize(
    ("identifier", "field", "rule"),
    [
        ({"kind": "shoe_size", "value": "43"}, "identifiers[1].kind", "kind"),
        ({"kind": "record", "value": "43"}, "identifiers[1].kind", "kind"),
        ({"kind": "external", "value": "43"}, "identifiers[1].kind", "kind"),
        ({"kind": "external:", "value": "43"}, "identifiers[1].kind", "kind"),
        ({"kind": "phone", "value": "12"}, "identifiers[1].value", "phone"),
        ({"kind": "email", "value": "anna at work"}, "identifiers[1].value", "email"),
        ({"kind": "login", "value": ""}, "identifiers[1].value", "required"),
        ({"kind": "login", "value": "x" * 513}, "identifiers[1].value", "length"),
    ],
)
def test_a_broken_identifier_is_named_by_its_place(
    identifier: dict[str, str], field: str, rule: str
) -> None:
    """The rejection says which identifier, which rule, and never its value."""
    found = refused(identifiers=[DEVICE, identifier])
    assert (found.field, found.rule) == (field, rule)
    assert len(identifier["value"]) < 3 or identifier["value"] not in str(found)


def test_external_kinds_have_any_name() -> None:
    """`external:NAME` follows the policy of `external`."""
    assert kinds(taken(identifiers=[{"kind": "external:crm-2", "value": "7"}])) == [
        "external:crm-2"
    ]


@pytest.mark.parametrize("content", sorted({**EVERY, **UNNAMED}))
def test_json_and_protobuf_contribute_the_same(content: str) -> None:
    """Signal key, digest, nodes, cells and times do not depend on the form it came in."""
    fields: dict[str, Any] = {content: {**EVERY, **UNNAMED}[content], "context": CONTEXT}
    if content in UNNAMED:
        fields["identifiers"] = None
    one = counted(intake().from_json(line(**fields), NOW_US))
    two = counted(intake().from_protobuf(protobuf(**fields), NOW_US))
    assert _plain(one) == _plain(two)


def _plain(one: Contribution) -> tuple[object, ...]:
    """All of it but sealed bytes, which differ every time."""
    nodes = tuple((node.key, node.order) for node in one.nodes)
    fact = None if one.fact is None else (one.fact.kind, one.fact.subjects, one.fact.same)
    times = (one.event_us, one.published_us)
    named = (one.signal, one.digest, one.source, one.assurance, one.retracts)
    return (*named, *times, nodes, one.activity, fact)


def test_the_digest_leaves_publish_time_and_order_out() -> None:
    """Publishing again, or naming identifiers in another order, is the same content."""
    one = taken(identifiers=[DEVICE, LOGIN])
    two = taken(identifiers=[LOGIN, DEVICE], publish_time="2026-03-02T00:00:00Z")
    assert one.digest == two.digest


CHANGES: list[dict[str, Any]] = [
    {"event_time": "2026-03-01T12:00:00.000001Z"},
    {"assurance": 2},
    {"identifiers": [LOGIN]},
    {"identifiers": [DEVICE, LOGIN]},
    {"context": CONTEXT},
    {"behaviour": {"type": 1, "category": "sport", "channel": "web", "campaign": "x"}},
    {"behaviour": {"type": 2, "category": "sport", "channel": "web"}},
    {"logged_in": {}},
    {"device_seen": {}},
    {"source": "app"},
    {"signal_id": "s-2"},
]


def test_a_context_without_a_site_has_the_digest_it_had_before_there_were_sites() -> None:
    """Signals taken in earlier stay known when they are sent again."""
    assert taken(context=CONTEXT).digest.hex() == "a983cac430c5d632"
    assert taken(context=CONTEXT | {"site": "news.example"}).digest.hex() != "a983cac430c5d632"


def test_the_digest_tells_contents_apart() -> None:
    """Any change of content changes the digest."""
    digests = [taken().digest, *(taken(**change).digest for change in CHANGES)]
    assert len(set(digests)) == len(digests)
    assert {len(digest) for digest in digests} == {8}


def test_digest_and_order_outlive_a_rotation() -> None:
    """Another chain of token keys changes tokens, and neither digest nor order."""
    rotated = Intake(
        policy(), [*TOKEN_KEYS, b"another key of thirty-two bytes.."], ORDER_KEY, sealer()
    )
    one, two = taken(), counted(rotated.from_json(line(), NOW_US))
    assert (one.digest, one.signal, one.nodes[0].order) == (
        two.digest,
        two.signal,
        two.nodes[0].order,
    )
    assert one.nodes[0].key != two.nodes[0].key


def test_nothing_raw_is_left() -> None:
    """No identifier, network or attribute can be read in what a signal contributes."""
    secrets = ["SecretLogin", "secret@kinfold.io", "SecretName", "172.16.254.1", "SecretItem"]
    record = {"full_name": secrets[2], "email": secrets[1]}
    where = {
        "identifiers": [{"kind": "login", "value": secrets[0]}],
        "context": {"network_address": secrets[3]},
    }
    purchase = {"type": 3, "item": secrets[4]}
    text = repr(
        [taken(record_asserted=record, **where), taken(behaviour=purchase, **where)]
    ).lower()
    assert [secret for secret in secrets if secret.lower() in text] == []


def test_caches_change_nothing() -> None:
    """Signals taken again, in any order, and after caches were emptied, contribute the same."""
    ours = intake(keys=vault_keys())
    lines = [line(**{name: body}, context=CONTEXT) for name, body in EVERY.items()]
    first = [_plain(counted(ours.from_json(one, NOW_US))) for one in lines]
    assert [_plain(counted(ours.from_json(one, NOW_US))) for one in reversed(lines)] == first[::-1]
    assert not ours.renew()
    assert [_plain(counted(ours.from_json(one, NOW_US))) for one in lines] == first


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=10) | st.sampled_from(sorted(said())), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.sampled_from([*said(), *EVERY, *UNNAMED, "context", "publish_time"]), JSON)
def test_no_json_raises(name: str, value: object) -> None:
    """Whatever stands in any field, the answer is a contribution or a rejection."""
    text = orjson.dumps({**said(), name: value})
    assert isinstance(_shared.from_json(text, NOW_US), (Contribution, Rejected))


@settings(deadline=None)
@given(JSON)
def test_no_context_or_record_raises(value: object) -> None:
    """The same one level further in."""
    for name, field in (("context", "locale"), ("record_asserted", "other"), ("behaviour", "type")):
        text = orjson.dumps({**said(behaviour=None), name: {field: value}})
        assert isinstance(_shared.from_json(text, NOW_US), (Contribution, Rejected))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    """Neither as JSON nor as protobuf nor as Segment."""
    assert isinstance(_shared.from_json(data, NOW_US), (Contribution, Rejected))
    assert isinstance(_shared.from_protobuf(data, NOW_US), (Contribution, Rejected))
    assert all(isinstance(one, Rejected) for one in _shared.from_segment(data, NOW_US))


def test_mutated_protobuf_never_raises() -> None:
    """Flipped bytes in real messages give a contribution or a rejection."""
    draw = random.Random(5)
    for name, body in EVERY.items():
        whole = protobuf(**{name: body}, context=CONTEXT)
        for _ in range(300):
            broken = bytearray(whole)
            for _ in range(draw.randrange(1, 4)):
                broken[draw.randrange(len(broken))] = draw.randrange(256)
            outcome = _shared.from_protobuf(bytes(broken), NOW_US)
            assert isinstance(outcome, (Contribution, Rejected))


_shared = intake()


def test_event_time_is_microseconds() -> None:
    """The contribution holds the event's time as an integer."""
    assert taken().event_us == EVENT_US

"""IdentityService over a real server, asked by a plain gRPC client."""

from __future__ import annotations

import itertools
import threading
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Never

import grpc
import pytest
from google.protobuf.json_format import MessageToJson

from identity import policy as identity_policy
from identity.engines.memory import MemoryGraph, MemoryGraphStore
from identity.model import Assurance, Contribution, LineageChange, Node, PersonId
from identity.naming import Naming
from identity.resolver import Resolver
from identity.serve import IdentityAnswers
from identity.store import GraphStore, StoreUnavailable
from identity.tokens import Tokens
from identity.v1.identity_service_pb2 import (
    ExplainLinkRequest,
    GetLineageRequest,
    IdentifierRef,
    ResolveIdentityRequest,
)
from identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from profiles.access import Grant
from profiles.consent import is_apart
from profiles.serve.identity_service import IdentitySource
from profiles.serve.options import ServeOptions
from profiles.serve.profile_service import Lookups
from profiles.serve.server import ProfileServer
from tests.support.grpc_calls import raw_method, serving, told
from tests.support.rights import ACCESS
from tests.support.store_driver import Consumer, lease_of

POLICY = identity_policy.parse(
    tomllib.loads(
        (Path(__file__).parents[2] / "kinfold" / "default_policy.toml").read_text("utf-8")
    )
)
TOKENS = Tokens([b"token key of thirty-two bytes..."], b"order key of thirty-two bytes...")
NAMING = Naming(POLICY, TOKENS)
NOON_US = 1_700_000_000_000_000
EMAIL = ("email", "ann@posteo.net")
LOGIN = ("login", "ann-77")
COOKIE = ("cookie", "c-1")
OTHER = ("login", "bob-78")
UNSEEN = ("login", "nobody-79")
PORTS = ServeOptions(address="127.0.0.1:0")


def _node(identifier: tuple[str, str]) -> Node:
    key = NAMING(*identifier)
    assert key is not None
    return Node(key, TOKENS.order(*identifier))


def _together(
    signal_id: int, *identifiers: tuple[str, str], retracts: int | None = None
) -> Contribution:
    nodes = tuple(_node(identifier) for identifier in identifiers)
    return Contribution(
        signal=signal_id,
        digest=signal_id.to_bytes(8, "big"),
        event_us=NOON_US + signal_id,
        published_us=NOON_US + signal_id,
        source="web",
        assurance=Assurance.CLAIMED,
        nodes=nodes,
        activity=((nodes[0].key, ()),) if len(nodes) == 1 else (),
        retracts=retracts,
    )


class Graph:
    """A graph that signals are put into and resolved at once."""

    def __init__(self) -> None:
        self.graph = MemoryGraph()
        self.store = MemoryGraphStore(self.graph)
        self._consumer = Consumer(self.store)
        numbers = itertools.count()
        self._resolver = Resolver(
            self.store, POLICY, lambda: f"{next(numbers):026d}".translate(_BASE32)
        )

    def take(self, *contributions: Contribution) -> None:
        """Commit and resolve."""
        self._consumer.take(*contributions)
        while self._resolver.drain(lease_of(self.store), NOON_US):
            pass

    def person(self, identifier: tuple[str, str]) -> PersonId:
        """Who an identifier stands for."""
        key = _node(identifier).key
        return self.store.person_of((key,))[key]


_BASE32 = str.maketrans("0123456789", "abcdefghij")


def _server(open_store: Callable[[], GraphStore], lookups: Lookups) -> ProfileServer:
    source = IdentitySource(open_store, IdentityAnswers(POLICY, NAMING, is_apart))
    return ProfileServer(PORTS, lookups, source, access=ACCESS)


@dataclass
class Asked:
    """A server over a graph, and a client of it."""

    graph: Graph
    stub: IdentityServiceStub


class NoLookups:
    """IdentityService asks for no profile; this says so if it ever does."""

    def get(self, request: object, now_us: int, grant: Grant) -> Never:
        """Never asked."""
        raise AssertionError(request, now_us, grant)

    get_serialized = get_many = get


@pytest.fixture
def asked() -> Iterator[Asked]:
    """Ann's e-mail, login and cookie are one person; Bob is another."""
    graph = Graph()
    graph.take(
        _together(1, LOGIN, EMAIL),
        _together(2, LOGIN, COOKIE),
        _together(3, LOGIN, COOKIE),
        _together(4, OTHER),
    )
    with serving(_server(lambda: MemoryGraphStore(graph.graph), NoLookups())) as channel:
        yield Asked(graph, IdentityServiceStub(channel))


def _ref(identifier: tuple[str, str]) -> IdentifierRef:
    return IdentifierRef(kind=identifier[0], value=identifier[1])


def test_an_identifier_resolves_to_its_person(asked: Asked) -> None:
    """The person's current id, however the value is written, and how many nodes they have."""
    request = ResolveIdentityRequest(
        identifier=IdentifierRef(kind="email", value=" ANN@Posteo.net")
    )
    answer = asked.stub.ResolveIdentity(request)
    assert answer.person_id == asked.graph.person(EMAIL)
    assert (answer.member_count, answer.shared) == (3, False)


def test_asking_writes_nothing(asked: Asked) -> None:
    """Resolving an unknown identifier is refused and leaves the graph as it was."""
    before = asked.graph.store.totals()
    answer = told(
        lambda: asked.stub.ResolveIdentity(ResolveIdentityRequest(identifier=_ref(UNSEEN)))
    )
    assert (answer.code, answer.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_IDENTIFIER")
    assert asked.graph.store.totals() == before


def test_a_link_is_explained_as_data_and_as_a_sentence(asked: Asked) -> None:
    """The chain leads from left to right over the login, with sources, times and counts."""
    answer = asked.stub.ExplainLink(ExplainLinkRequest(left=_ref(EMAIL), right=_ref(COOKIE)))
    assert answer.same_person
    assert [(getattr(s, "from").kind, s.to.kind) for s in answer.steps] == [
        ("email", "login"),
        ("login", "cookie"),
    ]
    last = answer.steps[1]
    assert (last.basis, list(last.sources), last.signals) == ("observed", ["web"], 2)
    assert (last.first_seen.ToMicroseconds(), last.last_seen.ToMicroseconds()) == (
        NOON_US + 2,
        NOON_US + 3,
    )
    assert "one person" in answer.sentence
    assert "2 times by web" in last.sentence


def test_what_stands_between_two_people_is_told(asked: Asked) -> None:
    """Two people: an empty chain and at least one obstacle."""
    answer = asked.stub.ExplainLink(ExplainLinkRequest(left=_ref(EMAIL), right=_ref(OTHER)))
    assert not answer.same_person
    assert not answer.steps
    assert list(answer.obstacles) == ["nothing links them"]


def test_one_identifier_asked_about_twice_is_an_empty_chain(asked: Asked) -> None:
    """As the proto promises: the same person, no steps."""
    answer = asked.stub.ExplainLink(ExplainLinkRequest(left=_ref(EMAIL), right=_ref(EMAIL)))
    assert answer.same_person
    assert not answer.steps


def test_an_explanation_holds_no_raw_value(asked: Asked) -> None:
    """Neither an explanation nor an error repeats what was asked about."""
    answer = asked.stub.ExplainLink(ExplainLinkRequest(left=_ref(EMAIL), right=_ref(COOKIE)))
    unseen = told(
        lambda: asked.stub.ExplainLink(ExplainLinkRequest(left=_ref(EMAIL), right=_ref(UNSEEN)))
    )
    invalid = told(
        lambda: asked.stub.ResolveIdentity(
            ResolveIdentityRequest(identifier=IdentifierRef(kind="email", value="ann at home"))
        )
    )
    for text in (MessageToJson(answer), unseen.message, invalid.message):
        for raw in (EMAIL[1], LOGIN[1], COOKIE[1], UNSEEN[1], "at home"):
            assert raw not in text
    assert (unseen.reason, unseen.field) == ("UNKNOWN_IDENTIFIER", "right")
    assert (invalid.reason, invalid.field) == ("IDENTIFIER_INVALID", "identifier")


def test_an_old_id_leads_to_the_person_of_today(asked: Asked) -> None:
    """After a merge both ids have one lineage, oldest first, and stand for the same person."""
    ann, bob = asked.graph.person(LOGIN), asked.graph.person(OTHER)
    asked.graph.take(
        _together(5, ("customer_id", "k-5"), LOGIN), _together(6, ("customer_id", "k-5"), OTHER)
    )
    now = asked.graph.person(LOGIN)
    assert asked.graph.person(OTHER) == now
    gone = bob if now == ann else ann
    answer = asked.stub.GetLineage(GetLineageRequest(person_id=gone))
    assert (answer.person_id, answer.current_person_id) == (gone, now)
    merged = [entry for entry in answer.entries if entry.change == "merged"]
    assert [(entry.person_id, entry.other_person_id) for entry in merged] == [(gone, now)]
    assert [entry.resolution for entry in answer.entries] == sorted(
        entry.resolution for entry in answer.entries
    )
    assert {entry.change for entry in answer.entries} <= {
        change.name.lower() for change in LineageChange
    }


@pytest.mark.parametrize(
    ("person_id", "reason"),
    [("", "PERSON_ID_INVALID"), ("A" * 26, "PERSON_ID_INVALID"), ("7" * 26, "UNKNOWN_PERSON")],
)
def test_ids_never_given_out_have_no_lineage(asked: Asked, person_id: str, reason: str) -> None:
    """An impossible id and an unknown one are told apart, each naming the field."""
    answer = told(lambda: asked.stub.GetLineage(GetLineageRequest(person_id=person_id)))
    assert (answer.reason, answer.field) == (reason, "person_id")


def test_bytes_that_are_no_message_are_refused(asked: Asked) -> None:
    """Garbage is REQUEST_MALFORMED, not an internal error."""
    with serving(_server(lambda: MemoryGraphStore(asked.graph.graph), NoLookups())) as channel:
        method = raw_method(channel, "/identity.v1.IdentityService/GetLineage")
        answer = told(lambda: method(b"\xff\xff"))
    assert (answer.code, answer.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "REQUEST_MALFORMED",
    )


def test_a_store_out_of_reach_is_unavailable_and_says_nothing_more() -> None:
    """StoreUnavailable becomes UNAVAILABLE with a reason; the driver's words stay on the server."""

    def open_store() -> GraphStore:
        raise StoreUnavailable("bolt://db.internal:7687 refused ann@posteo.net")

    with serving(_server(open_store, NoLookups())) as channel:
        stub = IdentityServiceStub(channel)
        answer = told(lambda: stub.ResolveIdentity(ResolveIdentityRequest(identifier=_ref(EMAIL))))
    assert (answer.code, answer.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    assert "bolt" not in answer.message


def test_a_fault_is_told_to_the_log_without_values(caplog: pytest.LogCaptureFixture) -> None:
    """An exception is FAILED for the caller; the log has its type and place, not its text."""

    def open_store() -> GraphStore:
        raise ValueError("ann@posteo.net")

    with serving(_server(open_store, NoLookups())) as channel:
        stub = IdentityServiceStub(channel)
        answer = told(lambda: stub.ResolveIdentity(ResolveIdentityRequest(identifier=_ref(EMAIL))))
    assert (answer.code, answer.reason) == (grpc.StatusCode.INTERNAL, "FAILED")
    assert "ann" not in answer.message
    assert "ValueError" in caplog.text
    assert "open_store" in caplog.text
    assert "ann@" not in caplog.text


class CountedStore(MemoryGraphStore):
    """A store that remembers in which thread it was opened, used and closed."""

    def __init__(self, graph: MemoryGraph, log: list[tuple[str, int]]) -> None:
        super().__init__(graph)
        self._log = log
        log.append(("opened", threading.get_ident()))

    def close(self) -> None:
        """Tell the log."""
        self._log.append(("closed", threading.get_ident()))


def test_each_thread_has_a_store_of_its_own_and_closes_it() -> None:
    """A thread opens one store for many calls, and closes it when the server stops."""
    graph, log = Graph(), list[tuple[str, int]]()
    graph.take(_together(1, LOGIN, EMAIL))
    with serving(_server(lambda: CountedStore(graph.graph, log), NoLookups())) as channel:
        resolve = IdentityServiceStub(channel).ResolveIdentity
        calls = [resolve.future(ResolveIdentityRequest(identifier=_ref(EMAIL))) for _ in range(50)]
        assert {call.result().member_count for call in calls} == {2}
    opened = [thread for what, thread in log if what == "opened"]
    closed = [thread for what, thread in log if what == "closed"]
    assert opened
    assert sorted(opened) == sorted(closed)
    assert len(set(opened)) == len(opened) <= PORTS.identity_threads

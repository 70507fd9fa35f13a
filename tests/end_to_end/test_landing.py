"""What goes through a topic is pending until it counts in the graph, and then done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from identity.model import Contribution
from identity.store import GraphStore, Outcome
from ingest.recording import IntoStore
from ingest.staff_signals import StaffSignals
from ingest.v1.signal_pb2 import Signal
from kinfold.auditing import desk_ids, open_auditor
from kinfold.privacy import open_book, open_carrier
from kinfold.privacy_doing import Carrier
from kinfold.wiring import now_us, open_intake, open_policies, open_store, open_vault
from profiles.access import LOCAL, Grant
from profiles.serve.privacy_service import methods
from profiles.v1 import privacy_service_pb2 as pb
from tests.support.command_line import login
from tests.support.erasing import Home, home_at

pytestmark = pytest.mark.slow
GRANT = Grant(LOCAL, 0, 0, None, staff=None)


@dataclass
class Topic:
    """Signals on their way, which count when they are delivered."""

    store: GraphStore
    into: IntoStore
    waiting: list[tuple[Signal, Contribution]] = field(default_factory=list)

    def put(self, signal: Signal, understood: Contribution) -> Outcome:
        """As where Pulsar is set: what it comes to is not known yet."""
        self.waiting.append((signal, understood))
        return Outcome.COUNTED

    def deliver(self, number: int) -> None:
        """A consumer reads so many."""
        for signal, understood in self.waiting[:number]:
            assert self.into(signal, understood) in (Outcome.COUNTED, Outcome.RETRACTION)
        del self.waiting[:number]


@dataclass
class Desk:
    """PrivacyService over a home whose staff's signals go through a topic."""

    answers: dict[str, Any]
    doing: Carrier
    topic: Topic

    def ask(self, method: str, message: Any) -> Any:
        """An answer, which must be none of refusal."""
        _, answer = self.answers[method]
        found = answer(self.doing, message, GRANT)
        assert hasattr(found, "DESCRIPTOR"), found
        return found

    def run(self, kind: str, **more: Any) -> pb.PrivacyRequest:
        """A request of Ann's, taken in and run."""
        asked = pb.SubmitRequest(
            request_id="r-1", kind=kind, level="authenticated", staff="desk", **more
        )
        asked.subject.identifier.kind, asked.subject.identifier.value = "login", "ann"
        self.ask("Submit", asked)
        if asked.retractions:
            self.ask("Approve", pb.ApproveRequest(request_id="r-1", staff="dpo"))
        done: pb.PrivacyRequest = self.ask("Run", pb.RunRequest(request_id="r-1", staff="desk"))
        return done

    def graph(self, method: str = "Get", staff: str = "desk") -> str:
        """How far the graph is, as a method tells it."""
        kinds = {"Get": pb.GetRequest, "GetReceipt": pb.GetReceiptRequest, "Run": pb.RunRequest}
        found = self.ask(method, kinds[method](request_id="r-1", staff=staff)).request
        (graph,) = [one for one in found.stores if one.store == "graph"]
        return str(graph.status)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Ann is known, and so is a record of hers."""
    made = home_at(tmp_path / "home", {})
    record = {**login(2, ("login", "ann"), recordAsserted={"givenName": "Ana"}), "source": "crm"}
    made.take(login(1, ("login", "ann")), record)
    return made


@pytest.fixture
def desk(home: Home) -> Iterator[Desk]:
    """The desk of that home."""
    settings = home.settings
    policies = open_policies(settings)
    with ExitStack() as stack:
        vault = stack.enter_context(closing(open_vault(settings)))
        store = stack.enter_context(closing(open_store(settings)))
        book = open_book(settings, policies, vault)
        stack.enter_context(closing(book.requests))
        intake = open_intake(settings, policies, vault)
        topic = Topic(store, IntoStore(store, open_auditor(settings, vault), intake.age))
        source = policies.privacy.source
        signals = StaffSignals(source, intake, topic.put, desk_ids(vault), now_us)
        parts = open_carrier(settings, policies, vault, store)._parts
        doing = Carrier(replace(parts, signals=signals, waits=True))
        yield Desk(methods(book), doing, topic)


@pytest.mark.parametrize("method", ["Get", "GetReceipt", "Run"])
def test_a_decision_is_pending_until_it_counts(desk: Desk, method: str) -> None:
    """Whoever looks first after it counts notes it, once, and it stays noted."""
    desk.run("objection")
    assert desk.graph(method) == "pending"
    desk.topic.deliver(1)
    assert desk.graph(method) == "done"
    steps = desk.ask("Get", pb.GetRequest(request_id="r-1", staff="desk")).request.steps
    assert [one.step for one in steps][-2:] == ["finish", "settle"]
    assert desk.graph("Get") == "done"
    after = desk.ask("Get", pb.GetRequest(request_id="r-1", staff="desk")).request.steps
    assert list(after) == list(steps)


def test_a_correction_is_done_once_all_of_it_counts(desk: Desk) -> None:
    """What is right is there, and what is wrong is not any more."""
    wrong = [pb.SignalRef(source="crm", signal_id="s-2")]
    desk.run("correction", corrections={"given_name": "Anna"}, retractions=wrong)
    assert len(desk.topic.waiting) == 2
    assert desk.graph() == "pending"
    desk.topic.deliver(1)
    assert desk.graph() == "pending"
    desk.topic.deliver(1)
    assert desk.graph() == "done"

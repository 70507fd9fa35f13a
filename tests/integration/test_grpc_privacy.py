"""PrivacyService over the network, as a portal, a desk and an auditor use it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest

from profiles import merkle
from profiles.v1 import privacy_service_pb2 as pb
from profiles.v1.privacy_service_pb2_grpc import PrivacyServiceStub
from profiles.v1.profile_service_pb2 import GetProfileRequest, Subject, SubjectIdentifier
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub
from tests.support.command_line import CommandLine, as_lines, login
from tests.support.grpc_calls import told

ROOT = Path(__file__).parents[2]
TOKEN = "the portal's, and nobody else's"  # noqa: S105 - it opens nothing
PORTAL = (("authorization", f"Bearer {TOKEN}"),)
MORE = f"""
[staff.both]
roles = ["agent", "approver"]
[staff.eye]
roles = ["auditor"]
[callers.portal]
token_sha256 = "{sha256(TOKEN.encode()).hexdigest()}"
may = ["handles requests", "reads requests"]
staff = ["desk"]
kinds = ["email"]
"""
DESK, DPO, BOTH, EYE = "desk", "dpo", "both", "eye"
NO_SOURCE = pb.SignalRef(source="crm\0web", signal_id="s-1")
_NUMBERS = iter(range(1_000))


@dataclass(frozen=True, slots=True)
class Asking:
    """Stubs to one server, and people who are known there."""

    privacy: PrivacyServiceStub
    profiles: ProfileServiceStub
    line: CommandLine

    def known(self) -> str:
        """Somebody new who is known by an e-mail address and a login of the same name."""
        number = next(_NUMBERS)
        name = f"p{number}"
        signals = as_lines(login(number, ("email", f"{name}@posteo.net"), ("login", name)))
        self.line.does("ingest", "-", given=signals)
        return name

    def submit(self, name: str, kind: str, **more: Any) -> pb.PrivacyRequest:
        """Take a request in; who asks is known for sure."""
        asked = {"level": "authenticated", "staff": DESK, **more}
        request_id = f"r-{next(_NUMBERS)}"
        return self.privacy.Submit(
            pb.SubmitRequest(request_id=request_id, kind=kind, subject=email(name), **asked)
        ).request

    def is_served(self, name: str) -> bool:
        """Whether a lookup finds somebody."""
        asked = GetProfileRequest(subject=email(name), purposes=["service"])
        try:
            self.profiles.GetProfile(asked)
        except grpc.RpcError:
            return False
        return True


def email(name: str) -> Subject:
    """Somebody by e-mail address."""
    return Subject(identifier=SubjectIdentifier(kind="email", value=f"{name}@posteo.net"))


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """A server of the program itself, over an embedded home, with staff and a portal."""
    folder = tmp_path_factory.mktemp("privacy")
    shipped = (ROOT / "kinfold" / "default_policy.toml").read_text("utf-8")
    (folder / "policy.toml").write_text(shipped + MORE, "utf-8")
    line = CommandLine(folder, {"KINFOLD_HOME_POLICY": str(folder / "policy.toml")})
    with line.serving() as address, grpc.insecure_channel(address) as channel:
        yield Asking(PrivacyServiceStub(channel), ProfileServiceStub(channel), line)


def test_an_erasure_from_the_portal_to_the_receipt(asking: Asking) -> None:
    """Taken in, planned, approved by another person, run, gone from lookups, proved."""
    name = asking.known()
    assert asking.is_served(name)
    request = asking.submit(name, "erasure", words="all of it")
    assert (request.state, request.needs_approval) == ("verified", True)
    plan = asking.privacy.Plan(pb.PlanRequest(request_id=request.request_id, staff=EYE))
    assert dict(plan.removed) == {"email": 1, "login": 1}
    run = pb.RunRequest(request_id=request.request_id, staff=DESK)
    missing = told(lambda: asking.privacy.Run(run))
    assert (missing.code, missing.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "APPROVAL_MISSING",
    )
    asking.privacy.Approve(pb.ApproveRequest(request_id=request.request_id, staff=DPO))
    done = asking.privacy.Run(run).request
    assert done.state == "done"
    assert not asking.is_served(name)
    assert not done.HasField("subject")
    assert asking.privacy.Run(run).request == done
    asked = pb.GetReceiptRequest(request_id=request.request_id, staff=EYE)
    receipt = asking.privacy.GetReceipt(asked)
    steps = [orjson.loads(one.entry)["what"].get("step", "erasure") for one in receipt.entries]
    assert steps == ["submit", "verify", "approve", "run", "erasure", "finish"]
    for one in receipt.entries:
        path = [bytes.fromhex(step) for step in one.path]
        leaf, root = merkle.leaf_hash(one.entry.encode()), bytes.fromhex(one.root)
        assert merkle.includes(leaf, one.index, one.size, path, root)


def test_nobody_approves_their_own_request(asking: Asking) -> None:
    """Somebody with both roles is still one person."""
    request = asking.submit(asking.known(), "erasure", staff=BOTH)
    approve = pb.ApproveRequest(request_id=request.request_id, staff=BOTH)
    assert told(lambda: asking.privacy.Approve(approve)).reason == "APPROVAL_BY_ANOTHER"
    approve.staff = DPO
    assert asking.privacy.Approve(approve).request.state == "approved"


def test_a_restriction_and_a_hold_serve_to_no_one(asking: Asking) -> None:
    """From the request on nobody is served; a hold keeps the erasure out; released, it goes."""
    name = asking.known()
    request = asking.submit(name, "restriction")
    asking.privacy.Run(pb.RunRequest(request_id=request.request_id, staff=DESK))
    _until(lambda: not asking.is_served(name))
    ended = pb.ReleaseRequest(subject=email(name), purpose="restriction", reason="over", staff=DESK)
    assert asking.privacy.Release(ended).hold_id
    _until(lambda: asking.is_served(name))
    held = pb.HoldRequest(subject=email(name), reason="court order", hold_id="h-7", staff=DESK)
    assert asking.privacy.Hold(held).hold_id == asking.privacy.Hold(held).hold_id == "h-7"
    _until(lambda: not asking.is_served(name))
    erasure = asking.submit(name, "erasure")
    asking.privacy.Approve(pb.ApproveRequest(request_id=erasure.request_id, staff=DPO))
    run = pb.RunRequest(request_id=erasure.request_id, staff=DESK)
    assert told(lambda: asking.privacy.Run(run)).reason == "LEGAL_HOLD"
    asking.privacy.Release(pb.ReleaseRequest(subject=email(name), reason="over", staff=DESK))
    assert asking.privacy.Run(run).request.state == "done"


def test_no_signal_takes_the_place_of_a_hold(asking: Asking) -> None:
    """Whoever publishes as staff lifts no hold by its id: of two contents under one id the smaller
    digest counts, so that one of many tries would.
    """
    name, number = asking.known(), next(_NUMBERS)
    held = pb.HoldRequest(subject=email(name), reason="court", hold_id=f"h-{number}", staff=DESK)
    asking.privacy.Hold(held)
    _until(lambda: not asking.is_served(name))
    named = {"source": "staff", "signalId": f"hold-h-{number}"}
    decisions = [{"purpose": "marketing", "granted": True}]
    forged = (
        login(number, ("login", "eve"), consentDecided={"decisions": decisions, "place": f"{at}"})
        for at in range(32)
    )
    asking.line.does("ingest", "-", given=as_lines(*({**one, **named} for one in forged)))
    assert not asking.is_served(name)


def _until(holds: Callable[[], bool]) -> None:
    """Wait until the upkeep of the server has caught up; the test's timeout ends it."""
    while not holds():
        # The upkeep needs the machine as well.
        time.sleep(0.01)


def test_a_package_is_made_and_opened(asking: Asking) -> None:
    """Sealed bytes and a key go out; the same come back as a page and as data."""
    name = asking.known()
    request = asking.submit(name, "access")
    made = asking.privacy.Export(pb.ExportRequest(request_id=request.request_id, staff=DESK))
    assert made.request.state == "done"
    assert f"{name}@posteo".encode() not in made.package
    opening = pb.OpenRequest(
        request_id=request.request_id, package=made.package, key=made.key, staff=DESK
    )
    opened = asking.privacy.Open(opening)
    values = {one["value"] for one in orjson.loads(opened.json)["identifiers"]}
    assert values == {name, f"{name}@posteo.net"}
    assert opened.html.startswith(b"<!doctype html>")
    opening.key = "AAAA"
    assert told(lambda: asking.privacy.Open(opening)).reason == "PACKAGE_CLOSED"
    run = pb.RunRequest(request_id=request.request_id, staff=DESK)
    assert asking.privacy.Run(run).request.state == "done"


def test_who_may_do_what(asking: Asking) -> None:
    """By the rights of the caller, whom of staff it may act for, and their role."""
    name = asking.known()
    request = asking.submit(name, "erasure")
    get = pb.GetRequest(request_id=request.request_id, staff=EYE)
    assert asking.privacy.Get(get).request == request
    assert told(lambda: asking.privacy.Get(get, metadata=PORTAL)).reason == "STAFF_NOT_ALLOWED"
    get.staff = DESK
    assert asking.privacy.Get(get, metadata=PORTAL).request == request
    approve = pb.ApproveRequest(request_id=request.request_id, staff=DESK)
    denied = told(lambda: asking.privacy.Approve(approve, metadata=PORTAL))
    assert denied.reason == "NOT_ALLOWED"
    denied = told(lambda: asking.privacy.Approve(approve))
    assert (denied.code, denied.reason, denied.field) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "STAFF_NOT_ALLOWED",
        "staff",
    )
    run = pb.RunRequest(request_id=request.request_id, staff=EYE)
    assert told(lambda: asking.privacy.Run(run)).reason == "STAFF_NOT_ALLOWED"
    by_login = Subject(identifier=SubjectIdentifier(kind="login", value=name))
    other = pb.SubmitRequest(request_id="r-x", kind="access", subject=by_login, staff=DESK)
    denied = told(lambda: asking.privacy.Submit(other, metadata=PORTAL))
    assert (denied.reason, denied.field) == ("KIND_NOT_ALLOWED", "subject.identifier")


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"request_id": ""}, "REQUEST_INVALID", "request_id"),
        ({"request_id": "a b"}, "REQUEST_INVALID", "request_id"),
        ({"kind": "gossip"}, "REQUEST_INVALID", "kind"),
        ({"place": "Bern"}, "REQUEST_INVALID", "place"),
        ({"level": "sure"}, "REQUEST_INVALID", "level"),
        ({"words": "x" * 5_000}, "REQUEST_INVALID", "words"),
        ({"corrections": {"given_name": "A"}}, "REQUEST_INVALID", "corrections"),
        ({"kind": "correction", "retractions": [NO_SOURCE]}, "REQUEST_INVALID", "corrections"),
        ({"suppress": True}, "REQUEST_INVALID", "suppress"),
        ({"subject": Subject()}, "SUBJECT_MISSING", "subject"),
        ({"subject": Subject(person_id="?")}, "PERSON_ID_INVALID", "subject.person_id"),
        ({"staff": ""}, "STAFF_NOT_ALLOWED", "staff"),
    ],
)
def test_what_cannot_be_taken_in_says_which_field(
    asking: Asking, change: dict[str, Any], reason: str, field: str
) -> None:
    """The error names the field and shows no value."""
    whole = {"request_id": "r-bad", "kind": "access", "subject": email("ann"), "staff": DESK}
    error = told(lambda: asking.privacy.Submit(pb.SubmitRequest(**{**whole, **change})))
    assert (error.reason, error.field) == (reason, field)
    found = pb.GetRequest(request_id="r-bad", staff=DESK)
    assert told(lambda: asking.privacy.Get(found)).reason == "REQUEST_UNKNOWN"


def test_a_time_ahead_is_no_time_of_receipt(asking: Asking) -> None:
    """Nobody wins time by dating a request ahead."""
    asked = pb.SubmitRequest(request_id="r-bad", kind="access", subject=email("a"), staff=DESK)
    asked.received_at.FromSeconds(32_503_680_000)
    error = told(lambda: asking.privacy.Submit(asked))
    assert (error.reason, error.field) == ("REQUEST_INVALID", "received_at")


def test_lists_are_by_state_and_day(asking: Asking) -> None:
    """Those whose clock runs by default; soonest due first."""
    late = asking.submit("x", "access")
    soon = asking.submit("x", "opt_out", place="US-CA")
    found = asking.privacy.List(pb.ListRequest(staff=EYE)).requests
    ids = [one.request_id for one in found]
    assert ids.index(soon.request_id) < ids.index(late.request_id)
    by = asking.privacy.List(pb.ListRequest(due_by=soon.due, staff=EYE)).requests
    assert soon.request_id in [one.request_id for one in by]
    assert late.request_id not in [one.request_id for one in by]
    wrong = pb.ListRequest(states=["lost"], staff=EYE)
    assert told(lambda: asking.privacy.List(wrong)).field == "states"
    wrong = pb.ListRequest(due_by="soon", staff=EYE)
    assert told(lambda: asking.privacy.List(wrong)).field == "due_by"


def test_refusing_and_holding_say_why(asking: Asking) -> None:
    """Without its reason neither is taken."""
    request = asking.submit("x", "access")
    step = pb.AdvanceRequest(request_id=request.request_id, step="refuse", staff=DESK)
    error = told(lambda: asking.privacy.Advance(step))
    assert (error.reason, error.field) == ("REASON_MISSING", "reason")
    step.reason = "asked for every week"
    done = asking.privacy.Advance(step).request
    assert (done.state, done.steps[-1].reason) == ("refused", "asked for every week")
    hold = pb.HoldRequest(subject=email("x"), staff=DESK)
    assert told(lambda: asking.privacy.Hold(hold)).reason == "REASON_MISSING"
    step.step = "jump"
    assert told(lambda: asking.privacy.Advance(step)).field == "step"

"""What `kinfold privacy` prints."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date
from typing import Any

import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from profiles.requests import OPEN, State
from profiles.v1 import privacy_service_pb2 as pb


def as_json(message: Message) -> dict[str, Any]:
    """A message as JSON, with every field."""
    found: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return found


def moment(at: Timestamp) -> str:
    """A moment as people write it, in UTC."""
    return at.ToDatetime(UTC).strftime("%Y-%m-%d %H:%M:%S")


def submitted(found: pb.SubmitResponse) -> None:
    """A request that was taken in."""
    one = found.request
    if found.known:
        print(f"known already as {one.request_id}; nothing changed")
    else:
        print(f"taken in as {one.request_id}, {one.state}")
    print(f"due {one.due} ({one.law}){_confirm(one)}")
    if one.state == "received":
        print(f"next: verify who asks ({one.needed} is needed)")


def _confirm(one: pb.PrivacyRequest) -> str:
    if one.HasField("confirmed_at"):
        return f", receipt confirmed {moment(one.confirmed_at)}"
    return f", receipt to be confirmed by {one.confirm_by}" if one.confirm_by else ""


def moved(found: pb.AdvanceResponse | pb.ApproveResponse) -> None:
    """A request after a step."""
    one = found.request
    print(f"{one.request_id}: {one.state}, due {one.due}{_confirm(one) if _is_open(one) else ''}")


def _is_open(one: pb.PrivacyRequest) -> bool:
    return State(one.state) in OPEN


def request(one: pb.PrivacyRequest) -> None:
    """All of a request."""
    print(f"{one.request_id}: {one.kind}, {one.state}")
    extended = ", extended" if one.extended else ""
    print(f"  due {one.due} ({one.law}){extended}{_confirm(one)}")
    print(f"  who asks: {one.level}, {one.needed} is needed")
    subject = one.subject.WhichOneof("subject")
    if subject == "person_id":
        print(f"  about person {one.subject.person_id}")
    elif subject == "identifier":
        print(f"  about {one.subject.identifier.kind}:{one.subject.identifier.value}")
    for name, said in (("words", one.words), ("contact", one.contact)):
        if said:
            print(f"  {name}: {said}")
    for name, value in sorted(one.corrections.items()):
        print(f"  right: {name} = {value}")
    for signal in one.retractions:
        print(f"  wrong: signal {signal.signal_id} of {signal.source}")
    for step in one.steps:
        reason = f": {step.reason}" if step.reason else ""
        print(f"  {moment(step.at)}  {step.step:8}  by {step.by[:8]}{reason}")
    for store in one.stores:
        removed = f", removed {store.removed:,}" if store.removed else ""
        reason = f": {store.reason}" if store.reason else ""
        print(f"  {store.store}: {store.status}{removed}{reason}")


def plan(found: pb.PlanResponse) -> None:
    """What running a request would do."""
    print(f"person {found.person_id}" if found.person_id else "nobody")
    for sentence in found.sentences:
        print(f"  {sentence}")
    for other in found.others:
        print(f"  other person {other}")
    for reason in found.held:
        print(f"  under legal hold, it cannot be run: {reason}")


def listed(found: pb.ListResponse) -> None:
    """Requests, a line each."""
    for one in found.requests:
        confirm = "  (confirm receipt)" if one.next_by != one.due else ""
        print(f"{one.next_by}  {one.request_id}  {one.kind}  {one.state}{confirm}")
    if not found.requests:
        print("no such requests")


def due(found: pb.ListResponse, today: date) -> None:
    """Requests with how long there is left, and what must be done by when."""
    for one in found.requests:
        left = _left(one.next_by, today)
        words = f"{one.request_id}  {one.kind}  {one.state}{_also(one, today)}"
        print(f"{one.next_by}  {left:12}  {words}")
    if not found.requests:
        print("nothing is due")


def _left(day: str, today: date) -> str:
    days = (date.fromisoformat(day) - today).days
    if days < 0:
        return "1 day late" if days == -1 else f"{-days} days late"
    return f"in {days} days" if days > 1 else ("tomorrow" if days else "today")


def _also(one: pb.PrivacyRequest, today: date) -> str:
    words = []
    if one.next_by != one.due:
        is_late = date.fromisoformat(one.next_by) < today
        first = f"confirmation {_left(one.next_by, today)}" if is_late else "confirm receipt"
        words += [first, f"answer by {one.due}"]
    if one.extend_by and date.fromisoformat(one.extend_by) >= today:
        words.append(f"can be extended by {one.extend_by}")
    return f"  ({'; '.join(words)})" if words else ""


def held(act: str, purpose: str, found: pb.HoldResponse | pb.ReleaseResponse) -> None:
    """What was put in force or ended."""
    words = purpose.replace("_", " ")
    if act == "hold":
        print(f"{words} in force, as {found.hold_id}: served to no one")
    elif found.hold_id:
        print(f"{words} ended, as {found.hold_id}")
    else:
        print(f"no {words} was in force; nothing changed")


def receipt(found: pb.GetReceiptResponse) -> None:
    """A request and what the audit log has on it."""
    request(found.request)
    for proof in found.entries:
        entry: Mapping[str, Any] = orjson.loads(proof.entry)
        what = entry["what"]
        step = what.get("step", entry["kind"])
        print(f"  entry {proof.index} of {proof.size}: {step}, root {proof.root[:16]}…")
        if "unreadable_us" in what:
            print(f"    {_unreadable(found)}")
    print("the entries with their proofs: --json")


def _unreadable(found: pb.GetReceiptResponse) -> str:
    """Since when no copy can be read, or by when that is planned."""
    if found.HasField("unreadable_since"):
        return f"no copy from before {moment(found.unreadable_since)} can be read any more"
    if found.HasField("unreadable_planned_at"):
        at = moment(found.unreadable_planned_at)
        return f"planned: no copy can be read any more from {at} on, once keys have rotated"
    return "copies can be read until `kinfold keys rotate` has been run"

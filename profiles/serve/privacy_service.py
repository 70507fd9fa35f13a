"""PrivacyService: its methods over the desks of requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from identity.refused import Refused
from identity.store import GraphStore
from profiles.access import Grant
from profiles.privacy_apart import ApartDesk
from profiles.privacy_desk import Doing, PrivacyDesk
from profiles.privacy_packaging import PackageDesk
from profiles.request_book import RequestBook
from profiles.v1 import privacy_service_pb2 as pb

PRIVACY: str = pb.DESCRIPTOR.services_by_name["PrivacyService"].full_name
Answer = Callable[[Doing, Any, Grant], Message | Refused]
Method = tuple[Callable[[bytes], Message], Answer]
"""How a request is read, and what answers it."""


@dataclass(frozen=True, slots=True)
class PrivacySource:
    """Where requests are answered from. `open_doing` is called once in each thread that needs it,
    with that thread's store.
    """

    methods: Mapping[str, Method]
    open_doing: Callable[[GraphStore], Doing]


def methods(book: RequestBook) -> dict[str, Method]:
    """Every method of PrivacyService over a book."""
    desk, apart, packages = PrivacyDesk(book), ApartDesk(book), PackageDesk(book)
    return {
        "Submit": (pb.SubmitRequest.FromString, desk.submit),
        "Get": (pb.GetRequest.FromString, desk.get),
        "List": (pb.ListRequest.FromString, desk.list),
        "Plan": (pb.PlanRequest.FromString, desk.plan),
        "Advance": (pb.AdvanceRequest.FromString, desk.advance),
        "Approve": (pb.ApproveRequest.FromString, desk.approve),
        "Run": (pb.RunRequest.FromString, desk.run),
        "Hold": (pb.HoldRequest.FromString, apart.hold),
        "Release": (pb.ReleaseRequest.FromString, apart.release),
        "GetReceipt": (pb.GetReceiptRequest.FromString, desk.receipt),
        "Export": (pb.ExportRequest.FromString, packages.export),
        "Open": (pb.OpenRequest.FromString, packages.open),
    }


def asked_kind(request: Message) -> str | None:
    """The kind of the identifier that a request names somebody by; None: it does not."""
    match request:
        case pb.SubmitRequest() | pb.HoldRequest() | pb.ReleaseRequest():
            if request.subject.HasField("identifier"):
                return request.subject.identifier.kind
    return None

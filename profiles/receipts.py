"""The receipt of a request: the audit log's entries on it with their proofs, and since when, or by
when, no copy of what was erased can be read.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import orjson

from profiles.audit import AuditLog, Kind, token
from profiles.privacy_messages import as_message, timestamp
from profiles.request_book import RequestBook
from profiles.requests import Request, Step
from profiles.v1 import privacy_service_pb2 as pb

SEALED: Final = "sealed copies"
"""What an erasure calls copies that open until keys rotate (`kinfold.holdings`)."""
_KEYS: Final = f'"kind":"{Kind.KEYS.value}"'.encode()


def receipt_of(book: RequestBook, request: Request) -> pb.GetReceiptResponse:
    """The receipt as things are now.

    A rotation of keys under an epoch that was made after an erasure was finished is
    an entry of the receipt once it is at its end: no key is left that ever wrapped
    what was erased. Until then the receipt has the moment that is planned, if any.

    Raises: AuditError, RequestsError.
    """
    means = book.means
    means.requests.log(means.log.append)
    about = token(means.audit_key, f"node\0request:{request.id}").encode()
    # An erasure's own entry goes by the request that asked for it.
    once = token(means.audit_key, f"{Kind.ERASURE.value}\0{request.id}").encode()
    finished_us = request.at(Step.FINISH)
    places, erased, since_us = [], dict[str, Any](), 0
    for place, body in enumerate(means.log.entries()):
        if once in body:
            erased = _what(body)
        elif erased and finished_us and not since_us and _KEYS in body:
            what = _what(body)
            if what.get("epoch_made_us", 0) < finished_us:
                continue
            since_us = what["unreadable_before_us"]
        elif about not in body:
            continue
        places.append(place)
    found = pb.GetReceiptResponse(
        request=as_message(request), entries=[_proof(means.log, place) for place in places]
    )
    _date(found, since_us, erased.get("unreadable_us", 0))
    return found


def _date(found: pb.GetReceiptResponse, since_us: int, planned_us: int) -> None:
    if not since_us:
        if planned_us:
            found.unreadable_planned_at.CopyFrom(timestamp(planned_us))
        return
    found.unreadable_since.CopyFrom(timestamp(since_us))
    at = datetime.fromtimestamp(since_us // 1_000_000, UTC)
    for store in found.request.stores:
        if store.store == SEALED:
            store.status = "done"
            store.reason = f"no copy from before {at:%Y-%m-%d %H:%M:%S} can be read"


def _what(body: bytes) -> dict[str, Any]:
    what: dict[str, Any] = orjson.loads(body)["what"]
    return what


def _proof(log: AuditLog, place: int) -> pb.LogProof:
    proof = log.inclusion(place)
    return pb.LogProof(
        index=proof.place,
        entry=proof.entry.decode(),
        size=proof.head.size,
        root=proof.head.root.hex(),
        path=[step.hex() for step in proof.path],
    )

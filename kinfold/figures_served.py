"""ExportStats: a release of figures as messages."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC

import orjson

from identity.refused import Refused
from identity.store import StoreUnavailable
from identity.v1.identity_service_pb2 import (
    ExportStatsRequest,
    ExportStatsResponse,
    ReleasedFigure,
)
from ingest.dead_letters import LettersUnavailable
from kinfold.register import RegisterError, is_recipient
from kinfold.settings import Settings
from kinfold.wiring import now_us
from profiles.deletions import LedgerError
from profiles.serve.errors import refuse


def export_stats(
    settings: Settings, request: ExportStatsRequest
) -> Iterator[ExportStatsResponse] | Refused:
    """The manifest and each figure, once they are in the register.

    Raises: StoreError, LettersError.
    """
    # Here, not above: a server that is never asked for figures need not load what counts them.
    from kinfold.releasing import released  # noqa: PLC0415
    from kinfold.statistics.exporting import Release, unknown  # noqa: PLC0415

    if unknown(request.figures):
        return refuse("FIGURE_UNKNOWN", "figures")
    if request.recipient and not is_recipient(request.recipient):
        return refuse("EXPORT_INVALID", "recipient")
    expires_us = _expires_us(request)
    if expires_us is None:
        return refuse("EXPORT_INVALID", "expires_at")

    def pieces(release: Release) -> Iterator[ExportStatsResponse]:
        yield ExportStatsResponse(manifest_json=orjson.dumps(release.manifest).decode())
        for each in release.figures:
            packed = io.BytesIO()
            each.cells.write_ipc(packed)
            figure = ReleasedFigure(id=each.spec.id, cells_arrow=packed.getvalue())
            yield ExportStatsResponse(figure=figure)

    def work() -> Release:
        return released(
            settings,
            recipient=request.recipient,
            expires_us=expires_us,
            place="gRPC",
            only=tuple(request.figures),
        )

    try:
        # On a thread of its own: counting lowers its thread's priority for good.
        with ThreadPoolExecutor(1) as alone:
            return pieces(alone.submit(work).result())
    except (RegisterError, LedgerError, LettersUnavailable) as failure:
        raise StoreUnavailable("figures cannot be handed out just now") from failure


def _expires_us(request: ExportStatsRequest) -> int | None:
    """When the recipient must have deleted it, 0 for never; None: no moment that is to come."""
    if not request.HasField("expires_at"):
        return 0
    try:
        expires_us = int(request.expires_at.ToDatetime(UTC).timestamp()) * 1_000_000
    except (ValueError, OverflowError):
        return None
    return expires_us if expires_us > now_us() else None

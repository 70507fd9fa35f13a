"""How input is understood: what is read from which form, one object per form and thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ingest import decode_json, decode_protobuf
from ingest.intake import Intake, Outcome
from ingest.mapping import RowMapping
from ingest.raw import RawSignal
from ingest.source import Form, Received
from ingest.source_files import place


class Understanding(Protocol):
    """Turns input into what counts; no input makes it raise."""

    def __call__(self, received: Received, received_us: int) -> Sequence[Outcome]:
        """The contributions and rejections of one input, in order."""

    def form(self, received: Received) -> str:
        """The name by which a dead letter says how its input is read."""

    def source(self, received: Received) -> str:
        """The source that the input names; empty when it does not say."""


class Signals:
    """`ingest.v1.Signal`, serialized or in proto JSON, as each input says."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def __call__(self, received: Received, received_us: int) -> Sequence[Outcome]:
        """As the protocol says."""
        payload, published_us = received.payload, received.published_us
        if received.form is Form.PROTOBUF:
            return (self._intake.from_protobuf(payload, received_us, published_us),)
        return (self._intake.from_json(payload, received_us, published_us),)

    def form(self, received: Received) -> str:
        """As the protocol says."""
        return "protobuf" if received.form is Form.PROTOBUF else "json"

    def source(self, received: Received) -> str:
        """As the protocol says."""
        decoder = decode_protobuf if received.form is Form.PROTOBUF else decode_json
        decoded = decoder.decode(received.payload)
        return decoded.source if isinstance(decoded, RawSignal) else ""


class SegmentMessages:
    """Messages of the Segment spec, one or a batch per input."""

    def __init__(self, intake: Intake, source: str) -> None:
        self._intake = intake
        self._source = source

    def __call__(self, received: Received, received_us: int) -> Sequence[Outcome]:
        """As the protocol says."""
        return self._intake.from_segment(received.payload, received_us, received.published_us)

    def form(self, received: Received) -> str:
        """As the protocol says."""
        del received
        return "segment"

    def source(self, received: Received) -> str:
        """As the protocol says."""
        del received
        return self._source


class MappedRows:
    """Rows or JSON lines that a mapping file explains."""

    def __init__(self, intake: Intake, mapping: RowMapping, name: str) -> None:
        """`name` is how dead letters name the mapping."""
        self._intake = intake
        self._mapping = mapping
        self._name = name

    def __call__(self, received: Received, received_us: int) -> Sequence[Outcome]:
        """As the protocol says."""
        where = place(received.position)
        outcome = self._intake.from_row(
            self._mapping, received.payload, where, received_us, received.published_us
        )
        return (outcome,)

    def form(self, received: Received) -> str:
        """As the protocol says."""
        del received
        return f"mapping:{self._name}"

    def source(self, received: Received) -> str:
        """As the protocol says."""
        decoded = self._mapping.decode(received.payload, place(received.position))
        return decoded.source if isinstance(decoded, RawSignal) else ""

"""What each value in the graph is sealed for: names that no rotation of keys changes.

A sealed value opens only for the context it was sealed for (`profiles.sealing`).
Node keys are wrapped anew when token keys rotate, so none of them is a context
but that of a record, which never rotates.
"""

from __future__ import annotations

from identity.model import NodeKey


def of_identifier(kind: str, order: int) -> bytes:
    """Of the value that a node keeps of its identifier; `order` as in `identity.model.Node`."""
    return f"{kind}:{order:016x}".encode()


def of_record(record: NodeKey) -> bytes:
    """Of what a record says."""
    return record.encode()


def of_purchase(signal: int) -> bytes:
    """Of what was bought; `signal` as in `identity.model.Contribution`."""
    return f"purchase:{signal:016x}".encode()

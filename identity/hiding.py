"""Of whom nothing is told: people whose erasure has begun, until their id has ended."""

from __future__ import annotations

from identity.evidence import is_kept_out
from identity.model import PersonEvidence
from identity.store import GraphStore


def is_being_erased(store: GraphStore, evidence: PersonEvidence) -> bool:
    """Whether a fence has been raised for a person as they were read, and people are yet to be
    resolved without what it keeps out.

    Before the sweep they hold evidence that a fence keeps out. After it they
    still have fenced nodes of which nothing is left, and perhaps others that go
    on to somebody else.

    Raises:
        StoreError: it cannot be told.
    """
    # Read after the evidence, so that a fence raised in between is seen. An engine need not
    # name nodes among the evidence of which nothing is left.
    fences = store.fences(store.members((evidence.person,)).get(evidence.person, ()))
    if not fences:
        return False
    return is_kept_out(evidence, fences) or bool(fences.keys() - store.views(fences).keys())

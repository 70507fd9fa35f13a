"""Requests as people make them, for tests."""

from __future__ import annotations

from datetime import date

from identity.model import Assurance
from profiles.deadlines import Law, RequestKind, deadlines
from profiles.requests import Request, Said, Step, Taken

DAY = date(2026, 3, 5)
AT_US = 1_772_712_000_000_000
ANN, BOB, CAT = "ann", "bob", "cat"
SAID = Said("email", "ann@posteo.net", words="all of it", contact="by post")


def request(kind: RequestKind = RequestKind.ERASURE, law: Law = Law.GDPR) -> Request:
    """One that Ann has just taken in."""
    return Request(
        "r-1",
        kind,
        law,
        "",
        AT_US,
        DAY,
        deadlines(law, kind, DAY),
        Assurance.AUTHENTICATED,
        SAID,
        steps=(Taken(Step.SUBMIT, AT_US, ANN),),
    )

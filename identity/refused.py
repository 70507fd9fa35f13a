"""What a service answers instead of an answer, as a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a call, or one lookup of a batch or a stream, has no answer.

    - `code`: a google.rpc code, never 0.
    - `reason`: in capitals, for programs, for example ``PROFILE_NOT_FOUND``;
      each is documented in docs/errors.md. Reasons never hold a value.
    - `field`: path of the request's field that is wrong, for example
      ``subject.person_id``; empty when none is.

    To a caller who may not see somebody, that one is not there: not found,
    suppressed and denied are one and the same refusal.
    """

    code: int
    reason: str
    field: str = ""

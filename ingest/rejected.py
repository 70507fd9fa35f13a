"""What is said of input that cannot count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rejected:
    """Input that cannot count, and why: an expected outcome, not a failure.

    - `field`: the path of the field, named as in the proto, for example
      ``identifiers[1].value``; ``signal`` for the whole.
    - `rule`: one of `RULES`.
    - `hint`: the way out, as a clause that follows "hint:".

    No text here ever holds a value that was sent.
    """

    field: str
    rule: str
    hint: str

    def __str__(self) -> str:
        """One line for a person: field, what is wrong, way out."""
        return f"{self.field}: {RULES[self.rule]}; {self.hint}"


RULES: Final = {
    "json": "not JSON",
    "protobuf": "not a serialized ingest.v1.Signal",
    "size": "too large",
    "type": "of the wrong type",
    "unknown_field": "not a field of the message",
    "twice": "said twice",
    "required": "missing",
    "one_of": "exactly one is required",
    "forbidden": "must be left out here",
    "enum": "not one of the known names",
    "time": "not a time",
    "time_range": "a time before 1970",
    "ahead": "too far ahead of the time it was received",
    "length": "too long",
    "count": "too many",
    "printable": "holds control characters",
    "shape": "not of the expected shape",
    "finite": "not a finite number",
    "kind": "a kind of identifier that the policy does not know",
    "blocked": "no identifier is left that names somebody",
    "email": "not an e-mail address",
    "phone": "not a phone number",
    "zone": "not an IANA time zone",
    "same_ends": "both ends are the same",
    "may_decide": "a decision that policy lets no such source make",
    "tcf": "not a TCF consent string that is whole and known",
    "stale": "grants only what was granted longer ago than decisions are kept",
    "no_purpose": "decides on no purpose that the policy has",
    "segment": "not a message of the Segment spec that kinfold reads",
}
"""Every rule, and how it is told."""

"""The policy file as a whole: every problem of all its tables at once.

Whatever nothing knows is refused: a misspelled name in a policy is a rule that
somebody wrote and that does not hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from identity import policy as identity_policy
from identity import retention
from identity.nearest import unknown
from profiles import access, attributes, declared, privacy_policy, purposes_verify

HALF_LIFE_DAYS: Final = 30
_HALF_LIFE: Final = "half_life_days"
_TABLES: Final = (
    "kinds",
    "sources",
    "retention",
    "purposes",
    "serves",
    "tcf",
    "declares",
    "survivorship",
    "affinities",
    "privacy",
    "staff",
    "issuers",
    "callers",
)


def verify(document: Mapping[str, Any]) -> list[str]:
    """Every problem of the document, each naming its key and the way out; [] when sound."""
    problems = [unknown(table, table, _TABLES) for table in document if table not in _TABLES]
    for part in (identity_policy, purposes_verify, declared, attributes, access, privacy_policy):
        problems += part.verify(document)
    return problems + retention.verify(document) + _affinity_problems(document)


def half_life_days(document: Mapping[str, Any]) -> int:
    """After how many days an interest counts half, of a document in which nothing is wrong."""
    days: int = document.get("affinities", {}).get(_HALF_LIFE, HALF_LIFE_DAYS)
    return days


def _affinity_problems(document: Mapping[str, Any]) -> list[str]:
    body = document.get("affinities", {})
    if not isinstance(body, Mapping):
        return [f"affinities: must be a table with {_HALF_LIFE}"]
    problems = [
        unknown(f"affinities.{key}", key, (_HALF_LIFE,)) for key in body if key != _HALF_LIFE
    ]
    days = body.get(_HALF_LIFE, HALF_LIFE_DAYS)
    if isinstance(days, bool) or not isinstance(days, int) or days < 1:
        problems.append(f"affinities.{_HALF_LIFE}: must be a whole number of days, 1 or more")
    return problems

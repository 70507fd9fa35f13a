"""How requests are handled, from the policy's `[privacy]` and `[staff.ID]`.

`verify` returns every problem at once, each naming its key; `parse` needs a
document in which it found nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from identity.model import Assurance
from identity.nearest import unknown
from profiles.deadlines import Law, RequestKind
from profiles.places import is_place


class Role(StrEnum):
    """What somebody of staff may do: take in and carry out, approve, look."""

    AGENT = "agent"
    APPROVER = "approver"
    AUDITOR = "auditor"


LEVELS: Final[Mapping[str, Assurance]] = {
    "none": Assurance.NONE,
    "claimed": Assurance.CLAIMED,
    "authenticated": Assurance.AUTHENTICATED,
}
"""How sure it is who asks, in words: nothing known, what they said fits, checked."""
DEFAULT_LEVELS: Final[Mapping[RequestKind, Assurance]] = {
    RequestKind.ACCESS: Assurance.AUTHENTICATED,
    RequestKind.PORTABILITY: Assurance.AUTHENTICATED,
    RequestKind.CORRECTION: Assurance.AUTHENTICATED,
    RequestKind.ERASURE: Assurance.AUTHENTICATED,
    RequestKind.RESTRICTION: Assurance.CLAIMED,
    RequestKind.OBJECTION: Assurance.CLAIMED,
    # 11 CCR section 7026(d): a request to opt out "need not be a verifiable consumer request".
    RequestKind.OPT_OUT: Assurance.NONE,
}
SOURCE: Final = "staff"
PACKAGE_DAYS: Final = 14
ANY, GRPC = "any", "grpc"
"""Where approvals may come from: also from who has the home folder, or from known callers alone."""
APPROVES: Final = "approves requests"
"""The right of callers that approve (`profiles.access.METHODS`)."""
_STAFF = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_KEYS = (
    "law",
    "zone",
    "holidays",
    "source",
    "package_days",
    "approve_over",
    "controller",
    "places",
    "verification",
)


@dataclass(frozen=True, slots=True)
class PrivacyPolicy:
    """How requests are handled.

    - `law`: whose clock runs where `places` names nobody's; by country or
      country and region, the finer one first.
    - `zone`: where a day begins and ends; `holidays`: no business days.
    - `levels`: how sure it must be who asks, by kind.
    - `source`: the source under which staff's decisions and corrections are signals.
    - `package_days`: how long a package of everything held can be opened.
    - `approve_over`: `any`, or `grpc`: only from a caller who shows a certificate
      or a token, not from the command line and not from `local`.
    - `controller`: who answers for the data, as it stands on the page.
    - `staff`: roles by the id under which somebody of staff acts.
    """

    law: Law = Law.GDPR
    places: Mapping[str, Law] = field(default_factory=dict)
    zone: str = "UTC"
    holidays: frozenset[date] = frozenset()
    levels: Mapping[RequestKind, Assurance] = field(default_factory=lambda: DEFAULT_LEVELS)
    source: str = SOURCE
    package_days: int = PACKAGE_DAYS
    approve_over: str = ANY
    controller: str = ""
    staff: Mapping[str, frozenset[Role]] = field(default_factory=dict)

    def law_in(self, place: str) -> Law:
        """Whose clock runs for somebody who lives there; "" where it is not known."""
        return self.places.get(place) or self.places.get(place.partition("-")[0]) or self.law

    def day(self, at_us: int) -> date:
        """The day on which a moment falls."""
        return datetime.fromtimestamp(at_us // 1_000_000, UTC).astimezone(self._zone).date()

    def end_of(self, day: date) -> int:
        """The last microsecond of a day."""
        end = datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=self._zone)
        return int(end.timestamp()) * 1_000_000 + 999_999

    def may(self, staff: str, roles: Collection[Role]) -> bool:
        """Whether somebody of staff has one of the roles."""
        return bool(self.staff.get(staff, frozenset()).intersection(roles))

    @property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.zone)


def verify(document: Mapping[str, Any]) -> list[str]:
    """Every problem of the document's `[privacy]` and `[staff]`; [] when sound."""
    body = document.get("privacy", {})
    if not isinstance(body, Mapping):
        return ["privacy: must be a table"]
    problems = [unknown(f"privacy.{key}", key, _KEYS) for key in body if key not in _KEYS]
    problems += _law_problems("privacy.law", body.get("law", Law.GDPR.value))
    problems += _zone_problems(body.get("zone", "UTC"))
    problems += _holiday_problems(body.get("holidays", []))
    problems += _place_problems(body.get("places", {}))
    problems += _level_problems(body.get("verification", {}))
    days = body.get("package_days", PACKAGE_DAYS)
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= 365:
        problems.append("privacy.package_days: must be a whole number of days, 1 to 365")
    problems += _approving_problems(body.get("approve_over", ANY), document)
    if not isinstance(body.get("controller", ""), str):
        problems.append("privacy.controller: must be text")
    source, deciders = body.get("source", SOURCE), _deciders(document.get("sources", {}))
    if source not in deciders and "privacy" in document:
        known = ", ".join(sorted(deciders)) or "none has it"
        problems.append(f"privacy.source: needs may_decide; sources with it: {known}")
    return problems + _staff_problems(document.get("staff", {}))


def _approving_problems(value: object, document: Mapping[str, Any]) -> list[str]:
    where = "privacy.approve_over"
    if value not in (ANY, GRPC):
        return [f"{where}: must be {ANY} or {GRPC}"]
    callers, staff = document.get("callers", {}), document.get("staff", {})
    if value == ANY or not isinstance(staff, Mapping):
        return []
    approvers = {
        name
        for name, body in staff.items()
        if isinstance(body, Mapping) and Role.APPROVER in _listed(body, "roles")
    }
    for name, body in callers.items() if isinstance(callers, Mapping) else ():
        if name == "local" or not isinstance(body, Mapping):
            continue
        acts_for = set(_listed(body, "staff"))
        if {APPROVES, "*"}.intersection(_listed(body, "may")) and acts_for & {*approvers, "*"}:
            return []
    way_out = f'may = ["{APPROVES}"], and staff with the role approver'
    return [f"{where}: nobody could: give a caller with certificate or token {way_out}"]


def _listed(body: Mapping[str, Any], key: str) -> list[Any]:
    """The list at a key; what is none has problems of its own."""
    value = body.get(key)
    return value if isinstance(value, list) else []


def _deciders(sources: object) -> list[str]:
    bodies = sources.items() if isinstance(sources, Mapping) else ()
    return [
        name
        for name, body in bodies
        if isinstance(body, Mapping) and body.get("may_decide") is True
    ]


def _law_problems(where: str, value: object) -> list[str]:
    known = [law.value for law in Law]
    return [] if value in known else [f"{where}: must be one of {', '.join(known)}"]


def _zone_problems(value: object) -> list[str]:
    try:
        ZoneInfo(value if isinstance(value, str) else "")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ["privacy.zone: must be a time zone by its IANA name, for example Europe/Zurich"]
    return []


def _holiday_problems(value: object) -> list[str]:
    if isinstance(value, list) and all(_day(one) is not None for one in value):
        return []
    return ["privacy.holidays: must be a list of dates like 2027-01-01"]


def _place_problems(value: object) -> list[str]:
    if not isinstance(value, Mapping):
        return ['privacy.places: must be a table of laws, for example US-CA = "ccpa"']
    problems = []
    for place, law in value.items():
        if not is_place(place):
            problems.append(f"privacy.places.{place}: name a country or region, US or US-CA")
        problems += _law_problems(f"privacy.places.{place}", law)
    return problems


def _level_problems(value: object) -> list[str]:
    if not isinstance(value, Mapping):
        return ["privacy.verification: must be a table of levels by kind of request"]
    problems = []
    kinds = [kind.value for kind in RequestKind]
    for kind, level in value.items():
        if kind not in kinds:
            problems.append(unknown(f"privacy.verification.{kind}", kind, kinds))
        if level not in LEVELS:
            problems.append(f"privacy.verification.{kind}: must be one of {', '.join(LEVELS)}")
    return problems


def _staff_problems(value: object) -> list[str]:
    if not isinstance(value, Mapping):
        return ["staff: must be tables, for example [staff.a17]"]
    problems = []
    known = [role.value for role in Role]
    for name, body in value.items():
        where = f"staff.{name}"
        if not _STAFF.fullmatch(str(name)):
            problems.append(f"{where}: an id is lower case letters, digits, _ . and -")
        told = body if isinstance(body, Mapping) else {}
        problems += [unknown(f"{where}.{key}", key, ("roles",)) for key in told if key != "roles"]
        roles = told.get("roles")
        if not isinstance(roles, list) or not roles or any(role not in known for role in roles):
            problems.append(f"{where}: must have roles, a list of some of {', '.join(known)}")
    return problems


def parse(document: Mapping[str, Any]) -> PrivacyPolicy:
    """The policy of a document in which `verify` found nothing."""
    body = document.get("privacy", {})
    levels = {RequestKind(kind): LEVELS[one] for kind, one in body.get("verification", {}).items()}
    staff = document.get("staff", {})
    return PrivacyPolicy(
        law=Law(body.get("law", Law.GDPR.value)),
        places={place: Law(law) for place, law in body.get("places", {}).items()},
        zone=body.get("zone", "UTC"),
        holidays=_days(body.get("holidays", ())),
        levels={**DEFAULT_LEVELS, **levels},
        source=body.get("source", SOURCE),
        package_days=body.get("package_days", PACKAGE_DAYS),
        approve_over=body.get("approve_over", ANY),
        controller=body.get("controller", ""),
        staff={name: frozenset(map(Role, body["roles"])) for name, body in staff.items()},
    )


def _days(values: Iterable[object]) -> frozenset[date]:
    return frozenset(day for day in map(_day, values) if day is not None)


def _day(value: object) -> date | None:
    """TOML has dates of its own; written as text they count as well."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None

"""Who may call what: callers and their rights, from the policy's `[callers.NAME]`, default deny.

A right is caller x method x purpose x field. It is compiled into masks when the
policy is loaded, so that a lookup checks it by two ANDs. What is finer than a
field is told apart by purpose: an attribute for one caller alone serves a
purpose that this caller alone may name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from identity.nearest import meant, unknown
from identity.policy import unknown_kind
from profiles import issuers
from profiles.issuers import Issuer
from profiles.purposes import FIELDS, PurposePolicy

ALL: Final = "*"
LOCAL: Final = "local"
"""The caller who shows neither certificate nor token, to a server that serves in the clear."""
METHODS: Final[Mapping[str, str]] = {
    "profiles.v1.ProfileService/GetProfile": "reads profiles",
    "profiles.v1.ProfileService/BatchGetProfiles": "reads profiles",
    "profiles.v1.ProfileService/StreamProfiles": "reads profiles",
    "profiles.v1.ConsentService/GetConsent": "reads consent",
    "profiles.v1.ConsentService/ListConsentDecisions": "reads consent",
    "profiles.v1.ConsentService/RecordConsent": "decides on consent",
    "profiles.v1.PrivacyService/Submit": "handles requests",
    "profiles.v1.PrivacyService/Get": "reads requests",
    "profiles.v1.PrivacyService/List": "reads requests",
    "profiles.v1.PrivacyService/Plan": "reads requests",
    "profiles.v1.PrivacyService/Advance": "handles requests",
    "profiles.v1.PrivacyService/Approve": "approves requests",
    "profiles.v1.PrivacyService/Run": "handles requests",
    "profiles.v1.PrivacyService/Hold": "holds people",
    "profiles.v1.PrivacyService/Release": "holds people",
    "profiles.v1.PrivacyService/GetReceipt": "reads requests",
    "profiles.v1.PrivacyService/Export": "hands out packages",
    "profiles.v1.PrivacyService/Open": "hands out packages",
    "identity.v1.IdentityService/ResolveIdentity": "reads identity",
    "identity.v1.IdentityService/ExplainLink": "reads identity",
    "identity.v1.IdentityService/GetLineage": "reads identity",
    "identity.v1.IdentityService/ExportStats": "exports figures",
}
"""Every method that is served, and what who may call it can do. A method that is not here cannot
be served."""
_HOLDS: Final = METHODS["profiles.v1.PrivacyService/Hold"]
_RECORDS: Final = METHODS["profiles.v1.ConsentService/RecordConsent"]
RIGHTS: Final = tuple(dict.fromkeys(METHODS.values()))
_QUOTAS: Final[Mapping[str, int | None]] = {
    "per_second": None,
    "people_per_day": 1_000_000,
    "streams": None,
}
"""Quotas, with the most that each may be: who a caller was told of is kept in memory for a day."""
_DIGEST = re.compile("[0-9a-f]{64}")
_WAYS: Final = ("certificate", "token_sha256", "signed")
_ONE_WAY: Final = "certificate, token_sha256 or signed"


class Grant(NamedTuple):
    """What a caller may see in one method's answers.

    - `fields`: bits of Profile's fields; `purposes`: bits of purposes it may name.
    - `kinds`: kinds of identifiers it may ask by; None: all.
    - `people_per_day`: most people it is told of in a UTC day; 0: any number.
    - `staff`: who of staff it may act for in PrivacyService; None: all.
    - `sees_apart`: whether it is told of people under a restriction or a legal
      hold where it reads consent: who may hold people is.
    - `sources`: whose decisions it may record; None: any source's.
    """

    caller: str
    fields: int
    purposes: int
    kinds: frozenset[str] | None
    people_per_day: int = 0
    staff: frozenset[str] | None = frozenset()
    sees_apart: bool = False
    sources: frozenset[str] | None = frozenset()

    def may_record_of(self, source: str) -> bool:
        """Whether the caller may record what was decided at this source."""
        return self.sources is None or source in self.sources

    def may_act_for(self, staff: str) -> bool:
        """Whether the caller may say that this one of staff acts."""
        return self.staff is None or staff in self.staff

    def may_ask_by(self, kind: str) -> bool:
        """Whether the caller may name people by identifiers of this kind."""
        return self.kinds is None or kind in self.kinds


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller: how it is known, and its rights.

    - `certificate`: a name in its client certificate; `token_sha256`: the digest
      of the token it sends; `signed`: issuer and subject of the signed tokens it
      sends, as `NAME:SUBJECT`. `local` has none of them.
    - `may`: rights of `RIGHTS`, each for all its methods.
    - `per_second`: most calls, each lookup of a batch or a stream counting as
      one, that a replica answers in a second; 0: any number.
    - `streams`: most streams it holds open at one replica; 0: half of the replica's.
    """

    name: str
    grant: Grant
    may: frozenset[str]
    certificate: str = ""
    token_sha256: str = ""
    per_second: int = 0
    signed: str = ""
    streams: int = 0


@dataclass(frozen=True, slots=True)
class Access:
    """All callers, and who signs their tokens. One who is not here may call nothing."""

    callers: tuple[Caller, ...] = ()
    issuers: tuple[Issuer, ...] = ()
    by_certificate: Mapping[bytes, Caller] = field(init=False)
    by_token: Mapping[bytes, Caller] = field(init=False)
    by_signed: Mapping[str, Caller] = field(init=False)
    local: Caller | None = field(init=False)

    def __post_init__(self) -> None:
        named = {one.certificate.encode(): one for one in self.callers if one.certificate}
        held = {bytes.fromhex(one.token_sha256): one for one in self.callers if one.token_sha256}
        local = next((one for one in self.callers if one.name == LOCAL), None)
        object.__setattr__(self, "by_certificate", named)
        object.__setattr__(self, "by_token", held)
        signed = {one.signed: one for one in self.callers if one.signed}
        object.__setattr__(self, "by_signed", signed)
        object.__setattr__(self, "local", local)

    def grant(self, caller: Caller | None, method: str) -> Grant | None:
        """What a caller may see in a method's answers; None: it may not call it."""
        if caller is None or METHODS[method] not in caller.may:
            return None
        return caller.grant


def unlimited(policy: PurposePolicy) -> Access:
    """Access for a caller of the same process: everything, for who shows neither certificate nor
    token. Consent holds all the same.
    """
    grant = Grant(
        LOCAL,
        _fields((ALL,)),
        _purposes(policy, (ALL,)),
        None,
        staff=None,
        sees_apart=True,
        sources=None,
    )
    return Access((Caller(LOCAL, grant, frozenset(RIGHTS)),))


def reachable(access: Access, *, secured: bool) -> bool:
    """Whether anybody at all may call anything, of a server over TLS or in the clear."""
    return any(caller.may and (caller.name != LOCAL or not secured) for caller in access.callers)


def verify(document: Mapping[str, Any]) -> list[str]:
    """Every problem of the document's callers, each naming its key; [] when sound."""
    callers = document.get("callers", {})
    if not isinstance(callers, Mapping):
        return ["callers: must be tables, for example [callers.engine]"]
    purposes = document.get("purposes", {})
    known = {
        "may": RIGHTS,
        "purposes": tuple(purposes) if isinstance(purposes, Mapping) else (),
        "fields": tuple(FIELDS),
        "kinds": None,
        "staff": _staff(document),
        "sources": None,
    }
    problems = []
    shown: dict[object, str] = {}
    for name, body in callers.items():
        where = f"callers.{name}"
        if not isinstance(body, Mapping):
            problems.append(f"{where}: must be a table with {_ONE_WAY}, and may")
            continue
        for key, value in body.items():
            if key in _WAYS:
                problems += _shown_problems(f"{where}.{key}", key, value, document)
            elif key in _QUOTAS:
                problems += _quota_problems(f"{where}.{key}", value, _QUOTAS[key])
            elif key in known:
                problems += _list_problems(f"{where}.{key}", value, known[key])
            else:
                problems.append(unknown(f"{where}.{key}", key, (*_WAYS, *_QUOTAS, *known)))
        problems += _kind_problems(f"{where}.kinds", body.get("kinds"), document)
        problems += _source_problems(f"{where}.sources", body, document)
        problems += _identity_problems(where, str(name), body, shown)
    return problems + issuers.verify(document)


def _quota_problems(where: str, value: object, most: int | None) -> list[str]:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        return [f"{where}: must be 1 or more; leave it out for no limit"]
    return [f"{where}: must be at most {most:,}"] if most is not None and value > most else []


def _kind_problems(where: str, kinds: object, document: Mapping[str, Any]) -> list[str]:
    named = [one for one in kinds if isinstance(one, str)] if isinstance(kinds, list) else []
    return [
        f"{where}: {one!r} is {wrong}"
        for one in named
        if one != ALL and (wrong := unknown_kind(document, one)) is not None
    ]


def _staff(document: Mapping[str, Any]) -> tuple[str, ...]:
    staff = document.get("staff", {})
    return tuple(staff) if isinstance(staff, Mapping) else ()


def _source_problems(where: str, body: Mapping[str, Any], document: Mapping[str, Any]) -> list[str]:
    may, listed = body.get("may"), body.get("sources")
    records = isinstance(may, list) and (ALL in may or _RECORDS in may)
    if records and not listed:
        hint = f'name the sources whose decisions it may record, or ["{ALL}"]'
        return [f"{where}: missing, with {_RECORDS!r}; {hint}"]
    sources = document.get("sources", {})
    of_staff = {
        name
        for name, said in (sources.items() if isinstance(sources, Mapping) else ())
        if isinstance(said, Mapping) and said.get("may_decide") is True
    }
    return [
        f"{where}: {one!r} may decide for staff: no caller records for it; leave it out"
        for one in (listed if isinstance(listed, list) else ())
        if one in of_staff
    ]


def _shown_problems(where: str, key: str, value: object, document: Mapping[str, Any]) -> list[str]:
    if key == "signed":
        known = document.get("issuers", {})
        name, _, subject = value.partition(":") if isinstance(value, str) else ("", "", "")
        if subject and isinstance(known, Mapping) and name in known:
            return []
        return [f"{where}: must be ISSUER:SUBJECT, the issuer being one of [issuers.NAME]"]
    if key == "token_sha256":
        if isinstance(value, str) and _DIGEST.fullmatch(value):
            return []
        return [f"{where}: must be the SHA-256 of the token, 64 hexadecimal digits"]
    return [] if isinstance(value, str) and value else [f"{where}: must be a name"]


def _identity_problems(
    where: str, name: str, body: Mapping[str, Any], shown: dict[object, str]
) -> list[str]:
    ways = [key for key in _WAYS if key in body]
    if name == LOCAL:
        return [f"{where}.{way}: leave it out: local is who shows neither" for way in ways]
    if len(ways) != 1:
        return [f"{where}: say how it is known: {_ONE_WAY}, one of them"]
    taken = shown.setdefault(str(body[ways[0]]), name)
    return [] if taken == name else [f"{where}.{ways[0]}: the same as that of callers.{taken}"]


def _list_problems(where: str, value: object, known: tuple[str, ...] | None) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        return [f'{where}: must be a list of names, or ["{ALL}"] for all']
    if known is None:
        return []
    return [
        f"{where}: {one!r} is none{meant(one, known)}; there are {', '.join(known)}"
        for one in value
        if one != ALL and one not in known
    ]


def parse(document: Mapping[str, Any], policy: PurposePolicy) -> Access:
    """The callers of a document in which `verify` found nothing."""
    callers = document.get("callers", {})
    found = tuple(_caller(name, body, policy) for name, body in callers.items())
    return Access(found, issuers.parse(document))


def _caller(name: str, body: Mapping[str, Any], policy: PurposePolicy) -> Caller:
    kinds, staff = body.get("kinds", ()), body.get("staff", ())
    sources = body.get("sources", ())
    may = body.get("may", ())
    return Caller(
        name,
        Grant(
            name,
            _fields(body.get("fields", ())),
            _purposes(policy, body.get("purposes", ())),
            None if ALL in kinds else frozenset(kinds),
            body.get("people_per_day", 0),
            None if ALL in staff else frozenset(staff),
            ALL in may or _HOLDS in may,
            None if ALL in sources else frozenset(sources),
        ),
        frozenset(RIGHTS if ALL in may else may),
        body.get("certificate", ""),
        body.get("token_sha256", ""),
        body.get("per_second", 0),
        body.get("signed", ""),
        body.get("streams", 0),
    )


def _fields(names: Iterable[str]) -> int:
    wanted = FIELDS if ALL in names else names
    return sum(1 << FIELDS[name] for name in set(wanted))


def _purposes(policy: PurposePolicy, names: Iterable[str]) -> int:
    wanted = policy.by_name if ALL in names else names
    return sum(policy.by_name[name].bit for name in set(wanted))

"""Answers lookups from the read view: consent, unsealing and joining, nothing parsed.

An answer is a serialized `GetProfileResponse`: the allowed sections joined,
which for protobuf is merging ("Encoding: Last One Wins"), inside the answer's
length-prefixed field.

Who asks gets a section when the caller may see its field, and one of the
purposes that the caller names, and may name, is among those it may serve and
granted by the person. All else is withheld and only the
field's name is told. When the feed has been silent for too long, no purpose
that needs consent counts as granted. What was built under another policy is
withheld whole: there its bits meant something else. Whose keys are destroyed is
not found.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from google.protobuf.duration_pb2 import Duration

from identity.model import NodeKey, PersonId
from identity.refused import Refused
from profiles.access import Grant
from profiles.layout import Choice, choose, cut, shape_of
from profiles.people_quota import PEOPLE_EXHAUSTED, PeopleQuotas
from profiles.purposes import FIELDS, PurposePolicy
from profiles.read_view import HEAD, HEARD, MERGED, MS, PROFILE, Opened, ReadView, unpack
from profiles.sealing import Sealer, Unreadable
from profiles.v1.profile_service_pb2 import (
    BatchGetProfilesRequest,
    GetProfileRequest,
    GetProfileResponse,
    Subject,
)
from profiles.vault import KeyDestroyed

_LOG = logging.getLogger(__name__)

NameOf = Callable[[str, str], NodeKey | None]
"""From a kind and a raw value to the node that stands for them; None when they are invalid."""

SUBJECT_MISSING = Refused(3, "SUBJECT_MISSING", "subject")
PERSON_ID_INVALID = Refused(3, "PERSON_ID_INVALID", "subject.person_id")
IDENTIFIER_INVALID = Refused(3, "IDENTIFIER_INVALID", "subject.identifier")
MASK_INVALID = Refused(3, "MASK_INVALID", "mask")
PURPOSE_UNKNOWN = Refused(3, "PURPOSE_UNKNOWN", "purposes")
PROFILE_NOT_FOUND = Refused(5, "PROFILE_NOT_FOUND")
TOO_STALE = Refused(9, "TOO_STALE", "max_staleness")
VERSION_NOT_REACHED = Refused(9, "VERSION_NOT_REACHED", "min_version")
FAILED = Refused(13, "FAILED")

_PERSON_ID = re.compile("[a-z2-7]{26}")
_MAX_HOPS = 1_000
_PLANS_KEPT = 4_096
_KEYS_KEPT = 16_384
_WITHHELD_KEPT = 4_096
_CHOICES_KEPT = 16_384
_ALL_FIELDS = sum(1 << number for number in FIELDS.values())
_HEAD_BYTES = HEAD.size
_unpack_head = HEAD.unpack_from
_ID_CHARS = 26
_PROFILE_TAG = b"\x0a"
_BY_ID = b"\x0a\x1c\x0a\x1a"
"""How a request by id begins: its subject of 28 bytes, in it a person id of 26."""
_BY_ID_BYTES = len(_BY_ID) + _ID_CHARS
_ASKING_BYTES = 1_024
_ASKED = b"\x1a\x1a"
"""Tag of `asked_person_id` and its length, always the same."""


class _Plan(NamedTuple):
    """Which fields were asked for (bit: number in Profile), and what for (bits of purposes)."""

    fields: int
    purposes: int


class _Asking(NamedTuple):
    """All of a request but whom it is about; mostly the same for all of a caller's lookups."""

    plan: _Plan
    max_staleness: Duration | None
    min_version: int


class _Found(NamedTuple):
    """The person an answer is about, its stored state, and the id asked for, as answered."""

    person: bytes
    value: bytes
    asked: bytes


class _Freshness(NamedTuple):
    """What a reading transaction knows of the feed.

    - `told`: the staleness as it is answered.
    - `grantable`: bits of all purposes, or when the feed has been silent for
      too long of those that need no consent.
    """

    staleness_ms: int
    told: bytes
    grantable: int


class Lookup:
    """Answers lookups from one view under one policy. Threads may share one.

    `name_of` turns an identifier as callers know it into its node.
    `max_silence_ms` is how long the feed may be silent before consent counts
    as unknown. `people` counts whom callers with `people_per_day` are told of.
    Times given are microseconds since 1970 UTC.
    """

    def __init__(
        self,
        view: ReadView,
        sealer: Sealer,
        policy: PurposePolicy,
        name_of: NameOf,
        max_silence_ms: int,
        people: PeopleQuotas | None = None,
    ) -> None:
        self._view = view
        self._keys = sealer.keeping(_KEYS_KEPT)
        self._name_of = name_of
        self.former: NameOf | None = None
        """Names identifiers under the token keys before the last, while these are rotated: whoever
        was not yet published under the present ones is found so."""
        self._policy = policy
        self._max_silence_ms = max_silence_ms
        self._quotas = people
        self._always = ~policy.needs_consent
        self._digest = policy.digest
        self._warned = False
        self._plans: dict[tuple[tuple[str, ...], tuple[str, ...]], _Plan | Refused] = {}
        self._askings: dict[bytes, _Asking | None] = {}
        self._choices: dict[tuple[bytes, int, int, int], Choice] = {}
        self._withheld: dict[int, bytes] = {0: b""}
        self._fresh = _Freshness(-1, b"", 0)

    def get(self, request: GetProfileRequest, now_us: int, grant: Grant) -> bytes | Refused:
        """A serialized `GetProfileResponse`, or why there is none."""
        asking = self._asking(request)
        if isinstance(asking, Refused):
            return asking
        at = self._view.at
        with at.begin() as txn:
            fresh = self._freshness(txn, at, now_us)
            if asking.max_staleness is not None and _older(fresh, asking.max_staleness):
                return TOO_STALE
            found = self._find(txn, at, request.subject, grant)
            if isinstance(found, Refused):
                return self._missed(found, grant)
            return self._answer(found, asking.plan, fresh, asking.min_version, grant)

    def get_serialized(self, request: bytes, now_us: int, grant: Grant) -> bytes | Refused:
        """As `get`, of a serialized `GetProfileRequest`.

        A lookup by id begins with the same four bytes in every protobuf library,
        and what follows the id repeats from lookup to lookup: that is parsed once.

        Raises:
            DecodeError: it is not one.
        """
        rest = request[_BY_ID_BYTES:]
        if request.startswith(_BY_ID) and len(request) >= _BY_ID_BYTES:
            asking = self._askings.get(rest)
            if asking is None and rest not in self._askings:
                asking = self._remember(rest)
            if asking is not None:
                person = request[len(_BY_ID) : _BY_ID_BYTES]
                at = self._view.at
                with at.begin() as txn:
                    fresh = self._freshness(txn, at, now_us)
                    value = txn.get(person, db=at.people)
                    if value is not None and value[0] == PROFILE:
                        if asking.max_staleness and _older(fresh, asking.max_staleness):
                            return TOO_STALE
                        found = _Found(person, value, _ASKED + person)
                        return self._answer(found, asking.plan, fresh, asking.min_version, grant)
        return self.get(GetProfileRequest.FromString(request), now_us, grant)

    def get_many(
        self, request: BatchGetProfilesRequest, now_us: int, grant: Grant
    ) -> list[bytes | Refused] | Refused:
        """One outcome per subject from one moment, same order; or why the whole batch has none."""
        plan = self._plan(request.mask.paths, request.purposes)
        if isinstance(plan, Refused):
            return plan
        at = self._view.at
        with at.begin() as txn:
            fresh = self._freshness(txn, at, now_us)
            if request.HasField("max_staleness") and _older(fresh, request.max_staleness):
                return TOO_STALE
            return [
                self._outcome(txn, at, subject, plan, fresh, grant) for subject in request.subjects
            ]

    def granted(self, person: PersonId, now_us: int) -> int:
        """Bits of the purposes that count as granted by somebody, as an answer has them.

        An id that stands for another person, or for nobody, grants nothing.
        """
        at = self._view.at
        with at.begin() as txn:
            value = txn.get(person.encode(), db=at.people)
            if value is None or value[0] != PROFILE:
                return 0
            stored = unpack(value)
            fresh = self._freshness(txn, at, now_us)
            return stored.granted & fresh.grantable & self._meant(stored.policy)

    def forget(self) -> None:
        """Let go of every unwrapped data key; call it when an epoch's key was destroyed."""
        self._keys.forget()

    def _outcome(
        self, txn: Any, at: Opened, subject: Subject, plan: _Plan, fresh: _Freshness, grant: Grant
    ) -> bytes | Refused:
        found = self._find(txn, at, subject, grant)
        if isinstance(found, Refused):
            return self._missed(found, grant)
        return self._answer(found, plan, fresh, 0, grant)

    def _asking(self, request: GetProfileRequest) -> _Asking | Refused:
        fields = request.mask.paths if request.HasField("mask") else ()
        plan = self._plan(fields, request.purposes)
        if isinstance(plan, Refused):
            return plan
        staleness = request.max_staleness if request.HasField("max_staleness") else None
        return _Asking(plan, staleness, request.min_version)

    def _remember(self, rest: bytes) -> _Asking | None:
        """What follows the subject, parsed; None when it must be read together with the subject."""
        request = GetProfileRequest.FromString(rest)
        asking = None if request.HasField("subject") else self._asking(request)
        known = None if isinstance(asking, Refused) else asking
        if len(rest) <= _ASKING_BYTES:
            if len(self._askings) >= _PLANS_KEPT:
                self._askings.clear()
            self._askings[rest] = known
        return known

    def _plan(self, fields: Sequence[str], purposes: Sequence[str]) -> _Plan | Refused:
        """What a mask and purposes come to. No fields: all of them. No purposes: for nothing."""
        key = (tuple(fields), tuple(purposes))
        found = self._plans.get(key)
        if found is None:
            if len(self._plans) >= _PLANS_KEPT:
                self._plans.clear()
            found = self._plans[key] = self._planned(*key)
        return found

    def _planned(self, fields: tuple[str, ...], purposes: tuple[str, ...]) -> _Plan | Refused:
        wanted = 0
        for name in fields:
            number = FIELDS.get(name)
            if number is None:
                return MASK_INVALID
            wanted |= 1 << number
        bits = self._policy.bits(purposes)
        return PURPOSE_UNKNOWN if bits is None else _Plan(wanted or _ALL_FIELDS, bits)

    def _freshness(self, txn: Any, at: Opened, now_us: int) -> _Freshness:
        heard = txn.get(HEARD, db=at.meta)
        heard_ms = 0 if heard is None else MS.unpack(heard)[0]
        # A time to come, by a clock that was set back since, is no news either.
        staleness_ms = abs(now_us // 1_000 - heard_ms)
        fresh = self._fresh
        if staleness_ms != fresh.staleness_ms:
            answer = GetProfileResponse()
            answer.staleness.seconds, ms = divmod(staleness_ms, 1_000)
            answer.staleness.nanos = ms * 1_000_000
            grantable = self._always if staleness_ms > self._max_silence_ms else -1
            fresh = _Freshness(staleness_ms, answer.SerializeToString(), grantable)
            self._fresh = fresh
        return fresh

    def _answer(
        self, found: _Found, plan: _Plan, fresh: _Freshness, min_version: int, grant: Grant
    ) -> bytes | Refused:
        person, value, asked = found
        if grant.people_per_day and not self._counted().take(grant, person):
            return PEOPLE_EXHAUSTED
        _, _, version, granted, built, layout_size, reply_size, sealed_size = _unpack_head(value)
        reply_at = _HEAD_BYTES + layout_size
        sealed_at = reply_at + reply_size
        if version < min_version:
            return self._gone(value[sealed_at : sealed_at + sealed_size]) or VERSION_NOT_REACHED
        layout = value[_HEAD_BYTES:reply_at]
        allowed = granted & plan.purposes & fresh.grantable & grant.purposes
        if built != self._digest:
            allowed &= self._meant(built)
        key = (shape_of(layout), plan.fields, grant.fields, allowed)
        runs, withheld = self._choices.get(key) or self._choose(key)
        profile = b""
        if runs != ():
            try:
                sealed = value[sealed_at : sealed_at + sealed_size]
                opened = self._keys.open(sealed, person + layout)
            except KeyDestroyed:
                return PROFILE_NOT_FOUND
            except Unreadable:
                _LOG.error("a stored profile was changed and does not open")
                return FAILED
            profile = opened if runs is None else cut(opened, layout, runs)
        elif gone := self._gone(value[sealed_at : sealed_at + sealed_size]):
            return gone
        told = self._withheld.get(withheld)
        if told is None:
            told = self._tell(withheld)
        size = _varint(len(profile))
        reply = value[reply_at:sealed_at]
        return b"".join((_PROFILE_TAG, size, profile, reply, fresh.told, told, asked))

    def _gone(self, sealed: bytes) -> Refused | None:
        """Why a profile of which nothing is opened is not there all the same."""
        try:
            self._keys.unwrap(sealed)
        except KeyDestroyed:
            return PROFILE_NOT_FOUND
        except Unreadable:
            _LOG.error("a stored profile was changed and does not open")
            return FAILED
        return None

    def _meant(self, policy: int) -> int:
        """Bits that mean here what they meant under the policy of a digest: all, or none."""
        if policy == self._digest:
            return -1
        if not self._warned:
            self._warned = True
            _LOG.warning("profiles were built under another policy: withheld until built anew")
        return 0

    def _choose(self, key: tuple[bytes, int, int, int]) -> Choice:
        if len(self._choices) >= _CHOICES_KEPT:
            self._choices.clear()
        choice = self._choices[key] = choose(*key)
        return choice

    def _find(self, txn: Any, at: Opened, subject: Subject, grant: Grant) -> _Found | Refused:
        person_id = subject.person_id
        if len(person_id) == _ID_CHARS:
            person = person_id.encode()
            asked = _ASKED + person
        else:
            if subject.WhichOneof("subject") != "identifier":
                return PERSON_ID_INVALID if subject.HasField("person_id") else SUBJECT_MISSING
            identifier = subject.identifier
            name = self._name_of(identifier.kind, identifier.value)
            if name is None:
                return IDENTIFIER_INVALID
            person = txn.get(name.encode(), db=at.aliases)
            if person is None and self.former is not None:
                name = self.former(identifier.kind, identifier.value) or name
                person = txn.get(name.encode(), db=at.aliases)
            # Who may not ask by this kind is told the same as who asks for nobody.
            if person is None or not grant.may_ask_by(identifier.kind):
                return PROFILE_NOT_FOUND
            asked = b""
        value = txn.get(person, db=at.people)
        if value is None:
            wrong = asked and not _PERSON_ID.fullmatch(person_id)
            return PERSON_ID_INVALID if wrong else PROFILE_NOT_FOUND
        if value[0] == PROFILE:
            return _Found(person, value, asked)
        return self._follow(txn, at, value, asked)

    def _missed(self, refused: Refused, grant: Grant) -> Refused:
        """Nobody was found; who has no quota left is not told even that."""
        if (
            grant.people_per_day
            and refused is PROFILE_NOT_FOUND
            and self._counted().is_spent(grant)
        ):
            return PEOPLE_EXHAUSTED
        return refused

    def _counted(self) -> PeopleQuotas:
        assert self._quotas is not None, "a policy with people_per_day needs PeopleQuotas"
        return self._quotas

    def _follow(self, txn: Any, at: Opened, value: bytes | None, asked: bytes) -> _Found | Refused:
        """From a merged id to the person it stands for now."""
        for _ in range(_MAX_HOPS):
            if value is None or value[0] != MERGED:
                break
            person = value[_HEAD_BYTES:]
            value = txn.get(person, db=at.people)
            if value is not None and value[0] == PROFILE:
                return _Found(person, value, asked)
        return PROFILE_NOT_FOUND

    def _tell(self, withheld: int) -> bytes:
        names = [name for name, number in FIELDS.items() if withheld >> number & 1]
        if len(self._withheld) >= _WITHHELD_KEPT:
            self._withheld = {0: b""}
        told = GetProfileResponse(withheld=names).SerializeToString()
        self._withheld[withheld] = told
        return told


def _varint(number: int) -> bytes:
    """Protobuf's base-128 varint."""
    if number < 0x80:
        return _SMALL[number]
    if number < 0x4000:
        return bytes((number & 0x7F | 0x80, number >> 7))
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _older(fresh: _Freshness, wanted: Duration) -> bool:
    return fresh.staleness_ms > wanted.seconds * 1_000 + wanted.nanos // 1_000_000


_SMALL = [bytes((number,)) for number in range(0x80)]

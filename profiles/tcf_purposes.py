"""What a decoded TCF consent string decides on the purposes of the policy."""

from __future__ import annotations

from profiles.purposes import Purpose, PurposePolicy
from profiles.tcf import ConsentString

_FORBIDDEN, _NEEDS_CONSENT, _NEEDS_INTEREST = range(3)
_NEVER_BY_INTEREST = frozenset((1,))
_BY_CONSENT_ALONE = frozenset((1, 3, 4, 5, 6))
_BY_CONSENT_ALONE_FROM = 4
"""Keeping things on a device always asks for consent; from this policy version on (2.2 of the
framework) profiles and what is chosen by them do, too: whatever a string says of legitimate
interest in those purposes, it is none."""


def decided(policy: PurposePolicy, said: ConsentString) -> dict[str, bool]:
    """Per purpose that names numbers of the framework, whether the string grants it.

    It does when it grants every number named, on the purpose's own basis, to
    us: as the vendor that the policy names, else as the publisher. Whatever the
    string leaves open is a no; purposes without such numbers are left out.
    """
    return {
        purpose.name: _grants(policy.tcf_vendor, purpose, said)
        for purpose in policy.purposes
        if purpose.tcf or purpose.tcf_features
    }


def _grants(vendor: int | None, purpose: Purpose, said: ConsentString) -> bool:
    by_consent = purpose.rule.needs_consent
    if not said.features.issuperset(purpose.tcf_features):
        return False
    if not by_consent and not _by_consent_alone(said).isdisjoint(purpose.tcf):
        return False
    if vendor is None:
        return _publisher_grants(purpose, said, by_consent=by_consent)
    return _vendor_grants(vendor, purpose, said, by_consent=by_consent)


def _by_consent_alone(said: ConsentString) -> frozenset[int]:
    return _BY_CONSENT_ALONE if said.policy >= _BY_CONSENT_ALONE_FROM else _NEVER_BY_INTEREST


def _publisher_grants(purpose: Purpose, said: ConsentString, *, by_consent: bool) -> bool:
    own = said.publisher
    if own is None:
        return not purpose.tcf
    return (own.consents if by_consent else own.interests).issuperset(purpose.tcf)


def _vendor_grants(vendor: int, purpose: Purpose, said: ConsentString, *, by_consent: bool) -> bool:
    # Whatever its policy version: without the list of vendors that were shown nobody knows whether
    # we were, and a string must not grant more for having lost it.
    if said.disclosed is None or vendor not in said.disclosed:
        return False
    if vendor not in (said.vendor_consents if by_consent else said.vendor_interests):
        return False
    excluded = (_FORBIDDEN, _NEEDS_INTEREST if by_consent else _NEEDS_CONSENT)
    if any(
        one.kind in excluded and one.purpose in purpose.tcf and vendor in one.vendors
        for one in said.restrictions
    ):
        return False
    granted = said.purpose_consents if by_consent else said.purpose_interests
    return granted.issuperset(purpose.tcf)

"""What a decision on purposes comes to under the policy, in whichever of its three forms."""

from __future__ import annotations

from typing import Any

from identity.horizons import NO_DAY
from identity.model import DAY_US
from ingest import normalise
from ingest.raw import ConsentDecided
from ingest.rejected import Rejected
from profiles import tcf, tcf_purposes
from profiles.consent import said_of
from profiles.purposes import PurposePolicy

_AT = "consent_decided"


def said(
    content: ConsentDecided, policy: PurposePolicy, given_from_day: int = NO_DAY
) -> dict[str, Any] | Rejected:
    """What the fact of a decision holds, or why it decides nothing.

    A consent string decides on every purpose that names numbers of the
    framework, and its grants hold no earlier and no later than it was updated;
    Global Privacy Control withdraws every purpose that sells or shares.

    What was granted before `given_from_day`, the first day of which decisions are
    kept, is left out: a no that came after it may be forgotten already.
    """
    text_version, place = normalise.text(content.text_version), normalise.text(content.place)
    if content.tcf_string:
        decoded = tcf.decode(content.tcf_string)
        if isinstance(decoded, tcf.Rejected):
            hint = f"send it as the consent platform gave it: {decoded.segment}: {decoded.reason}"
            return Rejected(f"{_AT}.tcf_string", "tcf", hint)
        decisions = tcf_purposes.decided(policy, decoded)
        if not decisions:
            hint = "give purposes of the policy their tcf numbers"
            return Rejected(f"{_AT}.tcf_string", "no_purpose", hint)
        if decoded.updated_us // DAY_US < given_from_day:
            decisions = {name: False for name, granted in decisions.items() if not granted}
            if not decisions:
                return Rejected(f"{_AT}.tcf_string", "stale", "ask for consent anew")
        version = text_version or f"TCF policy {decoded.policy}, vendors {decoded.vendor_list}"
        place = place or f"CMP {decoded.cmp_id} version {decoded.cmp_version}"
        return said_of(decisions, version, place, given_us=decoded.updated_us)
    if content.global_privacy_control:
        sold = {purpose.name: False for purpose in policy.purposes if purpose.gpc}
        if not sold:
            hint = "mark the policy's purposes of selling and sharing with gpc"
            return Rejected(f"{_AT}.global_privacy_control", "no_purpose", hint)
        return said_of(sold, text_version or "Global Privacy Control", place)
    return said_of(dict(content.decisions), text_version, place)

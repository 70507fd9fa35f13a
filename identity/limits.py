"""When an identifier is shared: a function of the evidence directly beside it, never of people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from identity.model import RECORD_KIND, NodeKey, NodeView, Tie, kind_of
from identity.policy import IdentityPolicy, KindPolicy


def is_shared(view: NodeView, policy: IdentityPolicy) -> bool:
    """Whether a node sits beside more values of a higher kind than its kind allows.

    Counts distinct values per higher-priority kind among all ties, admissible
    or not, within any window of `shared_window_days` event days. Records are
    never shared, nor are kinds the policy does not name.
    """
    own = policy.kind(kind_of(view.key))
    if own is None or not own.shared_beside:
        return False
    for kind, ties in _higher_kinds(view.ties, own, policy).items():
        limit = own.shared_beside.get(kind, own.shared_beside.get(""))
        if limit is not None and len(ties) > limit:
            if own.shared_window_days is None:
                return True
            if most_in_window(ties, own.shared_window_days) > limit:
                return True
    return False


def beside_counts(view: NodeView, policy: IdentityPolicy) -> Mapping[str, int]:
    """Per higher-priority kind the most distinct values within the window."""
    own = policy.kind(kind_of(view.key))
    if own is None:
        return {}
    window_days = own.shared_window_days
    return {
        kind: len(ties) if window_days is None else most_in_window(ties, window_days)
        for kind, ties in _higher_kinds(view.ties, own, policy).items()
    }


def _higher_kinds(
    ties: Iterable[Tie], own: KindPolicy, policy: IdentityPolicy
) -> dict[str, list[Tie]]:
    by_kind: dict[str, list[Tie]] = defaultdict(list)
    for tie in ties:
        kind = kind_of(tie.other)
        other = None if kind == RECORD_KIND else policy.kind(kind)
        if other is not None and other.priority > own.priority:
            by_kind[kind].append(tie)
    return by_kind


def most_in_window(ties: Iterable[Tie], window_days: int) -> int:
    """The largest number of distinct values seen within any `window_days` consecutive days."""
    sightings = sorted((day, tie.other) for tie in ties for day in tie.days)
    inside: dict[NodeKey, int] = defaultdict(int)
    most = oldest = 0
    for day, value in sightings:
        inside[value] += 1
        while sightings[oldest][0] <= day - window_days:
            gone = sightings[oldest][1]
            inside[gone] -= 1
            if not inside[gone]:
                del inside[gone]
            oldest += 1
        most = max(most, len(inside))
    return most

"""What of a person is theirs alone, and what they share with others: the scope of an erasure. Pure.

A node is theirs alone unless others hold on to it: it is shared, or sits
directly beside a node of somebody else that is nearer to a person (of a higher
priority), or beside somebody else's record. An account is always its holder's.
What is theirs alone is fenced; of what they share, the others' links stay.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from identity.model import RECORD_KIND, NodeKey, NodeView, PersonId, kind_of
from identity.policy import IdentityPolicy, is_account
from identity.store import GraphStore


@dataclass(frozen=True, slots=True)
class Scope:
    """What erasing a person takes and leaves.

    - `fenced`: nodes that are theirs alone, by key; `kept`: nodes that others hold on to.
    - `others`: people some of whose evidence names a fenced node, links, facts
      and decisions of staff alike: it goes, too.
    - `accounts`: those of the nodes that are accounts; more than one of a kind
      says that two people may have been merged: split them first.
    """

    person: PersonId
    fenced: tuple[NodeKey, ...]
    kept: tuple[NodeKey, ...]
    others: tuple[PersonId, ...]
    accounts: tuple[NodeKey, ...]

    @property
    def records(self) -> int:
        """How many records are fenced."""
        return sum(kind_of(key) == RECORD_KIND for key in self.fenced)

    @property
    def is_doubtful(self) -> bool:
        """Whether this may be two people: nobody needs two accounts of a kind, though some have."""
        return any(count > 1 for count in by_kind(self.accounts).values())


def scope_of(store: GraphStore, policy: IdentityPolicy, person: PersonId) -> Scope | None:
    """The scope of a person as they are now; None when nobody has this id.

    Raises:
        StoreError: it cannot be read.
    """
    members = store.members([person]).get(person)
    if not members:
        return None
    views = store.views(members)
    fenced: list[NodeKey] = []
    kept: list[NodeKey] = []
    for key in sorted(members):
        (kept if _is_held_by_others(views.get(key), members, policy) else fenced).append(key)
    accounts = [key for key in fenced if is_account(key, policy)]
    others = others_of(store, fenced, members)
    return Scope(person, tuple(fenced), tuple(kept), others, tuple(accounts))


def others_of(
    store: GraphStore, fenced: Collection[NodeKey], members: AbstractSet[NodeKey] = frozenset()
) -> tuple[PersonId, ...]:
    """People beside the members some of whose evidence names a fenced node.

    What is shared is nobody's.

    Raises:
        StoreError: it cannot be read.
    """
    ties = [tie for view in store.views(fenced).values() for tie in view.ties]
    named = {tie.other for tie in ties}
    # A fact outlives the links of its signal where they expire first.
    for held in store.evidence_at(fenced, activity=False).values():
        named.update(subject for kept in held.facts for subject in kept.fact.subjects)
    for decision in store.decisions(fenced):
        named |= {decision.left, decision.right}
    shared = {tie.other for tie in ties if tie.other_shared}
    owners = store.person_of(named - members - shared - set(fenced))
    return tuple(sorted(set(owners.values())))


def _is_held_by_others(
    view: NodeView | None, members: AbstractSet[NodeKey], policy: IdentityPolicy
) -> bool:
    if view is None or is_account(view.key, policy) or kind_of(view.key) == RECORD_KIND:
        return False
    if view.shared:
        return True
    own = _priority(view.key, policy)
    return any(
        kind_of(tie.other) == RECORD_KIND or _priority(tie.other, policy) > own
        for tie in view.ties
        if tie.other not in members and not tie.other_shared
    )


def _priority(key: NodeKey, policy: IdentityPolicy) -> int:
    kind = policy.kind(kind_of(key))
    return 0 if kind is None else kind.priority


def by_kind(keys: Iterable[NodeKey]) -> dict[str, int]:
    """How many nodes there are of each kind."""
    counts: dict[str, int] = {}
    for key in keys:
        counts[kind_of(key)] = counts.get(kind_of(key), 0) + 1
    return dict(sorted(counts.items()))

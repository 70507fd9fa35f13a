"""Whom requests are about: what they name, who that is now, and whose signals they retract."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations, starmap

from identity.matching.attributes import BIRTH_DATE
from identity.matching.comparisons import are_different_dates
from identity.matching.dates import digits_of
from identity.model import Node, NodeKey, PersonEvidence, PersonId, kind_of
from identity.policy import IdentityPolicy
from identity.scope import Scope, scope_of
from identity.store import FOREVER_US, GraphStore
from identity.tokens import Tokens
from profiles.consent import LEGAL_HOLD, set_apart
from profiles.requests import Said

NameOf = Callable[[str, str], NodeKey | None]


class Subjects:
    """Finds whom requests are about. One object per thread. Raises: StoreError.

    `value_of` gives an identifier's value where it is kept, else ""; `said_in` what
    somebody's records say of an attribute.
    """

    def __init__(
        self,
        store: GraphStore,
        policy: IdentityPolicy,
        tokens: Tokens,
        name_of: NameOf,
        value_of: Callable[[Node], str],
        said_in: Callable[[PersonEvidence, str], set[str]],
    ) -> None:
        self._store = store
        self._policy = policy
        self._tokens = tokens
        self._name_of = name_of
        self._value_of = value_of
        self._said_in = said_in

    def name(self, said: Said) -> NodeKey | None:
        """The node of the identifier that a request names; None: it names a person's id."""
        return self._name_of(said.kind, said.value) if said.kind else None

    def is_shared(self, said: Said) -> bool:
        """Whether what a request names is shared by several people, and so stands for no one."""
        members = self.members(said)
        return len(members) == 1 and any(
            view.shared for view in self._store.views(members).values()
        )

    def is_suppressed(self, said: Said) -> bool:
        """Whether nothing that names the identifier comes in until that is lifted."""
        name = self.name(said)
        return name is not None and self._store.fences((name,)).get(name, 0) >= FOREVER_US

    def person(self, said: Said) -> PersonId | None:
        """Whom a request is about as they are now; None: nobody is known by what it names."""
        if said.person:
            return self._store.current(said.person)
        name = self.name(said)
        return None if name is None else self._store.person_of((name,)).get(name)

    def evidence(self, said: Said) -> PersonEvidence | None:
        """All that is held of whom a request is about."""
        person = self.person(said)
        return None if person is None else self._store.evidence((person,)).get(person)

    def identifier(self, said: Said) -> tuple[str, str] | None:
        """What names somebody in a signal: what was given, else the nearest to a person that is
        kept.
        """
        if said.kind:
            return said.kind, said.value
        evidence = self.evidence(said)
        if evidence is None:
            return None
        nodes = sorted(evidence.nodes, key=lambda node: (-self._priority(node.key), node.key))
        for node in nodes:
            value = self._value_of(node)
            if value:
                return kind_of(node.key), value
        return None

    def apart(self, said: Said) -> dict[str, int]:
        """What sets somebody apart: the signals that say so, by reserved purpose."""
        evidence = self.evidence(said)
        return {} if evidence is None else _apart(evidence)

    def holds(self, people: Iterable[PersonId]) -> list[int]:
        """The signals of the legal holds that stand over people."""
        found = self._store.evidence(people)
        holds = (_apart(evidence).get(LEGAL_HOLD) for evidence in found.values())
        return sorted(signal for signal in holds if signal is not None)

    def named_by(self, said: Said) -> list[frozenset[NodeKey]]:
        """Whom each signal that is to be retracted says something of; nothing where none counts."""
        signals = [self._tokens.signal(*one) for one in said.retract]
        named = self._store.named_by(signals)
        return [named.get(signal, frozenset()) for signal in signals]

    def members(self, said: Said) -> frozenset[NodeKey]:
        """The nodes of whom a request is about."""
        person = self.person(said)
        if person is None:
            return frozenset()
        return self._store.members((person,)).get(person, frozenset())

    def scope(self, person: PersonId | None) -> Scope | None:
        """What erasing a person would take."""
        return None if person is None else scope_of(self._store, self._policy, person)

    def are_perhaps_two(self, said: Said) -> bool:
        """Whether whom a request is about may be several people merged: more than one account of a
        kind, or records with birth dates that no typing error explains.
        """
        evidence = self.evidence(said)
        if evidence is None:
            return False
        scope = self.scope(evidence.person)
        if scope is not None and scope.is_doubtful:
            return True
        born = {
            digits
            for text in self._said_in(evidence, BIRTH_DATE)
            if (digits := digits_of(text, day_first=False)) is not None
        }
        return any(starmap(are_different_dates, combinations(sorted(born), 2)))

    def owners(self, nodes: Iterable[NodeKey]) -> set[PersonId]:
        """Whose these nodes are."""
        return set(self._store.person_of(nodes).values())

    def _priority(self, key: NodeKey) -> int:
        kind = self._policy.kind(kind_of(key))
        return 0 if kind is None else kind.priority


def _apart(evidence: PersonEvidence) -> dict[str, int]:
    signals = {(kept.source, kept.digest): kept.signal for kept in evidence.facts}
    return {
        purpose: signals[decision.source, decision.digest]
        for purpose, decision in set_apart(evidence).items()
    }

"""Answers of IdentityService from a graph store: who is who, why, and what became of an id.

Of whoever is set apart or being erased they tell what they tell of nobody.
Reads only. What the network needs around it (errors, deadlines, threads) is
the server's; here a request goes in and an answer or a refusal comes out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from identity.explain import Step, explain
from identity.hiding import is_being_erased
from identity.matching.comparing import Comparer
from identity.matching.index import MatchIndex
from identity.model import NodeKey, PersonEvidence, PersonId, kind_of, token_of
from identity.policy import MBITS, IdentityPolicy
from identity.refused import Refused
from identity.store import GraphStore
from identity.v1 import identity_service_pb2 as pb

NameOf = Callable[[str, str], NodeKey | None]
"""From a kind and a raw value to the node that stands for them; None when they are invalid."""

_INVALID_ARGUMENT: Final = 3
_NOT_FOUND: Final = 5
_PERSON_ID = re.compile("[a-z2-7]{26}")


class IdentityAnswers:
    """Answers from whichever store is passed in; holds nothing that changes, threads may share it.

    Raw values are turned into nodes by `name_of` at once and go no further.
    Errors: those of the store (`identity.store.StoreError`).
    """

    __slots__ = ("_comparers", "_is_apart", "_name_of", "_policy")

    def __init__(
        self,
        policy: IdentityPolicy,
        name_of: NameOf,
        is_apart: Callable[[PersonEvidence], bool],
        comparers: Callable[[], Sequence[Comparer]] = tuple,
    ) -> None:
        """`is_apart`: whether somebody is served to no one; `comparers` gives those of the models
        in force.
        """
        self._policy = policy
        self._name_of = name_of
        self._is_apart = is_apart
        self._comparers = comparers

    def resolve(
        self, store: GraphStore, request: pb.ResolveIdentityRequest
    ) -> pb.ResolveIdentityResponse | Refused:
        """Which person an identifier stands for; nothing is written, known or not."""
        key = self._name(request.identifier, "identifier")
        if isinstance(key, Refused):
            return key
        person = store.person_of((key,)).get(key)
        evidence = None if person is None else self._told_of(store, person)
        if person is None or evidence is None:
            return Refused(_NOT_FOUND, "UNKNOWN_IDENTIFIER", "identifier")
        view = store.views((key,)).get(key)
        return pb.ResolveIdentityResponse(
            person_id=person,
            shared=view is not None and view.shared,
            member_count=len(evidence.nodes),
        )

    def explain(
        self, store: GraphStore, request: pb.ExplainLinkRequest
    ) -> pb.ExplainLinkResponse | Refused:
        """The strongest chain of evidence between two identifiers, or what stands between them."""
        left = self._name(request.left, "left")
        if isinstance(left, Refused):
            return left
        right = self._name(request.right, "right")
        if isinstance(right, Refused):
            return right
        people = store.person_of((left, right))
        untold = {one for one in set(people.values()) if self._told_of(store, one) is None}
        for key, field in ((left, "left"), (right, "right")):
            if key not in people or people[key] in untold:
                return Refused(_NOT_FOUND, "UNKNOWN_IDENTIFIER", field)
        index = MatchIndex(store, self._comparers())
        explanation = explain(store, self._policy, left, right, index)
        if explanation is None:
            # One of them has gone since.
            known = store.person_of((left, right))
            return Refused(
                _NOT_FOUND, "UNKNOWN_IDENTIFIER", "left" if left not in known else "right"
            )
        return pb.ExplainLinkResponse(
            same_person=explanation.same_person,
            steps=[_step(step) for step in explanation.steps],
            sentence=explanation.sentence,
            obstacles=explanation.obstacles,
        )

    def lineage(
        self, store: GraphStore, request: pb.GetLineageRequest
    ) -> pb.GetLineageResponse | Refused:
        """What became of an id; `current_person_id` is empty when it stands for nobody now."""
        if not _PERSON_ID.fullmatch(request.person_id):
            return Refused(_INVALID_ARGUMENT, "PERSON_ID_INVALID", "person_id")
        current = store.current(request.person_id)
        untold = current is not None and self._told_of(store, current) is None
        entries = () if untold else store.lineage(request.person_id)
        if not entries:
            return Refused(_NOT_FOUND, "UNKNOWN_PERSON", "person_id")
        return pb.GetLineageResponse(
            person_id=request.person_id,
            current_person_id=current or "",
            entries=[
                pb.LineageEntry(
                    change=entry.change.name.lower(),
                    person_id=entry.person,
                    other_person_id=entry.other or "",
                    resolution=entry.resolution,
                    at=_timestamp(entry.at_us),
                )
                for entry in entries
            ],
        )

    def _told_of(self, store: GraphStore, person: PersonId) -> PersonEvidence | None:
        """All of a person; None when they are served to no one."""
        evidence = store.evidence((person,)).get(person)
        if evidence is None or self._is_apart(evidence) or is_being_erased(store, evidence):
            return None
        return evidence

    def _name(self, identifier: pb.IdentifierRef, field: str) -> NodeKey | Refused:
        key = self._name_of(identifier.kind, identifier.value)
        return key if key is not None else Refused(_INVALID_ARGUMENT, "IDENTIFIER_INVALID", field)


def _step(step: Step) -> pb.LinkStep:
    told = pb.LinkStep(
        to=_node(step.right),
        basis=step.basis.name.lower(),
        weight_bits=step.weight_bits,
        sources=step.sources,
        first_seen=_timestamp(step.first_us),
        last_seen=_timestamp(step.last_us),
        bars=[
            pb.Bar(comparison=bar.comparison, level=bar.level, weight_bits=bar.mbits / MBITS)
            for bar in step.bars
        ],
        probability=step.probability or 0.0,
        model=step.model,
        signals=step.signals,
        sentence=step.sentence,
    )
    # `from` is a word of Python's own, so the field has no keyword argument.
    getattr(told, "from").CopyFrom(_node(step.left))
    return told


def _node(key: NodeKey) -> pb.Node:
    return pb.Node(kind=kind_of(key), token=token_of(key))


def _timestamp(at_us: int | None) -> Timestamp | None:
    if at_us is None:
        return None
    return Timestamp(seconds=at_us // 1_000_000, nanos=at_us % 1_000_000 * 1_000)

"""Clustering: canonical order, limits, and decisions of staff."""

from __future__ import annotations

import random
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from identity.model import Decision, NodeKey, NodeView, Tie
from identity.resolve import Basis, Link, apart_of, in_force, link_of, order_digest, partition
from tests.support import histories

POLICY = histories.policy()


def _link(low: NodeKey, high: NodeKey, weight: int = 10, basis: Basis = Basis.OBSERVED) -> Link:
    low, high = sorted((low, high))
    return Link(low, high, basis, weight, order_digest(len(low), len(high)))


def _people(links: Iterable[Link], apart: Iterable[Decision] = ()) -> set[frozenset[NodeKey]]:
    links = list(links)
    nodes = {key for link in links for key in (link.low, link.high)}
    return set(partition(nodes, links, apart_of(apart), POLICY))


def _said(
    left: NodeKey, right: NodeKey, same: bool, at_us: int = 1, digest: bytes = b"a"
) -> Decision:
    return Decision(left, right, same, at_us, digest)


def test_stronger_link_is_taken_first() -> None:
    """Where only one of two may be joined, the heavier link wins."""
    weak = _link("customer_id:a", "login:l", 5)
    strong = _link("customer_id:b", "login:l", 9)
    assert _people([weak, strong]) == {
        frozenset({"customer_id:b", "login:l"}),
        frozenset({"customer_id:a"}),
    }


def test_authenticated_join_passes_limits() -> None:
    """Two customer ids become one person by an authenticated join, by nothing less."""
    ends = ("customer_id:a", "customer_id:b")
    assert len(_people([_link(*ends)])) == 2
    assert len(_people([_link(*ends, basis=Basis.AUTHENTICATED)])) == 1
    assert len(_people([_link(*ends, basis=Basis.DECIDED)])) == 1


def test_not_the_same_holds_along_chains() -> None:
    """Whoever staff holds apart never comes together through a third."""
    links = [_link("login:a", "email:e"), _link("login:b", "email:e")]
    people = _people(links, [_said("login:a", "login:b", same=False)])
    assert len(people) == 2
    assert not any({"login:a", "login:b"} <= person for person in people)


def test_not_the_same_beats_authenticated_joins() -> None:
    """A decision of staff holds apart what logins join."""
    links = [_link("login:a", "login:b", basis=Basis.AUTHENTICATED)]
    assert len(_people(links, [_said("login:a", "login:b", same=False)])) == 2


def test_latest_decision_wins() -> None:
    """Of two decisions on a pair, whichever way round it is named, the later counts."""
    early, late = _said("a:1", "b:1", same=False, at_us=1), _said("b:1", "a:1", same=True, at_us=2)
    assert in_force([early, late]) == in_force([late, early]) == [late]


def test_tie_of_decisions_is_not_the_same() -> None:
    """At the same instant "not the same" wins, whichever came first."""
    yes, no = _said("a:1", "b:1", same=True), _said("a:1", "b:1", same=False)
    assert in_force([yes, no]) == in_force([no, yes]) == [no]


def _tied(is_authenticated: bool, left: NodeKey, right: NodeKey) -> tuple[NodeView, Tie]:
    tie = Tie(right, 2, False, (1,), 1, 0, 0, is_authenticated)
    return NodeView(left, 1, False, None, (tie,)), tie


def test_shared_identifiers_join_nobody() -> None:
    """A link with a shared end is not admissible, even when it was authenticated."""
    view, tie = _tied(True, "device:d", "login:a")
    assert link_of(view, tie, False, False, POLICY) is not None
    assert link_of(view, tie, True, False, POLICY) is None
    assert link_of(view, tie, False, True, POLICY) is None


def test_accounts_join_in_spite_of_sharing() -> None:
    """A shared login keeps its authenticated joins with customer ids."""
    view, tie = _tied(True, "login:l", "customer_id:c")
    link = link_of(view, tie, True, False, POLICY)
    assert link is not None
    assert link.basis is Basis.AUTHENTICATED
    view, tie = _tied(False, "login:l", "customer_id:c")
    assert link_of(view, tie, True, False, POLICY) is None


_KEYS = [node.key for node in histories.WORLD]
_LINKS = st.lists(
    st.builds(
        lambda pair, weight, basis, digest: Link(min(pair), max(pair), basis, weight, digest),
        st.lists(st.sampled_from(_KEYS), min_size=2, max_size=2, unique=True),
        st.integers(1, 3),
        st.sampled_from(list(Basis)),
        st.integers(0, 3),
    ),
    max_size=25,
)


@given(_LINKS, st.randoms(use_true_random=False))
def test_order_of_links_does_not_matter(links: list[Link], shuffler: random.Random) -> None:
    """Any arrangement of nodes and links gives the same people, even with equal weights."""
    mixed_links, mixed_keys = list(links), list(_KEYS)
    shuffler.shuffle(mixed_links)
    shuffler.shuffle(mixed_keys)
    first = set(partition(_KEYS, links, {}, POLICY))
    assert first == set(partition(mixed_keys, mixed_links * 2, {}, POLICY))

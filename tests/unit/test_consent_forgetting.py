"""Decisions may be forgotten up to a day, and then no no that held is forgotten into a grant."""

from __future__ import annotations

from dataclasses import replace

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.model import (
    DAY_US,
    Assurance,
    EvidenceKind,
    Fact,
    KeptFact,
    LinkDay,
    Node,
    NodeKey,
    PersonEvidence,
)
from profiles.consent import (
    LEGAL_HOLD,
    RESTRICTION,
    decisions,
    granted_bits,
    is_apart,
    joins,
    needed_from,
    said_of,
    standing,
)
from profiles.purposes import Purpose, PurposePolicy, Rule

NODES = ("cookie:d", "device:a", "login:b")
ASKS, LAX = Rule(needs_consent=True, opt_out=False), Rule(needs_consent=False, opt_out=True)
POLICY = PurposePolicy(
    (
        Purpose("offers", 1, "", ASKS),
        Purpose("counting", 2, "", LAX),
        Purpose("selling", 4, "", ASKS, {"US": LAX}),
    )
)
NAMES = ("offers", "counting", "selling", RESTRICTION, LEGAL_HOLD, "of no policy")


def kept(day: int, decided: dict[str, bool], nodes: tuple[NodeKey, ...], given: int) -> KeptFact:
    """Decisions of a day, their grants given on this day or an earlier one."""
    at_us = day * DAY_US
    said = said_of(decided, "1", "", min(day, given) * DAY_US)
    fact = Fact(EvidenceKind.CONSENT, nodes, msgpack.packb(said))
    return KeptFact(1, b"d", at_us, at_us, "web", Assurance.CLAIMED, fact)


def link(low: NodeKey, high: NodeKey, day: int) -> tuple[NodeKey, NodeKey, tuple[LinkDay, ...]]:
    """Two nodes that were seen together on a day."""
    at_us = day * DAY_US
    return low, high, (LinkDay(day, "web", Assurance.CLAIMED, 1, at_us, at_us),)


days = st.integers(0, 6)
facts = st.lists(
    st.builds(
        kept,
        days,
        st.dictionaries(st.sampled_from(NAMES), st.booleans(), min_size=1, max_size=2),
        st.lists(st.sampled_from(NODES), min_size=1, max_size=2, unique=True).map(tuple),
        days,
    ),
    max_size=6,
)
links = st.lists(
    st.builds(lambda pair, day: link(pair[0], pair[1], day), st.sampled_from(
        [(NODES[0], NODES[1]), (NODES[0], NODES[2]), (NODES[1], NODES[2])]
    ), days),
    max_size=3,
)  # fmt: skip


def served(evidence: PersonEvidence) -> int:
    """What is granted to somebody of whom the laxest places are known, as bits; 8: to be served."""
    members = {node.key for node in evidence.nodes}
    holds = standing(decisions(evidence.facts, members), joins(evidence))
    lax = PurposePolicy(
        tuple(replace(one, rule=one.places.get("US", one.rule)) for one in POLICY.purposes)
    )
    return granted_bits(lax, holds) | (0 if is_apart(evidence) else 8)


def person(
    told: list[KeptFact], joined: list[tuple[str, str, tuple[LinkDay, ...]]]
) -> PersonEvidence:
    """A person of all nodes."""
    return PersonEvidence("p", tuple(Node(key, 0) for key in NODES), tuple(joined), {}, tuple(told))


@given(told=facts, joined=links, before_day=st.integers(0, 8))
@settings(max_examples=600)
def test_forgetting_grants_nothing(
    told: list[KeptFact],
    joined: list[tuple[str, str, tuple[LinkDay, ...]]],
    before_day: int,
) -> None:
    """However far decisions are forgotten up to that day, nothing is granted that was not."""
    evidence = person(told, joined)
    needed = needed_from(POLICY, evidence, before_day)
    assert needed is None or needed < before_day
    before = served(evidence)
    for day in range((before_day if needed is None else needed) + 1):
        left = tuple(one for one in told if one.event_us // DAY_US >= day)
        assert served(replace(evidence, facts=left)) & ~before == 0


@pytest.mark.parametrize(
    ("decided", "needed"),
    [
        ([], None),
        ([(1, "offers", True)], None),
        ([(1, "offers", False)], None),
        ([(1, "of no policy", False)], None),
        ([(1, "counting", False)], 1),
        ([(1, "selling", False)], 1),
        ([(1, RESTRICTION, False)], 1),
        ([(1, LEGAL_HOLD, False), (2, LEGAL_HOLD, True)], None),
        ([(1, "counting", False), (2, "counting", True)], None),
        ([(1, "counting", False), (3, "counting", False)], 3),
        ([(1, "counting", False), (5, "counting", False)], None),
        ([(2, "selling", False), (3, "counting", False)], 2),
    ],
)
def test_what_has_to_stay_is_the_latest_no_without_which_something_is_granted(
    decided: list[tuple[int, str, bool]], needed: int | None
) -> None:
    """Under one login, all before the fifth day to be forgotten."""
    told = [kept(day, {name: yes}, ("login:b",), day) for day, name, yes in decided]
    assert needed_from(POLICY, person(told, []), 5) == needed


def test_a_no_stays_that_a_yes_of_who_was_not_known_would_outlast() -> None:
    """A cookie's later yes, before they were known to be one, counts once the no is forgotten."""
    no = kept(1, {"offers": False}, ("login:b",), 1)
    for day, needed in ((1, None), (2, 1), (7, 1), (9, None)):
        yes = kept(day, {"offers": True}, ("cookie:d",), day)
        assert needed_from(POLICY, person([no, yes], [link("cookie:d", "login:b", 9)]), 5) == needed

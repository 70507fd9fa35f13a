"""Consent is a set function: latest wins among those known to be one, else most restrictive."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date

import msgpack
import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.model import (
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
    Circumstances,
    ConsentDecision,
    Joined,
    Why,
    age_at,
    decisions,
    granted_bits,
    grounds,
    joins,
    judge,
    said_of,
    standing,
)
from profiles.purposes import Purpose, PurposePolicy, Rule

NODES = ("device:a", "login:b", "email:c", "cookie:d")


def decided(
    at_us: int, granted: bool, *subjects: NodeKey, source: str = "web", digest: bytes = b"d"
) -> ConsentDecision:
    """A decision on marketing."""
    return ConsentDecision(at_us, not granted, source, digest, "marketing", subjects)


def verdict(made: list[ConsentDecision], joined: list[Joined]) -> bool | None:
    """Whether marketing is granted; None when nobody decided."""
    held = standing(made, joined).get("marketing")
    return None if held is None else not held.withdrawn


def naive(made: list[ConsentDecision], joined: list[Joined]) -> bool | None:
    """The design's sentence, read aloud: every decision against every other one."""

    def overrides(late: ConsentDecision, early: ConsentDecision) -> bool:
        if (late.effective_us, late.withdrawn) <= (early.effective_us, early.withdrawn):
            return False
        graph: nx.Graph[str] = nx.Graph()
        graph.add_nodes_from(NODES)
        graph.add_edges_from((a, b) for at_us, a, b in joined if at_us <= late.effective_us)
        for one in made:
            if one.effective_us <= late.effective_us:
                nx.add_path(graph, one.subjects)
        return bool(nx.has_path(graph, late.subjects[0], early.subjects[0]))

    left = [one for one in made if not any(overrides(other, one) for other in made)]
    return None if not left else not any(one.withdrawn for one in left)


times = st.integers(0, 6)
subjects = st.lists(st.sampled_from(NODES), min_size=1, max_size=2, unique=True).map(tuple)
made_decisions = st.lists(
    st.builds(
        ConsentDecision,
        effective_us=times,
        withdrawn=st.booleans(),
        source=st.sampled_from(["web", "crm"]),
        digest=st.binary(min_size=1, max_size=1),
        purpose=st.just("marketing"),
        subjects=subjects,
        # What was given before it was sent is held to `spelled_out`.
        given_before=st.just(False),
    ),
    max_size=6,
)
made_joins = st.lists(st.tuples(times, st.sampled_from(NODES), st.sampled_from(NODES)), max_size=5)


@given(made=made_decisions, joined=made_joins)
def test_it_is_what_the_design_says(made: list[ConsentDecision], joined: list[Joined]) -> None:
    """Any decisions and links give what the naive reading of the rule gives."""
    assert verdict(made, joined) == naive(made, joined)


@st.composite
def made_facts(draw: st.DrawFn) -> list[KeptFact]:
    """Decisions on marketing as signals bring them, their grants given then or earlier."""
    facts = []
    for number in range(draw(st.integers(1, 5))):
        is_yes, event_us = draw(st.booleans()), draw(st.integers(0, 8))
        given_us = draw(st.none() | st.integers(0, event_us)) if is_yes else None
        nodes = draw(st.lists(st.sampled_from(NODES), min_size=1, max_size=3, unique=True))
        payload = msgpack.packb(said_of({"marketing": is_yes}, "1", "", given_us))
        fact = Fact(EvidenceKind.CONSENT, tuple(nodes), payload)
        published_us = draw(st.just(event_us) | st.integers(0, 8))
        digest = bytes([number])
        facts.append(
            KeptFact(number, digest, event_us, published_us, "web", Assurance.CLAIMED, fact)
        )
    return facts


def spelled_out(facts: list[KeptFact], links: list[Joined]) -> bool:
    """No, as long as a no stands at one of the identifiers that it was said under.

    It falls there to a yes of a later time alone, if everybody that the yes was
    said under was known to be the same person as that identifier by then.
    """
    told = []
    known = list(links)
    for kept in facts:
        said = msgpack.unpackb(kept.fact.payload)
        sent_us = min(kept.event_us, kept.published_us)
        is_yes = said["decisions"]["marketing"]
        given_us = min(sent_us, said.get("given_us", sent_us)) if is_yes else sent_us
        told.append((is_yes, given_us, kept.fact.subjects))
        # A signal shows its identifiers together when it is sent, whenever its yes was given.
        since_us = kept.event_us if given_us < sent_us else sent_us
        known += [(since_us, kept.fact.subjects[0], other) for other in kept.fact.subjects]

    def are_one(nodes: set[NodeKey], at_us: int) -> bool:
        reached = {min(nodes)}
        for _ in NODES:
            for since_us, one, other in known:
                if since_us <= at_us and reached & {one, other}:
                    reached |= {one, other}
        return nodes <= reached

    def stands(no_us: int, node: NodeKey) -> bool:
        return not any(
            is_yes and yes_us > no_us and are_one({node, *subjects}, yes_us)
            for is_yes, yes_us, subjects in told
        )

    return not any(
        stands(no_us, node) for is_yes, no_us, subjects in told if not is_yes for node in subjects
    )


@given(facts=made_facts(), links=made_joins)
@settings(max_examples=600)
def test_a_yes_given_earlier_overrides_only_who_was_known_to_be_the_same_then(
    facts: list[KeptFact], links: list[Joined]
) -> None:
    """Whatever is said when, under which identifiers, and however they are joined."""
    own = [
        (kept.event_us, kept.fact.subjects[0], other)
        for kept in facts
        for other in kept.fact.subjects[1:]
    ]
    held = verdict(decisions(facts, set(NODES)), [*links, *own])
    assert held == spelled_out(facts, links)


@given(made=made_decisions, joined=made_joins, seed=st.integers())
def test_order_and_repetition_make_no_difference(
    made: list[ConsentDecision], joined: list[Joined], seed: int
) -> None:
    """Any order of decisions and links, some said twice, gives the same, provenance too."""
    drawn = random.Random(seed)
    other, others = [*made, *made[:2]], [*joined, *joined[:2]]
    drawn.shuffle(other)
    drawn.shuffle(others)
    mine, theirs = standing(made, joined), standing(other, others)
    assert {p: held[:4] for p, held in mine.items()} == {p: held[:4] for p, held in theirs.items()}


def test_the_latest_of_one_identifier_wins() -> None:
    """Who grants after withdrawing has granted, and the other way round."""
    assert verdict([decided(1, False, "login:b"), decided(2, True, "login:b")], []) is True
    assert verdict([decided(1, True, "login:b"), decided(2, False, "login:b")], []) is False


def test_a_withdrawal_beats_a_grant_at_the_same_instant() -> None:
    """Both at once means no."""
    assert verdict([decided(2, True, "login:b"), decided(2, False, "login:b")], []) is False


def test_a_decision_reaches_who_was_known_to_be_the_same() -> None:
    """A grant by login overrides the device's older withdrawal when they were joined by then."""
    made = [decided(1, False, "device:a"), decided(5, True, "login:b")]
    assert verdict(made, [(5, "device:a", "login:b")]) is True


def test_a_later_join_overrides_nothing() -> None:
    """Joined only after both decided, the most restrictive wins, whichever came later."""
    later = [(6, "device:a", "login:b")]
    assert verdict([decided(1, False, "device:a"), decided(5, True, "login:b")], later) is False
    assert verdict([decided(1, True, "device:a"), decided(5, False, "login:b")], later) is False


def test_a_decision_after_the_join_settles_it() -> None:
    """Once joined, the next decision speaks for all."""
    made = [decided(1, False, "device:a"), decided(7, True, "login:b")]
    assert verdict(made, [(6, "device:a", "login:b")]) is True


def _fact(event_us: int, published_us: int, said: dict[str, bool], *nodes: NodeKey) -> KeptFact:
    payload = msgpack.packb({"decisions": said, "text_version": "1", "place": ""})
    fact = Fact(EvidenceKind.CONSENT, nodes, payload)
    return KeptFact(1, b"digest", event_us, published_us, "web", Assurance.CLAIMED, fact)


def test_effective_is_the_earlier_of_event_and_publishing() -> None:
    """A decision dated ahead counts from its publishing, a late one from when it was made."""
    members = {"login:b"}
    ahead, late = (
        _fact(9, 3, {"marketing": True}, "login:b"),
        _fact(2, 8, {"marketing": False}, "login:b"),
    )
    assert [one.effective_us for one in decisions([ahead, late], members)] == [3, 2]


def test_identifiers_of_others_do_not_join() -> None:
    """A shared device beside two accounts carries no decision from one to the other."""
    facts = [
        _fact(1, 1, {"marketing": False}, "login:b", "device:shared"),
        _fact(2, 2, {"marketing": True}, "email:c", "device:shared"),
    ]
    made = decisions(facts, {"login:b", "email:c"})
    assert [one.subjects for one in made] == [("login:b",), ("email:c",)]
    assert verdict(made, []) is False


def test_joins_come_from_sightings_and_from_staff() -> None:
    """A link joins when first seen, staff when they decided; 'not the same' joins nothing."""
    seen = (
        LinkDay(1, "web", Assurance.NONE, 2, 90, 95),
        LinkDay(0, "crm", Assurance.NONE, 1, 40, 40),
    )
    same, other = (
        KeptFact(
            2,
            b"x",
            at_us,
            at_us,
            "staff",
            Assurance.AUTHENTICATED,
            Fact(EvidenceKind.DECISION, ("email:c", "login:b"), same=verdict),
        )
        for at_us, verdict in ((70, True), (10, False))
    )
    nodes = tuple(Node(key, 0) for key in NODES)
    person = PersonEvidence("p", nodes, (("device:a", "login:b", seen),), {}, (same, other))
    assert sorted(joins(person)) == [(40, "device:a", "login:b"), (70, "email:c", "login:b")]


@pytest.mark.parametrize(
    ("opt_out", "granted", "holds"),
    [(False, None, 0), (False, True, 1), (False, False, 0), (True, None, 1), (True, False, 0)],
)
def test_what_nobody_decided_depends_on_the_purpose(
    opt_out: bool, granted: bool | None, holds: int
) -> None:
    """Opt in means nothing without a yes, opt out means until a no."""
    rule = Rule(needs_consent=not opt_out, opt_out=opt_out)
    policy = PurposePolicy((Purpose("marketing", 1, "offers", rule),))
    made = [] if granted is None else [decided(1, granted, "login:b")]
    assert granted_bits(policy, standing(made, [])) == holds


ADULTS = Purpose(
    "marketing",
    1,
    "offers",
    Rule(needs_consent=True, opt_out=False, minimum_age=16),
    {"US": Rule(needs_consent=False, opt_out=True, minimum_age=13)},
)


@pytest.mark.parametrize(
    ("granted", "places", "age", "why"),
    [
        (None, (), 40, Why.NOT_ASKED),
        (True, (), 40, Why.GRANTED),
        (True, (), 15, Why.TOO_YOUNG),
        (True, (), None, Why.AGE_UNKNOWN),
        (False, (), 15, Why.WITHDRAWN),
        (None, ("US",), 15, Why.NOT_OBJECTED),
        (None, ("US", "DE"), 40, Why.NOT_ASKED),
        (True, ("US",), 12, Why.TOO_YOUNG),
        (False, ("US-CA",), 40, Why.WITHDRAWN),
        (None, ("US",), None, Why.AGE_UNKNOWN),
    ],
)
def test_place_and_age_are_heeded_and_told(
    granted: bool | None, places: tuple[str, ...], age: int | None, why: Why
) -> None:
    """What holds follows from decision, place and age; bits for all and the word for one agree."""
    seen = Circumstances(frozenset(places), age)
    held = {} if granted is None else {"marketing": decided(1, granted, "login:b")}
    verdict = judge(ADULTS, held.get("marketing"), seen)
    assert verdict == (why in {Why.GRANTED, Why.NOT_OBJECTED}, why)
    policy = PurposePolicy((ADULTS,))
    assert granted_bits(policy, held, grounds(policy, seen)) == int(verdict.granted)


def test_an_unknown_age_counts_as_old_enough_only_where_policy_says_so() -> None:
    """Not knowing means no, unless somebody who may decide that has decided otherwise."""
    trusting = replace(ADULTS, age_may_be_unknown=True)
    yes = decided(1, True, "login:b")
    assert judge(trusting, yes, Circumstances()).granted
    assert not judge(ADULTS, yes, Circumstances()).granted


@pytest.mark.parametrize(
    ("birth_dates", "age"),
    [
        ([], None),
        (["unknown", "1990-13-01", "1990-02-30", "0"], None),
        (["2000-06-15"], 25),
        (["2000-06-14"], 26),
        (["2000-06"], 25),
        (["2000-05"], 26),
        (["2000"], 25),
        (["1950-01-01", "2015", "x"], 10),
    ],
)
def test_the_youngest_age_that_birth_dates_allow_counts(
    birth_dates: list[str], age: int | None
) -> None:
    """A date in part stands for its latest day, and of several people's word the youngest holds."""
    as_of_day = (date(2026, 6, 14) - date(1970, 1, 1)).days
    assert age_at(birth_dates, as_of_day) == age


def test_a_decision_on_a_purpose_of_no_policy_grants_nothing() -> None:
    """What the policy does not name has no bit."""
    assert granted_bits(PurposePolicy(()), {"marketing": decided(1, True, "login:b")}) == 0


def sent(at_us: int, granted: bool, given_us: int | None = None, *nodes: NodeKey) -> KeptFact:
    """A decision on marketing as the graph keeps it, its grants given earlier or just now."""
    payload = msgpack.packb(said_of({"marketing": granted}, "1", "", given_us))
    fact = Fact(EvidenceKind.CONSENT, nodes or ("login:b",), payload)
    return KeptFact(1, b"d", at_us, at_us, "web", Assurance.CLAIMED, fact)


@pytest.mark.parametrize(
    ("facts", "granted"),
    [
        ([sent(50, False), sent(90, True, given_us=20)], False),
        ([sent(50, False), sent(90, True)], True),
        ([sent(50, False), sent(90, True, given_us=60)], True),
        ([sent(50, True), sent(90, False, given_us=20)], False),
        ([sent(50, False), sent(60, True, given_us=990)], True),
        ([sent(70, False), sent(60, True, given_us=990)], False),
    ],
)
def test_an_old_yes_sent_again_overrides_nothing_newer(
    facts: list[KeptFact], granted: bool
) -> None:
    """A grant counts from when it was given, never from later than it was sent; a no from then."""
    held = standing(decisions(facts, {"login:b"}), [])
    assert held["marketing"].withdrawn is not granted


BOTH = ("cookie:d", "login:b")


@pytest.mark.parametrize(
    ("facts", "joined_us", "granted"),
    [
        # The login withdrew before anybody knew that the cookie is theirs.
        ([sent(10, False), sent(90, True, 20, *BOTH)], 90, False),
        ([sent(10, False), sent(30, True, 20, "cookie:d")], 90, False),
        ([sent(10, False, None, "cookie:d"), sent(90, True, 20, *BOTH)], 90, False),
        # It was known when the yes was given.
        ([sent(10, False), sent(90, True, 20, *BOTH)], 20, True),
        ([sent(10, False), sent(90, True, 20, *BOTH)], 21, False),
        # A yes of now speaks for all that it is sent under, and so does a no.
        ([sent(10, False), sent(90, True, None, *BOTH)], 90, True),
        ([sent(10, True), sent(30, True, 30, "cookie:d"), sent(90, False, 20, *BOTH)], 90, False),
        # What decides later decides for both.
        ([sent(10, False), sent(90, True, 20, *BOTH), sent(95, True)], 90, True),
        ([sent(90, True, 20, *BOTH), sent(95, False, None, "cookie:d")], 90, False),
    ],
)
def test_an_old_yes_speaks_for_nobody_who_was_not_known_to_be_the_same(
    facts: list[KeptFact], joined_us: int, granted: bool
) -> None:
    """Under identifiers not known to be one when it was given it overrides no older no."""
    held = standing(decisions(facts, set(NODES)), [(joined_us, *BOTH)])
    assert held["marketing"].withdrawn is not granted

"""The ledger shows every decision and says nothing else than what lookups do."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from identity.model import DAY_US, KeptFact
from profiles.consent import UNKNOWN, Circumstances, Why
from profiles.ledger import Standing, ledger
from profiles.purposes import Purpose, PurposePolicy, Rule
from tests.support.profile_parts import (
    DAY,
    consent,
    key,
    new_builder,
    new_sealer,
    profile_policy,
    sample,
)

AT_US = DAY * DAY_US
LOGIN, EMAIL = key("login", "ada"), key("email", "ada")
POLICY = profile_policy().purposes
SEALER = new_sealer()
ADA = sample(SEALER)


def decided(*facts: KeptFact) -> list[tuple[bool, Standing]]:
    """The decisions on marketing, latest first: granted, and what each counts for."""
    told = ledger(POLICY, replace(ADA, facts=facts), UNKNOWN)
    return [(not entry.decision.withdrawn, entry.standing) for entry in told.entries]


def test_every_decision_stays_and_is_told_what_it_counts_for() -> None:
    """A later one overrides among those known to be one; the stricter outweighs among the rest."""
    grant = consent(AT_US + 10, (LOGIN,), marketing=True)
    withdrawal = consent(AT_US + 20, (LOGIN,), marketing=False)
    assert decided(grant, withdrawal) == [(False, Standing.HOLDS), (True, Standing.OVERRIDDEN)]
    # Nothing joins the e-mail with the login, so neither decided for the other.
    elsewhere = consent(AT_US + 30, (EMAIL,), marketing=True)
    assert decided(withdrawal, elsewhere) == [
        (True, Standing.OUTWEIGHED),
        (False, Standing.HOLDS),
    ]


def test_it_says_on_whose_word_since_when_and_by_which_text() -> None:
    """A state carries the decision that says so, with its proof; without one it says why."""
    told = ledger(POLICY, replace(ADA, facts=(consent(AT_US, (LOGIN,), marketing=True),)), UNKNOWN)
    states = {state.purpose.name: state for state in told.states}
    assert list(states) == [purpose.name for purpose in POLICY.purposes]
    entry = states["marketing"].entry
    assert entry is not None
    assert (entry.decision.source, entry.decision.effective_us) == ("web", AT_US)
    assert (entry.text_version, entry.decision.subjects) == ("1", (LOGIN,))
    assert (states["personalisation"].why, states["personalisation"].entry) == (
        Why.NOT_ASKED,
        None,
    )
    assert (states["analytics"].granted, states["analytics"].why) == (True, Why.NOT_OBJECTED)


def test_it_says_what_sets_somebody_apart() -> None:
    """A legal hold in force is told with its decision; lifted it is history."""
    hold = consent(AT_US + 10, (LOGIN,), legal_hold=False)
    told = ledger(POLICY, replace(ADA, facts=(hold,)), UNKNOWN)
    assert [(one.decision.purpose, one.decision.effective_us) for one in told.apart] == [
        ("legal_hold", AT_US + 10)
    ]
    lifted = consent(AT_US + 20, (LOGIN,), legal_hold=True)
    told = ledger(POLICY, replace(ADA, facts=(hold, lifted)), UNKNOWN)
    assert (told.apart, len(told.entries)) == ((), 2)


facts = st.lists(
    st.builds(
        lambda at, subject, granted: consent(AT_US + at, (subject,), marketing=granted),
        st.integers(0, 5),
        st.sampled_from([LOGIN, EMAIL]),
        st.booleans(),
    ),
    max_size=6,
)


@given(facts, st.sampled_from([None, 12, 40]), st.sampled_from([(), ("US",), ("US", "DE")]))
def test_what_the_ledger_says_is_what_lookups_do(
    made: list[KeptFact], age: int | None, places: tuple[str, ...]
) -> None:
    """The purposes that the ledger shows as granted are the bits that a profile is stored with."""
    purpose = Purpose(
        "marketing",
        1,
        "offers",
        Rule(needs_consent=True, opt_out=False, minimum_age=16),
        {"US": Rule(needs_consent=False, opt_out=True)},
    )
    policy = PurposePolicy((purpose,))
    evidence = replace(ADA, facts=tuple(made))
    (state,) = ledger(policy, evidence, Circumstances(frozenset(places), age)).states
    holding = [
        entry
        for entry in ledger(policy, evidence, UNKNOWN).entries
        if entry.standing is Standing.HOLDS
    ]
    assert len(holding) == (1 if made else 0)
    assert state.granted is (
        state.why in (Why.GRANTED, Why.NOT_OBJECTED)
        and (not holding or not holding[0].decision.withdrawn)
    )


@given(facts)
def test_the_ledger_and_the_stored_profile_agree(made: list[KeptFact]) -> None:
    """Under the shipped policy, with places and age as the evidence has them."""
    builder = new_builder(SEALER)
    evidence = replace(ADA, facts=tuple(made))
    told = ledger(POLICY, evidence, builder.seen(evidence))
    granted = sum(state.purpose.bit for state in told.states if state.granted)
    assert granted == builder.fold(evidence).granted

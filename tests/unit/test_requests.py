"""What may happen to a request, and what may not: the state machine, step by step and at random."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.model import Assurance
from profiles.deadlines import Law, RequestKind
from profiles.requests import (
    OPEN,
    PACKAGED,
    InStore,
    Move,
    Request,
    State,
    Step,
    Wrong,
    moved,
)
from tests.support.asking import ANN, AT_US, BOB, CAT, DAY, request


def taken(one: Request, *steps: tuple[Step, str]) -> Request:
    """The request after these steps by these people; each must be allowed."""
    for step, by in steps:
        level = Assurance.AUTHENTICATED if step is Step.VERIFY else None
        done = moved(one, Move(step, AT_US, by, DAY, "because", level))
        assert isinstance(done, Request), (step, done)
        one = done
    return one


def wrong(one: Request, step: Step, by: str = ANN, **more: object) -> Wrong:
    """Why a step cannot be taken; it must not."""
    move = replace(Move(step, AT_US, by, DAY, "because"), **more)  # type: ignore[arg-type]  # by name
    done = moved(one, move)
    assert isinstance(done, Wrong)
    return done


def test_an_erasure_goes_through_two_people() -> None:
    """Taken in, verified, approved by another, run, done; every step with who and when."""
    done = taken(
        request(),
        (Step.VERIFY, ANN),
        (Step.APPROVE, BOB),
        (Step.RUN, ANN),
        (Step.RUN, CAT),
        (Step.FINISH, CAT),
    )
    assert done.state is State.DONE
    assert [one.by for one in done.steps] == [ANN, ANN, BOB, ANN, CAT, CAT]
    assert done.version == 5
    assert not done.is_open


def test_who_took_it_in_or_verified_it_cannot_approve() -> None:
    """The second person is another one than any before."""
    verified = taken(request(), (Step.VERIFY, BOB))
    assert wrong(verified, Step.APPROVE, ANN) is Wrong.SAME_PERSON
    assert wrong(verified, Step.APPROVE, BOB) is Wrong.SAME_PERSON
    assert wrong(verified, Step.RUN) is Wrong.APPROVAL
    assert taken(verified, (Step.APPROVE, CAT)).state is State.APPROVED


def test_who_approves_may_say_later_that_several_accounts_are_one() -> None:
    """In one step or in two, but once; who took it in still cannot."""
    approved = taken(request(), (Step.VERIFY, ANN), (Step.APPROVE, BOB))
    assert not approved.as_one
    assert wrong(approved, Step.APPROVE, BOB) is Wrong.STATE
    assert wrong(approved, Step.APPROVE, ANN, as_one=True) is Wrong.SAME_PERSON
    said = moved(approved, Move(Step.APPROVE, AT_US, BOB, DAY, as_one=True))
    assert isinstance(said, Request)
    assert (said.state, said.as_one) == (State.APPROVED, True)
    assert wrong(said, Step.APPROVE, CAT, as_one=True) is Wrong.STATE
    running = moved(approved, Move(Step.RUN, AT_US, ANN, DAY, as_one=True))
    assert isinstance(running, Request)
    assert not running.as_one


def test_what_can_be_undone_needs_no_approval() -> None:
    """Everything but erasure runs once it is known who asks."""
    for kind in RequestKind:
        verified = taken(request(kind), (Step.VERIFY, ANN))
        if kind is not RequestKind.ERASURE:
            assert wrong(verified, Step.APPROVE, BOB) is Wrong.STATE
            assert taken(verified, (Step.RUN, ANN)).state is State.RUNNING


def test_too_weak_a_proof_verifies_nothing() -> None:
    """The level must be what the kind needs; what was found before counts."""
    assert wrong(request(), Step.VERIFY, level=Assurance.CLAIMED) is Wrong.LEVEL
    found = replace(request(), level=Assurance.AUTHENTICATED)
    assert isinstance(moved(found, Move(Step.VERIFY, AT_US, ANN, DAY)), Request)


def test_an_extension_needs_its_reason_and_comes_in_time() -> None:
    """Once, told within the first period, and not where the law has none."""
    one = request()
    assert wrong(one, Step.EXTEND, reason="") is Wrong.REASON
    assert wrong(one, Step.EXTEND, on=DAY.replace(month=4, day=6)) is Wrong.EXTENSION
    extended = taken(one, (Step.EXTEND, ANN))
    assert (extended.due, one.due) == (date(2026, 6, 5), date(2026, 4, 5))
    assert wrong(extended, Step.EXTEND) is Wrong.EXTENSION
    opt_out = request(RequestKind.OPT_OUT, Law.CCPA)
    assert wrong(opt_out, Step.EXTEND) is Wrong.EXTENSION


def test_a_refusal_needs_its_reason() -> None:
    """Article 12(4): who does not act says why."""
    assert wrong(request(), Step.REFUSE, reason="") is Wrong.REASON
    refused = taken(request(), (Step.REFUSE, ANN))
    assert (refused.state, refused.reason) == (State.REFUSED, "because")


def test_what_was_forgotten_is_not_there() -> None:
    """Nothing of what was said is left, and everything that was done is."""
    done = taken(request(), (Step.EXTEND, ANN), (Step.REFUSE, ANN)).forgotten()
    assert "ann@posteo.net" not in repr(done)
    assert "because" not in repr(done)
    assert [one.step for one in done.steps] == [Step.SUBMIT, Step.EXTEND, Step.REFUSE]


@pytest.mark.parametrize("state", list(State))
def test_what_is_forgotten_ends(state: State) -> None:
    """What was open ends as withdrawn, what had ended stays as it ended; nothing said is left."""
    one = replace(request(), state=state)
    done = moved(one, Move(Step.FORGET, AT_US, ANN, DAY))
    assert isinstance(done, Request)
    assert done.state is (State.WITHDRAWN if one.is_open else state)
    assert "ann@posteo.net" not in repr(done)


MOVES = st.tuples(
    st.sampled_from([step for step in Step if step is not Step.SUBMIT]),
    st.sampled_from([ANN, BOB, CAT]),
    st.sampled_from(["", "because"]),
    st.sampled_from([None, *Assurance]),
    st.integers(0, 120),
)


@given(st.sampled_from(list(RequestKind)), st.sampled_from(list(Law)), st.lists(MOVES, max_size=14))
def test_no_path_gets_around_the_rules(
    kind: RequestKind, law: Law, moves: list[tuple[Step, str, str, Assurance | None, int]]
) -> None:
    """Whatever staff try in whatever order: nothing runs unverified, nothing that cannot be undone
    without a second person, nothing after its end, and a step that is refused changes nothing.
    """
    one = request(kind, law)
    for step, by, reason, level, days in moves:
        today = DAY + timedelta(days=days)
        before = one
        done = moved(one, Move(step, AT_US, by, today, reason, level))
        if isinstance(done, Wrong):
            assert one == before
            continue
        afterwards = (Step.EXPORT, Step.OPEN, Step.FORGET)
        assert before.is_open or step in afterwards
        assert before.is_open or done.state is before.state
        assert done.version == before.version + 1
        one = done
    passed = [each.step for each in one.steps]
    if Step.RUN in passed:
        assert Step.VERIFY in passed
        assert one.level >= one.needed
        if kind is RequestKind.ERASURE:
            approved = one.steps[passed.index(Step.APPROVE)]
            first = one.steps[: passed.index(Step.APPROVE)]
            assert approved.by not in {each.by for each in first}
    assert passed.count(Step.EXTEND) <= 1
    assert one.extended == (Step.EXTEND in passed)
    assert (one.state in OPEN) == one.is_open
    if Step.EXPORT in passed:
        assert kind in PACKAGED


@pytest.mark.parametrize("status", ["done", "partial", "impossible"])
def test_stores_are_kept_with_their_status(status: str) -> None:
    """How far each store is comes with the step that says so, and stays with later ones."""
    stores = (InStore("graph", status, "why"),)
    running = taken(request(RequestKind.ACCESS), (Step.VERIFY, ANN), (Step.RUN, ANN))
    done = moved(running, Move(Step.FINISH, AT_US, ANN, DAY, stores=stores))
    assert isinstance(done, Request)
    assert taken(done, (Step.EXPORT, ANN)).stores == stores

"""Corrections that retract signals: of whom, on whose word, and never what must be kept."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from kinfold.privacy import open_carrier
from kinfold.wiring import open_policies, open_store, open_vault
from profiles.privacy_desk import Done
from tests.support.asking_line import LEVEL, AskingLine
from tests.support.command_line import login
from tests.support.erasing import home_at
from tests.support.running import begin

ANN, BOB, COOKIE = "login:ann", "login:bob", "cookie:c-1"


@pytest.fixture
def line(tmp_path: Path) -> AskingLine:
    """Ann has an e-mail address, a cookie and a record; Bob has his own, and one purchase names
    them both.
    """
    made = AskingLine(tmp_path)
    said = {"recordAsserted": {"givenName": "Ana"}}
    gift = {"type": "BEHAVIOUR_TYPE_PURCHASE", "category": "sport", "item": "a gift"}
    both = login(6, ("customer_id", "17"), ("customer_id", "18"), behaviour=gift)
    made.take(
        login(1, ("login", "ann"), ("email", "ann@posteo.net"), ("customer_id", "17")),
        {**login(2, ("login", "ann"), **said), "source": "crm"},
        login(3, ("login", "ann"), ("cookie", "c-1")),
        login(4, ("cookie", "c-1")),
        login(5, ("login", "bob"), ("email", "bob@posteo.net"), ("customer_id", "18")),
        {**both, "source": "shop", "assurance": "ASSURANCE_CLAIMED"},
    )
    return made


def given_name(line: AskingLine) -> list[str]:
    """What Ann is called, if anything."""
    found = line.does("get", "--local", ANN, "--for", "service", "--json").json["profile"]
    return [one["value"] for one in found.get("attributes", []) if one["name"] == "given_name"]


def retracts(line: AskingLine, request: str, *signals: str) -> None:
    """Take a correction of Ann's in that retracts signals, and approve it."""
    wrong = [word for one in signals for word in ("--retract", one)]
    line.submit(request, "correction", ANN, *wrong)
    line.does("privacy", "approve", request, "--staff", "dpo")


def test_a_retraction_takes_two_people(line: AskingLine) -> None:
    """It cannot be undone: nothing runs on one person's word; a value alone still does."""
    submitted = line.submit("r-1", "correction", ANN, "--retract", "crm:s-2", "--json")
    assert submitted.json["request"]["needs_approval"]
    line.fails("APPROVAL_MISSING", "privacy", "run", "r-1")
    assert given_name(line) == ["Ana"]
    line.does("privacy", "approve", "r-1", "--staff", "dpo")
    assert line.does("privacy", "plan", "r-1").out.endswith("\n  retracts 1 signal\n")
    line.does("privacy", "run", "r-1")
    assert given_name(line) == []
    line.submit("r-2", "correction", ANN, "--correct", "given_name=Anna")
    line.does("privacy", "run", "r-2")
    assert given_name(line) == ["Anna"]


def test_only_what_says_something_of_the_person_is_retracted(line: AskingLine) -> None:
    """Neither another's signal nor one that never came nor one that is retracted already; the plan
    says so, nothing is done, and the request may be withdrawn.
    """
    line.take(
        {"source": "web", "signalId": "gone", "eventTime": "2026-03-02T12:00:00Z",
         "retracted": {"signalId": "s-4"}}
    )  # fmt: skip
    wrong = ("web:s-5", "crm:typo-99", "web:s-4", "no such source!:x")
    for number, signal in enumerate(wrong):
        request = f"r-{number}"
        retracts(line, request, "crm:s-2", signal)
        told = line.fails("SIGNAL_NOT_THEIRS", "privacy", "plan", request)
        assert "retractions" in told.err
        line.fails("SIGNAL_NOT_THEIRS", "privacy", "run", request)
        assert line.does("privacy", "withdraw", request).out.startswith(f"{request}: withdrawn")
    assert line.is_served(BOB)
    assert given_name(line) == ["Ana"]


def test_what_was_only_seen_is_retracted_as_well(line: AskingLine) -> None:
    """A signal that left nothing but a link and a count is the person's, too."""
    retracts(line, "r-1", "web:s-3")
    line.does("privacy", "run", "r-1")
    assert line.does("explain", ANN, COOKIE, "--json").json["same_person"] is False
    assert given_name(line) == ["Ana"]


def test_what_staff_decided_is_not_retracted(line: AskingLine) -> None:
    """A hold, a decision on a pair, an earlier correction: told when the request is taken in."""
    line.does("privacy", "hold", ANN, "--reason", "court order 12/26", "--hold-id", "h-1")
    submit = ("privacy", "submit", "r-1", "--kind", "correction", *LEVEL)
    for of in (ANN, BOB):
        line.fails("SIGNAL_OF_STAFF", *submit, "--of", of, "--retract", "staff:hold-h-1")
    line.fails("REQUEST_UNKNOWN", "privacy", "show", "r-1")
    assert not line.is_served(ANN)


def test_nothing_is_retracted_under_a_legal_hold(line: AskingLine) -> None:
    """Neither of whoever is held nor what names them; the plan shows why; released, it goes."""
    line.does("privacy", "hold", ANN, "--reason", "court order 12/26")
    retracts(line, "r-1", "crm:s-2")
    plan = line.does("privacy", "plan", "r-1", "--json").json
    assert plan["held"] == ["court order 12/26"]
    line.fails("LEGAL_HOLD", "privacy", "run", "r-1")
    line.does("privacy", "release", ANN, "--reason", "the case is closed")
    assert given_name(line) == ["Ana"]
    line.does("privacy", "hold", BOB, "--reason", "another case")
    retracts(line, "r-2", "shop:s-6")
    plan = line.does("privacy", "plan", "r-2", "--json").json
    assert (plan["held"], len(plan["others"])) == (["another case"], 1)
    line.fails("LEGAL_HOLD", "privacy", "run", "r-2")
    line.does("privacy", "run", "r-1")
    assert given_name(line) == []
    line.does("privacy", "release", BOB, "--reason", "the case is closed")
    line.does("privacy", "run", "r-2")


def test_a_correction_that_was_cut_short_goes_on(line: AskingLine) -> None:
    """Run again after all it retracts was retracted, the person with it, it ends."""
    line.take(login(10, ("login", "cat")))
    cat = line.does("consent", "show", "login:cat", "--json").json["person_id"]
    line.submit("r-1", "correction", cat, "--retract", "web:s-10")
    line.does("privacy", "approve", "r-1", "--staff", "dpo")
    running = begin(line, "r-1")
    settings = home_at(line.folder / "home", {}).settings
    with (
        closing(open_vault(settings)) as vault,
        closing(open_store(settings)) as store,
    ):
        carrier = open_carrier(settings, open_policies(settings), vault, store)
        assert isinstance(carrier.run(running), Done)
    line.take(login(11, ("login", "dan")))
    assert not line.is_served("login:cat")
    line.does("privacy", "run", "r-1")
    assert line.does("privacy", "show", "r-1", "--json").json["request"]["state"] == "done"

"""Legal holds over somebody beside whoever asks: nothing of theirs goes by another's erasure."""

from __future__ import annotations

from pathlib import Path

import pytest

from kinfold.erasing import UnderHold
from tests.support.asking_line import AskingLine
from tests.support.command_line import login
from tests.support.erasing import Home, home_at

ANN, BOB = "login:ann", "login:bob"
YES = {"decisions": [{"purpose": "marketing", "granted": True}]}


def said_by_both(number: int) -> dict[str, object]:
    """A consent that the shop took from Ann and Bob, under the customer ids of both."""
    both = login(number, ("customer_id", "17"), ("customer_id", "18"), consentDecided=YES)
    return {**both, "source": "shop", "assurance": "ASSURANCE_CLAIMED"}


def couple() -> list[dict[str, object]]:
    """Ann and Bob, two people."""
    return [
        login(1, ("login", "ann"), ("customer_id", "17")),
        login(2, ("login", "bob"), ("customer_id", "18")),
    ]


@pytest.fixture
def line(tmp_path: Path) -> AskingLine:
    """Ann and Bob are known, and they said one yes together."""
    made = AskingLine(tmp_path)
    made.take(*couple(), said_by_both(3))
    return made


def test_an_erasure_takes_nothing_of_whoever_is_held(line: AskingLine) -> None:
    """The plan shows whose evidence would go and why it must stay; released, the erasure runs."""
    line.submit("r-1", "erasure", ANN)
    line.does("privacy", "approve", "r-1", "--staff", "dpo")
    line.does("privacy", "hold", BOB, "--reason", "court order 12/26")
    plan = line.does("privacy", "plan", "r-1", "--json").json
    assert (len(plan["others"]), plan["held"]) == (1, ["court order 12/26"])
    line.fails("LEGAL_HOLD", "privacy", "run", "r-1")
    assert line.is_served(ANN)
    line.does("privacy", "release", BOB, "--reason", "the case is closed")
    assert line.does("privacy", "plan", "r-1", "--json").json["held"] == []
    line.does("privacy", "run", "r-1")
    assert not line.is_served(ANN)
    assert line.is_served(BOB)


def test_what_outlived_its_link_counts_as_theirs(line: AskingLine) -> None:
    """A consent stays where links expired before, and so does a decision of staff: they name whom
    an erasure would touch as links do.
    """
    line.take(
        {"source": "staff", "signalId": "apart", "eventTime": "2026-03-01T13:00:00Z",
         "linkDecided": {
             "left": {"identifier": {"kind": "login", "value": "ann"}},
             "right": {"identifier": {"kind": "customer_id", "value": "19"}},
             "verdict": "LINK_VERDICT_NOT_SAME",
         }},
        login(4, ("login", "cat"), ("customer_id", "19")),
    )  # fmt: skip
    line.does("expire", "--kind", "link", "--before", "2026-06-01")
    later = (
        login(11, ("login", "ann"), ("customer_id", "17")),
        login(12, ("login", "bob"), ("customer_id", "18")),
        login(14, ("login", "cat"), ("customer_id", "19")),
    )
    line.take(*({**one, "eventTime": "2026-07-01T12:00:00Z"} for one in later))
    line.submit("r-1", "erasure", ANN)
    assert len(line.does("privacy", "plan", "r-1", "--json").json["others"]) == 2


def test_whoever_is_held_is_left_whole_by_what_arrives_meanwhile(tmp_path: Path) -> None:
    """What names somebody under a legal hold arrives while the other is erased: nothing
    goes until the hold is released; whoever is erased stays hidden, and other work goes on.
    """
    home, line = home_at(tmp_path / "home", {}), AskingLine(tmp_path)
    line.take(*couple())
    line.does("privacy", "hold", BOB, "--reason", "court order 12/26")

    def arrives(step: str) -> None:
        if step == "ledger":
            home.take_elsewhere(said_by_both(3))

    with pytest.raises(UnderHold):
        home.erase(ANN, step=arrives)
    assert yeses(home, BOB) == 1
    assert home.shown(ANN) is None
    line.take(login(9, ("login", "cat")))
    assert yeses(home, BOB) == 1
    line.does("privacy", "release", BOB, "--reason", "the case is closed")
    line.take(login(10, ("login", "cat")))
    assert home.person(ANN) is None
    assert yeses(home, BOB) == 0
    assert home.shown(BOB) is not None


def test_whoever_is_merged_meanwhile_and_held_is_left_whole(tmp_path: Path) -> None:
    """As above, of somebody whom a late signal makes one with whoever is erased."""
    home, line = home_at(tmp_path / "home", {}), AskingLine(tmp_path)
    line.take(*couple())
    line.does("privacy", "hold", BOB, "--reason", "court order 12/26")

    def merges(step: str) -> None:
        if step == "ledger":
            home.take_elsewhere(login(3, ("login", "ann"), ("login", "bob")))

    with pytest.raises(UnderHold):
        home.erase(ANN, step=merges)
    assert home.together(ANN, BOB)
    line.does("privacy", "release", BOB, "--reason", "the case is closed")
    line.take(login(10, ("login", "cat")))
    assert home.person(ANN) is None
    assert home.shown(BOB) is not None


def yeses(home: Home, named: str) -> int:
    """How many consents of the shop's the graph holds of somebody."""
    person = home.person(named)
    assert person is not None
    with home.store() as store:
        facts = store.evidence([person])[person].facts
    return sum(kept.source == "shop" for kept in facts)

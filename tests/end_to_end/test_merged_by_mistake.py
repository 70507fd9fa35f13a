"""Who may be two people merged: neither is erased or handed what is held of the other unasked."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from kinfold.privacy import open_carrier
from kinfold.wiring import open_policies, open_store, open_vault
from tests.support.asking_line import AskingLine
from tests.support.command_line import login
from tests.support.erasing import home_at
from tests.support.running import begin

FAMILY = ("email", "family@muster.ch")


@pytest.fixture
def line(tmp_path: Path) -> AskingLine:
    """A home in which nobody is known yet."""
    return AskingLine(tmp_path)


def record(number: int, who: tuple[str, str], **said: str) -> dict[str, Any]:
    """A record of the shop's about somebody."""
    return {**login(number, who, recordAsserted=said), "source": "crm"}


def doubted(line: AskingLine, request: str, kind: str, of: str) -> bool:
    """Whether the plan of a request says that this may be two people."""
    line.submit(request, kind, of)
    return bool(line.does("privacy", "plan", request, "--json").json["split_first"])


def couple(line: AskingLine) -> None:
    """Two logins that a family's e-mail address takes for one person."""
    line.take(
        login(1, ("login", "hans"), FAMILY),
        record(2, ("login", "hans"), givenName="Hans"),
        login(3, ("login", "lea"), FAMILY),
        record(4, ("login", "lea"), givenName="Lea"),
    )
    assert line.does("explain", "login:hans", "login:lea", "--json").json["same_person"]


def test_nobody_is_erased_by_anothers_request(line: AskingLine) -> None:
    """An agent alone cannot say that they are one: whoever approves it says so, too, and the log
    has it of both.
    """
    couple(line)
    assert doubted(line, "r-1", "erasure", "login:hans")
    line.does("privacy", "approve", "r-1", "--staff", "dpo")
    line.fails("SPLIT_FIRST", "privacy", "run", "r-1")
    line.fails("SPLIT_FIRST", "privacy", "run", "r-1", "--as-one")
    line.fails("STAFF_NOT_ALLOWED", "privacy", "approve", "r-1", "--as-one")
    approved = line.does("privacy", "approve", "r-1", "--as-one", "--staff", "dpo", "--json")
    assert approved.json["request"]["as_one"]
    line.fails("REQUEST_STATE", "privacy", "approve", "r-1", "--as-one", "--staff", "dpo")
    line.fails("SPLIT_FIRST", "privacy", "run", "r-1")
    assert line.is_served("login:lea")
    line.does("privacy", "run", "r-1", "--as-one")
    assert not line.is_served("login:lea")
    steps = [one["what"] for one in line.does("audit", "show", "--json").json_lines]
    said = [what["step"] for what in steps if what.get("as_one")]
    assert said == ["approve", "run"]


def test_split_the_one_who_asked_goes(line: AskingLine) -> None:
    """Two people by a decision of staff, and no doubt is left."""
    couple(line)
    line.submit("r-1", "erasure", "login:hans")
    line.does("privacy", "approve", "r-1", "--staff", "dpo")
    line.fails("SPLIT_FIRST", "privacy", "run", "r-1")
    line.does("review", "decide", "login:hans", "login:lea", "--not-same")
    line.does("privacy", "run", "r-1")
    assert not line.is_served("login:hans")
    assert line.is_served("login:lea")


class _Died(Exception):
    """The process ended here."""


def test_who_is_merged_while_somebody_is_erased_holds_nothing_up(line: AskingLine) -> None:
    """What has begun goes on: whoever came to be one with them is left out of it anyway."""
    line.take(login(1, ("login", "hans")), login(3, ("login", "lea")))
    line.submit("r-1", "erasure", "login:hans")
    line.does("privacy", "approve", "r-1", "--staff", "dpo")
    running = begin(line, "r-1")
    home = home_at(line.folder / "home", {})

    def merges(step: str) -> None:
        if step == "ledger":
            home.take_elsewhere(login(5, ("login", "hans"), ("login", "lea")))
        if step == "sweep":
            raise _Died

    with pytest.raises(_Died):
        home.erase("login:hans", "r-1", step=merges)
    assert home.together("login:hans", "login:lea")
    settings = home.settings
    with closing(open_vault(settings)) as vault, closing(open_store(settings)) as store:
        carrier = open_carrier(settings, open_policies(settings), vault, store)
        assert carrier.obstacle(running, as_one=False) is None
    line.does("privacy", "run", "r-1")
    assert line.is_served("login:lea")


@pytest.mark.parametrize("kind", ["access", "portability"])
def test_nobody_is_handed_what_is_held_of_another(line: AskingLine, kind: str) -> None:
    """Unless staff says that they are one, which the log has."""
    couple(line)
    assert doubted(line, "r-1", kind, "login:hans")
    package, out = line.folder / "r-1.kinfold", line.folder / "r-1"
    export = ("privacy", "export", "r-1", "--out", package)
    line.fails("SPLIT_FIRST", *export)
    assert not package.exists()
    assert line.does("privacy", "show", "r-1", "--json").json["request"]["state"] == "verified"
    key = line.does(*export, "--as-one", "--json").json["key"]
    line.does("privacy", "open", "r-1", package, "--key", key, "--out", out)
    found = orjson.loads((out / "report.json").read_bytes())
    assert {one["values"]["given_name"] for one in found["records"]} == {"Hans", "Lea"}
    steps = [one["what"] for one in line.does("audit", "show", "--json").json_lines]
    assert {what["step"] for what in steps if what.get("as_one")} == {"run", "export"}


BORN = [
    (("1960-01-23",), False),
    (("1960-01-23", "1960-01-23"), False),
    (("1960-01-23", "2001-05-05"), True),
    (("1960-01-23", "1960-11-02"), True),
    (("1960-02-03", "1960-03-02"), False),
    (("1960-01-23", "1960-01-28"), False),
    (("1960-01-23", "1960"), False),
    (("1960-01-23", "1960-01", "1999"), True),
]
"""Birth dates of one account's records, and whether no typing error explains them."""


@pytest.mark.parametrize(("born", "two"), BORN)
def test_birth_dates_that_nothing_explains_are_of_two(
    line: AskingLine, born: tuple[str, ...], two: bool
) -> None:
    """Of people as of typing errors, swapped days and vague dates."""
    ann = ("login", "ann")
    line.take(
        login(1, ann, ("customer_id", "17")),
        *(record(n, ann, givenName="Ann", birthDate=date) for n, date in enumerate(born, 2)),
    )
    assert doubted(line, "r-1", "erasure", "login:ann") is two


def test_several_customer_ids_are_of_two(line: AskingLine) -> None:
    """One of each kind of account is not."""
    line.take(
        login(1, ("customer_id", "17"), ("login", "eve")),
        login(2, ("customer_id", "19"), ("login", "ann")),
    )
    assert not doubted(line, "r-1", "access", "login:eve")
    line.take(login(3, ("customer_id", "18"), ("login", "eve")))
    assert doubted(line, "r-2", "access", "login:eve")
    assert doubted(line, "r-3", "erasure", "login:eve")
    assert not doubted(line, "r-4", "erasure", "login:ann")
    assert not doubted(line, "r-5", "objection", "login:eve")

"""Requests of people as staff handle them with the program, each kind from taking in to end."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from kinfold.holdings import unclaimed
from profiles import merkle
from tests.support.asking_line import LEVEL, AskingLine
from tests.support.command_line import login
from tests.support.erasing import home_at

ANN, EMAIL, BOB = "login:ann", "email:ann@posteo.net", "login:bob"
SPORT = {"behaviour": {"type": "BEHAVIOUR_TYPE_PAGE_VIEW", "category": "sport"}}
BOUGHT = {
    "behaviour": {
        "type": "BEHAVIOUR_TYPE_PURCHASE",
        "category": "sport/running",
        "item": "shoe <1>",
        "value": 99.5,
        "unit": "CHF",
    }
}
RECORD = {
    "recordAsserted": {"givenName": "Ana", "familyName": "O'Neill", "birthDate": "1990-12-31"}
}
YES = {
    "consentDecided": {
        "decisions": [
            {"purpose": name, "granted": True} for name in ("marketing", "personalisation", "sale")
        ],
        "textVersion": "2026-01",
    }
}


@pytest.fixture
def line(tmp_path: Path) -> AskingLine:
    """Ann is known by login, e-mail and cookie, bought something, said yes; Bob is there, too."""
    made = AskingLine(tmp_path)
    login_ann, email = ("login", "ann"), ("email", "ann@posteo.net")
    made.take(
        login(1, login_ann, email, ("cookie", "c-1"), **SPORT),
        {**login(2, email, **RECORD), "source": "crm"},
        login(3, login_ann, **BOUGHT),
        login(4, login_ann, **YES),
        login(5, ("login", "bob"), ("email", "bob@posteo.net"), **SPORT),
    )
    return made


def opened(line: AskingLine, request: str, of: str, kind: str = "access") -> dict[str, Any]:
    """Everything held, by way of a package: made, opened, read."""
    line.submit(request, kind, of)
    package, out = line.folder / f"{request}.kinfold", line.folder / request
    made = line.does("privacy", "export", request, "--out", package, "--json").json
    line.does("privacy", "open", request, package, "--key", made["key"], "--out", out)
    found: dict[str, Any] = orjson.loads((out / "report.json").read_bytes())
    return found


def test_access_gives_everything_held(line: AskingLine) -> None:
    """Identifiers, records, attributes with provenance, behaviour, purchases, consents, links with
    evidence, purposes and recipients; as data and as a page; sealed, opened by its key alone.
    """
    where = line.folder / "profiles.parquet"
    line.does(
        "export", "profiles", "--out", where, "--for", "marketing",
        "--recipient", "agency", "--expires", "2030-01-31",
    )  # fmt: skip
    found = opened(line, "r-1", EMAIL)
    values = {(one["kind"], one["value"]) for one in found["identifiers"]}
    assert values == {("login", "ann"), ("email", "ann@posteo.net"), ("cookie", "")}
    given = next(one for one in found["attributes"] if one["name"] == "given_name")
    assert (given["value"], given["source"], given["rule"]) == ("Ana", "crm", "only_value")
    assert given["may_serve"] == ["service", "personalisation", "marketing"]
    assert found["records"][0]["values"]["family_name"] == "O'Neill"
    assert found["purchases"][0]["item"] == "shoe <1>"
    assert {one["category"] for one in found["affinities"]} == {"sport", "sport/running"}
    assert [one["purpose"] for one in found["consents"]["history"]]
    assert {day["source"] for link in found["links"] for day in link["evidence"]} == {"crm", "web"}
    assert [one["recipient"] for one in found["recipients"]["exports"]] == ["agency"]
    assert found["sources"] == ["crm", "web"]
    assert sum(day["signals"] for day in found["behaviour"]["days"]) >= 2
    page = (line.folder / "r-1" / "report.html").read_text("utf-8")
    assert "shoe &lt;1&gt;" in page
    assert "shoe <1>" not in page
    assert "O&#x27;Neill" in page
    assert "<script" not in page
    assert "bob" not in page + orjson.dumps(found).decode()


def test_a_package_opens_for_its_key_alone_and_not_for_ever(line: AskingLine) -> None:
    """0600, nothing legible; with another key, or once replaced, it stays shut."""
    line.submit("r-1", "access", EMAIL)
    package = line.folder / "r-1.kinfold"
    made = line.does("privacy", "export", "r-1", "--out", package, "--json").json
    assert stat.S_IMODE(package.stat().st_mode) == 0o600
    body = package.read_bytes()
    assert b"posteo" not in body
    assert b"report" not in body
    line_open = ("privacy", "open", "r-1", package, "--out", line.folder / "ann", "--key")
    line.fails("PACKAGE_CLOSED", *line_open, "AAAA-BBBB")
    other = made["key"][:-1] + ("A" if made["key"][-1] != "A" else "B")
    line.fails("PACKAGE_CLOSED", *line_open, other)
    assert line.run("privacy", "export", "r-1", "--out", package).code == 2
    line.does(*line_open, made["key"])
    assert stat.S_IMODE((line.folder / "ann" / "report.json").stat().st_mode) == 0o600
    again = line.folder / "again.kinfold"
    line.does("privacy", "export", "r-1", "--out", again)
    closed = ("privacy", "open", "r-1", package, "--out", line.folder / "late", "--key")
    line.fails("PACKAGE_CLOSED", *closed, made["key"])


def test_portability_hands_over_what_was_provided(line: AskingLine) -> None:
    """What the person said and did, and nothing that was worked out of it; as data alone."""
    found = opened(line, "r-1", EMAIL, "portability")
    assert found["records"][0]["values"]["given_name"] == "Ana"
    assert found["purchases"]
    assert found["behaviour"]["days"]
    assert not {"affinities", "attributes", "links", "recipients"} & found.keys()
    assert not (line.folder / "r-1" / "report.html").exists()


def test_access_of_nobody_says_that_nothing_is_held(line: AskingLine) -> None:
    """Somebody who is not known gets an answer as well."""
    found = opened(line, "r-1", "email:nobody@posteo.net")
    assert found["person"] is None
    assert "Nothing is held" in (line.folder / "r-1" / "report.html").read_text("utf-8")


def test_a_correction_outranks_what_was_wrong(line: AskingLine) -> None:
    """The right value stands, by staff's word; the wrong record is still shown until retracted."""
    corrected = ("--correct", "given_name=Anna", "--correct", "address.city=Bern")
    line.submit("r-1", "correction", EMAIL, *corrected)
    plan = line.does("privacy", "plan", "r-1", "--json").json
    assert "says address.city, given_name anew" in plan["sentences"]
    line.does("privacy", "run", "r-1")
    profile = line.does("get", "--local", ANN, "--for", "service", "--json").json["profile"]
    said = {one["name"]: (one["value"], one["source"]) for one in profile["attributes"]}
    assert said["given_name"] == ("Anna", "staff")
    assert said["address.city"] == ("Bern", "staff")
    assert said["family_name"] == ("O'Neill", "crm")
    line.submit("r-2", "correction", EMAIL, "--retract", "crm:s-2")
    line.does("privacy", "approve", "r-2", "--staff", "dpo")
    line.does("privacy", "run", "r-2")
    profile = line.does("get", "--local", ANN, "--for", "service", "--json").json["profile"]
    assert {one["name"] for one in profile["attributes"]} == {"given_name", "address.city"}


def test_a_wrong_correction_is_refused_and_changes_nothing(line: AskingLine) -> None:
    """What no record could say is told when it is taken in; of somebody named by id when it is
    run, and the request stays to be withdrawn.
    """
    wrong = ("--kind", "correction", "--correct", "birth_date=soon", *LEVEL, "--of")
    line.fails("CORRECTION_INVALID", "privacy", "submit", "r-1", *wrong, EMAIL)
    line.fails("REQUEST_UNKNOWN", "privacy", "show", "r-1")
    ann = line.does("consent", "show", ANN, "--json").json["person_id"]
    line.does("privacy", "submit", "r-1", *wrong, ann)
    line.fails("CORRECTION_INVALID", "privacy", "run", "r-1")
    assert line.does("privacy", "show", "r-1", "--json").json["request"]["state"] == "verified"
    line.does("privacy", "withdraw", "r-1")
    line.fails(
        "REQUEST_INVALID", "privacy", "submit", "r-2", "--kind", "correction", "--of", EMAIL, *LEVEL
    )


def test_an_objection_ends_legitimate_interest_and_direct_marketing(line: AskingLine) -> None:
    """What rests on other grounds goes on."""
    before = line.granted(ANN)
    assert {"marketing", "analytics", "personalisation", "sale"} <= before
    line.submit("r-1", "objection", EMAIL)
    line.does("privacy", "run", "r-1")
    assert before - line.granted(ANN) == {"marketing", "analytics", "sale"}


def test_an_opt_out_ends_selling_and_sharing(line: AskingLine) -> None:
    """Of a Californian, by somebody whom nobody verified, due in 15 business days."""
    ran = line.does(
        "privacy", "submit", "r-1", "--kind", "opt_out", "--of", EMAIL, "--place", "US-CA", "--json"
    )
    request = ran.json["request"]
    assert (request["law"], request["state"], request["needed"]) == ("ccpa", "verified", "none")
    assert request["extend_by"] == ""
    line.does("privacy", "run", "r-1")
    granted = line.granted(ANN)
    assert "sale" not in granted
    assert "marketing" in granted


def test_a_restriction_serves_to_no_one_until_it_is_released(line: AskingLine) -> None:
    """Nobody is served the person meanwhile; consent show says so; released all is as before."""
    line.submit("r-1", "restriction", ANN)
    planned = line.does("privacy", "plan", "r-1").out
    assert planned.endswith("  sets the person apart: served to no one\n")
    line.does("privacy", "run", "r-1")
    assert not line.is_served(EMAIL)
    assert line.is_served(BOB)
    assert "restriction in force since" in line.does("consent", "show", ANN).out
    ended = ("privacy", "release", EMAIL, "--restriction", "--reason", "told them, it is over")
    assert line.does(*ended).out.startswith("restriction ended")
    assert line.does(*ended).out == "no restriction was in force; nothing changed\n"
    history = line.does("consent", "show", ANN, "--history").out
    assert "  restriction ended " in history
    assert "  restriction put in force " in history
    served = line.does("get", "--local", ANN, "--for", "service", "--json")
    assert "restriction" not in served.out, "an engine is not told that there was one"
    assert line.is_served(EMAIL)


def test_legal_hold_and_erasure(line: AskingLine) -> None:
    """Under a hold nobody is served and nothing is erased, and its reason is told; released,
    the same request goes through.
    """
    line.submit("r-1", "erasure", ANN)
    line.does("privacy", "approve", "r-1", "--staff", "dpo")
    line.does("privacy", "hold", EMAIL, "--reason", "court order 12/26", "--hold-id", "h-1")
    assert not line.is_served(ANN)
    plan = line.does("privacy", "plan", "r-1", "--json").json
    assert plan["held"] == ["court order 12/26"]
    line.fails("LEGAL_HOLD", "privacy", "run", "r-1")
    assert line.does("consent", "show", ANN, "--json").json["set_apart"]
    again = line.does(
        "privacy", "hold", EMAIL, "--reason", "court order 12/26", "--hold-id", "h-1", "--json"
    )
    assert again.json == {"hold_id": "h-1"}
    line.does("privacy", "release", EMAIL, "--reason", "the case is closed")
    assert line.is_served(ANN)
    line.does("privacy", "run", "r-1")
    assert not line.is_served(ANN)
    assert line.run("consent", "show", ANN).code == 1


def test_an_erasure_takes_two_people_and_leaves_a_receipt(line: AskingLine) -> None:
    """Nobody approves their own; done, nothing of what any request of hers said is left; the log
    proves every step; who comes back is somebody new.
    """
    opened(line, "r-1", EMAIL)
    line.does("privacy", "hold", ANN, "--reason", "a word of Ann's")
    line.does("privacy", "release", ANN, "--reason", "another word")
    line.submit("r-2", "erasure", ANN, "--words", "all of it please", "--contact", "ann's house")
    line.fails("APPROVAL_MISSING", "privacy", "run", "r-2")
    line.fails("STAFF_NOT_ALLOWED", "privacy", "approve", "r-2")
    plan = line.does("privacy", "plan", "r-2", "--json").json
    assert plan["removed"] == {"cookie": "1", "email": "1", "login": "1", "record": "1"}
    line.does("privacy", "approve", "r-2", "--staff", "dpo")
    done = line.does("privacy", "run", "r-2", "--json").json["request"]
    stores = {one["store"]: one for one in done["stores"]}
    assert stores["graph"]["status"] == stores["read view"]["status"] == "done"
    assert stores["requests"]["removed"] == "1"
    assert stores["input"]["status"] == "impossible"
    assert line.does("privacy", "run", "r-2", "--json").json["request"] == done
    for request in ("r-1", "r-2"):
        left = line.does("privacy", "show", request, "--json").json["request"]
        assert "subject" not in left
        assert not left["words"] + left["contact"]
    assert line.is_served(BOB)
    package = line.folder / "r-1.kinfold"
    line.fails("PACKAGE_CLOSED", "privacy", "open", "r-1", package, "--key", "A", "--out", "x")
    receipt = line.does("privacy", "receipt", "r-2", "--json")
    _proved(line, receipt.json["entries"])
    (line.folder / "receipt.json").write_text(receipt.out)
    verified = line.does("audit", "verify", "--proof", line.folder / "receipt.json").out
    assert verified.count(", word for word\n") == len(receipt.json["entries"])
    assert unclaimed(line.folder / "home") == []
    line.take({**login(9, ("login", "ann")), "eventTime": _now()})
    assert line.is_served(ANN)
    assert line.granted(ANN) == {"service", "analytics"}


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _proved(line: AskingLine, entries: list[dict[str, Any]]) -> None:
    steps = [orjson.loads(one["entry"])["what"].get("step", "erasure") for one in entries]
    assert steps == ["submit", "verify", "approve", "run", "erasure", "finish"]
    for one in entries:
        leaf = merkle.leaf_hash(one["entry"].encode())
        path = [bytes.fromhex(step) for step in one["path"]]
        root = bytes.fromhex(one["root"])
        assert merkle.includes(leaf, int(one["index"]), int(one["size"]), path, root)
        for word in ("ann", "posteo", "desk", "dpo"):
            assert word not in one["entry"]
    assert "sound" in line.does("audit", "verify").out


def test_nothing_a_requester_said_rests_legibly(line: AskingLine) -> None:
    """Neither in the store of requests nor in the audit log nor anywhere else in the home."""
    line.submit("r-1", "access", EMAIL, "--words", "my private words", "--contact", "Hauptgasse 1")
    line.does("privacy", "extend", "r-1", "--reason", "Ann is ill")
    line.does("privacy", "hold", BOB, "--reason", "Bob versus Carol")
    found = [file for file in (line.folder / "home").rglob("*") if file.is_file()]
    assert found
    body = b"".join(file.read_bytes() for file in found)
    for word in (b"private words", b"Hauptgasse", b"Ann is ill", b"Carol", b"posteo", b"dpo"):
        assert word not in body


def test_due_tells_what_must_be_done_by_when(line: AskingLine) -> None:
    """Soonest first, late ones as late, ended ones not at all; an extension moves the day."""
    early = (datetime.now(UTC) - timedelta(days=40)).strftime("%Y-%m-%dT%H:%M:%SZ")
    line.submit("late", "access", EMAIL, "--received", early)
    line.submit("soon", "access", BOB, "--place", "US-CA")
    line.submit("over", "access", BOB)
    line.does("privacy", "refuse", "over", "--reason", "asked for the third time this week")
    rows = line.does("privacy", "due").out.splitlines()
    days = [line.does("privacy", "show", one, "--json").json["request"] for one in ("late", "soon")]
    assert [row[:10] for row in rows] == [one["next_by"] for one in days]
    assert "days late" in rows[0]
    assert "late  access  verified" in rows[0]
    assert "  soon  access  verified  (confirm receipt; answer by " in rows[1]
    assert line.does("privacy", "due", "--within", "3").out.count("\n") == 1
    line.fails("EXTENSION_NOT_ALLOWED", "privacy", "extend", "late", "--reason", "much to do")
    before = line.does("privacy", "show", "soon", "--json").json["request"]["due"]
    line.does("privacy", "extend", "soon", "--reason", "much to do")
    after = line.does("privacy", "show", "soon", "--json").json["request"]
    assert (after["extended"], after["due"] > before) == (True, True)
    listed = line.does("privacy", "list", "--state", "refused", "--json").json["requests"]
    assert [one["request_id"] for one in listed] == ["over"]


def test_the_same_request_again_is_known(line: AskingLine) -> None:
    """Under one id there is one request; another under it is refused."""
    assert not line.submit("r-1", "access", EMAIL, "--json").json["known"]
    assert line.submit("r-1", "access", EMAIL, "--json").json["known"]
    line.fails(
        "REQUEST_ID_TAKEN", "privacy", "submit", "r-1", "--kind", "erasure", "--of", EMAIL, *LEVEL
    )


def test_who_asks_must_be_known_well_enough(line: AskingLine) -> None:
    """Nothing runs before, and too weak a proof is told."""
    line.does("privacy", "submit", "r-1", "--kind", "objection", "--of", ANN)
    line.fails("REQUEST_STATE", "privacy", "run", "r-1")
    line.fails("VERIFICATION_TOO_WEAK", "privacy", "verify", "r-1", "--level", "none")
    line.does("privacy", "verify", "r-1", "--level", "claimed")
    line.does("privacy", "withdraw", "r-1")
    line.fails("REQUEST_STATE", "privacy", "run", "r-1")


def test_an_id_of_a_hold_stands_for_it_alone(line: AskingLine) -> None:
    """Used again for somebody else, for something else or after its end, it changes nothing."""

    def apart() -> list[str]:
        told = line.does("consent", "show", ANN, "--json").json["set_apart"]
        return [str(one["purpose"]) for one in told]

    hold = ("privacy", "hold", ANN, "--reason", "court order 12/26", "--hold-id", "h-1")
    line.fails("PROFILE_NOT_FOUND", "privacy", "hold", "login:typo", *hold[3:])
    line.does(*hold)
    line.does(*hold)
    for wrong in (
        ("hold", ANN, "--restriction"),
        ("hold", BOB),
        ("hold", EMAIL),
        ("release", ANN, "--restriction"),
    ):
        ran = line.run("privacy", *wrong, "--reason", "another", "--hold-id", "h-1")
        assert "(HOLD_ID_TAKEN)" in ran.err or "nothing changed" in ran.out, wrong
        assert apart() == ["legal_hold"]
        assert line.is_served(BOB)
    release = ("privacy", "release", ANN, "--reason", "the case is closed", "--hold-id", "h-1")
    line.does(*release)
    assert apart() == []
    line.fails("HOLD_ID_TAKEN", *hold)
    assert apart() == []
    line.does(*hold[:-1], "h-2")
    line.fails("HOLD_ID_TAKEN", *release)
    assert apart() == ["legal_hold"]
    logged = [one["what"].get("step") for one in line.does("audit", "show", "--json").json_lines]
    assert [step for step in logged if step] == ["hold", "release", "hold"]


def test_a_mistake_is_told_with_its_way_out(line: AskingLine) -> None:
    """Nobody of staff, unknown requests, fields that cannot be."""
    assert "home.staff: say who of staff acts" in line.run("privacy", "due", "--staff", "").err
    line.fails("STAFF_NOT_ALLOWED", "privacy", "due", "--staff", "nobody")
    line.fails("REQUEST_UNKNOWN", "privacy", "show", "r-9")
    line.fails(
        "IDENTIFIER_INVALID", "privacy", "submit", "r-1", "--kind", "access", "--of", "email:?"
    )
    submit = ("privacy", "submit", "r-1", "--kind", "access", "--of", ANN)
    line.fails("REQUEST_INVALID", *submit, "--place", "Bern")
    line.fails("REQUEST_INVALID", *submit, "--suppress")
    line.fails("PROFILE_NOT_FOUND", "privacy", "hold", "login:nobody", "--reason", "x")
    assert line.run(*submit, "--received", "yesterday").code == 2


def test_an_erasure_that_was_cut_short_forgets_what_was_said_as_well(line: AskingLine) -> None:
    """Killed after the sweep and before the request was ended, it is run again: it ends, and what
    another request said under another identifier is forgotten, too.
    """
    opened(line, "r-1", EMAIL)
    line.submit("r-2", "erasure", ANN)
    line.does("privacy", "approve", "r-2", "--staff", "dpo")
    home = home_at(line.folder / "home", {})
    home.erase(ANN, "r-2")
    done = line.does("privacy", "run", "r-2", "--json").json["request"]
    stores = {one["store"]: one for one in done["stores"]}
    assert (done["state"], stores["graph"]["status"]) == ("done", "done")
    assert stores["requests"]["status"] == "done"
    for request in ("r-1", "r-2"):
        left = line.does("privacy", "show", request, "--json").json["request"]
        assert "subject" not in left


def test_requests_put_back_from_a_backup_are_forgotten_again(line: AskingLine) -> None:
    """What said something of a person before her erasure never says it again, whichever verb asks
    first; a request of who came back since stays as it is.
    """
    opened(line, "r-1", EMAIL)
    store = line.folder / "home" / "requests.sqlite3"
    backup = store.read_bytes()
    line.erase("r-2", ANN)
    store.write_bytes(backup)
    left = line.does("privacy", "show", "r-1", "--json").json["request"]
    assert "subject" not in left
    line.take({**login(30, ("email", "ann@posteo.net")), "eventTime": _now()})
    line.submit("r-3", "access", EMAIL)
    line.does("privacy", "withdraw", "r-3")
    line.take({**login(31, ("email", "ann@posteo.net")), "eventTime": _now()})
    assert "subject" in line.does("privacy", "show", "r-3", "--json").json["request"]


def test_requests_and_packages_outlive_a_rotation_of_keys(line: AskingLine) -> None:
    """What was said is read as before, a package opens, and somebody is found under new tokens."""
    line.submit("r-1", "access", EMAIL, "--words", "what do you know")
    package = line.folder / "r-1.kinfold"
    made = line.does("privacy", "export", "r-1", "--out", package, "--json").json
    before = line.does("privacy", "show", "r-1", "--json").json
    line.submit("r-2", "erasure", ANN)
    line.does("keys", "rotate", "--tokens")
    assert line.does("privacy", "show", "r-1", "--json").json == before
    out = line.folder / "ann"
    line.does("privacy", "open", "r-1", package, "--key", made["key"], "--out", out)
    line.does("privacy", "approve", "r-2", "--staff", "dpo")
    line.does("privacy", "run", "r-2")
    assert not line.is_served(EMAIL)
    assert "subject" not in line.does("privacy", "show", "r-1", "--json").json["request"]

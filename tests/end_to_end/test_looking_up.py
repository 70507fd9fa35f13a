"""From a generated cohort to its people, looked up, served and explained by the program."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from identity.v1.identity_service_pb2 import IdentifierRef, ResolveIdentityRequest
from identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from profiles.v1.profile_service_pb2 import (
    BatchGetProfilesRequest,
    GetProfileRequest,
    Subject,
    SubjectIdentifier,
)
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub
from tests.support.cohort import TINY
from tests.support.command_line import CommandLine, as_lines, login
from tests.support.grpc_calls import told


@dataclass(frozen=True)
class Used:
    """A folder in which a cohort was taken in."""

    line: CommandLine
    summary: dict[str, Any]
    told: dict[str, Any]
    truth: list[dict[str, str]]

    def who_has(self, *kinds: str) -> dict[str, str]:
        """The own identifiers of somebody whose signals tie these kinds together."""
        parts: dict[tuple[str, str], dict[str, str]] = {}
        for row in self.truth:
            if row["shared"] == "no":
                parts.setdefault((row["person"], row["part"]), {})[row["kind"]] = row["value"]
        return next(have for have in parts.values() if set(kinds) <= set(have))


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Used:
    """Generate and ingest, once for all tests of this file: none of them changes what counts."""
    line = CommandLine(tmp_path_factory.mktemp("used"))
    made = ("--people", TINY.people, "--days", TINY.days, "--seed", TINY.seed)
    summary = line.does("generate", *map(str, made), "--out", "cohort", "--json").json
    done = line.does("ingest", "cohort/signals.jsonl", "--json").json
    with (line.folder / "cohort" / "truth.csv").open(encoding="utf-8") as file:
        return Used(line, summary, done, list(csv.DictReader(file)))


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    """The program in an empty folder."""
    return CommandLine(tmp_path)


def test_what_is_generated_is_taken_in_and_counts_once(taken: Used) -> None:
    """Read on, read from the beginning, read under another name: every signal counted once."""
    first, summary = taken.told, taken.summary
    assert first["read"] == summary["signals"] > 500
    assert first["counted"] + first["duplicate"] + first["rejected"] == first["read"]
    assert first["duplicate"] == summary["duplicates"] > 0
    assert first["profiles_published"] >= first["people_created"] > 0
    again = taken.line.does("ingest", "cohort/signals.jsonl", "--json").json
    assert (again["read"], again["profiles_published"]) == (0, 0)
    replayed = taken.line.does("ingest", "--replay", "cohort/signals.jsonl", "--json").json
    assert replayed["read"] == summary["signals"]
    shutil.copy(taken.line.folder / "cohort" / "signals.jsonl", taken.line.folder / "other.jsonl")
    other = taken.line.does("ingest", "other.jsonl", "--json").json
    for twice in (replayed, other):
        assert twice["counted"] == twice["people_created"] == twice["profiles_published"] == 0
        assert twice["duplicate"] + twice["dead_letters"] == twice["read"]


def test_get_by_anything_that_names_a_person(taken: Used) -> None:
    """Login, e-mail and person id lead to one profile, as words and as JSON."""
    has = taken.who_has("login", "email")
    get = ("get", "--local", "--for", "service,personalisation", "--json")
    by_login = taken.line.does(*get, f"login:{has['login']}").json
    by_email = taken.line.does(*get, f"email:{has['email']}").json
    by_id = taken.line.does(*get, by_login["person_id"]).json
    assert by_login["person_id"] == by_email["person_id"] == by_id["person_id"]
    assert by_login["profile"] == by_email["profile"] == by_id["profile"]
    values = [known.get("value") for known in by_login["profile"]["identifiers"]]
    assert has["login"] in values
    words = taken.line.does("get", "--local", f"login:{has['login']}", "--for", "service").out
    assert words.startswith(f"person {by_login['person_id']}, version ")
    first = date(1970, 1, 1) + timedelta(by_login["profile"]["networks"][0]["first_day"])
    assert f"first_day {first}" in words, "people read dates, programs days"


def test_get_gives_what_was_asked_for_and_may_be_given(taken: Used) -> None:
    """A mask gives those fields only; without a purpose nothing that needs one is given."""
    subject = f"login:{taken.who_has('login', 'email')['login']}"
    get = ("get", "--local", "--json", subject)
    masked = taken.line.does(*get, "--for", "service", "--fields", "presence").json
    assert set(masked["profile"]) == {"presence"}
    bare = taken.line.does(*get).json
    assert not bare.get("profile")
    assert "identifiers" in bare["withheld"]


def test_an_old_id_leads_to_who_it_stands_for(line: CommandLine) -> None:
    """After a merge the id that was given up still finds the person, and the lineage says why."""
    apart = as_lines(login(1, ("login", "ann")), login(2, ("cookie", "c-1")))
    line.does("ingest", "-", given=apart)
    ids = [
        line.does("lineage", subject, "--json").json["person_id"]
        for subject in ("login:ann", "cookie:c-1")
    ]
    together = as_lines(login(3, ("login", "ann"), ("cookie", "c-1")))
    assert line.does("ingest", "-", "--json", given=together).json["merges"] == 1
    answers = [
        line.does("get", person, "--local", "--for", "service", "--json").json for person in ids
    ]
    assert answers[0]["person_id"] == answers[1]["person_id"]
    assert answers[0]["person_id"] in ids
    old = next(person for person in ids if person != answers[0]["person_id"])
    lineage = line.does("lineage", old, "--json").json
    assert lineage["current_person_id"] == answers[0]["person_id"]
    assert [entry["change"] for entry in lineage["entries"]].count("merged") == 1
    assert f"merged into {answers[0]['person_id']}" in line.does("lineage", old).out


# ---- serving -----------------------------------------------------------------


@pytest.fixture(scope="module")
def served(taken: Used) -> Iterator[tuple[Used, str]]:
    """A server over the cohort, and its address."""
    with taken.line.serving() as address:
        yield taken, address


def test_served_to_the_command_line(served: tuple[Used, str]) -> None:
    """`kinfold get` asks the server, and says when there is none."""
    used, address = served
    subject = f"login:{used.who_has('login', 'email')['login']}"
    asked = ("get", subject, "--for", "service", "--json")
    answer = used.line.does(*asked, "--serve-listen", address).json
    # Another process may read the view while it is served.
    assert answer["profile"] == used.line.does(*asked, "--local").json["profile"]
    nobody = used.line.fails(1, "get", "login:nobody", "--serve-listen", address)
    assert "PROFILE_NOT_FOUND" in nobody.err
    unknown = used.line.fails(2, "get", subject, "--for", "espionage", "--serve-listen", address)
    assert "PURPOSE_UNKNOWN" in unknown.err


def test_served_to_any_grpc_client(served: tuple[Used, str]) -> None:
    """A plain client with nothing but the generated stubs looks up, resolves and asks health."""
    used, address = served
    has = used.who_has("login", "email")
    with grpc.insecure_channel(address) as channel:
        profiles, identity = ProfileServiceStub(channel), IdentityServiceStub(channel)
        subjects = [
            Subject(identifier=SubjectIdentifier(kind=kind, value=value))
            for kind, value in (("email", has["email"]), ("login", "nobody"))
        ]
        request = GetProfileRequest(subject=subjects[0], purposes=["service"])
        answer = profiles.GetProfile(request, timeout=60)
        batch = BatchGetProfilesRequest(subjects=subjects, purposes=["service"])
        found = profiles.BatchGetProfiles(batch, timeout=60)
        who = ResolveIdentityRequest(identifier=IdentifierRef(kind="login", value=has["login"]))
        resolved = identity.ResolveIdentity(who, timeout=60)
        health = health_pb2_grpc.HealthStub(channel)
        # The stub's methods are made at run time; its types do not say so.
        state = health.Check(health_pb2.HealthCheckRequest(), timeout=60)  # type: ignore[attr-defined]
        request.purposes.append("espionage")
        refused = told(lambda: profiles.GetProfile(request, timeout=60))
    assert answer.person_id == resolved.person_id
    assert {known.kind for known in answer.profile.identifiers} >= {"email", "login"}
    assert [each.code for each in found.results] == [0, grpc.StatusCode.NOT_FOUND.value[0]]
    assert state.status == health_pb2.HealthCheckResponse.SERVING
    assert (refused.reason, refused.code) == ("PURPOSE_UNKNOWN", grpc.StatusCode.INVALID_ARGUMENT)


def test_what_is_taken_in_while_serving_is_served(line: CommandLine) -> None:
    """The server keeps people and profiles up; ingest ends when its signals can be looked up."""
    with line.serving() as address:
        line.fails(1, "get", "login:ann", "--serve-listen", address)
        done = line.does("ingest", "-", given=as_lines(login(1, ("login", "ann"))))
        assert "kept up by another process" in done.out
        get = ("get", "login:ann", "--for", "service", "--serve-listen", address, "--json")
        assert line.does(*get).json["profile"]["presence"]["signals"] == "1"
        found = {
            f["part"]: f
            for f in line.does("doctor", "--serve-listen", address, "--json").json_lines
        }
        assert found["server"]["words"] == f"{address} answers and is ready"


def test_erased_by_another_process_while_serving(taken: Used, tmp_path: Path) -> None:
    """The server goes on between the steps of an erasure, hides who asked, and still keeps up."""
    shutil.copytree(taken.line.folder / ".kinfold", tmp_path / ".kinfold")
    line = CommandLine(tmp_path)
    logins = [row["value"] for row in taken.truth if row["kind"] == "login"][:3]
    with line.serving() as address:
        for number, value in enumerate(logins):
            asked = (f"r-{number}", "--staff", "desk")
            line.does("privacy", "submit", *asked, "--kind", "erasure", "--of", f"login:{value}",
                      "--level", "authenticated")  # fmt: skip
            line.does("privacy", "approve", f"r-{number}", "--as-one", "--staff", "dpo")
            line.does("privacy", "run", *asked, "--as-one")
            gone = line.fails(1, "get", f"login:{value}", "--serve-listen", address)
            assert "PROFILE_NOT_FOUND" in gone.err
        line.does("ingest", "-", given=as_lines(login(1, ("login", "new"))))
        line.does("get", "login:new", "--for", "service", "--serve-listen", address)


def test_explain_says_why(taken: Used) -> None:
    """A chain of evidence between two identifiers of one person; none between strangers."""
    has = taken.who_has("login", "email", "cookie")
    pair = (f"email:{has['email']}", f"cookie:{has['cookie']}")
    ran = taken.line.does("explain", *pair)
    assert ran.out.startswith("one person:\n")
    chain = taken.line.does("explain", *pair, "--json").json
    assert chain["same_person"]
    assert len(chain["steps"]) == ran.out.count(" bits ")
    ends = [chain["steps"][0]["from"], chain["steps"][-1]["to"]]
    assert [end.partition(":")[0] for end in ends] == ["email", "cookie"]
    other = next(
        row["value"]
        for row in taken.truth
        if row["kind"] == "login" and row["value"] != has["login"]
    )
    strangers = taken.line.does("explain", pair[0], f"login:{other}", "--json").json
    assert not strangers["same_person"]
    assert strangers["obstacles"]
